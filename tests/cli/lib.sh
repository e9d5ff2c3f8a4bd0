# SPDX-License-Identifier: BSD-2-Clause
# What the tests of this folder share: TAP, a directory of one's own ($scene), a software TPM and a daemon in it. To be
# read with `.` first of all. Nothing survives the script.
set -u
: "${TPMPSK_BUILD:?}" "${TPMPSK_SOURCE:?}"
unset TPM_PSK_SOCKET NOTIFY_SOCKET JOURNAL_STREAM
export LC_ALL=C.UTF-8

tests=0
tpm_pid=
daemon_pid=
scene=$(mktemp -d "${TMPDIR:-/tmp}/tpm-pskd-cli.XXXXXX") || exit 1
socket=$scene/socket
tpm_psk=$TPMPSK_BUILD/keys/tpm-psk

clean_up()
{
	trap - EXIT
	stop_daemon
	stop_tpm
	command -v at_exit >/dev/null && at_exit
	rm -rf "$scene"
	echo "1..$tests"
}
trap clean_up EXIT
trap 'exit 1' INT TERM HUP

# it NAME COMMAND...: one test, passed when the command succeeds.
it()
{
	tests=$((tests + 1))
	name=$1
	shift
	if "$@" >"$scene/it.out" 2>&1; then
		echo "ok $tests - $name"
	else
		echo "not ok $tests - $name"
		{
			echo "$*"
			cat "$scene/it.out"
			[ ! -s "$scene/daemon.log" ] || tail -n 5 "$scene/daemon.log"
		} | sed 's/^/# /'
	fi
}

skip()
{
	tests=$((tests + 1))
	echo "ok $tests - $1 # SKIP $2"
}

# fails STATUS PATTERN COMMAND...: that exit status, and one line on standard error, which has the pattern; nothing on standard output.
fails()
{
	expected=$1
	pattern=$2
	shift 2
	"$@" >"$scene/out" 2>"$scene/err" </dev/null
	status=$?
	cat "$scene/out" "$scene/err"
	[ "$status" -eq "$expected" ] || { echo "exit status $status"; return 1; }
	[ ! -s "$scene/out" ] || return 1
	[ "$(wc -l <"$scene/err")" -eq 1 ] || return 1
	grep -Eq -- "$pattern" "$scene/err"
}

# prints PATTERN COMMAND...: success, and a line of standard output that has the pattern.
prints()
{
	pattern=$1
	shift
	"$@" >"$scene/out" || return 1
	cat "$scene/out"
	grep -Eq -- "$pattern" "$scene/out"
}

not()
{
	! "$@"
}

# eventually COMMAND...: within ten seconds.
eventually()
{
	tries=0
	until "$@" >/dev/null 2>&1; do
		tries=$((tries + 1))
		[ "$tries" -le 200 ] || return 1
		sleep 0.05
	done
}

stop()
{
	[ -n "$1" ] || return 0
	kill "$1" 2>/dev/null
	wait "$1" 2>/dev/null || true
}

# start_tpm [NAME]: a TPM with its state in $scene/NAME. With $TPMPSK_DEVICE (/dev/tpm0, say), the machine's own instead.
start_tpm()
{
	[ -z "${TPMPSK_DEVICE:-}" ] || return 0
	mkdir -p "$scene/${1:-tpm}"
	rm -f "$scene/swtpm"
	swtpm socket --tpm2 --tpmstate "dir=$scene/${1:-tpm}" --flags not-need-init,startup-clear \
		--server "type=unixio,path=$scene/swtpm" --ctrl "type=unixio,path=$scene/swtpm.ctrl" \
		>"$scene/swtpm.log" 2>&1 &
	tpm_pid=$!
	eventually test -S "$scene/swtpm" || { echo "Bail out! swtpm does not start"; exit 1; }
}

stop_tpm()
{
	stop "$tpm_pid"
	tpm_pid=
}

# configure [FIELDS]: writes the configuration: these fields of JSON, each with a comma behind it, and the usual ones that
# are not among them.
configure()
{
	{
		echo '{'
		echo "${1:-}"
		tcti=swtpm:path=$scene/swtpm
		[ -z "${TPMPSK_DEVICE:-}" ] || tcti=device:$TPMPSK_DEVICE
		for field in "\"tcti\": \"$tcti\"," '"socket": "socket",' '"audit": "audit.log",' '"keys": "keys",'; do
			case ${1:-} in
			*"${field%%:*}"*) ;;
			*) echo "$field" ;;
			esac
		done
		echo '"encrypt_sessions": true'
		echo '}'
	} >"$scene/tpm-pskd.json"
}

daemon()
{
	"$TPMPSK_BUILD/daemon/tpm-pskd" --config "$scene/tpm-pskd.json" "$@"
}

# start_daemon [VARIABLE=VALUE...]: with these in its environment.
start_daemon()
{
	env "$@" "$TPMPSK_BUILD/daemon/tpm-pskd" --config "$scene/tpm-pskd.json" >"$scene/daemon.log" 2>&1 &
	daemon_pid=$!
	eventually psk status || {
		sed 's/^/# /' "$scene/daemon.log"
		echo "Bail out! tpm-pskd does not start"
		exit 1
	}
}

stop_daemon()
{
	stop "$daemon_pid"
	daemon_pid=
}

psk()
{
	"$tpm_psk" --socket "$socket" "$@"
}

# import_for PURPOSE NAME HEX [OPTION...]
import_for()
{
	import_purpose=$1
	import_name=$2
	printf '%s\n' "$3" >"$scene/hex"
	shift 3
	psk key import "$import_name" --purpose "$import_purpose" --hex-file "$scene/hex" "$@"
}

import()
{
	import_for tls12-session "$@"
}

random_a=0101010101010101010101010101010101010101010101010101010101010101
random_b=0202020202020202020202020202020202020202020202020202020202020202

derive()
{
	psk derive --identity "$1" --purpose tls12-session --client-random $random_a --server-random $random_b
}

# expected HEX: what derive gives under a key, by another implementation of HMAC.
expected()
{
	python3 - "$1" "$random_a" "$random_b" <<-'PYTHON'
		import hmac, sys
		key, a, b = map(bytes.fromhex, sys.argv[1:])
		print(hmac.new(key, b"pre master secret" + a + b, "sha256").hexdigest())
	PYTHON
}

# refused STATUS COMMAND...: exit status 1, and that word on standard error.
refused()
{
	word=$1
	shift
	fails 1 "^tpm-psk: [a-z ]+: $word(: |\$)" "$@"
}

# status_of FIELD: a number in the daemon's status, "sessions.epochs".
status_of()
{
	psk status --json | python3 -c 'import functools, json, sys
print(functools.reduce(lambda o, name: o[name], sys.argv[1].split("."), json.load(sys.stdin)))' "$1"
}

# derives IDENTITY HEX: the right answer for a key of this secret.
derives()
{
	[ "$(derive "$1")" = "$(expected "$2")" ]
}

# For session-identity. make_session HEX IDENTITY VERSION [OFFSET_MS [AT_MS]]: what a client with the secret in software sends at that time,
# into $wire, and its PSK into $answer.
make_session()
{
	made=$(python3 "$TPMPSK_SOURCE/tests/cli/session.py" make "$@") || return 1
	wire=${made% *}
	answer=${made##* }
}

# change FIELD: $wire with one bit of it changed (see session.py), into $changed.
change()
{
	# shellcheck disable=SC2034
	changed=$(python3 "$TPMPSK_SOURCE/tests/cli/session.py" change "$wire" "$1")
}

as_client()
{
	psk derive --purpose session-identity --role client --identity "$1"
}

# as_server SESSION_IDENTITY [HANDSHAKE]
as_server()
{
	psk derive --purpose session-identity --role server --identity "$1" ${2+--handshake "$2"}
}

# accepts: the server's side gives the right PSK for $wire.
accepts()
{
	[ "$(as_server "$wire")" = "$answer" ]
}
