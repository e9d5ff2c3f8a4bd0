# SPDX-License-Identifier: BSD-2-Clause
# Keys with a certificate: made, shown, requested for and used by tpm-psk, judged by OpenSSL.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/tools.sh"

me=uid:$(id -u)
transcript=c0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedf
long_transcript=${transcript}e0e1e2e3e4e5e6e7e8e9eaebecedeeef

generate()
{
	key=$1
	shift
	psk key generate "$key" --purpose certificate-verify --allow "$me" "$@"
}

public()
{
	psk key public "$1" >"$scene/$1.pub"
}

# request NAME OPTION...: a certificate request that OpenSSL finds right, for the key that it should be for.
request()
{
	key=$1
	shift
	psk key csr "$key" "$@" >"$scene/$key.csr" || return 1
	openssl req -in "$scene/$key.csr" -verify -noout || return 1
	openssl req -in "$scene/$key.csr" -pubkey -noout | cmp - "$scene/$key.pub"
}

shows()
{
	openssl req -in "$scene/$1.csr" -noout -text -nameopt RFC2253,-esc_msb,utf8 >"$scene/text" || return 1
	cat "$scene/text"
	grep -qF -- "$2" "$scene/text"
}

# sign NAME ROLE TRANSCRIPT [OPTION...]: a signature into $scene/signature
sign()
{
	key=$1 role=$2 hash=$3
	shift 3
	psk derive --purpose certificate-verify --identity "$key" --role "$role" --transcript "$hash" "$@" >"$scene/hex" ||
		return 1
	python3 -c "import sys; sys.stdout.buffer.write(bytes.fromhex(sys.stdin.read()))" <"$scene/hex" >"$scene/signature"
}

# verify NAME ROLE TRANSCRIPT DIGEST [OPTION...]: whether that is the signature of such a CertificateVerify.
verify()
{
	python3 - "$2" "$3" >"$scene/content" <<-'PYTHON'
		import sys
		sys.stdout.buffer.write(b" " * 64 + b"TLS 1.3, %s CertificateVerify\0" % sys.argv[1].encode() + bytes.fromhex(sys.argv[2]))
	PYTHON
	key=$1 digest=$4
	shift 4
	openssl dgst "-$digest" -verify "$scene/$key.pub" -signature "$scene/signature" "$@" "$scene/content"
}

pss="-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32"

adopt()
{
	key=$1 pem=$2
	shift 2
	psk key adopt "$key" --pem "$scene/$pem.pem" --purpose certificate-verify --allow "$me" "$@"
}

refuses_pem()
{
	fails 1 "$1" adopt refused "$2" && ! ls "$scene"/keys/refused.* 2>/dev/null
}

start_tpm other
sign_only='fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign'
it "makes a key on another TPM" with_tools "$scene/other.pem" tpm2_create -G ecc256:ecdsa-sha256 -a "$sign_only"
stop_tpm
start_tpm
it "makes an ECDSA key with tpm2-tools" with_tools "$scene/ecdsa.pem" tpm2_create -G ecc256:ecdsa-sha256 -a "$sign_only"
it "makes one without a scheme" with_tools "$scene/any.pem" tpm2_create -G ecc384 -a "$sign_only|noda"
it "makes an RSA key with tpm2-tools" with_tools "$scene/rsa.pem" tpm2_create -G rsa2048:rsapss-sha256:null -a "$sign_only"
it "makes an RSA key for PKCS #1 signatures" with_tools "$scene/pkcs1.pem" tpm2_create -G rsa2048:rsassa-sha256:null -a "$sign_only"
it "makes a key that signs with the wrong hash" with_tools "$scene/hash.pem" tpm2_create -G ecc256:ecdsa-sha384 -a "$sign_only"
it "makes a key that also decrypts" with_tools "$scene/decrypts.pem" tpm2_create -G rsa2048
it "makes a restricted key" with_tools "$scene/restricted.pem" tpm2_create -G ecc256:ecdsa-sha256:null -a "$sign_only|restricted"
it "makes a key with a password" with_tools "$scene/password.pem" tpm2_create -G ecc256:ecdsa-sha256 -a "$sign_only" -p secret
it "makes an HMAC key" with_tools "$scene/hmac.pem" tpm2_create -G hmac
configure
start_daemon

it "makes an ECDSA key by itself" generate web
it "shows its algorithm" prints '^algorithm +ecdsa-p256$' psk key show web
it "takes the name for the identity" prints '^identity +web$' psk key show web
it "has the TPM make a P-384 key" generate p384 --algorithm ecdsa-p384
it "has the TPM make an RSA key" generate rsa --algorithm rsa-2048 --identity www
it "makes a key that may sign once in a while" generate seldom --rate 1
it "signs with it" sign seldom server $transcript
it "but not so soon again" eventually fails 1 'busy' sign seldom server $transcript
it "refuses an algorithm that it does not know" refused malformed generate no --algorithm rsa-1024
it "refuses an algorithm for a purpose without" refused malformed psk key generate no --purpose exporter-mac --identity x \
	--algorithm ecdsa-p256
it "needs an identity for every other purpose" fails 2 'identity' psk key generate no --purpose exporter-mac
it "says why such a key is not imported" refused 'unsupported' import_for certificate-verify no 00ff
it "says it in words" grep -q 'made in the TPM' "$scene/err"

for name in web p384 rsa; do
	it "prints the public key of $name" public $name
done
it "prints what OpenSSL reads" sh -c "openssl pkey -pubin -in '$scene/web.pub' -noout -text | grep -q prime256v1"
it "prints a P-384 key" sh -c "openssl pkey -pubin -in '$scene/p384.pub' -noout -text | grep -q secp384r1"
it "prints an RSA key" sh -c "openssl pkey -pubin -in '$scene/rsa.pub' -noout -text | grep -q '2048 bit'"
printf 00ff >"$scene/hex"
it "imports a key of another purpose" psk key import mac --identity mac --purpose exporter-mac --hex-file "$scene/hex"
it "has no public key for that" refused unsupported psk key public mac
it "has no request for that" refused unsupported psk key csr mac --subject CN=x
it "knows no public key of a key that is not there" refused unknown-identity psk key public nobody

it "makes a request that verifies" request web --subject 'CN=www.example.com,O=Example\, Inc.,C=DE' --dns www.example.com \
	example.com --ip 192.0.2.1 2001:db8::1
it "has the subject in it" shows web 'CN=www.example.com,O=Example\, Inc.,C=DE'
it "has the host names in it" shows web 'DNS:example.com'
it "has the addresses in it" shows web 'IP Address:192.0.2.1'
it "has the longer addresses in it" shows web 'IP Address:2001:DB8:0:0:0:0:0:1'
it "makes a request for a P-384 key" request p384 --subject 'CN=Zoë,ST=Zürich,L=x,OU=y,serialNumber=1,emailAddress=a@b.c,DC=d'
it "has letters of all kinds in it" shows p384 'CN=Zoë'
it "makes a request for an RSA key" request rsa --subject CN=rsa
it "signs it by RSA-PSS" shows rsa 'Signature Algorithm: rsassaPss'
it "makes a request without a subject" request web --dns a.example
it "marks the name as critical then" shows web 'X509v3 Subject Alternative Name: critical'
long=$(printf "%064d" 0)
label=${long#0}
it "makes a request of many names" request web --subject "CN=$long" --dns $(seq -f "host-%g.$label.$label.example" 24)
it "refuses one of too many" refused malformed psk key csr web --subject CN=x --dns $(seq -f "host-%g.$label.$label.$label.example" 40)
for subject in 'CN' 'CN=' 'XX=1' 'CN=a,' 'CN=a,,O=b' ',CN=a' 'CN=a+O=b' 'CN=a"b' 'CN=a\' 'CN=a\q' 'C=DEU' 'C=d_' "CN=x$long" \
	'CN=a\00b' 'CN=a\ffb' 'emailAddress=ü@b.c'; do
	it "refuses the subject $(printf %s "$subject" | tr -d '#')" fails 2 'subject' psk key csr web --subject "$subject"
done
it "refuses a request for nobody" fails 2 'subject' psk key csr web
it "makes a request for all hosts of a domain" request web --subject CN=x --dns '*.example'
it "refuses what is no address" fails 2 'address' psk key csr web --ip 192.0.2.256
for name in 'a b' '*' a..b .a a. a.-b a- 'a.*.b' "$(seq -s a 30).example" "$(seq -s . 100)"; do
	it "refuses what is no host name: $name" fails 2 'host name' psk key csr web --dns "$name"
done

for role in client server; do
	it "signs as a $role" sign web $role $transcript
	it "gives the signature of a CertificateVerify" verify web $role $transcript sha256
	it "signs a longer transcript hash" sign web $role $long_transcript
	it "gives the signature of that" verify web $role $long_transcript sha256
done
it "gives a server's signature to no client" not verify web client $long_transcript sha256
it "signs by a P-384 key" sign p384 server $long_transcript --algorithm ecdsa-p384
it "gives its signature" verify p384 server $long_transcript sha384
it "signs by an RSA key" sign www server $transcript --algorithm rsa-2048
it "gives its signature, with a salt as TLS 1.3 takes it" verify rsa server $transcript sha256 $pss
it "refuses another algorithm than the key's" refused unsupported sign web server $transcript --algorithm rsa-2048
it "refuses a transcript that is none" fails 2 transcript psk derive --purpose certificate-verify --identity web \
	--role server --transcript 00
it "refuses to sign without a role" fails 2 'role' psk derive --purpose certificate-verify --identity web --transcript $transcript
it "derives no secret from such a key" refused '(denied|unknown-identity)' psk derive --purpose exporter-kdf --identity web \
	--ekm $transcript

it "adopts an ECDSA key that tpm2_create made" adopt ecdsa ecdsa
it "knows its algorithm" prints '^algorithm +ecdsa-p256$' psk key show ecdsa
it "prints its public key" public ecdsa
it "makes a request for it" request ecdsa --subject CN=adopted --dns adopted.example
it "signs with it" sign ecdsa server $transcript
it "gives its signature" verify ecdsa server $transcript sha256
it "adopts a key without a scheme" adopt any any --algorithm ecdsa-p384
it "prints that public key" public any
it "makes a request for that" request any --subject CN=any
it "adopts an RSA key" adopt rsa2 rsa
it "prints the RSA key" public rsa2
it "makes a request for the RSA key" request rsa2 --subject CN=rsa2
it "refuses an algorithm that is not the key's" fails 1 'algorithm is' adopt refused rsa --algorithm ecdsa-p256
it "refuses a key of another TPM" refuses_pem 'another TPM' other
it "refuses an RSA key for PKCS #1 signatures" refuses_pem 'RSA-PSS' pkcs1
it "refuses a key that signs with the wrong hash" refuses_pem 'ECDSA with the hash' hash
it "refuses a key that also decrypts" refuses_pem 'decrypt' decrypts
it "refuses a restricted key" refuses_pem 'restricted' restricted
it "refuses a key with a password" refuses_pem 'password' password
it "refuses an HMAC key" refuses_pem 'neither an ECC nor an RSA key' hmac
it "takes no signing key for another purpose" fails 1 'malformed' psk key adopt refused --pem "$scene/ecdsa.pem" --identity x \
	--purpose exporter-mac

stop_daemon
start_daemon
it "signs after a restart" sign web server $transcript
it "gives the signature after a restart" verify web server $transcript sha256
sed -i 's/ecdsa-p256/rsa-2048/' "$scene/keys/web.json"
it "refuses a policy whose algorithm is not the key's" refused malformed psk reload
it "says which file and why" grep -q 'web.pem.*algorithm' "$scene/err"
it "serves on" sign web server $transcript
sed -i '/algorithm/d' "$scene/keys/web.json"
it "takes a policy that names none" psk reload
it "signs as before" sign web server $transcript
it "writes who asked for what" grep -q '"request":"key-csr".*"key":"web","status":"ok"' "$scene/audit.log"
it "writes the role" grep -q '"purpose":"certificate-verify","role":"server","identity":"web"' "$scene/audit.log"
