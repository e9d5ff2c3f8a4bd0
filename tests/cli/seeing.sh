# SPDX-License-Identifier: BSD-2-Clause
# What an operator sees of a running daemon: status, top, metrics, and the audit.
. "$(dirname "$0")/lib.sh"

me=uid:$(id -u)
start_tpm
configure
start_daemon
import web 0a0b --identity alpha --allow "$me"
import spare 0c0d --identity beta --allow uid:4711

terminal()
{
	python3 "$TPMPSK_SOURCE/tests/cli/terminal.py" "$@"
}

metrics()
{
	psk metrics >"$scene/metrics.prom" && python3 "$TPMPSK_SOURCE/tests/cli/prometheus.py" "$scene/metrics.prom" "$@"
}

for _ in 1 2 3; do
	derive alpha >/dev/null
done
derive beta 2>/dev/null
derive gamma 2>/dev/null

mine="uid=\"$(id -u)\""
it "shows a status that is aligned" prints '^TPM        ready$' psk status
it "counts what was derived" prints '^derived    3$' psk status
it "counts what was refused, by its status" prints '^refused    2: 2 unknown-identity$' psk status
it "says how long the TPM takes" prints '^TPM time   [0-9.]+ m?s on average; half of them up to ' psk status
no_colours()
{
	! psk status | grep "$(printf '\033')"
}
it "uses no colours where there is no terminal" no_colours
it "uses colours on a terminal" terminal 80 24 'see=^TPM        ready$' end=0 -- "$tpm_psk" --socket "$socket" status
colours()
{
	script -qec "env TERM=xterm $1 '$tpm_psk' --socket '$socket' status" /dev/null </dev/null >"$scene/typescript"
	grep -c "$(printf '\033\\[32m')ready" "$scene/typescript"
}
it "is green when all is well" test "$(colours '')" -ge 1
it "obeys NO_COLOR" test "$(colours NO_COLOR=1)" -eq 0
it "knows a terminal without colours" test "$(colours TERM=dumb)" -eq 0

it "prints metrics that Prometheus reads" metrics 'tpmpsk_derivations_total{status="ok"}=3' \
	'tpmpsk_derivations_total{status="unknown-identity"}=2' tpmpsk_tpm_up=1 tpmpsk_keys=2 \
	"tpmpsk_user_derivations_total{$mine,key=\"web\",purpose=\"tls12-session\",status=\"ok\"}=3" \
	"tpmpsk_user_derivations_total{$mine,key=\"\",purpose=\"\",status=\"unknown-identity\"}=2" \
	tpmpsk_queue_duration_seconds_count=5 tpmpsk_tpm_duration_seconds_count=5 tpmpsk_audit_lost_lines_total=0
if command -v promtool >/dev/null; then
	it "passes promtool" sh -c "promtool check metrics <'$scene/metrics.prom'"
else
	skip "passes promtool" "there is no promtool"
fi
it "writes them to a file" psk metrics --textfile "$scene/node.prom"
it "which everybody may read" test "$(stat -c %a "$scene/node.prom")" = 644
it "replaces it as a whole" sh -c "echo old >'$scene/node.prom' && '$tpm_psk' --socket '$socket' metrics --textfile '$scene/node.prom' &&
	! grep -q old '$scene/node.prom'"
nothing_beside()
{
	[ "$(find "$scene" -name 'node.prom*' | wc -l)" -eq 1 ]
}
it "leaves nothing beside it" nothing_beside
it "says when it cannot be written" fails 1 "metrics: system-error: $scene/none/x: No such file" psk metrics --textfile "$scene/none/x"
mkfifo "$scene/pipe"
it "replaces nothing but files" fails 1 "metrics: system-error: $scene/pipe: Invalid" psk metrics --textfile "$scene/pipe"
full()
{
	(ulimit -f 1; trap '' XFSZ; fails 1 "metrics: system-error: .*too large" psk metrics --textfile "$scene/node.prom")
}
it "says when the disk is full" full
it "keeps the old file then" test "$(tail -c 2 "$scene/node.prom")" = 0
it "and leaves nothing beside it" nothing_beside

it "lists users and keys once" prints "^$(id -un) +web +[0-9.]+ +0 +(-|[0-9.]+ ms)" psk top --once --interval 1
it "prints within 80 columns" not grep -E '.{81}' "$scene/out"
it "takes the width from COLUMNS" sh -c "COLUMNS=120 '$tpm_psk' --socket '$socket' top --once --interval 1 | grep -E '^USER.{115}'"
batch()
{
	# Not by psk(): $! of a function is a shell between us and the program.
	"$tpm_psk" --socket "$socket" top --batch --interval 1 >"$scene/batch" &
	batch_pid=$!
	eventually sh -c "[ \$(grep -c '^USER' '$scene/batch') -ge 2 ]"
	result=$?
	kill $batch_pid
	wait $batch_pid 2>/dev/null
	return $result
}
it "goes on in batches" batch
it "wants a terminal for a live view" fails 2 'no terminal: --once or --batch' psk top
it "wants one kind of view" fails 2 'one of --once and --batch' psk top --once --batch
it "wants an interval that is one" fails 2 '--interval' psk top --once --interval 0

on_top()
{
	terminal 80 24 "$@" -- "$tpm_psk" --socket "$socket" top --interval 1
}
it "shows a live view" on_top 'see=^tpm-pskd [0-9.]+, up .*TPM ready' 'see=^USER +KEY +DERIVED/S' "see=^$(id -un) +web" key=q end=0 back
it "sorts by something else" on_top 'see=by derivations' key=s 'see=by refusals' key=s 'see=by waiting' key=q end=0
it "fits a smaller terminal" on_top 'see=^USER' size=50x7 'see=1 of 2' 'see=^USER' key=q end=0 back
it "fits a bigger one" on_top 'see=^USER' size=150x50 'see=SHARE$' key=q end=0
it "gives the terminal back when it is interrupted" on_top 'see=^USER' signal=SIGINT end=0 back
it "gives it back when it is told to end" on_top 'see=^USER' signal=SIGTERM end=0 back

restarts()
{
	on_top 'see=^USER' 'see=no-daemon' 'see=nobody has asked' key=q end=0 back &
	top_pid=$!
	sleep 1
	stop_daemon
	sleep 2
	start_daemon
	wait "$top_pid"
}
it "waits for a daemon that is restarted" restarts

not_admin()
{
	[ "$(id -u)" -eq 0 ] || return 1
	chmod 755 "$scene"
	fails 1 "$1: denied: " setpriv --reuid 65534 --regid 65534 --clear-groups "$tpm_psk" --socket "$socket" "$@"
}
if [ "$(id -u)" -eq 0 ]; then
	it "tells others nothing of who does what" not_admin metrics
	it "nor in a live view" not_admin top --once
	it "but that it is there" prints '^TPM +ready' setpriv --reuid 65534 --regid 65534 --clear-groups "$tpm_psk" --socket "$socket" status
else
	skip "tells others nothing of who does what" "needs root"
fi

audited()
{
	grep -q "$1" "$scene/audit.log"
}
it "audits each derivation" audited '"purpose":"tls12-session","identity":"alpha","key":"web","status":"ok","queue_us":'
it "does not audit who looks" not audited '"request":"metrics","status":"ok"'
logrotated()
{
	mv "$scene/audit.log" "$scene/audit.log.1"
	import third 0e --identity delta --allow "$me"
	derive delta >/dev/null
	sleep 1.1
	derive delta >/dev/null
	eventually audited '"key":"third","status":"ok"'
}
it "goes on in a new file when the audit was moved" logrotated
