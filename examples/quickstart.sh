#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The main job in one go: two machines share a secret, each has it in a TPM of its own (a software TPM here), and a TLS
# server and a TLS client without any privileges get a fresh PSK from it for each handshake, in TLS 1.3, TLS 1.2 and
# DTLS 1.2. Then the same for HTTPS with a certificate: a token that is worth one connection.
#
# Installs the Debian packages it lacks (as root), builds in build/, leaves nothing else behind. Exit 0: all went well.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
build=${TPMPSK_BUILD:-$root/build}
. "$root/examples/debian-packages.sh"

scene=
processes=

clean_up()
{
	status=$?
	trap - EXIT INT TERM HUP
	for process in $processes; do
		kill "$process" 2>/dev/null || true
	done
	for process in $processes; do
		wait "$process" 2>/dev/null || true
	done
	[ -z "$scene" ] || rm -rf "$scene"
	[ "$status" -eq 0 ] || echo "quickstart: FAILED"
	exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

step()
{
	printf '\n== %s\n' "$*"
}

die()
{
	echo "quickstart: $*" >&2
	exit 1
}

# wait_for WHAT COMMAND...: until it succeeds, for ten seconds at most.
wait_for()
{
	what=$1
	shift
	tries=0
	until "$@" >/dev/null 2>&1; do
		tries=$((tries + 1))
		[ "$tries" -le 200 ] || die "$what did not start; the last lines of the log: $(tail -n 5 "$scene"/*.log)"
		sleep 0.05
	done
}

show()
{
	printf '$ %s\n' "$*"
}

build_all()
{
	mkdir -p "$build"
	{
		[ -e "$build/build.ninja" ] || meson setup "$build" "$root"
		meson compile -C "$build"
	} >"$build/quickstart.log" 2>&1 || die "the build failed: $(tail -n 30 "$build/quickstart.log")"
	for program in daemon/tpm-pskd keys/tpm-psk examples/psk-server examples/psk-client \
		examples/token-server examples/token-client; do
		[ -x "$build/$program" ] || die "the build has no $program: $(grep -i 'not found\|: NO' "$build/quickstart.log")"
	done
}

# start_machine NAME: a TPM and a daemon, in $scene/NAME.
start_machine()
{
	mkdir -p "$scene/$1/tpm"
	swtpm socket --tpm2 --tpmstate "dir=$scene/$1/tpm" --flags not-need-init,startup-clear \
		--server "type=unixio,path=$scene/$1/swtpm" --ctrl "type=unixio,path=$scene/$1/swtpm.ctrl" \
		>"$scene/$1-swtpm.log" 2>&1 &
	processes="$processes $!"
	wait_for "swtpm" test -S "$scene/$1/swtpm"
	cat >"$scene/$1/tpm-pskd.json" <<-JSON
		{
		  "tcti": "swtpm:path=$scene/$1/swtpm",
		  "socket": "socket",
		  "keys": "keys",
		  "admins": ["uid:$(id -u)"]
		}
	JSON
	"$build/daemon/tpm-pskd" --config "$scene/$1/tpm-pskd.json" 2>"$scene/$1-tpm-pskd.log" &
	processes="$processes $!"
	wait_for "tpm-pskd" "$build/keys/tpm-psk" --socket "$scene/$1/socket" status
}

# A TLS program, as a user who has no rights but to the key.
unprivileged()
{
	if [ "$(id -u)" -eq 0 ]; then
		exec setpriv --reuid="$user" --regid="$group" --clear-groups --no-new-privs "$@"
	else
		exec "$@"
	fi
}

# make_key NAME PURPOSE SECRET: the same on both machines.
make_key()
{
	show "tpm-psk key import $1 --identity Client1 --purpose $2 --allow uid:$user --secret-file $3"
	for machine in server client; do
		"$build/keys/tpm-psk" --socket "$scene/$machine/socket" key import "$1" --identity Client1 \
			--purpose "$2" --allow "uid:$user" --secret-file "$scene/$3" 2>/dev/null
	done
}

# start_server PROGRAM OPTION...: ends by itself; $server, $address.
start_server()
{
	program=$1
	shift
	: >"$scene/server.out"
	unprivileged "$scene/bin/examples/$program" --socket "$scene/server/socket" --listen 127.0.0.1:0 \
		"$@" >"$scene/server.out" 2>"$scene/$program.log" &
	server=$!
	processes="$processes $server"
	wait_for "$program" grep -q '^listening on ' "$scene/server.out"
	address=$(sed -n 's/^listening on //p' "$scene/server.out")
}

# run_client PROGRAM OPTION...: its output in client.out.
run_client()
{
	program=$1
	shift
	(unprivileged "$scene/bin/examples/$program" --socket "$scene/client/socket" --connect "$address" "$@") \
		>"$scene/client.out" || die "$program failed: $(cat "$scene"/*-server.log)"
	sed 's/^/   client: /' "$scene/client.out"
}

# handshakes N OPTION...: a server, and N clients one after the other.
handshakes()
{
	count=$1
	shift
	start_server psk-server --count "$count" --print-psk "$@"
	i=1
	while [ "$i" -le "$count" ]; do
		run_client psk-client --identity Client1 --message "hello $i" --print-psk "$@"
		sed -n 's/^psk //p' "$scene/client.out" >>"$scene/client.psks"
		grep -q "hello $i" "$scene/client.out" || die "the server's echo did not come back"
		i=$((i + 1))
	done
	wait "$server" || die "psk-server failed: $(cat "$scene/psk-server.log")"
	sed -n 's/^psk //p' "$scene/server.out" >>"$scene/server.psks"
	sed -n 's/^psk /   server: psk /p' "$scene/server.out"
}

# derived NAME: that key has made the last handshakes' PSKs, on both machines.
derived()
{
	for machine in server client; do
		"$build/keys/tpm-psk" --socket "$scene/$machine/socket" key show "$1" >"$scene/show"
		grep -q '^derivations *0$' "$scene/show" && die "the PSKs did not come from the key $1"
	done
	return 0
}

# Two tokens, and the first one once more, on a connection that it was not made for.
tokens()
{
	start_server token-server --count 3
	pin=$(sed -n 's/^pin //p' "$scene/server.out")
	for i in 1 2; do
		run_client token-client --client Client1 --pin "$pin" --print-token
		grep -qx ok "$scene/client.out" || die "the server did not take the token"
		sed -n 's/^token //p' "$scene/client.out" >>"$scene/tokens"
	done
	show "token-client --token ...    (the first token, on another connection)"
	(unprivileged "$scene/bin/examples/token-client" --connect "$address" --client Client1 --pin "$pin" \
		--token "$(head -n 1 "$scene/tokens")") >"$scene/client.out" 2>&1 && die "a token was good for two connections"
	sed 's/^/   client: /' "$scene/client.out"
	wait "$server" || die "token-server failed: $(cat "$scene/token-server.log")"
	[ "$(sort -u "$scene/tokens" | wc -l)" -eq 2 ] || die "there are not two different tokens"
}

need_packages gcc libc6-dev meson ninja-build pkg-config libtss2-dev libtss2-tcti-swtpm0 libsodium-dev libjson-c-dev \
	libseccomp-dev libtasn1-6-dev libgnutls28-dev libmicrohttpd-dev libjose-dev swtpm

step "Building (in $build)"
build_all

# Users without privileges must be able to run the programs, wherever the checkout is.
scene=$(mktemp -d "${TMPDIR:-/tmp}/tpm-pskd.XXXXXX")
chmod 755 "$scene"
mkdir -p "$scene/bin/examples" "$scene/bin/client-lib"
for program in psk-server psk-client token-server token-client; do
	cp "$build/examples/$program" "$scene/bin/examples/"
done
cp "$build/client-lib/libtpmpsk.so.0" "$build/client-lib/libtpmpsk-gnutls.so.0" "$scene/bin/client-lib/"
if [ "$(id -u)" -eq 0 ]; then
	user=$(id -u nobody)
	group=$(id -g nobody)
else
	user=$(id -u)
	group=$(id -g)
fi
for machine in server client; do
	mkdir -m 755 "$scene/$machine"
done

step "Two machines, each with a TPM and a tpm-pskd"
start_machine server
start_machine client
show "tpm-psk status"
"$build/keys/tpm-psk" --socket "$scene/server/socket" status | sed 's/^/   /'

step "A secret goes into both TPMs, for TLS 1.3 and for TLS 1.2, and is nowhere else afterwards"
(umask 077 && head -c 32 /dev/urandom >"$scene/secret" && head -c 32 /dev/urandom >"$scene/token-secret")
make_key web session-identity secret
make_key web-tls12 tls12-session secret
rm "$scene/secret"
step "Another one, for tokens: such a secret is used for nothing else"
make_key web-token exporter-kdf token-secret
rm "$scene/token-secret"
show "tpm-psk key list"
"$build/keys/tpm-psk" --socket "$scene/server/socket" key list | sed 's/^/   /'

tls12=NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+ECDHE-PSK:+DHE-PSK
step "Three TLS 1.3 handshakes, between two processes of the user $(id -un "$user")"
handshakes 3
derived web
step "Three TLS 1.2 handshakes"
handshakes 3 --priority "$tls12"
derived web-tls12
step "One DTLS 1.2 handshake"
handshakes 1 --dtls
step "HTTPS with a certificate, and a token that is worth one connection"
tokens

step "What was seen"
[ "$(sort -u "$scene/client.psks" | wc -l)" -eq 7 ] || die "there are not seven different PSKs"
# The server prints from one thread for each peer: as sets they must agree.
sort "$scene/client.psks" >"$scene/client.sorted"
sort "$scene/server.psks" | cmp -s - "$scene/client.sorted" || die "the two sides do not agree"
echo "   7 handshakes, 7 different PSKs, each the same on both sides; 2 tokens, each good on its own connection."
echo "   The secrets stayed in the TPMs."
if [ "$(id -u)" -eq 0 ]; then
	zeroes=0000000000000000000000000000000000000000000000000000000000000000
	show "tpm-psk derive ...    (as root, who is not on the key's list)"
	if "$build/keys/tpm-psk" --socket "$scene/server/socket" derive --identity Client1 --purpose tls12-session \
		--client-random $zeroes --server-random $zeroes 2>"$scene/denied"; then
		die "root was given a PSK"
	fi
	sed 's/^/   /' "$scene/denied"
fi
printf '\nquickstart: success\n'
