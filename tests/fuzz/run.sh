#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# tests/fuzz/run.sh SECONDS [TARGET...]: each target, or those named, for so many seconds. What was learned is kept in build-fuzz/corpus
# and taken up by the next run; what was found is in build-fuzz/found. Speaks TAP; exit 0 means that nothing was found.
set -u

root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd) || exit 1
cd "$root" || exit 1
. tests/fuzz/lib.sh

case ${1-} in
'' | *[!0-9]*)
	echo "usage: $0 SECONDS [TARGET...]        targets: $targets" >&2
	exit 2
	;;
esac
seconds=$1
shift
[ $# -gt 0 ] && targets=$*

fuzz_build && fuzz_begin || exit 1
failed=0
number=0
for name in $targets; do
	number=$((number + 1))
	mkdir -p "$build/corpus/$name" "$build/found" "$TMPDIR/in"
	fuzz_seeds "$name" "$TMPDIR/in" || exit 1
	# shellcheck disable=SC2046
	"$build/tests/fuzz/fuzz-$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
		-print_final_stats=1 -artifact_prefix="$build/found/$name-" $(fuzz_options "$name") \
		"$build/corpus/$name" "$TMPDIR/in" >"$build/$name.log" 2>&1
	status=$?
	runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$build/$name.log")
	if [ "$status" -eq 0 ] && [ "${runs:-0}" -gt 0 ]; then
		echo "ok $number - fuzz $name: nothing found in $runs executions"
	else
		failed=$((failed + 1))
		echo "not ok $number - fuzz $name: see $build/$name.log and $build/found"
		tail -n 60 "$build/$name.log" | sed 's/^/# /'
	fi
	rm -rf "$TMPDIR/in"
done
echo "1..$number"
[ "$failed" -eq 0 ]
