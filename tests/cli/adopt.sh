# SPDX-License-Identifier: BSD-2-Clause
# Keys made with tpm2-tools: those of this TPM are taken, others are not.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/tools.sh"

me=uid:$(id -u)
secret=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
python3 -c "import sys; sys.stdout.buffer.write(bytes(range(32)))" >"$scene/secret"

adopt()
{
	psk key adopt "$1" --pem "$2" --identity "$1" --purpose tls12-session --allow "$me"
}

refuses()
{
	fails 1 "$1" adopt "$2" "$3" && ! ls "$scene"/keys/"$2".* 2>/dev/null
}

start_tpm other
it "makes a key on another TPM" with_tools "$scene/other.pem" tpm2_import -G hmac -i "$scene/secret"
stop_tpm

start_tpm
it "makes a key on this TPM" with_tools "$scene/own.pem" tpm2_import -G hmac -i "$scene/secret"
it "makes a random key on this TPM" with_tools "$scene/random.pem" tpm2_create -G hmac
it "makes a key with a password" with_tools "$scene/password.pem" tpm2_create -G hmac -p secret
it "makes a key that signs" with_tools "$scene/ecc.pem" tpm2_create -G ecc
it "makes a key with another hash" with_tools "$scene/sha1.pem" tpm2_create -G hmac:sha1
sed 's/[A-Za-z]/x/' "$scene/own.pem" >"$scene/no-header.pem"
sed '3s/./A/5' "$scene/own.pem" | sed '4s/./B/9' >"$scene/damaged.pem"
head -n 3 "$scene/own.pem" >"$scene/cut.pem"

configure
start_daemon
it "adopts a key that tpm2_import made" adopt own "$scene/own.pem"
it "derives with it" derives own $secret
it "adopts a key that tpm2_create made" adopt random "$scene/random.pem"
it "derives with that" derive random
it "adopts from standard input" sh -c "'$tpm_psk' --socket '$socket' key adopt stdin --pem - --identity stdin \
	--purpose tls12-session --allow '$me' <'$scene/own.pem'"
it "refuses a key of another TPM" refuses '^tpm-psk: key adopt other: malformed: .*another TPM' other "$scene/other.pem"
it "refuses a key with a password" refuses '(malformed|unsupported): ' password "$scene/password.pem"
it "refuses a key that is no HMAC key" refuses '(malformed|unsupported): ' ecc "$scene/ecc.pem"
it "refuses a key with another hash" refuses '(malformed|unsupported): ' sha1 "$scene/sha1.pem"
it "refuses a damaged file" refuses 'malformed: ' damaged "$scene/damaged.pem"
it "refuses a file without the PEM header" refuses 'malformed: ' no-header "$scene/no-header.pem"
it "refuses a file that is cut short" refuses 'malformed: ' cut "$scene/cut.pem"
it "refuses a file that is too long" refuses 'invalid' long /dev/zero
it "says that there is no such file" refuses 'No such file' none "$scene/none.pem"
it "serves on" derives own $secret
stop_daemon
start_daemon
it "derives after a restart" derives own $secret
