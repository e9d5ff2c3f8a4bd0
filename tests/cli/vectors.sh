# SPDX-License-Identifier: BSD-2-Clause
# Known answers, through socket, daemon and TPM; by tpm-psk, and by the client that PROTOCOL.md shows.
. "$(dirname "$0")/lib.sh"

vectors()
{
	python3 - "$TPMPSK_SOURCE/tests/data/vectors.json" <<-'PYTHON'
		import json, sys
		for v in json.load(open(sys.argv[1])):
		    if v["purpose"] == "tls12-session":
		        print(v["key"], v["client_random"], v["server_random"], v["psk"], "published" in v)
	PYTHON
}

answers()
{
	[ "$(psk derive --identity "$1" --purpose tls12-session --client-random "$2" --server-random "$3")" = "$4" ]
}

exporter_vectors()
{
	python3 - "$TPMPSK_SOURCE/tests/data/vectors.json" <<-'PYTHON'
		import json, sys
		for v in json.load(open(sys.argv[1])):
		    if v["purpose"].startswith("exporter-"):
		        print(v["purpose"], v["key"], v["ekm"], v["output"], v.get("length", ""))
	PYTHON
}

# exported PURPOSE EKM ANSWER [LENGTH]
exported()
{
	[ "$(psk derive --identity I --purpose "$1" --ekm "$2" ${4:+--length "$4"})" = "$3" ]
}

start_tpm
configure
start_daemon

# The code of the document, with the arguments of the command line.
protocol_client()
{
	{
		sed -n '/^```python$/,/^```$/p' "$TPMPSK_SOURCE/proto/PROTOCOL.md" | grep -v '^```'
		echo 'import sys'
		echo 'arguments = [sys.argv[2].encode()] + [bytes.fromhex(x) for x in sys.argv[3:]]'
		echo 'print(tls12_session(sys.argv[1], *arguments).hex())'
	} >"$scene/client.py"
	[ "$(python3 "$scene/client.py" "$socket" "$1" "$2" "$3")" = "$4" ]
}

vectors >"$scene/vectors"
it "has vectors, three of them published ones" test "$(grep -c True "$scene/vectors")" -ge 3
sizes=
identities=
while read -r key client_random server_random answer _; do
	size=$((${#key} / 2))
	identity="$size $(echo "$key" | cut -c 1-8)"
	case $identities in
	*"<$identity>"*) ;;
	*)
		it "imports a secret of $size bytes" import "k-$size-$(echo "$key" | cut -c 1-8)" "$key" --identity "$identity" \
			--allow "uid:$(id -u)"
		identities="$identities<$identity>"
		sizes="$sizes $size"
		;;
	esac
	it "derives under a secret of $size bytes, randoms of $((${#client_random} / 2))" \
		answers "$identity" "$client_random" "$server_random" "$answer"
	last="$client_random $server_random $answer"
done <"$scene/vectors"
for size in 1 32 48 64 65 200; do
	it "has tried a secret of $size bytes" expr " $sizes " : ".* $size "
done
# shellcheck disable=SC2086
it "answers the client in PROTOCOL.md" protocol_client "$identity" $last
it "tells the client in PROTOCOL.md what is wrong" not protocol_client nobody $last

# One identity, a key for each purpose: the one does not answer for the other.
exporter_vectors >"$scene/vectors"
it "has vectors for both exporters" test "$(cut -d ' ' -f 1,2 "$scene/vectors" | sort -u | wc -l)" -eq 2
while read -r purpose key ekm answer length; do
	if ! psk key show "$purpose" >/dev/null 2>&1; then
		it "imports a key for $purpose" import_for "$purpose" "$purpose" "$key" --identity I --allow "uid:$(id -u)"
	fi
	it "derives ${length:-32} bytes for $purpose from $((${#ekm} / 2))" exported "$purpose" "$ekm" "$answer" "$length"
	[ "$length" != 32 ] ||
		it "derives 32 bytes for $purpose from $((${#ekm} / 2)) unless told otherwise" exported "$purpose" "$ekm" "$answer"
done <"$scene/vectors"
it "has tried each length" test "$(cut -d ' ' -f 5 "$scene/vectors" | sort -u | tr -d '\n')" = 16324864

# The purposes that compute a standard key schedule: a line is PURPOSE KEY IDENTITY HASH ANSWER OPTION...
schedule_vectors()
{
	python3 - "$TPMPSK_SOURCE/tests/data/vectors.json" <<-'PYTHON'
		import json, sys
		for v in json.load(open(sys.argv[1])):
		    # One key for each secret, whatever the hash.
		    name = v.get("identity") or v["key"][:64]
		    begin = (v["purpose"], v["key"], name, v.get("hash"))
		    if v["purpose"] == "tls12-master" and v["label"] == "master secret":
		        print(*begin, v["master_secret"], "--client-random", v["seed"][:64], "--server-random", v["seed"][64:])
		    elif v["purpose"] == "tls12-master":
		        print(*begin, v["master_secret"], "--session-hash", v["seed"])
		    elif v["purpose"] == "tls13-schedule":
		        print(*begin, v["binder"], "--transcript", v["transcript_hash"])
		        print(*begin, v["handshake_secret"], "--shared-secret", v["shared_secret"])
		    elif v["purpose"] == "psk-import":
		        assert v["target_protocol"] == 0x0304
		        kdf = {1: "sha256", 2: "sha384"}[v["target_kdf"]]
		        context = ["--context", v["context"]] if v["context"] else []
		        print(*begin, v["ipsk"], "--target-kdf", kdf, *context)
	PYTHON
}

# scheduled PURPOSE IDENTITY HASH ANSWER OPTION...
scheduled()
{
	purpose=$1
	identity=$2
	hash=$3
	answer=$4
	shift 4
	[ "$(psk derive --purpose "$purpose" --identity-hex "$identity" --hash "$hash" "$@")" = "$answer" ]
}

schedule_vectors >"$scene/vectors"
it "has vectors for each key schedule" test "$(cut -d ' ' -f 1 "$scene/vectors" | sort | uniq -c | tr -d ' \n')" = \
	8psk-import16tls12-master16tls13-schedule
number=0
known=
while read -r purpose key identity hash answer options; do
	case $known in
	*"<$purpose $identity>"*) ;;
	*)
		number=$((number + 1))
		it "imports $((${#key} / 2)) bytes for $purpose" import_for "$purpose" "s-$number" "$key" --identity-hex "$identity" \
			--allow "uid:$(id -u)"
		known="$known<$purpose $identity>"
		;;
	esac
	# shellcheck disable=SC2086
	it "derives for $purpose with $hash, ${options%% *}" scheduled "$purpose" "$identity" "$hash" "$answer" $options
done <"$scene/vectors"
# objects PURPOSE NUMBER: so many in each key file.
objects()
{
	for json in $(grep -lF "\"$1\"" "$scene"/keys/*.json); do
		[ "$(grep -c BEGIN "${json%.json}.pem")" -eq "$2" ] || return 1
	done
	[ -n "$json" ]
}
it "has two objects for tls12-master in one file" objects tls12-master 2
it "has four objects for tls13-schedule in one file" objects tls13-schedule 4
it "has two objects for psk-import in one file" objects psk-import 2
it "has one object for a purpose with one hash" objects exporter-mac 1
stop_daemon
start_daemon
# shellcheck disable=SC2086
it "derives the same after a restart" scheduled "$purpose" "$identity" "$hash" "$answer" $options
