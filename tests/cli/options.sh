# SPDX-License-Identifier: BSD-2-Clause
# tpm-psk without a daemon: help, wrong use, and what it refuses by itself.
. "$(dirname "$0")/lib.sh"

usage()
{
	pattern=$1
	shift
	fails 2 "$pattern" psk "$@"
}

with()
{
	usage "$1" key import k --identity I --purpose tls12-session "$2" ${3+"$3"}
}

it "prints its version" prints '^tpm-psk [0-9]+\.[0-9]+\.[0-9]+$' psk --version
for command in status top metrics doctor bench reload "key import" "key generate" "key adopt" "key list" "key show" "key allow" "key deny" \
	"key remove" "key check" derive; do
	# shellcheck disable=SC2086
	it "has help for $command" prints "^usage: tpm-psk $command" psk $command --help
	it "names $command in its help" prints "^  $command " psk --help
done
it "needs a command" usage 'a command is missing'
it "refuses a command that does not exist" usage "no command 'frobnicate'" frobnicate
it "refuses half a command" usage "no command 'key'" key
it "refuses a wrong second word" usage "no command 'key make'" key make
it "refuses an option that does not exist" usage 'no option --secret' key import k --secret=x
it "refuses an option without its value" with '--hex-file needs F' --hex-file
it "refuses a value for an option that has none" usage '--json takes no value' status --json=yes
it "refuses an option given twice" usage '--purpose is given twice' key generate k --purpose a --purpose b
it "refuses arguments beyond the last" usage "'b' is too much" key show a b
it "needs a key's name" usage 'NAME' key show
it "needs somebody to allow" usage 'WHO' key allow k
it "needs an identity" usage '--identity' key generate k --purpose tls12-session
it "takes one identity only" usage '--identity' key generate k --identity a --identity-hex 61 --purpose tls12-session
it "needs a purpose" usage '--purpose' key generate k --identity a
it "needs a secret" usage '--secret-file' key import k --identity a --purpose tls12-session
it "needs a key file to adopt" usage '--pem' key adopt k --identity a --purpose tls12-session
it "refuses a rate that is no number" with '--rate' --rate=fast
it "refuses a rate of nothing" with '--rate' --rate=0
it "refuses a timeout of nothing" usage '--timeout' status --timeout 0
it "refuses a purpose that does not exist" usage "no purpose 'tls'" derive --identity I --purpose tls
it "refuses randoms of unlike length" usage '--client-random' derive --identity I --purpose tls12-session \
	--client-random "$random_a" --server-random 00
it "refuses randoms that are not hex" usage '--client-random' derive --identity I --purpose tls12-session \
	--client-random "x$random_a" --server-random $random_b
it "refuses an identity that is too long" usage '128' derive --identity "$(printf '%0129d' 0)" \
	--purpose tls12-session --client-random $random_a --server-random $random_b

derive_with()
{
	pattern=$1
	shift
	usage "$pattern" derive --identity I --purpose "$@"
}
zeroes=00000000000000000000000000000000
it "needs a role" derive_with '--role' session-identity
it "refuses a role that is none" derive_with '--role' session-identity --role none
it "refuses a role that does not exist" derive_with '--role' session-identity --role peer
it "refuses a role where there are none" derive_with '--role is not for tls12-session' tls12-session --role client \
	--client-random "$random_a" --server-random "$random_b"
it "refuses a handshake of a client" derive_with '--handshake' session-identity --role client --handshake 00
it "refuses a handshake that is not hex" derive_with '--handshake' session-identity --role server --handshake x
it "refuses a handshake that is too long" derive_with '--handshake' session-identity --role server --handshake "$random_a"00
it "refuses randoms where there are none" derive_with '--client-random is not' session-identity --role client \
	--client-random "$random_a"
for purpose in exporter-kdf exporter-mac; do
	it "needs an exporter's value for $purpose" derive_with '--ekm' $purpose
	it "refuses one that is too short for $purpose" derive_with '--ekm is 16 to 48 bytes' $purpose --ekm "${zeroes#00}"
	it "refuses one that is too long for $purpose" derive_with '--ekm' $purpose --ekm "$zeroes$zeroes${zeroes}00"
	it "refuses one that is not hex for $purpose" derive_with '--ekm' $purpose --ekm "${zeroes}0"
	it "refuses a role for $purpose" derive_with '--role is not for' $purpose --ekm $zeroes --role client
done
for length in 0 15 65 32x -1 ''; do
	it "refuses a length of '$length'" derive_with '--length' exporter-kdf --ekm $zeroes --length "$length"
done
it "refuses a length for exporter-mac" derive_with '--length is not for' exporter-mac --ekm $zeroes --length 32

z32=$zeroes$zeroes
z48=$zeroes$zeroes$zeroes
for purpose in tls12-master tls13-schedule psk-import; do
	it "refuses a hash that does not exist for $purpose" derive_with '--hash is sha256 or sha384' $purpose --hash sha512
	it "refuses a role for $purpose" derive_with '--role is not for' $purpose --role client
done
it "refuses a hash where there is none" derive_with '--hash is not for' exporter-mac --ekm $zeroes --hash sha256
it "needs something for tls12-master" derive_with '--session-hash is needed' tls12-master
it "needs both randoms for tls12-master" derive_with '--client-random and --server-random' tls12-master --client-random "$z32"
it "refuses short randoms for tls12-master" derive_with 'are 32 bytes' tls12-master --client-random "${z32#00000000}" \
	--server-random "${z32#00000000}"
it "refuses randoms beside a session hash" derive_with 'in place of the randoms' tls12-master --client-random "$z32" \
	--server-random "$z32" --session-hash "$z32"
it "refuses a session hash of another hash" derive_with '--session-hash is 48 bytes' tls12-master --hash sha384 \
	--session-hash "$z32"
it "needs something for tls13-schedule" derive_with '--transcript and --shared-secret' tls13-schedule
it "refuses two things for tls13-schedule" derive_with '--transcript and --shared-secret' tls13-schedule --transcript "$z32" \
	--shared-secret "$z32"
it "refuses a transcript hash of another hash" derive_with '--transcript is 32 bytes' tls13-schedule --transcript "$z48"
it "refuses a shared secret that is not hex" derive_with '--shared-secret is 32 to 1024' tls13-schedule --shared-secret x
it "refuses a protocol before TLS 1.3" derive_with '--target-protocol is tls13 or dtls13' psk-import --target-protocol tls12
it "refuses a KDF that does not exist" derive_with '--target-kdf is sha256 or sha384' psk-import --target-kdf 3
it "refuses a context that is not hex" derive_with '--context is at most 1024' psk-import --context x
it "refuses a context of another purpose" derive_with '--context is not for' tls12-master --context 00

it "needs an identity for a reference" usage 'IDENTITY and --identity-hex' reference
it "refuses two identities for a reference" usage 'IDENTITY and --identity-hex' reference I --identity-hex 00
it "refuses an empty identity for a reference" usage '1 to 128' reference ''
it "refuses a long identity for a reference" usage '1 to 128' reference "$(printf '%0129d' 0)"
it "refuses an identity for a reference that is not hex" usage '1 to 128' reference --identity-hex 0
it "prints no reference that is no text" usage '--hex is needed' reference --identity-hex 00
it "prints no reference of two lines" usage '--hex is needed' reference "$(printf 'a\nb')"
it "prints a reference" prints '^tpm-psk-reference:[0-9a-f]{32}:Client:1$' psk reference Client:1
it "prints one in hex" prints '^74706d2d70736b2d7265666572656e63653a([0-9a-f]{64})3a00ff$' psk reference --identity-hex 00ff --hex
it "prints another one each time" test "$(psk reference I)" != "$(psk reference I)"

refuses_secret()
{
	fails 1 "$1" psk key import k --identity I --purpose tls12-session "$2" "$3"
}
head -c 1025 /dev/zero >"$scene/long"
printf '0102x3' >"$scene/nothex"
printf '012' >"$scene/odd"
printf ' \n' >"$scene/blank"
it "says which secret file cannot be read" refuses_secret "$scene/none: No such file" --secret-file "$scene/none"
it "refuses an empty secret" refuses_secret 'empty' --secret-file /dev/null
it "refuses a secret that is too long" refuses_secret '1024' --secret-file "$scene/long"
it "does not read an endless secret" refuses_secret '1024' --secret-file /dev/zero
it "refuses a secret that is not hex" refuses_secret 'hex digits' --hex-file "$scene/nothex"
it "refuses half a byte" refuses_secret 'hex digits' --hex-file "$scene/odd"
it "refuses hex without a digit" refuses_secret 'empty' --hex-file "$scene/blank"
it "does not show what it refuses" not grep -q 0102 "$scene/err"

it "says where it looked for the daemon" fails 1 "^tpm-psk: status: no-daemon: .*$socket" psk status
it "looks where \$TPM_PSK_SOCKET says" fails 1 "$scene/elsewhere" env TPM_PSK_SOCKET="$scene/elsewhere" "$tpm_psk" status
it "prefers --socket" fails 1 "$socket" env TPM_PSK_SOCKET="$scene/elsewhere" "$tpm_psk" --socket "$socket" status
it "takes --socket behind the command, too" fails 1 "$socket" "$tpm_psk" status --socket "$socket"
it "refuses an empty path" fails 2 "--socket: the path is empty" "$tpm_psk" status --socket ""
it "refuses an empty path in the short form" fails 2 "--socket: the path is empty" "$tpm_psk" --socket= status
it "escapes what could fool a terminal" fails 1 'key show \\x1b\[31mred: no-daemon' psk key show "$(printf '\033[31mred')"
it "refuses a name that no message holds" fails 1 'malformed' psk key show "$(printf '%065d' 0)"
