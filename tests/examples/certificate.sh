# SPDX-License-Identifier: BSD-2-Clause
# TLS 1.3 with certificates whose keys are in the TPM: tls-server and tls-client with each other and with OpenSSL in both
# roles; who may sign what; and what a handshake costs the TPM.
. "$(dirname "$0")/../cli/lib.sh"
. "$(dirname "$0")/../cli/tools.sh"

me=uid:$(id -u)
examples=$TPMPSK_BUILD/examples
server_pid=
TPM_PSK_SOCKET=$socket
export TPM_PSK_SOCKET
cd "$scene" || exit 1

at_exit()
{
	leave
}

# An authority, one below it, and what openssl needs to have the latter sign.
make_authorities()
{
	for authority in root middle other; do
		openssl ecparam -name prime256v1 -genkey -noout -out $authority.key || return 1
	done
	for authority in root other; do
		openssl req -x509 -new -key $authority.key -subj "/CN=$authority" -days 2 -out $authority.pem || return 1
	done
	printf 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n' >middle.ext
	openssl req -new -key middle.key -subj /CN=middle |
		openssl x509 -req -CA root.pem -CAkey root.key -CAcreateserial -days 2 -extfile middle.ext -out middle.pem
}

# certify NAME: has the authority in the middle make a certificate of NAME.csr, and puts its own behind it.
certify()
{
	openssl x509 -req -in "$1.csr" -CA middle.pem -CAkey middle.key -CAcreateserial -days 2 -copy_extensions copy \
		-out "$1.crt" && cat "$1.crt" middle.pem >"$1.pem"
}

# A key in the TPM with its certificate. make NAME ALLOW [OPTION...]
make()
{
	key=$1 allow=$2
	shift 2
	psk key generate "$key" --purpose certificate-verify --allow "$allow" "$@" &&
		psk key csr "$key" --subject "CN=$key" --dns "$key.example" localhost >"$key.csr" && certify "$key"
}

# A key in a file with its certificate.
make_in_file()
{
	openssl ecparam -name prime256v1 -genkey -noout -out "$1.key" &&
		openssl req -new -key "$1.key" -subj "/CN=$1" -addext "subjectAltName=DNS:$1.example" -out "$1.csr" && certify "$1"
}

# serve COMMAND...: in the background, until it says where it listens ($address).
serve()
{
	leave
	: >"$scene/server.out" # what the one before said must not be taken for this one's
	"$@" >"$scene/server.out" 2>"$scene/server.err" </dev/null &
	server_pid=$!
	eventually grep -Eq '^(listening on|ACCEPT) [0-9.]+:[0-9]+' "$scene/server.out" || { cat server.out server.err; return 1; }
	address=$(sed -nE 's/^(listening on|ACCEPT) ([0-9.]+:[0-9]+).*/\2/p' server.out | head -n 1)
}

leave()
{
	stop "$server_pid"
	server_pid=
}

tls_server()
{
	serve "$examples/tls-server" --listen 127.0.0.1:0 "$@"
}

tls_client()
{
	"$examples/tls-client" --connect "$address" --ca root.pem "$@"
}

# says PATTERN COMMAND...: that it succeeds and prints such a line.
says()
{
	pattern=$1
	shift
	"$@" >client.out 2>client.err || { cat client.out client.err server.err; return 1; }
	cat client.out
	grep -Eqx -- "$pattern" client.out
}

# heard N PATTERN: that the server has said such a line so often.
heard()
{
	test "$(grep -Ecx -- "$2" server.out)" -eq "$1"
}

s_client()
{
	openssl s_client -connect "$address" -tls1_3 -CAfile root.pem -verify_return_error -verify_hostname web.example \
		"$@" </dev/null >s_client.out 2>&1 || { cat s_client.out; return 1; }
}

s_server()
{
	serve openssl s_server -accept 127.0.0.1:0 -tls1_3 -cert peer.crt -key peer.key -cert_chain middle.pem -rev \
		-CAfile root.pem -Verify 3 -verify_return_error "$@"
}

commands()
{
	status_of tpm.commands
}

# costs N COMMAND...: so many TPM commands.
costs()
{
	expected=$1
	before=$(commands)
	shift
	"$@" || return 1
	spent=$(($(commands) - before))
	echo "$spent TPM commands"
	[ "$spent" -eq "$expected" ]
}

start_tpm
it "makes a key with tpm2-tools" with_tools "$scene/tools.tss" tpm2_create -G ecc256:ecdsa-sha256 \
	-a 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|sign'
configure
start_daemon
it "makes two authorities" make_authorities
it "makes a server's key in the TPM, and a certificate for it" make web "$me:server"
it "makes a client's" make client "$me:client"
for algorithm in ecdsa-p384 rsa-2048; do
	it "makes a pair of $algorithm" make $algorithm "$me" --algorithm $algorithm
done
it "makes a key in a file" make_in_file peer
it "makes one of somebody else" make elsewhere uid:4711
it "finds the chain right" openssl verify -CAfile root.pem -untrusted middle.pem web.crt client.crt ecdsa-p384.crt rsa-2048.crt

# With each other.
it "serves with the key in the TPM" tls_server --key web --certificate web.pem --ca root.pem
it "lets in a client whose key is there, too" says 'certificate CN=web' tls_client --key client --certificate client.pem
it "knows the client by its certificate" eventually heard 1 'certificate CN=client'
it "echoes what it says" says 'good day' tls_client --key client --certificate client.pem --message 'good day'
it "has the TPM sign once for each side" costs 2 tls_client --key client --certificate client.pem
it "lets in no client without a certificate" not tls_client
it "is refused under another name" not tls_client --key client --certificate client.pem --host other.example
it "is known by its name" says 'certificate CN=web' tls_client --key client --certificate client.pem --host web.example
refused_by_ca()
{
	not "$examples/tls-client" --connect "$address" --ca other.pem --key client --certificate client.pem
}
it "is refused by who trusts another authority" refused_by_ca
for algorithm in ecdsa-p384 rsa-2048; do
	it "serves with $algorithm" tls_server --key $algorithm --certificate $algorithm.pem --ca root.pem
	it "and lets in a client with $algorithm" says "certificate CN=$algorithm" tls_client --key $algorithm \
		--certificate $algorithm.pem
done

adopt_with_certificate()
{
	psk key adopt adopted --pem "$scene/tools.tss" --purpose certificate-verify --allow "$me" &&
		psk key csr adopted --subject CN=adopted --dns adopted.example localhost >adopted.csr &&
		openssl req -in adopted.csr -verify -noout && certify adopted
}
it "adopts what tpm2-tools made, and has a certificate for it" adopt_with_certificate
it "serves with it" tls_server --key adopted --certificate adopted.pem --ca root.pem
it "and lets in a client with it" says 'certificate CN=adopted' tls_client --key adopted --certificate adopted.pem

# Who may sign what.
it "starts with a key that it may use as a client" tls_server --key client --certificate client.pem
it "but gets no server's signature" not tls_client
it "and says why" eventually grep -q 'tpm-pskd: unknown-identity' server.err
tls_server --key web --certificate web.pem --ca root.pem
it "gives no client's signature to who may be a server" not tls_client --key web --certificate web.pem
it "serves on" says 'certificate CN=web' tls_client --key client --certificate client.pem
starts_with_none()
{
	"$examples/tls-server" --listen 127.0.0.1:0 --key "$1" --certificate "$2" >out 2>err </dev/null
	[ $? -eq 1 ] && cat err && grep -Eq "$3" err
}
it "does not start with a key of somebody else" starts_with_none elsewhere elsewhere.pem 'unknown-identity'
it "does not start with a key that is not there" starts_with_none nobody web.pem 'unknown-identity'
it "does not start with the certificate of another key" starts_with_none web client.pem 'do not match|mismatch|match'
it "does not start without a certificate" starts_with_none web none.pem 'none.pem'

# With OpenSSL.
it "serves anybody with a certificate" tls_server --key web --certificate web.pem --ca root.pem
it "is verified by OpenSSL's client" s_client -cert peer.crt -key peer.key -cert_chain middle.pem
it "by its chain" grep -q '^Verification: OK' s_client.out
it "and verifies it" eventually heard 1 'certificate CN=peer'
for suite in TLS_AES_128_GCM_SHA256 TLS_AES_256_GCM_SHA384 TLS_CHACHA20_POLY1305_SHA256; do
	it "with $suite" s_client -cert peer.crt -key peer.key -cert_chain middle.pem -ciphersuites $suite
done
it "has no TLS 1.2" not openssl s_client -connect "$address" -tls1_2 -CAfile root.pem -cert peer.crt -key peer.key </dev/null
for algorithm in ecdsa-p384 rsa-2048; do
	tls_server --key $algorithm --certificate $algorithm.pem
	it "verifies $algorithm" sh -c "openssl s_client -connect $address -tls1_3 -CAfile root.pem -verify_return_error \
		</dev/null 2>&1 | grep -q '^Verification: OK'"
done
newline='
'
it "talks to OpenSSL's server" s_server
for key in client ecdsa-p384 rsa-2048; do
	it "is verified by it with $key" says 'certificate CN=peer' tls_client --key $key --certificate $key.pem \
		--host peer.example --message "level$newline"
done
it "with a HelloRetryRequest from it" s_server -groups P-384
it "is verified by it all the same" says 'certificate CN=peer' tls_client --key client --certificate client.pem \
	--host peer.example --message "level$newline"
it "hears back what it says" says level tls_client --key client --certificate client.pem --host peer.example \
	--message "level$newline"

# Coming back.
tls_server --key web --certificate web.pem --ca root.pem
it "comes back with a ticket" says 'resumed' tls_client --key client --certificate client.pem --count 2 --resume
it "which the server knows" eventually heard 1 'resumed'
it "comes back at no cost to the TPM" costs 2 tls_client --key client --certificate client.pem --count 50 --resume
it "and each time" eventually heard 50 'resumed'
tls_server --key web --certificate web.pem --ca root.pem --no-tickets
it "does not come back where there are no tickets" costs 6 tls_client --key client --certificate client.pem --count 3 --resume

# Certificates for those who have them, PSKs for those who don't.
it "imports a PSK" import_for session-identity psk c0ffee --identity Client1 --allow "$me"
tls_server --key web --certificate web.pem --ca root.pem --psk
it "lets in a client with a certificate" says 'certificate CN=web' tls_client --key client --certificate client.pem
it "and one with a PSK" tls_client --identity Client1
it "knows which is which" eventually heard 1 'psk Client1'
it "and the other" eventually heard 1 'certificate CN=client'
it "lets in nobody with neither" not tls_client
it "lets in nobody with another PSK" not tls_client --identity Client2
it "comes back after a PSK, too" says 'resumed' tls_client --identity Client1 --count 2 --resume

# A process that loses its right.
it "serves while it may" tls_server --key web --certificate web.pem
it "one that is let in" says 'certificate CN=web' tls_client
it "is denied" psk key deny web "$me:server"
it "serves nobody any more" not tls_client
it "is allowed again" psk key allow web "$me:server"
it "serves without a restart" says 'certificate CN=web' tls_client
stop_daemon
start_daemon
it "serves when the daemon was restarted" says 'certificate CN=web' tls_client
