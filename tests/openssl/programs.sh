# SPDX-License-Identifier: BSD-2-Clause
# openssl s_server and s_client as Debian has them: what works, with a reference on one side or on both.
. "$(dirname "$0")/lib.sh"

psk_session=$TPMPSK_BUILD/tests/openssl/psk-session
start_scene
sides="ref:psk psk:ref ref:ref"
chacha=TLS_CHACHA20_POLY1305_SHA256

# ems YES|NO TALKS_ARGUMENT...
ems()
{
	ems=$1
	shift
	talks "$@" && said "Extended master secret: $ems\$"
}

# retries SERVER_SIDE CLIENT_SIDE: the server wants a group of which the client did not send a share.
retries()
{
	serve "$1" -tls1_3 -groups P-384
	say "$2" -tls1_3 -groups X25519:P-384 -msg
	leave
	said "Cipher is $chacha\$" && [ "$(grep -c '>>> TLS 1.3, Handshake .*, ClientHello' "$scene/client.out")" -eq 2 ]
}

# sha384 SERVER_SIDE CLIENT_SIDE: TLS 1.3 with the other hash, which takes a PSK that says so.
sha384()
{
	"$psk_session" "$(key_of "$1")" TLS_AES_256_GCM_SHA384 >"$scene/server.pem"
	"$psk_session" "$(key_of "$2")" TLS_AES_256_GCM_SHA384 >"$scene/client.pem"
	serve "$1" -tls1_3 -ciphersuites TLS_AES_256_GCM_SHA384 -psk_session "$scene/server.pem"
	say "$2" -tls1_3 -ciphersuites TLS_AES_256_GCM_SHA384 -psk_session "$scene/client.pem"
	leave
	said "^Reused, TLSv1.3, Cipher is TLS_AES_256_GCM_SHA384\$"
}

# costs N COMMAND...: so many commands to the TPM, once the keys that it takes are in the TPM.
costs()
{
	expected=$1
	shift
	"$@" || return 1
	before=$(commands)
	"$@" || return 1
	echo "$(($(commands) - before)) TPM commands"
	[ $(($(commands) - before)) -eq "$expected" ]
}

for pair in $sides; do
	server=${pair%:*}
	client=${pair#*:}
	for group in X25519 P-256 P-384 X448 ffdhe2048 ffdhe3072; do
		it "TLS 1.3 with $group, $server to $client" \
			talks $chacha "$server" "$client" -tls1_3 -groups $group
	done
	it "TLS 1.3 with a HelloRetryRequest, $server to $client" retries "$server" "$client"
	it "TLS 1.3 with SHA-384, $server to $client" sha384 "$server" "$client"
	for suite in PSK-AES128-GCM-SHA256 PSK-AES256-GCM-SHA384 PSK-AES128-CBC-SHA256 PSK-AES256-CBC-SHA384 PSK-AES128-CBC-SHA; do
		it "TLS 1.2 with $suite, $server to $client" \
			ems yes $suite "$server" "$client" -tls1_2 -cipher $suite
		it "TLS 1.2 with $suite without extended master secret, $server to $client" \
			ems no $suite "$server-no-ems" "$client-no-ems" -tls1_2 -cipher $suite
	done
done

# What the TPM does for it. A daemon that was just started has no keys in the TPM's few places that would be in the way.
begin_anew()
{
	stop_daemon
	start_daemon
}
for pair in ref:psk psk:ref; do
	server=${pair%:*}
	client=${pair#*:}
	begin_anew
	it "TLS 1.3 is two commands, $server to $client" costs 2 talks $chacha "$server" "$client" -tls1_3
	it "a HelloRetryRequest is a third command, $server to $client" costs 3 retries "$server" "$client"
	begin_anew
	it "TLS 1.2 with SHA-256 is four commands, $server to $client" \
		costs 4 talks PSK-AES128-GCM-SHA256 "$server" "$client" -tls1_2 -cipher PSK-AES128-GCM-SHA256
	it "TLS 1.2 with SHA-384 is two commands, $server to $client" \
		costs 2 talks PSK-AES256-GCM-SHA384 "$server" "$client" -tls1_2 -cipher PSK-AES256-GCM-SHA384
done
begin_anew
it "TLS 1.3 is two commands on each side" costs 4 talks $chacha ref ref -tls1_3
it "no command without a reference" costs 0 talks $chacha psk psk -tls1_3

# resumes CLIENT_SIDE ARGUMENT...: a session that began with a reference, by its ticket.
resumes()
{
	resume_side=$1
	shift
	serve ref "$@"
	say "$resume_side" -sess_out "$scene/session" "$@"
	grep -qx olleh "$scene/client.out" && [ -s "$scene/session" ] || return 1
	before=$(commands)
	case $1 in
	-tls1_3) # with a PSK the client would offer that as well, and make a binder for it
		printf 'hello\nCLOSE\n' | with "$resume_side" timeout 20 openssl s_client -unix "$scene/s" -ign_eof \
			-sess_in "$scene/session" "$@" >"$scene/client.out" 2>"$scene/client.err"
		;;
	*) say "$resume_side" -sess_in "$scene/session" "$@" ;;
	esac
	leave
	said '^Reused, ' && [ "$(commands)" -eq "$before" ]
}
for client in ref psk; do
	it "a ticket of TLS 1.3 costs no command, ref to $client" resumes $client -tls1_3
	it "a ticket of TLS 1.2 costs no command, ref to $client" resumes $client -tls1_2 -cipher PSK-AES128-GCM-SHA256
done
