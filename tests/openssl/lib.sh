# SPDX-License-Identifier: BSD-2-Clause
# What the tests of this folder share, on top of ../cli/lib.sh: a daemon with a PSK for both TLS versions, OpenSSL configurations
# with and without the provider, and programs that use the one or the other. To be read with `.` first of all.
#
# A side of a connection is `ref` (a reference in the program's configuration, and the provider) or `psk` (the PSK itself, and
# nothing of ours).
. "$(dirname "$0")/../cli/lib.sh"

module=$TPMPSK_BUILD/client-lib/openssl/tpmpsk.so
me=uid:$(id -u)
identity=Client1
secret=8f1d0c5e7ab3492610f4de87c9526bb1
hmac_counter=$scene/tcti
# A program that loads what was built with a sanitizer has to have the sanitizer first.
preload=$(ldd "$module" | awk '$1 ~ /^lib[at]san/ { print $3 }')

# reference IDENTITY: as hex.
reference()
{
	printf 'tpm-psk-reference:00112233445566778899aabbccddeeff:%s' "$1" | od -An -v -tx1 | tr -d ' \n'
}

# provider_conf FILE [LINE...]: what is installed, with this module and these lines in the provider's section.
provider_conf()
{
	conf=$1
	shift
	{
		echo "module = $module"
		echo "activate = 1"
		[ $# -eq 0 ] || printf '%s\n' "$@"
	} >"$scene/section"
	sed -e '/^module =/,/^#deadline/{/^#deadline/r '"$scene/section" -e 'd;}' \
		"$TPMPSK_BUILD/client-lib/openssl/tpmpsk.cnf" >"$conf"
}

# with_option FILE LINE: that configuration, and a default for every connection.
with_option()
{
	if [ -s "$1" ]; then
		sed '/^\[openssl_init\]/a ssl_conf = ssl' "$1"
	else
		printf 'openssl_conf = openssl_init\n[openssl_init]\nssl_conf = ssl\n'
	fi
	printf '[ssl]\nsystem_default = system_default\n[system_default]\n%s\n' "$2"
}

# start_scene [FIELDS]: the daemon, its TPM behind a TCTI that counts, and the keys.
start_scene()
{
	start_tpm
	: >"$hmac_counter" # the daemon, once it is confined, makes no files there
	configure "\"tcti\": \"$TPMPSK_BUILD/tests/tcti/libtss2-tcti-test.so:file=$hmac_counter;swtpm:path=$scene/swtpm\",${1:-}"
	start_daemon
	import_for tls13-schedule tls13 $secret --identity $identity --allow "$me"
	import_for tls12-master tls12 $secret --identity $identity --allow "$me"
	provider_conf "$scene/ref.cnf" "socket = $socket" "deadline = 3000"
	: >"$scene/psk.cnf"
	: >"$scene/other.cnf"
	for side in ref psk; do
		with_option "$scene/$side.cnf" "Options = -ExtendedMasterSecret" >"$scene/$side-no-ems.cnf"
		with_option "$scene/$side.cnf" "MaxProtocol = TLSv1.2" >"$scene/$side-tls12.cnf"
		with_option "$scene/$side.cnf" "MinProtocol = TLSv1.3" >"$scene/$side-tls13.cnf"
	done
}

# become SIDE COMMAND...: from here on, that program with this side's configuration. In the background it is itself what a signal
# to $! reaches.
become()
{
	become_conf=$scene/$1.cnf
	shift
	exec env OPENSSL_CONF="$become_conf" ${preload:+LD_PRELOAD="$preload"} "$@"
}

# with SIDE COMMAND...
with()
{
	(become "$@")
}

# key_of SIDE: what the program is given for a PSK, in hex.
key_of()
{
	case $1 in
	ref*) reference $identity ;;
	other*) echo 00112233445566778899aabbccddeeff ;;
	*) echo $secret ;;
	esac
}

# commands: how many the TPM was sent so far.
commands()
{
	od -An -td8 -N8 "$hmac_counter" | tr -d ' '
}

server_pid=
certificate=-nocert
# serve SIDE ARGUMENT...: an s_server that answers each line with the same, backwards, on a socket in the scene.
serve()
{
	serve_side=$1
	shift
	rm -f "$scene/s"
	# shellcheck disable=SC2086
	become "$serve_side" openssl s_server -unix "$scene/s" -rev $certificate -psk_identity $identity \
		-psk "$(key_of "$serve_side")" "$@" </dev/null >"$scene/server.out" 2>"$scene/server.err" &
	server_pid=$!
	eventually test -S "$scene/s"
}

leave()
{
	stop "$server_pid"
	server_pid=
}

at_exit()
{
	leave
	command -v at_end >/dev/null && at_end
	true
}

# say SIDE ARGUMENT...: an s_client that says hello to it.
say()
{
	say_side=$1
	shift
	printf 'hello\nCLOSE\n' | with "$say_side" timeout 20 openssl s_client -unix "$scene/s" -ign_eof \
		-psk_identity $identity -psk "$(key_of "$say_side")" "$@" >"$scene/client.out" 2>"$scene/client.err"
}

# said PATTERN...: the answer came, and the client said each of these.
said()
{
	cat "$scene/server.err" "$scene/client.out" "$scene/client.err"
	grep -qx olleh "$scene/client.out" || return 1
	for pattern in "$@"; do
		grep -Eq -- "$pattern" "$scene/client.out" || return 1
	done
}

# talks SUITE SERVER_SIDE CLIENT_SIDE ARGUMENT...: a handshake and an echo with this suite.
talks()
{
	talks_suite=$1
	talks_server=$2
	talks_client=$3
	shift 3
	serve "$talks_server" "$@"
	say "$talks_client" "$@"
	leave
	said ", Cipher is $talks_suite\$"
}

# free_port: one that nobody listens on at this moment. Who takes it must be ready to find it taken.
free_port()
{
	python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# listening PORT
listening()
{
	python3 -c 'import socket, sys; socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5)' "$1"
}
