# SPDX-License-Identifier: BSD-2-Clause
# The walk-throughs in client-lib/openssl/README.md, as they stand there, but for the paths of what is not installed and the ports.
. "$(dirname "$0")/lib.sh"

readme=$TPMPSK_SOURCE/client-lib/openssl/README.md
start_tpm
configure
start_daemon
provider_conf "$scene/ref.cnf"
mkdir "$scene/bin" "$scene/here" "$scene/blocks"
cat >"$scene/bin/tpm-psk" <<-END
	#!/bin/sh
	exec "$tpm_psk" "\$@"
END
chmod +x "$scene/bin/tpm-psk"
server_port=$(free_port)
client_port=$(free_port)
started=

# block NAME: what stands behind that mark.
block()
{
	sed -n "/^<!-- run: $1 -->\$/,/^\`\`\`\$/p" "$readme" | sed '/^<!--/d; /^```/d' |
		sed "s|/usr/local/share/tpm-pskd/tpmpsk.cnf|$scene/ref.cnf|; s/127.0.0.1:4433/127.0.0.1:$server_port/
			s/127.0.0.1:4434/127.0.0.1:$client_port/; s/8883/$server_port/; s/user:root/$me/" >"$scene/blocks/$1"
	[ -s "$scene/blocks/$1" ]
}

# The programs that run on get the module's sanitizer first; a shell does not need it.
commands_of()
{
	sed "s,^\(openssl s_server\|stunnel4\|mosquitto \),exec env ${preload:+LD_PRELOAD=$preload} &," "$scene/blocks/$1"
}

in_place()
{
	cd "$scene/here" && PATH=$scene/bin:$PATH TPM_PSK_SOCKET=$socket sh -e "$scene/block"
}

run()
{
	block "$1" && cp "$scene/blocks/$1" "$scene/block" && (in_place)
}

# start NAME PORT: in the background, until it listens.
start()
{
	block "$1" || return 1
	commands_of "$1" >"$scene/blocks/$1-run"
	(
		cd "$scene/here" && TPM_PSK_SOCKET=$socket exec sh -e "$scene/blocks/$1-run"
	) >"$scene/$1.log" 2>&1 </dev/null &
	started="$started $!"
	eventually listening "$2" && return
	cat "$scene/$1.log"
	return 1
}

end_started()
{
	for pid in $started; do
		stop "$pid"
	done
	started=
}

at_end()
{
	end_started
}

through_tunnels()
{
	python3 - "$client_port" <<-'PYTHON'
		import socket, sys
		with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 10) as s:
		    s.settimeout(10)
		    s.sendall(b"hello\n")
		    s.shutdown(socket.SHUT_WR)
		    assert s.recv(100) == b"hello\n"
	PYTHON
}

it "keys" run keys
it "prints a reference" grep -Eqx '[0-9a-f]{116}' "$scene/here/reference.hex"
it "openssl s_server" start openssl-server "$server_port"
it "openssl s_client" run openssl-client
run openssl-client >"$scene/echo" 2>&1
it "openssl s_client has its echo" grep -qx olleh "$scene/echo"
end_started
if command -v stunnel4 >/dev/null; then
	it "stunnel as server" start stunnel-server "$server_port"
	it "stunnel as client" start stunnel-client "$client_port"
	it "stunnel has its echo" through_tunnels
	end_started
else
	skip "stunnel" "stunnel4 is not installed"
fi
if command -v mosquitto >/dev/null && command -v mosquitto_pub >/dev/null; then
	it "mosquitto" start mosquitto-broker "$server_port"
	it "mosquitto_pub" run mosquitto-client
	end_started
else
	skip "mosquitto" "mosquitto is not installed"
fi
it "the daemon was asked by each of them" sh -c "[ \$(grep -c tls13-schedule '$scene/audit.log') -ge 6 ]"
