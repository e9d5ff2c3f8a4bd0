#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# tests/static.sh [CHECK...]: what tools find without a test (shell, cppcheck, analyzer, tidy), and tests under other instruments than in
# run.sh (tsan, valgrind, coverage). All of them by default, which takes a quarter of an hour. Each finding is mended, or answered where it
# stands, or its kind is in .clang-tidy or below with the reason. Speaks TAP; exit 0 means that nothing is left.
set -u

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd) || exit 1
cd "$root" || exit 1
. examples/debian-packages.sh

checks="shell cppcheck analyzer tidy tsan valgrind coverage"
[ $# -gt 0 ] && checks=$*

# What a check needs beside what all do.
tools=
for check in $checks; do
	case $check in
	shell) tools="$tools shellcheck" ;;
	cppcheck) tools="$tools clang cppcheck" ;;
	tidy) tools="$tools clang clang-tidy" ;;
	tsan) tools="$tools util-linux" ;;
	valgrind) tools="$tools valgrind tpm2-tools" ;;
	coverage) tools="$tools gcovr tpm2-tools" ;;
	esac
done
# shellcheck disable=SC2086
need_packages gcc libc6-dev meson ninja-build pkg-config python3 libtss2-dev libtss2-tcti-swtpm0 libsodium-dev libjson-c-dev \
	libseccomp-dev libtasn1-6-dev libgnutls28-dev libmicrohttpd-dev libjose-dev libcriterion-dev libssl-dev openssl swtpm $tools ||
	exit 1
unset TPM_PSK_SOCKET NOTIFY_SOCKET JOURNAL_STREAM

# folder NAME OPTION...: build-NAME, with these options.
folder()
{
	name=build-$1
	shift
	# What an interrupted run left behind cannot be used.
	if [ -e "$name" ] && ! meson introspect --projectinfo "$name" >/dev/null 2>&1; then
		rm -rf "$name"
	fi
	if [ -e "$name" ]; then
		meson setup --reconfigure "$name" "$@" >"$name.log" 2>&1
	else
		meson setup "$name" "$@" >"$name.log" 2>&1
	fi || {
		tail -n 20 "$name.log" >&2
		return 1
	}
	rm -f "$name.log"
}

check_shell()
{
	find . -name 'build*' -prune -o -name .git -prune -o -type f \( -name '*.sh' -o -path './.ci/run' \) -print0 |
		xargs -0 shellcheck -x -s sh -S warning -P SCRIPTDIR
}

# Lists' macros are its unknownMacro. Ownership that goes into a struct, and memory freed by attribute, are its memleak; outputs that are
# written on success only its uninitvar: ASan, LSan, UBSan and valgrind look for those.
check_cppcheck()
{
	CC=clang folder tidy -Dtests=disabled &&
		cppcheck --project=build-tidy/compile_commands.json --enable=warning,performance,portability \
			--inline-suppr --quiet -j"$(nproc)" --error-exitcode=1 --suppress=missingIncludeSystem \
			--suppress=unknownMacro --suppress=memleak --suppress=uninitvar --suppress=legacyUninitvar
}

# gcc 12 loses sight of what goes into structs and lists (malloc-leak), and takes what fail() returns, and assertions, for possibly 0.
check_analyzer()
{
	CC=gcc folder analyzer -Dbuildtype=debugoptimized -Dtests=disabled -Dman=disabled -Dwerror=true \
		"-Dc_args=['-fanalyzer','-Wno-analyzer-malloc-leak','-Wno-analyzer-null-dereference','-Wno-analyzer-use-of-uninitialized-value']" &&
		meson compile -C build-analyzer
}

check_tidy()
{
	CC=clang folder tidy -Dtests=disabled && python3 - <<'PYTHON' | xargs -P"$(nproc)" -n4 clang-tidy -p build-tidy --quiet
import json
files = {c["file"].removeprefix("../") for c in json.load(open("build-tidy/compile_commands.json"))}
print(*sorted(f for f in files if f.endswith(".c") and not f.startswith("build")), sep="\n")
PYTHON
}

# Loop and TPM thread: the daemon under TSan, tests without, since criterion's processes cannot live with it. Its shadow memory wants
# addresses that are not random.
check_tsan()
{
	setarch -R true || return 77
	CC=gcc folder tsan -Dbuildtype=debugoptimized -Dtests=enabled -Db_sanitize=thread -Db_lundef=false &&
		meson compile -C build-tsan && folder static -Dbuildtype=release -Dtests=enabled && meson compile -C build-static || return 1
	for test in certificate crowd faults loop pressure sessions storm swarm twins; do
		TSAN_OPTIONS=halt_on_error=1:exitcode=66 TPMPSK_BUILD=$root/build-tsan TPMPSK_SOURCE=$root \
			timeout 600 setarch -R "build-static/tests/hostile/test-hostile-$test" --tap=- || return 1
	done
}

# A folder like build-valgrind whose daemon runs under valgrind. That makes code at run time, which the sandbox forbids.
wrap_daemon()
{
	rm -rf "$1" && mkdir -p "$1/daemon" || return 1
	for part in "$root"/build-valgrind/*; do
		[ "${part##*/}" = daemon ] || ln -s "$part" "$1/" || return 1
	done
	cat >"$1/daemon/tpm-pskd" <<END && chmod +x "$1/daemon/tpm-pskd"
#!/bin/sh
# --config FILE
grep -q '"sandbox"' "\$2" || sed -i '0,/{/s//{ "sandbox": false,/' "\$2"
exec valgrind --quiet --leak-check=full --errors-for-leak-kinds=definite --log-file=$1/valgrind.%p \\
	$root/build-valgrind/daemon/tpm-pskd "\$@"
END
}

# Parsers, codecs and purposes, without a process of their own to look into; and the daemon, serving.
check_valgrind()
{
	folder valgrind -Dbuildtype=debugoptimized -Dtests=enabled && meson compile -C build-valgrind || return 1
	wrap_daemon "$root/$out/wrapped" || return 1
	for test in adopt certificate keys sessions vectors; do
		(cd tests/cli && TPMPSK_BUILD=$root/$out/wrapped TPMPSK_SOURCE=$root sh "./$test.sh") || return 1
	done
	if ! ls "$out"/wrapped/valgrind.* >/dev/null || grep -h '^==' "$out"/wrapped/valgrind.*; then
		return 1
	fi
	meson test -C build-valgrind --no-rebuild --timeout-multiplier 20 --print-errorlogs \
		--wrap 'valgrind --quiet --trace-children=yes --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite' \
		'proto reader' 'proto writer' keys-keyfile daemon-purpose daemon-session_identity daemon-policy daemon-config daemon-json
}

# Of lines: 90 % of the protocol, the key file codec and the purposes, 85 % in all. Here a test may fail: other users' processes cannot write
# down what they have run, and complain. The sandbox would keep the daemon from it, too, and so has no Landlock and no seccomp in this build.
check_coverage()
{
	folder coverage -Dbuildtype=debug -Dtests=enabled -Db_coverage=true && meson compile -C build-coverage || return 1
	find build-coverage -name '*.gcda' -delete
	meson test -C build-coverage --no-rebuild --timeout-multiplier 5 || true
	gcovr -r . build-coverage --exclude tests --exclude examples --exclude 'build.*' --fail-under-line 85 --print-summary \
		--gcov-ignore-parse-errors -o build-coverage/coverage.txt &&
		gcovr -r . build-coverage --filter proto/ --filter keys/keyfile.c --filter daemon/purpose.c --filter daemon/session_identity.c \
			--filter daemon/kdf.c --filter daemon/key_secrets.c --filter daemon/certificate.c --fail-under-line 90 --print-summary \
			--gcov-ignore-parse-errors -o build-coverage/coverage-parsers.txt
}

out="build-checks" # what each of them said
mkdir -p "$out" || exit 1
failed=0
number=0
for check in $checks; do
	number=$((number + 1))
	"check_$check" >"$out/$check" 2>&1
	status=$?
	if [ "$status" -eq 0 ]; then
		echo "ok $number - $check"
		grep '^lines:' "$out/$check" | sed 's/^/# /'
	elif [ "$status" -eq 77 ]; then
		echo "ok $number - $check # SKIP not possible here"
	else
		failed=$((failed + 1))
		echo "not ok $number - $check"
		tail -n 60 "$out/$check" | sed 's/^/# /'
	fi
done
echo "1..$number"
[ "$failed" -eq 0 ]
