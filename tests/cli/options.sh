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
for command in status top metrics reload "key import" "key generate" "key adopt" "key list" "key show" "key allow" "key deny" \
	"key remove" derive; do
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
it "escapes what could fool a terminal" fails 1 'key show \\x1b\[31mred: no-daemon' psk key show "$(printf '\033[31mred')"
it "refuses a name that no message holds" fails 1 'malformed' psk key show "$(printf '%065d' 0)"
