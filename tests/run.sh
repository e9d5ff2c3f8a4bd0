#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Every test, twice: as it would be released (build-test/), and under ASan and UBSan (build-asan/). Before that, gcc and
# clang each compile everything without a warning; behind it each fuzz target runs for a moment (build-fuzz/), static
# checkers look at all but the tests, and the hostile tests have a daemon under ThreadSanitizer (static.sh). The last line is
# `N passed, M failed`; exit 0 means that M is 0 and N is not.
set -u

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd) || exit 1
cd "$root" || exit 1
. examples/debian-packages.sh

passed=0
failed=0
skipped=0

end()
{
	[ "$skipped" -eq 0 ] || echo "$skipped skipped"
	echo "$passed passed, $failed failed"
	[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
	exit
}

pass()
{
	passed=$((passed + 1))
	echo "ok - $1"
}

fail()
{
	failed=$((failed + 1))
	echo "not ok - $1"
}

# setup FOLDER OPTION...: a build folder with these options, made or brought up to date.
setup()
{
	folder=$1
	shift
	# What an interrupted run or another meson left behind cannot be used.
	if [ -e "$folder" ] && ! meson introspect --projectinfo "$folder" >/dev/null 2>&1; then
		rm -rf "$folder"
	fi
	if [ -e "$folder" ]; then
		meson setup --reconfigure "$folder" "$@" >"$folder.log" 2>&1
	else
		meson setup "$folder" "$@" >"$folder.log" 2>&1
	fi || {
		tail -n 40 "$folder.log" >&2
		return 1
	}
	rm -f "$folder.log"
}

# compile FOLDER: everything, quietly unless it fails.
compile()
{
	meson compile -C "$1" >"$1/compile.log" 2>&1 || {
		grep -v '^\[[0-9]*/[0-9]*\] \(Compiling\|Linking\|Generating\)' "$1/compile.log" | tail -n 60 >&2
		return 1
	}
}

# run_tests FOLDER: runs its tests and adds up what they report one by one.
run_tests()
{
	rm -f "$1/meson-logs/testlog.json"
	# Programs under sanitizers take longer, and so does everything on a machine with other work.
	meson test -C "$1" --no-rebuild --print-errorlogs --timeout-multiplier 3
	# shellcheck disable=SC2046
	set -- "$1" $(python3 tests/count.py "$1/meson-logs/testlog.json")
	if [ $# -ne 4 ]; then
		fail "$1: no result of its tests"
		return
	fi
	passed=$((passed + $2))
	failed=$((failed + $3))
	skipped=$((skipped + $4))
}

# run_script COMMAND...: adds up what one reports that speaks TAP by itself.
run_script()
{
	"$@" >build-script.log 2>&1
	status=$?
	cat build-script.log
	bad=$(grep -c '^not ok ' build-script.log)
	[ "$status" -eq 0 ] || [ "$bad" -gt 0 ] || bad=1
	left_out=$(grep -c '^ok .* # SKIP' build-script.log)
	skipped=$((skipped + left_out))
	passed=$((passed + $(grep -c '^ok ' build-script.log) - left_out))
	failed=$((failed + bad))
	rm -f build-script.log
}

if ! need_packages gcc libc6-dev clang libclang-rt-14-dev meson ninja-build pkg-config python3 procps \
	libtss2-dev libtss2-tcti-swtpm0 libsodium-dev libjson-c-dev libseccomp-dev libtasn1-6-dev \
	libgnutls28-dev libmicrohttpd-dev libjose-dev libcriterion-dev libssl-dev libwolfssl-dev openssl stunnel4 mosquitto \
	mosquitto-clients swtpm libtpms-dev systemd shellcheck cppcheck clang-tidy util-linux tpm2-tools scdoc groff-base zsh; then
	[ "$(id -u)" -eq 0 ] && fail "packages" && end
	exit 1
fi

export ASAN_OPTIONS=detect_leaks=1:abort_on_error=1:detect_stack_use_after_return=1
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
export LC_ALL=C.UTF-8
unset TPM_PSK_SOCKET NOTIFY_SOCKET JOURNAL_STREAM LISTEN_FDS LISTEN_PID WATCHDOG_USEC MESON_TESTTHREADS

# A compiler that warns where these do not must not keep anyone from running the tests.
if CC=gcc setup build-test -Dbuildtype=release -Dtests=enabled -Dwerror=true && compile build-test; then
	pass "gcc compiles everything without a warning"
else
	fail "gcc compiles everything without a warning"
	setup build-test -Dwerror=false && compile build-test
fi && run_tests build-test

if CC=clang setup build-clang -Dbuildtype=release -Dtests=enabled -Dwerror=true && compile build-clang; then
	pass "clang compiles everything without a warning"
else
	fail "clang compiles everything without a warning"
fi

if CC=gcc setup build-asan -Dbuildtype=debugoptimized -Dtests=enabled -Db_sanitize=address,undefined -Db_lundef=false &&
	compile build-asan; then
	run_tests build-asan
else
	fail "builds under ASan and UBSan"
fi

# A look whether fuzzing still works; to find what is not known yet takes hours, see tests/fuzz/run.sh.
run_script sh tests/fuzz/run.sh 2

run_script sh tests/static.sh cppcheck analyzer tidy tsan
end
