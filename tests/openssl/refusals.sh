# SPDX-License-Identifier: BSD-2-Clause
# What is refused, and what fails: the handshake ends at once or at the deadline, the program says why and goes on.
. "$(dirname "$0")/lib.sh"

psk_session=$TPMPSK_BUILD/tests/openssl/psk-session
start_scene
plain="-tls1_2 -cipher PSK-AES128-GCM-SHA256"

# now_ms
now_ms()
{
	date +%s%3N
}

# server_refuses TEXT ARGUMENT...: a server with a reference says this, its client gets an alert, and the server goes on.
server_refuses()
{
	text=$1
	shift
	serve ref "$@"
	say psk "$@"
	cat "$scene/server.err" "$scene/client.err"
	grep -q "error:.*:tpmpsk:.*$text" "$scene/server.err" && ! grep -q olleh "$scene/client.out" &&
		grep -q 'alert internal error' "$scene/client.err" && kill -0 "$server_pid"
	result=$?
	leave
	return $result
}

# client_refuses TEXT ARGUMENT...: so does a client.
client_refuses()
{
	text=$1
	shift
	serve psk "$@"
	say ref "$@"
	leave
	cat "$scene/server.err" "$scene/client.err"
	grep -q "error:.*:tpmpsk:.*$text" "$scene/client.err" && ! grep -q olleh "$scene/client.out"
}

# What cannot be computed with the PSK in the TPM.
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$scene/key.pem" -out "$scene/cert.pem" -days 2 -subj /CN=localhost 2>/dev/null
certificate="-cert $scene/cert.pem -key $scene/key.pem"
for suite in ECDHE-PSK-CHACHA20-POLY1305 DHE-PSK-AES128-GCM-SHA256 RSA-PSK-AES128-GCM-SHA256; do
	it "a server refuses $suite" server_refuses "works with plain PSK suites only" -tls1_2 -cipher $suite
	it "a client refuses $suite" client_refuses "works with plain PSK suites only" -tls1_2 -cipher $suite
done
certificate=-nocert
old="-tls1_1 -cipher PSK-AES128-CBC-SHA:@SECLEVEL=0"
it "a server refuses TLS 1.1" server_refuses "SHA-256 or SHA-384, and TLS 1.2 or 1.3" $old
it "a client refuses TLS 1.1" client_refuses "SHA-256 or SHA-384, and TLS 1.2 or 1.3" $old

# apart SERVER_SIDE CLIENT_SIDE: without a group that both have, psk_ke is all that is left.
apart()
{
	serve "$1" -tls1_3 -allow_no_dhe_kex -groups P-384
	say "$2" -tls1_3 -allow_no_dhe_kex -groups X25519
	leave
	cat "$scene/server.err" "$scene/client.err"
}
refused_by()
{
	apart "$2" "$3" && grep -q "error:.*:tpmpsk:.*psk_ke is refused" "$scene/$1.err" && ! grep -q olleh "$scene/client.out"
}
works_apart()
{
	apart psk psk && grep -q olleh "$scene/client.out"
}
it "psk_ke is what OpenSSL would do" works_apart
it "a server refuses psk_ke" refused_by server ref psk
it "a client refuses psk_ke" refused_by client psk ref

# early SERVER_SIDE CLIENT_SIDE
early()
{
	"$psk_session" "$(key_of "$1")" TLS_AES_128_GCM_SHA256 1024 >"$scene/server.pem"
	"$psk_session" "$(key_of "$2")" TLS_AES_128_GCM_SHA256 1024 >"$scene/client.pem"
	echo early >"$scene/early"
	rm -f "$scene/s"
	become "$1" openssl s_server -unix "$scene/s" -nocert -tls1_3 -ciphersuites TLS_AES_128_GCM_SHA256 -early_data -no_anti_replay -psk_identity $identity \
		-psk_session "$scene/server.pem" </dev/null >"$scene/server.out" 2>"$scene/server.err" &
	server_pid=$!
	eventually test -S "$scene/s"
	with "$2" timeout 20 openssl s_client -unix "$scene/s" -tls1_3 -psk_identity $identity \
		-psk_session "$scene/client.pem" -early_data "$scene/early" </dev/null >"$scene/client.out" 2>"$scene/client.err"
	leave
	cat "$scene/server.out" "$scene/server.err" "$scene/client.out" "$scene/client.err"
}
refused_early()
{
	early "$2" "$3"
	grep -q "error:.*:tpmpsk:.*early data is refused" "$scene/$1.err" && ! grep -qx early "$scene/server.out"
}
works_early()
{
	early psk psk
	grep -q "Early data was accepted" "$scene/client.out"
}
it "early data is what OpenSSL would do" works_early
it "a server refuses early data" refused_early server ref psk
it "a client refuses early data" refused_early client psk ref

# References that are none, or lead nowhere.
with_key()
{
	key_of()
	{
		case $1 in
		ref*) echo "$wrong" ;;
		*) echo $secret ;;
		esac
	}
	wrong=$1
	shift
	"$@"
	result=$?
	key_of()
	{
		case $1 in
		ref*) reference $identity ;;
		*) echo $secret ;;
		esac
	}
	return $result
}
whole=$(reference $identity)
for version in -tls1_3 "$plain"; do
	for broken in "${whole%??????????????}" "${whole%????????????????}" "$(printf '%.36s' "$whole")" "$(reference "$(printf '%0129d' 0)")"; do
		it "a server refuses a broken reference of $((${#broken} / 2)) bytes (${version%% *})" \
			with_key "$broken" server_refuses "broken reference" $version
	done
	it "a client refuses a broken reference (${version%% *})" \
		with_key "$(printf '%.36s' "$whole")" client_refuses "broken reference" $version
	it "a server has no key for an identity (${version%% *})" \
		with_key "$(reference Nobody)" server_refuses "tpm-pskd: unknown-identity:.*identity Nobody: TLS" $version
	it "a client has no key for an identity (${version%% *})" \
		with_key "$(reference Nobody)" client_refuses "tpm-pskd: unknown-identity:.*identity Nobody: TLS" $version
done
it "names no identity that could disturb a log" \
	with_key "$(reference "$(printf 'a\nb')")" server_refuses 'identity a.x0ab: TLS' -tls1_3

# One server through all that can befall the daemon. The peer holds the PSK itself, so what fails is the server.
# recovers VERSION: an echo, with the server that is there.
echoes()
{
	say psk $1
	cat "$scene/client.err"
	grep -qx olleh "$scene/client.out"
}
# fails_by SECONDS TEXT VERSION
fails_by()
{
	start_ms=$(now_ms)
	: >"$scene/server.err"
	say psk $3
	took_ms=$(($(now_ms) - start_ms))
	cat "$scene/server.err" "$scene/client.err"
	echo "$took_ms ms"
	! grep -q olleh "$scene/client.out" && grep -q "tpm-pskd: $2" "$scene/server.err" && [ $took_ms -lt "$1"000 ]
}
for version in -tls1_3 "$plain"; do
	which=${version%% *}
	serve ref $version
	it "a server works ($which)" echoes "$version"
	psk key deny tls13 "$me"
	psk key deny tls12 "$me"
	it "a server that may not use the key is told so ($which)" fails_by 2 denied "$version"
	psk key allow tls13 "$me"
	psk key allow tls12 "$me"
	it "it works when it may ($which)" echoes "$version"
	kill -STOP "$daemon_pid"
	it "a daemon that does not answer ends the handshake at the deadline ($which)" fails_by 6 deadline "$version"
	kill -CONT "$daemon_pid"
	it "it works when the daemon answers again ($which)" echoes "$version"
	kill -KILL "$daemon_pid"
	wait "$daemon_pid" 2>/dev/null
	it "no daemon ends the handshake at once ($which)" fails_by 2 no-daemon "$version"
	start_daemon
	it "it works when the daemon is back ($which)" echoes "$version"
	leave
done

# A daemon that dies between a client's binder and its handshake secret: the server is stopped meanwhile.
dies_in_between()
{
	serve psk -tls1_3
	kill -STOP "$server_pid"
	: >"$scene/client.out"
	say ref -tls1_3 -msg &
	say_pid=$!
	eventually grep -q ClientHello "$scene/client.out" || return 1
	kill -KILL "$daemon_pid"
	wait "$daemon_pid" 2>/dev/null
	kill -CONT "$server_pid"
	wait "$say_pid"
	cat "$scene/client.err"
	grep -q "tpm-pskd: no-daemon:.*TLS 1.3 handshake secret" "$scene/client.err"
}
it "a daemon that dies in the middle ends the handshake" dies_in_between
start_daemon
client_echoes()
{
	say ref -tls1_3
	grep -qx olleh "$scene/client.out"
}
it "its peer serves the next" client_echoes
leave

# Without the provider a reference is like any other wrong PSK.
cp "$scene/psk.cnf" "$scene/ref-without.cnf"
without_provider()
{
	serve ref-without $1
	say psk $1
	leave
	! grep -q olleh "$scene/client.out"
}
it "without the provider nothing works (TLS 1.3)" without_provider -tls1_3
it "without the provider nothing works (TLS 1.2)" without_provider "$plain"

# What stands in the configuration. OpenSSL goes on without a provider that does not start, whatever the reason.
# loads [LINE...]: with these lines for the provider.
loads()
{
	provider_conf "$scene/lines.cnf" "$@"
	with lines openssl list -providers >"$scene/out"
	cat "$scene/out"
	grep -q tpmpsk "$scene/out"
}
it "needs no parameters" loads
it "takes a path and a deadline" loads "socket = /run/x" "deadline = 3600000"
it "refuses a deadline that is no number" not loads "deadline = soon"
it "refuses a deadline with something behind it" not loads "deadline = 5s"
it "refuses a deadline of nothing" not loads "deadline = 0"
it "refuses a deadline that is too long" not loads "deadline = 3600001"
it "refuses a deadline that is far too long" not loads "deadline = 99999999999999999999"
it "refuses a path that no socket can have" not loads "socket = /$(printf '%0200d' 0)"
finds_by_environment()
{
	provider_conf "$scene/refenv.cnf"
	serve psk -tls1_3
	TPM_PSK_SOCKET=$socket say refenv -tls1_3
	leave
	grep -qx olleh "$scene/client.out"
}
it "takes the path from the environment where the configuration has none" finds_by_environment
