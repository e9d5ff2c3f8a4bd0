# SPDX-License-Identifier: BSD-2-Clause
# The life of a key, by tpm-psk.
. "$(dirname "$0")/lib.sh"

me=uid:$(id -u)
start_tpm
configure
start_daemon

generate()
{
	name=$1
	shift
	psk key generate "$name" --purpose tls12-session --identity "id $name" "$@"
}

refuses()
{
	fails 1 "$@"
}

it "shows its status" prints '^TPM +ready$' psk status
it "shows its status as JSON" prints '"state": *"ready"' psk status --json
it "lists nothing at first" sh -c "'$tpm_psk' --socket '$socket' key list --json | tr -d ' \n' | grep -qxF '[]'"

it "imports a secret" import a 0a0b --identity alpha --allow "$me"
it "derives with it" derives alpha 0a0b
it "imports the bytes of a file as they are" sh -c "printf 'secret\n' | '$tpm_psk' --socket '$socket' key import nl \
	--identity nl --purpose tls12-session --allow '$me' --secret-file - 2>'$scene/note'"
it "says that a newline at its end is part of it" grep -q 'newline' "$scene/note"
it "derives with all of it" derives nl 7365637265740a
it "ignores white space between hex digits" import ws '0A 0b
0c' --identity ws --allow "$me"
it "derives with the digits" derives ws 0a0b0c
it "takes an identity that is not text" import bin 0d --identity-hex 00ff --allow "$me"
derive_bin()
{
	[ "$(psk derive --identity-hex 00FF --purpose tls12-session --client-random $random_a --server-random $random_b)" = \
		"$(expected 0d)" ]
}
it "derives for an identity that is not text" derive_bin
it "lists it as hex" prints '^bin +hex:00ff ' psk key list

it "has the TPM make a key" generate g --allow "$me"
same()
{
	[ "$(derive 'id g')" = "$(derive 'id g')" ]
}
it "derives with it, always the same" same
it "makes another key each time" generate g2 --allow "$me"
differ()
{
	[ "$(derive 'id g')" != "$(derive 'id g2')" ]
}
it "derives something else with that" differ

it "refuses a name that is taken" refuses '^tpm-psk: key import a: exists: ' import a 01 --identity other --allow "$me"
it "refuses an identity that is taken" refuses 'exists' import a2 01 --identity alpha --allow "$me"
it "leaves the old key alone" derives alpha 0a0b
it "refuses a name that could be a path" refuses 'malformed' import ../a 01 --identity p --allow "$me"
it "refuses a hidden name" refuses 'malformed' import .a 01 --identity p --allow "$me"
it "refuses a user that does not exist" refuses "malformed.*no-such-user" import u 01 --identity u \
	--allow user:no-such-user
it "refuses a word that is nobody" refuses 'malformed' import u 01 --identity u --allow everyone
it "refuses a purpose that does not exist" refuses "malformed.*tls13" psk key generate p --identity p --purpose tls13 --allow "$me"
it "refuses a mode that does not exist" refuses 'malformed' generate m --mode loose --allow "$me"
it "refuses an identity that is too long" refuses 'malformed' import l 01 --identity "$(printf '%0129d' 0)" --allow "$me"
it "stores nothing of what it refused" prints '^[^pulm]*$' sh -c "ls '$scene/keys' | grep -E '^(p|u|l|m|a2)\.' | cat; echo"

it "takes a key that nobody may use yet, and says so" sh -c "'$tpm_psk' --socket '$socket' key generate n --identity n \
	--purpose tls12-session 2>&1 | grep -q 'key allow n'"
it "denies it, unknown as it is to who asks" refuses 'unknown-identity' derive n
it "allows several at once" psk key allow n "$me" uid:4711 gid:4712
it "serves whom it allows" sh -c "'$tpm_psk' --socket '$socket' derive --identity n --purpose tls12-session --client-random \
	$random_a --server-random $random_b"
it "shows whom it allows" prints "^allow +$me, uid:4711, gid:4712" psk key show n
it "denies" psk key deny n "$me"
it "does not serve whom it denied" refuses 'unknown-identity' derive n
it "keeps the others" prints '^allow +uid:4711, gid:4712$' psk key show n
it "refuses to deny who is not on the list" refuses 'malformed' psk key deny n uid:4713
it "refuses to allow who does not exist" refuses 'malformed' psk key allow n user:no-such-user
it "does not know other keys" refuses 'unknown-identity' psk key allow none "$me"

it "counts derivations" prints '^derivations +[1-9]' psk key show a
it "shows a key's name first" prints '^name +a$' psk key show a
stop_daemon
start_daemon
it "derives after a restart" derives alpha 0a0b
it "has the policy after a restart" prints '^allow +uid:4711, gid:4712$' psk key show n

it "removes a key" psk key remove a
it "no longer serves it" refuses 'unknown-identity' derive alpha
it "no longer has its files" not ls "$scene/keys/a.pem" "$scene/keys/a.json"
it "says that it is gone" refuses '^tpm-psk: key remove a: unknown-identity: ' psk key remove a
it "can make it anew" import a 0e --identity alpha --allow "$me"
it "derives with the new one" derives alpha 0e

# More than one page of a list.
many=
i=0
while [ $i -lt 30 ]; do
	many="$many uid:$((100000 + i))"
	i=$((i + 1))
done
make_many()
{
	i=10
	while [ $i -lt 40 ]; do
		# shellcheck disable=SC2086
		generate "many-$i" --allow $many || return 1
		i=$((i + 1))
	done
}
it "makes many keys" make_many
listed()
{
	psk key list --json >"$scene/list" || return 1
	python3 - "$scene/list" "$scene/keys" <<-'PYTHON'
		import json, os, sys
		names = [key["name"] for key in json.load(open(sys.argv[1]))]
		files = {f[:-5] for f in os.listdir(sys.argv[2]) if f.endswith(".json") and not f.startswith(".")}
		assert names == sorted(files), (names, files)
	PYTHON
}
it "lists them all, in order, over several pages" listed
it "lists them for people" test "$(psk key list | wc -l)" -eq "$(($(ls "$scene"/keys/*.json | wc -l) + 1))"

# The daemon holds on to the directory that it opened. What is put in its place, it must not take for that one.
mv "$scene/keys" "$scene/kept"
it "does not reload without its directory" refuses "/keys: No such file or directory; restart" psk reload
it "changes nothing then" refuses "restart" psk key allow many-10 uid:4711
cp -a "$scene/kept" "$scene/keys"
it "does not take another directory for it" refuses "/keys: another directory is in its place; restart" psk reload
it "changes nothing then, either" refuses "restart" psk key remove many-10
it "goes on with the keys that it has" prints many-10 psk key show many-10
rm -r "$scene/keys"
mv "$scene/kept" "$scene/keys"
it "reloads when it is back" psk reload
it "and changes keys" psk key allow many-10 uid:4711
