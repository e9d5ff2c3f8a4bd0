#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The packages and the units on machines of their own: builds the packages in a fresh Debian 12, looks at them with
# lintian, and goes with them through what an administrator does (scenario.sh), where systemd runs.
#
#     run.sh [container] [machine]
#
# container: a Debian 12 booted in systemd-nspawn, with a software TPM. machine: the same in a virtual machine (QEMU,
# emulated) with a kernel of its own and a TPM behind its driver: /dev/tpmrm0, and then /dev/tpm0. Without a word: both.
#
# Needs root, and a mirror of Debian; takes some minutes. The last line is `N passed, M failed`; exit 0 means that M is 0
# and N is not. Leaves nothing behind. With $TPM_PSKD_ROOTS, a folder, the file systems it makes are kept there, and the
# next run is quicker.
set -u

root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd) || exit 1
. "$root/examples/debian-packages.sh"
. "$root/tests/systemd/roots.sh"
export LC_ALL=C.UTF-8

passed=0
failed=0
skipped=0
work=
children=

clean_up()
{
	trap - EXIT
	for child in $children; do
		kill "$child" 2>/dev/null
		wait "$child" 2>/dev/null
	done
	leave_cgroup
	[ -z "$work" ] || rm -rf --one-file-system "$work"
	[ "$skipped" -eq 0 ] || echo "$skipped skipped"
	echo "$passed passed, $failed failed"
	[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
	exit
}

report()
{
	if [ "$1" -eq 0 ]; then
		passed=$((passed + 1))
		echo "ok - $2"
	else
		failed=$((failed + 1))
		echo "not ok - $2"
	fi
}

# step WHAT COMMAND...: one that all that follows needs.
step()
{
	what=$1
	shift
	"$@" >"$work/step.log" 2>&1
	status=$?
	[ "$status" -eq 0 ] || tail -n 40 "$work/step.log" | sed 's/^/# /'
	report "$status" "$what"
	[ "$status" -eq 0 ] || exit 1
}

# check WHAT COMMAND...: one that the rest can do without.
check()
{
	what=$1
	shift
	"$@" >"$work/check.log" 2>&1
	status=$?
	[ "$status" -eq 0 ] || tail -n 40 "$work/check.log" | sed 's/^/# /'
	report "$status" "$what"
}

# build_packages: from a copy, so that the checkout stays as it is; into $work/packages. Tests included.
build_packages()
{
	mkdir -p "$work/build/tpm-pskd" "$work/packages" "$work/examples" || return
	copy_source "$work/build/tpm-pskd" || return
	in_root "$roots/build" --bind="$work/build:/build" --setenv=DEB_BUILD_OPTIONS="parallel=$(nproc)" \
		sh -c 'cd /build/tpm-pskd && dpkg-buildpackage -us -uc -b' || return
	cp "$work"/build/*.deb "$work/packages/" || return
	cp "$work"/build/tpm-pskd/obj-*/examples/psk-server "$work"/build/tpm-pskd/obj-*/examples/psk-client "$work/examples/"
}

# quiet_lintian: neither an error nor a warning.
quiet_lintian()
{
	in_root "$roots/build" --bind="$work/build:/build" \
		sh -c 'cd /build && lintian --profile debian --allow-root --fail-on error,warning ./*.changes'
}

# next_version: the package that is in $work/packages as one of the next version would be, whose default configuration
# differs, in $work/next.
next_version()
{
	mkdir -p "$work/next" || return
	dpkg-deb -R "$work"/packages/tpm-pskd_*.deb "$work/unpacked" || return
	sed -i 's/^Version: .*/&+next/' "$work/unpacked/DEBIAN/control" || return
	sed -i 's|^{|/* The next version. */\n{|' "$work/unpacked/etc/tpm-pskd/tpm-pskd.json" || return
	dpkg-deb --root-owner-group -b "$work/unpacked" "$work/next/"
}

# furnish FOLDER: what the scenario needs, into a root: the packages, the examples, itself, and a unit that runs it.
furnish()
{
	mkdir -p "$1/scenario/bin" &&
		cp "$work"/packages/libtpmpsk0_*.deb "$work"/packages/libtpmpsk-gnutls0_*.deb "$work"/packages/tpm-pskd_*.deb \
			"$1/scenario/" &&
		cp -r "$work/next" "$1/scenario/next" &&
		cp "$work/examples/psk-server" "$work/examples/psk-client" "$1/scenario/bin/" &&
		cp "$root/tests/systemd/scenario.sh" "$root/systemd/README.md" "$1/scenario/" &&
		cp "$root/tests/systemd/scenario.service" "$1/etc/systemd/system/" &&
		ln -sf /etc/systemd/system/scenario.service "$1/etc/systemd/system/multi-user.target.wants/scenario.service"
}

# count_results WHERE FILE: what a scenario reported.
count_results()
{
	tr -d '\r' <"$2" >"$work/results"
	sed -n 's/^ran: //p' "$work/results" >>"$work/ran"
	while IFS= read -r line; do
		case $line in
		"ok "*"# SKIP"*) skipped=$((skipped + 1)) ;;
		"ok "*) passed=$((passed + 1)) ;;
		"not ok "*) failed=$((failed + 1)) ;;
		esac
		case $line in
		"ok "* | "not ok "* | "#"*) printf '%s: %s\n' "$1" "$line" ;;
		esac
	done <"$work/results"
	grep -qx 'scenario: done' "$work/results"
	status=$?
	[ "$status" -eq 0 ] || tail -n 20 "$3" | sed 's/^/# /'
	report "$status" "$1: goes through to the end"
}

all_were_run()
{
	awk '/^```/ { inside = !inside } !inside && /^    [^ ]/ { sub(/^    /, ""); print }' "$root/systemd/README.md" >"$work/commands"
	# What is left of the commands, without those that were run.
	[ -s "$work/commands" ] && ! grep -vxF -f "$work/ran" "$work/commands"
}

run_container()
{
	cp -a "$roots/test" "$work/container" && furnish "$work/container" || { report 1 "container: is set up"; return; }
	echo software >"$work/container/scenario/tpm"
	: >"$work/container/scenario/results"
	boot_container "$work/container" >"$work/container.log" 2>&1
	count_results container "$work/container/scenario/results" "$work/container.log"
	rm -rf --one-file-system "$work/container"
}

run_machine()
{
	cp -a "$roots/test" "$work/machine" && furnish "$work/machine" || { report 1 "machine: is set up"; return; }
	echo device >"$work/machine/scenario/tpm"
	ln -sf /dev/ttyS1 "$work/machine/scenario/results"
	: >"$work/machine.results"
	boot_machine "$work/machine" "$work/machine.results" >"$work/machine.log" 2>&1
	count_results machine "$work/machine.results" "$work/machine.log"
	rm -rf --one-file-system "$work/machine"
}

[ $# -gt 0 ] || set -- container machine
for where in "$@"; do
	case $where in
	container | machine) ;;
	*)
		echo "run.sh: there is no '$where'; usage: run.sh [container] [machine]" >&2
		exit 2
		;;
	esac
done
if [ "$(id -u)" -ne 0 ]; then
	echo "run.sh: makes and boots file systems of other machines, so it must run as root" >&2
	exit 1
fi
need_packages mmdebstrap systemd-container dpkg-dev debian-archive-keyring || exit 1
case " $* " in
*" machine "*) need_packages qemu-system-x86 swtpm cpio || exit 1 ;;
esac

work=$(mktemp -d "${TMPDIR:-/var/tmp}/tpm-pskd-systemd.XXXXXX") || exit 1
trap clean_up EXIT
trap 'exit 1' INT TERM HUP
roots=${TPM_PSKD_ROOTS:-$work/roots}
mkdir -p "$roots" || exit 1

enter_cgroup
step "a fresh Debian 12 has what the packages are built with" make_build_root
step "the packages are built there, and their tests pass" build_packages
check "lintian has no error and no warning" quiet_lintian
step "a next version is made" next_version
rm -rf "$work/build"
step "a fresh Debian 12 is there to install them in" make_test_root
for where in "$@"; do
	"run_$where"
done
# What is for a machine with a TPM is not run in the container, and the other way round.
[ "$#" -ne 2 ] || check "every command in systemd/README.md was run" all_were_run
