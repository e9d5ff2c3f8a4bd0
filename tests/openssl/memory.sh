# SPDX-License-Identifier: BSD-2-Clause
# The memory of programs with a reference, read as root in the middle of a handshake and after it: not the PSK, nor what is made of
# it alone. The same look at programs that hold the PSK itself finds it, so the look is a good one.
. "$(dirname "$0")/lib.sh"

if [ "$(id -u)" -ne 0 ]; then
	skip "memory of programs" "needs root"
	exit 0
fi
if [ -n "$preload" ]; then
	skip "memory of programs" "the address sanitizer keeps copies"
	exit 0
fi
start_scene
mkfifo "$scene/words"

# hold PID NAME...: how much of these the process holds, in all.
hold()
{
	python3 "$TPMPSK_SOURCE/tests/openssl/scan.py" $secret "$@" | tee /dev/stderr | awk '{ n += $2 } END { print n }'
}

clean()
{
	[ "$(hold "$1")" -eq 0 ]
}

finds()
{
	[ "$(hold "$@")" -gt 0 ]
}

one_more()
{
	[ "$(commands)" -gt "$before" ]
}

said_hello()
{
	grep -q 'ClientHello' "$scene/client.out"
}

# connect SERVER_SIDE CLIENT_SIDE ARGUMENT...: a client that waits for a server that was stopped.
connect()
{
	connect_client=$2
	server_side=$1
	shift 2
	serve "$server_side" "$@"
	kill -STOP "$server_pid"
	before=$(commands)
	become "$connect_client" openssl s_client -unix "$scene/s" -msg -psk_identity $identity \
		-psk "$(key_of "$connect_client")" "$@" <"$scene/words" >"$scene/client.out" 2>"$scene/client.err" &
	client_pid=$!
	exec 3>"$scene/words"
	eventually said_hello
}

# answer: the server does what it can before the client answers, which is stopped now.
answer()
{
	kill -STOP "$client_pid"
	before=$(commands)
	kill -CONT "$server_pid"
	[ "$server_side" = psk ] || eventually one_more
}

answered()
{
	grep -qx olleh "$scene/client.out"
}

establish()
{
	kill -CONT "$client_pid"
	echo hello >&3
	eventually answered
}

hang_up()
{
	exec 3>&-
	stop "$client_pid"
	leave
}

for version in "-tls1_3" "-tls1_2 -cipher PSK-AES128-GCM-SHA256" "-tls1_2 -cipher PSK-AES256-GCM-SHA384"; do
	which=${version#-}
	connect ref ref $version
	it "a client that has sent its ClientHello holds nothing ($which)" clean "$client_pid"
	answer
	# The server's second command follows at once; its memory is looked at as often as that takes.
	it "a server in the middle of the handshake holds nothing ($which)" clean "$server_pid"
	it "a server that waits for the client holds nothing ($which)" clean "$server_pid"
	establish
	it "a client that is connected holds nothing ($which)" clean "$client_pid"
	it "a server that is connected holds nothing ($which)" clean "$server_pid"
	hang_up
done
connect psk psk -tls1_3
it "a client that holds the PSK is caught (psk)" finds "$client_pid" psk psk-hex
it "a client that holds the PSK is caught (early secret)" finds "$client_pid" early-256
answer
establish
it "a server that holds the PSK is caught (psk)" finds "$server_pid" psk psk-hex
hang_up
