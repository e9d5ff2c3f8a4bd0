# SPDX-License-Identifier: BSD-2-Clause
# tpm-psk doctor, with one thing after the other wrong; and tpm-psk bench.
. "$(dirname "$0")/lib.sh"

me=uid:$(id -u)
PATH=$TPMPSK_BUILD/daemon:$PATH
start_tpm
configure
start_daemon

doctor()
{
	psk doctor --config "${config:-$scene/tpm-pskd.json}" "$@"
}

# finds WORD WHAT PATTERN [OPTION...]: a finding of that kind, on its line, and as the exit status what is to be for it.
finds()
{
	word=$1
	what=$2
	pattern=$3
	shift 3
	doctor "$@" >"$scene/findings" 2>&1
	status=$?
	cat "$scene/findings"
	grep -Eq "^$word +$what +$pattern" "$scene/findings" || return 1
	[ "$word" != WRONG ] || [ "$status" -eq 1 ]
}

# says PATTERN: so did the one before, its lines put together.
says()
{
	tr -s '\n ' '  ' <"$scene/findings" | grep -Eq -- "$1"
}

next()
{
	grep -Eq "^ +next: +$1" "$scene/findings"
}

it "says that the configuration is right" finds ok configuration "$scene/tpm-pskd.json is right"
it "says that the daemon answers" finds ok daemon 'version [0-9.]+ answers'
it "says that there are no keys yet" finds note keys 'there are none yet'
it "and how to make one" next 'tpm-psk key import'
it "finds nothing wrong" says 'Nothing is wrong\.'
it "ends well" doctor
it "prints within 80 columns" not grep -E '^.{81}' "$scene/findings"

import web 0a0b --identity alpha --allow "$me"
import_for session-identity session 0c --identity alpha --allow "$me":server
import nobody 0d --identity beta 2>/dev/null
it "has the TPM load each key" finds ok "its TPM" ready
it "says that nobody may use a key" finds note key 'nobody may use nobody'
it "and how to change that" next 'tpm-psk key allow nobody '
psk key remove nobody
it "says that all keys load" finds ok keys 'the TPM loads all 2'
it "tries a derivation" finds ok derivation 'you get a secret' --identity alpha --purpose tls12-session
it "says that a derivation is denied" finds WRONG derivation 'unknown-identity: ' --identity alpha
it "and how to allow it" next "sudo tpm-psk key allow NAME user:$(id -un)"

# As an administrator who does not know where the configuration is. Whatever TPM this machine has besides is not the question.
config=$scene/other.json
printf '{ "tcti": "device:/dev/tpm-none", "keys": "keys" }\n' >"$config"
it "notices that the daemon has another configuration" finds note configuration 'it is not the one that'
it "and looks at the TPM that the daemon has" finds ok TPM 'tpm-pskd has it'
mkfifo "$scene/fifo"
config=$scene/fifo
it "does not wait for a FIFO" finds WRONG configuration 'not a regular file|regular'
it "and says how to check that one" next "tpm-pskd --check-config --config $scene/fifo"
config=

it "refuses a purpose without an identity" fails 2 '--purpose needs --identity' doctor --purpose tls12-session
it "refuses a purpose that it does not try" fails 2 '--purpose is' doctor --identity a --purpose certificate-verify

# A key file that was damaged, and made whole again.
damage()
{
	cp "$scene/keys/web.pem" "$scene/web.pem"
	python3 - "$scene/keys/web.pem" <<-'PYTHON'
		import base64, re, sys
		text = open(sys.argv[1]).read()
		der = bytearray(base64.b64decode("".join(re.findall(r"^[A-Za-z0-9+/=]+$", text, re.M))))
		der[-5] ^= 1
		body = base64.b64encode(der).decode()
		lines = "\n".join(body[i:i + 64] for i in range(0, len(body), 64))
		open(sys.argv[1], "w").write(f"-----BEGIN TSS2 PRIVATE KEY-----\n{lines}\n-----END TSS2 PRIVATE KEY-----\n")
	PYTHON
	psk reload
}
it "reloads a key that is damaged" damage
it "finds a key that the TPM does not load" finds WRONG key 'the TPM does not load web'
it "and says what to do" next 'tpm-psk key remove web'
it "key check finds it, too" fails 1 'key check web: malformed: the TPM does not load the key' psk key check web
it "key check says what is right" prints '^session: the TPM loads it$' psk key check session
it "key check knows a key that is not there" fails 1 'unknown-identity' psk key check none
cp "$scene/web.pem" "$scene/keys/web.pem"
psk reload

echo '{ "queue": 1 }' >"$scene/wrong.json"
wrong_configuration()
{
	! psk doctor --config "$scene/wrong.json" >"$scene/findings" && says "WRONG +configuration +$scene/wrong.json: (line 1: )?.*queue"
}
it "says what is wrong with the configuration" wrong_configuration

if [ "$(id -u)" -eq 0 ]; then
	chmod 755 "$scene"
	as_nobody()
	{
		setpriv --reuid 65534 --regid 65534 --clear-groups "$tpm_psk" "$@"
	}
	stranger()
	{
		as_nobody --socket "$socket" doctor --config "$scene/tpm-pskd.json" "$@" >"$scene/findings"
	}
	chmod 644 "$scene/tpm-pskd.json"
	it "tells others who sees more" eval 'stranger; next "sudo tpm-psk doctor"'
	chmod 600 "$socket"
	it "says that one may not connect" eval '! stranger && says "WRONG +socket .* has mode 600: you may not connect"'
	chmod 666 "$socket"
	it "says what a stranger is denied" eval '! stranger --identity alpha && says "WRONG +derivation +denied"'
else
	skip "tells others who sees more" "needs root"
fi

bench()
{
	psk bench --seconds 1 --clients 2 "$@"
}
it "measures" eval 'bench >"$scene/table"'
it "with one client and with several" test "$(grep -cE '^(tls12-session|session-identity) +(strict|epoch|)? +[12] +[0-9.,]+ +[0-9.]+ m?s +[0-9.]+ m?s$' "$scene/table")" -eq 6
it "prints within 80 columns" not grep -E '^.{81}' "$scene/table"
it "names the TPM and the machine" grep -q '^TPM        [^ ]' "$scene/table"
no_bench_keys()
{
	[ "$(psk key list | grep -c bench)" -eq 0 ]
}
it "leaves no key behind" no_bench_keys
interrupted()
{
	"$tpm_psk" --socket "$socket" bench --seconds 60 >"$scene/table" 2>"$scene/err" &
	bench_pid=$!
	eventually sh -c "'$tpm_psk' --socket '$socket' key list | grep bench"
	kill -TERM $bench_pid
	wait $bench_pid
	[ $? -eq 1 ] && grep -q '^tpm-psk: bench: interrupted: ' "$scene/err" && no_bench_keys
}
it "leaves none behind when it is interrupted" interrupted
it "measures with a key that is there" eval 'bench --identity alpha --purpose tls12-session | grep -E "^tls12-session +1 "'
it "says when it may not" fails 1 'bench: unknown-identity: no key of' sh -c "'$tpm_psk' --socket '$socket' bench --seconds 1 --identity x \
	--purpose tls12-session >/dev/null"
it "wants identity and purpose together" fails 2 'go together' psk bench --identity alpha
it "refuses a purpose that it does not measure" fails 2 '--purpose is' psk bench --identity a --purpose exporter-mac
if [ "$(id -u)" -eq 0 ]; then
	it "says that it is for admins" fails 1 'bench: denied: .*--identity' as_nobody --socket "$socket" bench
fi

kill -9 "$daemon_pid"
wait "$daemon_pid" 2>/dev/null
daemon_pid=
it "says that the daemon has ended" finds WRONG socket "$socket is there, but nobody"
it "and how to start it" says 'systemctl restart tpm-pskd'
it "says that the TPM is not locked" finds ok lockout 'the TPM is not locked'

lock()
{
	tcti="swtpm:path=$scene/swtpm"
	tpm2_flushcontext -T "$tcti" -t
	tpm2_dictionarylockout -T "$tcti" --setup-parameters --max-tries=2 --recovery-time=1000 --lockout-recovery-time=1000 &&
		tpm2_createprimary -T "$tcti" -Q -C o -p secret -c "$scene/locked.ctx" &&
		! tpm2_create -T "$tcti" -Q -C "$scene/locked.ctx" -P "$1" -u "$scene/u" -r "$scene/r" 2>/dev/null
}
lock wrong
it "counts wrong passwords" finds note lockout '1 of 2 wrong passwords'
lock wronger
it "says that the TPM is locked" finds WRONG lockout 'the TPM refuses'
it "and how to unlock it" next 'tpm2_dictionarylockout --clear-lockout'
stop_tpm
rm -f "$scene/swtpm"
it "says that there is no software TPM" finds WRONG TPM "no software TPM at $scene/swtpm"

rm -f "$socket"
it "says that the socket is not there" finds WRONG socket "$socket is not there"
it "and how to have it" next 'systemctl enable --now tpm-pskd.socket'

device()
{
	configure "\"tcti\": \"device:$1\","
}
device "$scene/tpm0"
it "says that the device is not there" finds WRONG TPM ''
: >"$scene/tpm0"
it "says that it is no device" finds WRONG TPM "$scene/tpm0 is no device"
rm "$scene/tpm0"
if mknod -m 600 "$scene/tpm0" c 1 3 2>/dev/null && : 2>/dev/null >"$scene/tpm0"; then
	it "says that its group may not use it" finds WRONG group "$scene/tpm0 has mode 600"
	it "and what makes it right" next 'apt-get install tpm-udev'
	chmod 660 "$scene/tpm0"
	it "says that it does not answer" finds WRONG TPM 'it does not answer as a TPM 2.0'
	chgrp 4711 "$scene/tpm0"
	it "looks whether the daemon's user is in its group" finds '(WRONG|note)' group ''
else
	skip "says that its group may not use it" "cannot make a device"
fi
configure '"tcti": "tabrmd",'
it "says what it does not look at" finds note TPM 'tabrmd is not looked at'
it "takes the defaults without a configuration" sh -c "'$tpm_psk' --socket '$socket' doctor | grep -E '^(ok|note) +configuration'"
