#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The main job in one go: two machines share a secret, each has it in a TPM of its own (a software TPM here), and a TLS
# server and a TLS client without any privileges get a fresh PSK from it for each handshake.
#
# Installs the Debian packages it lacks (as root), builds in build/, leaves nothing else behind. Exit 0: all went well.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
build=$root/build
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
	for program in daemon/tpm-pskd keys/tpm-psk examples/psk-server examples/psk-client; do
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

# handshakes N SERVER_OPTION...: a server, and N clients one after the other.
handshakes()
{
	count=$1
	shift
	: >"$scene/server.out"
	unprivileged "$scene/bin/examples/psk-server" --socket "$scene/server/socket" --listen 127.0.0.1:0 \
		--count "$count" --print-psk "$@" >"$scene/server.out" 2>"$scene/psk-server.log" &
	server=$!
	processes="$processes $server"
	wait_for "psk-server" grep -q '^listening on ' "$scene/server.out"
	address=$(sed -n 's/^listening on //p' "$scene/server.out")
	i=1
	while [ "$i" -le "$count" ]; do
		(unprivileged "$scene/bin/examples/psk-client" --socket "$scene/client/socket" --connect "$address" \
			--identity Client1 --message "hello $i" --print-psk "$@") >"$scene/client.out" ||
			die "psk-client failed: $(cat "$scene/psk-server.log")"
		sed 's/^/   client: /' "$scene/client.out"
		sed -n 's/^psk //p' "$scene/client.out" >>"$scene/client.psks"
		grep -q "hello $i" "$scene/client.out" || die "the server's echo did not come back"
		i=$((i + 1))
	done
	wait "$server" || die "psk-server failed: $(cat "$scene/psk-server.log")"
	sed -n 's/^psk //p' "$scene/server.out" >>"$scene/server.psks"
	sed -n 's/^psk /   server: psk /p' "$scene/server.out"
}

need_packages gcc libc6-dev meson ninja-build pkg-config libtss2-dev libtss2-tcti-swtpm0 libsodium-dev libjson-c-dev \
	libtasn1-6-dev libgnutls28-dev swtpm

step "Building (in $build)"
build_all

# Users without privileges must be able to run the programs, wherever the checkout is.
scene=$(mktemp -d "${TMPDIR:-/tmp}/tpm-pskd.XXXXXX")
chmod 755 "$scene"
mkdir -p "$scene/bin/examples" "$scene/bin/client-lib"
cp "$build/examples/psk-server" "$build/examples/psk-client" "$scene/bin/examples/"
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
"$build/keys/tpm-psk" --socket "$scene/server/socket" status | sed -n '/^\(version\|tpm\)/s/^/   /p'

step "A secret goes into both TPMs, and is nowhere else afterwards"
(umask 077 && head -c 32 /dev/urandom >"$scene/secret")
show "tpm-psk key import web --identity Client1 --purpose tls12-session --allow uid:$user --secret-file secret"
for machine in server client; do
	"$build/keys/tpm-psk" --socket "$scene/$machine/socket" key import web --identity Client1 \
		--purpose tls12-session --allow "uid:$user" --secret-file "$scene/secret" 2>/dev/null
done
rm "$scene/secret"
show "tpm-psk key list"
"$build/keys/tpm-psk" --socket "$scene/server/socket" key list | sed 's/^/   /'

step "Three TLS handshakes, between two processes of the user $(id -un "$user")"
handshakes 3

step "One DTLS handshake"
handshakes 1 --dtls

step "What was seen"
[ "$(sort -u "$scene/client.psks" | wc -l)" -eq 4 ] || die "there are not four different PSKs"
# The server prints from one thread for each peer: as sets they must agree.
sort "$scene/client.psks" >"$scene/client.sorted"
sort "$scene/server.psks" | cmp -s - "$scene/client.sorted" || die "the two sides do not agree"
echo "   4 handshakes, 4 different PSKs, each the same on both sides; the secret stayed in the TPMs."
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
