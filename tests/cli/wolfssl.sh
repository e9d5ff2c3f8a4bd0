# SPDX-License-Identifier: BSD-2-Clause
# The code for wolfSSL in client-lib/README.md, as it stands there, with a peer that has the real PSK: OpenSSL, in both roles.
. "$(dirname "$0")/lib.sh"

psk_hex=00112233445566778899aabbccddeeff0123456789abcdef0123456789abcdef
other_hex=ff112233445566778899aabbccddeeff0123456789abcdef0123456789abcdef
peer=$TPMPSK_BUILD/tests/peer/wolfssl_peer
peer_pid=

at_exit()
{
	stop "$peer_pid"
}

openssl_options="-tls1_3 -ciphersuites TLS_AES_128_GCM_SHA256 -psk_identity Client1"

# openssl_server HEX [OPTION...]: sends back each line the wrong way round; its port goes into $port.
openssl_server()
{
	hex=$1
	shift
	stop "$peer_pid"
	: >"$scene/server.log"
	# shellcheck disable=SC2086
	openssl s_server -accept 127.0.0.1:0 -nocert $openssl_options -psk "$hex" -rev "$@" >"$scene/server.log" 2>&1 &
	peer_pid=$!
	eventually grep -q '^ACCEPT' "$scene/server.log" || return 1
	port=$(sed -n 's/^ACCEPT .*:\([0-9]*\)$/\1/p' "$scene/server.log")
}

# wolfssl_server COUNT
wolfssl_server()
{
	stop "$peer_pid"
	: >"$scene/port"
	"$peer" "$socket" Client1 server "$1" >"$scene/port" 2>"$scene/server.log" &
	peer_pid=$!
	eventually test -s "$scene/port" || return 1
	port=$(head -n 1 "$scene/port")
}

wolfssl_client()
{
	"$peer" "$socket" Client1 client "$port" >"$scene/client.out" 2>"$scene/client.err" || return 1
	cat "$scene/client.out"
	grep -q '^TLSv1.3 TLS13-AES128-GCM-SHA256$' "$scene/client.out" && grep -q '^olleh$' "$scene/client.out"
}

# fails_to COMMAND...: wolfSSL, on whichever side, does not get through the handshake.
fails_to()
{
	"$@" && return 1
	cat "$scene/client.err" "$scene/server.log"
	grep -q 'wolfssl_peer: handshake' "$scene/client.err" "$scene/server.log"
}

answered_or_over()
{
	grep -q hello "$scene/client.out" || [ -e "$scene/over" ]
}

# openssl_client HEX [OPTION...]
openssl_client()
{
	hex=$1
	shift
	rm -f "$scene/over"
	: >"$scene/client.out"
	# shellcheck disable=SC2086
	{
		echo hello
		eventually answered_or_over
	} | {
		timeout 30 openssl s_client -connect "127.0.0.1:$port" $openssl_options -psk "$hex" -quiet "$@" \
			>"$scene/client.out" 2>"$scene/client.err"
		: >"$scene/over"
	}
	cat "$scene/client.out" "$scene/client.err"
	grep -q '^hello$' "$scene/client.out"
}

derivations()
{
	psk key show k | sed -n 's/^derivations *//p'
}

# costs NUMBER COMMAND...: it takes so many derivations.
costs()
{
	number=$1
	before=$(derivations)
	shift
	"$@" || return 1
	after=$(derivations)
	echo "$((after - before)) derivations"
	[ $((after - before)) -eq "$number" ]
}

start_tpm
configure
start_daemon
it "has a key" import_for tls13-schedule k $psk_hex --identity Client1 --allow "uid:$(id -u)"

it "has a server with the PSK" openssl_server $psk_hex
it "connects as a client, with two derivations" costs 2 wolfssl_client
it "connects again" wolfssl_client
it "has a server that asks for another group" openssl_server $psk_hex -groups P-384
it "connects as a client after a HelloRetryRequest, with another binder" costs 3 wolfssl_client
it "has a server with another PSK" openssl_server $other_hex
it "does not connect to it" fails_to wolfssl_client

it "has a server on wolfSSL" wolfssl_server 4
it "serves a client with the PSK, with two derivations" costs 2 openssl_client $psk_hex
it "serves one that needs a HelloRetryRequest" openssl_client $psk_hex -groups P-384:X25519
it "does not serve one with another PSK" fails_to openssl_client $other_hex
it "serves the next one" openssl_client $psk_hex

it "denies the key" psk key deny k "uid:$(id -u)"
it "has a server with the PSK again" openssl_server $psk_hex
it "does not connect without a right to the key" fails_to wolfssl_client
