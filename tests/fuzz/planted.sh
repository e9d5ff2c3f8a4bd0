#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Whether the fuzz targets find anything: each is run with a mistake planted in what it tests (tests/fuzz/planted), starting from the same
# seeds as ever, until it has found that, and then what it found is given to the program without the mistake. Speaks TAP.
set -u

root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd) || exit 1
cd "$root" || exit 1
. tests/fuzz/lib.sh
[ $# -gt 0 ] && targets=$*

fuzz_build && fuzz_begin || exit 1
failed=0
number=0

# check NAME: finds it within two minutes.
check()
{
	mkdir -p "$TMPDIR/$1"
	fuzz_seeds "$1" "$TMPDIR/$1" || return 1
	# shellcheck disable=SC2046
	"$build/tests/fuzz/fuzz-$1-planted" -max_total_time=120 -timeout=10 \
		-exact_artifact_path="$TMPDIR/$1.found" $(fuzz_options "$1") "$TMPDIR/$1" \
		>"$TMPDIR/$1.log" 2>&1 && return 1
	[ -e "$TMPDIR/$1.found" ] || return 1
	# The seeds alone do not show it, or finding it would be no achievement; the right program does not fall for it.
	"$build/tests/fuzz/fuzz-$1" "$TMPDIR/$1.found" >"$TMPDIR/$1.log" 2>&1
}

for name in $targets; do
	number=$((number + 1))
	start=$(date +%s)
	if check "$name"; then
		echo "ok $number - $name: what is planted is found, in $(($(date +%s) - start)) s"
	else
		failed=$((failed + 1))
		echo "not ok $number - $name: what is planted is not found"
		tail -n 40 "$TMPDIR/$name.log" | sed 's/^/# /'
	fi
done
echo "1..$number"
[ "$failed" -eq 0 ]
