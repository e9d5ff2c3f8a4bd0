# SPDX-License-Identifier: BSD-2-Clause
# stunnel as Debian has it, as server and as client: a reference at one end, the PSK at the other, and a reference at both.
. "$(dirname "$0")/lib.sh"

stunnel=$(command -v stunnel4) || {
	skip "stunnel" "stunnel4 is not installed"
	exit 0
}
start_scene
tunnels=

# tunnel SIDE LINE...: an stunnel with one service, these lines in it, on $port.
tunnel()
{
	tunnel_side=$1
	shift
	tries_left=5
	while [ $tries_left -gt 0 ]; do
		port=$(free_port)
		echo "$identity:$(key_of "$tunnel_side")" >"$scene/$tunnel_side-psk"
		chmod 600 "$scene/$tunnel_side-psk"
		{
			printf '%s\n' "foreground = yes" "pid =" "syslog = no" "debug = info" "[tunnel]" "accept = 127.0.0.1:$port" \
				"PSKsecrets = $scene/$tunnel_side-psk" "$@"
		} >"$scene/$port.conf"
		become "$tunnel_side" "$stunnel" "$scene/$port.conf" </dev/null >"$scene/$port.log" 2>&1 &
		tunnel_pid=$!
		eventually grep -q 'Configuration successful' "$scene/$port.log"
		if kill -0 $tunnel_pid 2>/dev/null && ! grep -q 'Address already in use' "$scene/$port.log"; then
			tunnels="$tunnels $tunnel_pid"
			return 0
		fi
		tries_left=$((tries_left - 1))
	done
	cat "$scene/$port.log"
	return 1
}

close_tunnels()
{
	for tunnel_pid in $tunnels; do
		stop "$tunnel_pid"
	done
	tunnels=
}

at_end()
{
	close_tunnels
}

# ask PORT [TIMES]: each time another connection, and its echo.
ask()
{
	python3 - "$1" "${2:-1}" <<-'PYTHON'
		import socket, sys
		for n in range(int(sys.argv[2])):
		    with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 10) as s:
		        s.settimeout(10)
		        word = b"word %d\n" % n
		        s.sendall(word)
		        s.shutdown(socket.SHUT_WR)
		        got = b""
		        while more := s.recv(4096):
		            got += more
		        if got != word:
		            sys.exit(f"connection {n}: {got!r}")
	PYTHON
}

# through SERVER_SIDE CLIENT_SIDE LINE...: both ends have these lines.
through()
{
	server_side=$1
	client_side=$2
	shift 2
	tunnel "$server_side" "exec = /bin/cat" "execArgs = cat" "$@" || return 1
	server_log=$scene/$port.log
	tunnel "$client_side" "client = yes" "connect = 127.0.0.1:$port" "$@" || return 1
	ask "$port" 5
	result=$?
	close_tunnels
	cat "$server_log" "$scene/$port.log"
	return $result
}

negotiated()
{
	pattern=$1
	shift
	"$@" && grep -Eq "$pattern" "$server_log"
}

for pair in ref:psk psk:ref ref:ref; do
	server=${pair%:*}
	client=${pair#*:}
	it "TLS 1.3, $server to $client" negotiated 'TLSv1.3 ciphersuite: TLS_(CHACHA20_POLY1305|AES_128_GCM)_SHA256' \
		through "$server" "$client" "sslVersion = TLSv1.3"
	it "TLS 1.2, $server to $client" negotiated 'TLSv1.2 ciphersuite: PSK-AES128-GCM-SHA256' \
		through "$server" "$client" "sslVersion = TLSv1.2" "ciphers = PSK-AES128-GCM-SHA256"
done

# One pair of them while the daemon comes and goes.
tunnel psk "exec = /bin/cat" "execArgs = cat" "sslVersion = TLSv1.3"
tunnel ref "client = yes" "connect = 127.0.0.1:$port" "sslVersion = TLSv1.3" "sessionCacheSize = 1" "options = NO_TICKET"
it "works with a daemon" ask "$port"
stop_daemon
it "fails without" not ask "$port"
it "says why" grep -q 'tpm-pskd: no-daemon' "$scene/$port.log"
start_daemon
it "works when it is back" ask "$port"
