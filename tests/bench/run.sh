#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Benches of the TPM engine, one after the other, on software TPMs of their own, in about five minutes beside the build
# (build-bench/): tables, and a plot of throughput and latency over the number of clients. Others by name. Needs a
# machine that does nothing else. Exit 0: every target was met.
set -u

usage()
{
	cat <<END
usage: tests/bench/run.sh [--save] [--rounds N] [BENCH...]

  --save       write what came of it, and of the benches that were run before and not now, to tests/bench/RESULTS.md
               and clients.svg
  --rounds N   how often each row is measured (5)
  BENCH        only these: $benches;
               or, not run without being asked for: $others
END
}

benches="compare clients fair many reload memory"
others="derive session handshake which"
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd) || exit 1
cd "$root" || exit 1
. examples/debian-packages.sh

save=
rounds=5
chosen=
while [ $# -gt 0 ]; do
	case $1 in
	--save) save=1 ;;
	--rounds)
		shift
		rounds=${1:-}
		;;
	--help)
		usage
		exit 0
		;;
	-*)
		usage >&2
		exit 2
		;;
	*) chosen="$chosen $1" ;;
	esac
	shift
done

need_packages gcc libc6-dev meson ninja-build pkg-config python3 gnuplot-nox dbus dbus-bin dbus-daemon tpm2-abrmd \
	libtss2-dev libtss2-tcti-swtpm0 libtss2-tcti-tabrmd0 libsodium-dev libjson-c-dev libseccomp-dev libtasn1-6-dev \
	libgnutls28-dev libcriterion-dev libssl-dev swtpm tpm2-tools || exit 1

if [ -e build-bench/build.ninja ]; then
	meson setup --reconfigure build-bench >/dev/null
else
	meson setup build-bench -Dbuildtype=release -Dtests=enabled >/dev/null
fi && meson compile -C build-bench >/dev/null || exit 1

TPMPSK_BUILD=$root/build-bench
TPMPSK_SOURCE=$root
export TPMPSK_BUILD TPMPSK_SOURCE
export LC_ALL=C.UTF-8
unset TPM_PSK_SOCKET NOTIFY_SOCKET JOURNAL_STREAM LISTEN_FDS LISTEN_PID WATCHDOG_USEC

out=build-bench/results
mkdir -p "$out" || exit 1
start=$(date +%s)
files=
for bench in ${chosen:-$benches}; do
	rm -f "$out/$bench.json"
	echo "== $bench"
	"build-bench/tests/bench/$bench" --rounds "$rounds" --save "$out/$bench.json" || exit 1
	files="$files $out/$bench.json"
	echo
done
seconds=$(($(date +%s) - start))
results=
for bench in $benches $others; do
	[ ! -e "$out/$bench.json" ] || results="$results $out/$bench.json"
done

if [ -e "$out/clients.json" ]; then
	for way in password encrypted; do
		python3 tests/bench/report.py plot "$out/clients.json" $way >"$out/$way.dat"
	done
	gnuplot -e "folder='$out'" tests/bench/clients.gp && echo "plot: $out/clients.svg"
fi

# shellcheck disable=SC2086
if [ -n "$save" ]; then
	{
		echo "# What tests/bench/run.sh measured last"
		echo
		echo "$(date -u +%Y-%m-%d) on $(nproc) × $(sed -n 's/^model name[^:]*: //p;T;q' /proc/cpuinfo)," \
			"$(. /etc/os-release && echo "$PRETTY_NAME"), Linux $(uname -r)," \
			"$(systemd-detect-virt 2>/dev/null || echo 'unknown whether virtual')."
		echo "Software TPM (swtpm), so a TPM command costs little and hand-overs between processes weigh most; rows that" \
			"say so add a chip's latency to each command."
		echo
		echo "![derivations a second and their latency over the number of clients](clients.svg)"
		python3 tests/bench/report.py markdown $results
	} >tests/bench/RESULTS.md
	[ ! -e "$out/clients.svg" ] || cp "$out/clients.svg" tests/bench/clients.svg
fi
# shellcheck disable=SC2086
missed=$(python3 tests/bench/report.py missed $files)
echo "$seconds s, $missed targets missed"
[ "$missed" -eq 0 ]
