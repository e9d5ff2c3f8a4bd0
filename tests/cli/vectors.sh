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
