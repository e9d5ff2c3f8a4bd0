# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh
# What run.sh and planted.sh share; read with `.` by both, in the root of the tree.

# shellcheck disable=SC2034 # used by those who read this
targets="message identity hello certificate keyfile policy config request tpm"
build="build-fuzz"

. examples/debian-packages.sh

# fuzz_build: clang, libFuzzer, ASan and UBSan; the programs are then in $build/tests/fuzz.
fuzz_build()
{
	need_packages gcc libc6-dev clang libclang-rt-14-dev meson ninja-build pkg-config libtpms-dev \
		libtss2-dev libsodium-dev libjson-c-dev libseccomp-dev libtasn1-6-dev || return 1
	if [ -e "$build" ]; then
		set -- --reconfigure
	else
		set --
	fi
	if CC=clang meson setup "$@" "$build" -Dbuildtype=debugoptimized -Dfuzz=enabled -Dtests=disabled \
		-Dgnutls=disabled -Dopenssl=disabled -Dsystemd=disabled \
		-Db_sanitize=address,undefined -Db_lundef=false >"$build.log" 2>&1 &&
		meson compile -C "$build" >>"$build.log" 2>&1; then
		rm -f "$build.log"
	else
		tail -n 40 "$build.log" >&2
		return 1
	fi
}

# fuzz_begin: $work, which goes when the script ends, with what a target that found something left in it.
fuzz_begin()
{
	TMPDIR=$(mktemp -d "$([ -w /dev/shm ] && echo /dev/shm || echo /tmp)/tpm-pskd-fuzz-XXXXXX") || return 1
	export TMPDIR
	trap 'rm -rf "$TMPDIR"' EXIT
	trap 'exit 130' INT TERM
}

# fuzz_seeds NAME FOLDER: those in the tree, and those made of messages.
fuzz_seeds()
{
	[ ! -d "tests/fuzz/seeds/$1" ] || cp "tests/fuzz/seeds/$1"/* "$2" || return 1
	case $1 in
	message | request)
		mkdir -p "$TMPDIR/seeds/message" "$TMPDIR/seeds/request" &&
			"$build/tests/fuzz/fuzz-seeds" "$TMPDIR/seeds" &&
			cp "$TMPDIR/seeds/$1"/* "$2"
		;;
	esac
}

# fuzz_options NAME: what libFuzzer is to know about a target.
fuzz_options()
{
	case $1 in
	config | policy) echo "-dict=tests/fuzz/dict/json.dict -max_len=2000" ;;
	keyfile) echo "-dict=tests/fuzz/dict/keyfile.dict -max_len=6000" ;;
	# The daemon's log says what is wrong with each input.
	request | tpm) echo "-close_fd_mask=2" ;;
	identity) echo "-max_len=140" ;;
	hello) echo "-max_len=2000" ;;
	esac
}

export ASAN_OPTIONS=detect_leaks=1:abort_on_error=1:detect_stack_use_after_return=1
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
