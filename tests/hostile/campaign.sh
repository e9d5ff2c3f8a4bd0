#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The long forms of what tests/run.sh runs briefly, in a build folder that has the tests (by default build-test/):
#
#     tests/hostile/campaign.sh [BUILD]
#
# 1,000 kills of the daemon, 50 restarts of the TPM under load, and every single place where a system call, an allocation or a TPM command
# of the scenario can fail. Takes some minutes. Exit status 0: all held.
set -u
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd) || exit 1
TPMPSK_BUILD=$(CDPATH='' cd -- "${1:-$root/build-test}" && pwd) || exit 1
TPMPSK_SOURCE=$root
export TPMPSK_BUILD TPMPSK_SOURCE
failed=0

# run ROUNDS TEST: 0 rounds are all there are.
run()
{
	echo "== $2, rounds: $1"
	TPMPSK_ROUNDS=$1 "$TPMPSK_BUILD/tests/hostile/test-hostile-$2" -j1 2>"$TPMPSK_BUILD/campaign-$2.log" ||
		failed=1
	grep -E '^(\[|#)' "$TPMPSK_BUILD/campaign-$2.log"
}

run 1000 kill
run 50 storm
run 10 swarm
run 0 failing
exit $failed
