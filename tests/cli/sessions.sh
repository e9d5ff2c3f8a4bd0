# SPDX-License-Identifier: BSD-2-Clause
# Keys for session-identity: what a client's side makes, what a server's side takes, who may be which.
. "$(dirname "$0")/lib.sh"

me=uid:$(id -u)
secret=c13614b81ba3bc5034813a297ab52bbf78ab071ef26bc040296e5485a848461d
other=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f

# What as_client printed last, in two parts.
made()
{
	made=$(as_client "$1") || return 1
	wire=${made% *}
	answer=${made##* }
}

same_as_software()
{
	made=$(as_client "$1") || return 1
	[ "$made" = "$(python3 "$TPMPSK_SOURCE/tests/cli/session.py" again $secret "${made% *}")" ]
}

round_trip()
{
	made "$1" && accepts
}

differ()
{
	made "$1" && first=$made && made "$1" && [ "${first% *}" != "$wire" ] && [ "${first##* }" != "$answer" ]
}

# takes MAKE_SESSION_ARGUMENTS...: the server's side gives the PSK for such a session identity.
takes()
{
	make_session "$@" && accepts
}

# sees STATUS MAKE_SESSION_ARGUMENTS...: it refuses such a one.
sees()
{
	seen=$1
	shift
	make_session "$@" && refused "$seen" as_server "$wire"
}

# sees_change STATUS IDENTITY VERSION FIELD: it refuses one of which a bit was changed.
sees_change()
{
	make_session $secret "$2" "$3" && change "$4" && refused "$1" as_server "$changed"
}

# Time goes on between making and asking: what is a second too early may be right by then, but not each time.
sees_early()
{
	tries=0
	until sees expired "$@"; do
		tries=$((tries + 1))
		[ $tries -lt 5 ] || return 1
	done
}

same_handshake()
{
	make_session $secret "$1" "$2" || return 1
	[ "$(as_server "$wire" 0a0b)" = "$answer" ] && [ "$(as_server "$wire" 0a0b)" = "$answer" ] &&
		refused replayed as_server "$wire" 0a0c && refused replayed as_server "$wire"
}

start_tpm
configure '"replay_entries": 2048,'
start_daemon
it "imports a key in the usual mode" import_for session-identity strict $secret --identity Client1 --allow "$me"
it "says its mode" prints '^mode +strict$' psk key show strict
it "imports a key in epoch mode" import_for session-identity epoch $secret --identity Client2 --mode epoch --allow "$me"
it "says its mode, too" prints '^mode +epoch$' psk key show epoch
it "lists the modes" prints '^epoch +Client2 +session-identity +epoch ' psk key list
import_for session-identity other $other --identity Other --allow "$me"

for key in "Client1 1 strict" "Client2 2 epoch"; do
	# shellcheck disable=SC2086
	set -- $key
	id=$1
	v=$2
	it "makes a session identity ($3)" prints "^$id~$v\.[A-Za-z0-9_-]{48} [0-9a-f]{64}\$" as_client "$id"
	it "makes the one that software makes ($3)" same_as_software "$id"
	it "gives the server the client's PSK ($3)" round_trip "$id"
	it "does so once ($3)" refused replayed as_server "$wire"
	it "makes another each time ($3)" differ "$id"
	it "takes one from software ($3)" takes $secret "$id" "$v"
	it "takes none twice ($3)" refused replayed as_server "$wire"
	it "takes it again in the same handshake only ($3)" same_handshake "$id" "$v"
	it "takes one from a clock that is ahead ($3)" takes $secret "$id" "$v" 20000
	it "refuses one that is 31 s old ($3)" sees expired $secret "$id" "$v" -31000
	it "refuses one from 31 s ahead ($3)" sees_early $secret "$id" "$v" 31000
	it "refuses one of another epoch ($3)" sees expired $secret "$id" "$v" 300000
	it "refuses one of long ago ($3)" sees expired $secret "$id" "$v" 0 1
	it "refuses another time ($3)" sees_change forged "$id" "$v" time
	it "refuses another day ($3)" sees_change expired "$id" "$v" day
	it "refuses another nonce ($3)" sees_change forged "$id" "$v" nonce
	it "refuses another end of the nonce ($3)" sees_change forged "$id" "$v" nonce-end
	it "refuses another tag ($3)" sees_change forged "$id" "$v" tag
	it "refuses another end of the tag ($3)" sees_change forged "$id" "$v" tag-end
	it "refuses one under another key ($3)" sees forged $other "$id" "$v"
	it "refuses one of the other mode ($3)" sees forged $secret "$id" $((3 - v))
	it "refuses one of a mode that does not exist ($3)" sees malformed $secret "$id" 3
	make_session $secret "$id" "$v"
	it "refuses one that is cut short ($3)" refused malformed as_server "${wire%?}"
	it "refuses one that is too long ($3)" refused malformed as_server "${wire}A"
	it "refuses the identity alone ($3)" refused malformed as_server "$id"
	it "refuses the suffix alone ($3)" refused malformed as_server "${wire#"$id"}"
	it "refuses it for another identity ($3)" refused forged as_server "Other~$v.${wire##*.}"
	it "does not know an identity that is not there ($3)" refused unknown-identity as_server "Nobody~$v.${wire##*.}"
	it "has not used it up by all that ($3)" accepts
	it "makes none for a session identity ($3)" refused unknown-identity as_client "$wire"
done

# The memory of what was used.
entries=$(status_of sessions.replay_entries)
it "remembers each that it took" test "$entries" -ge 8
sees forged $other Client1 1 >/dev/null
it "remembers none that it refused" test "$(status_of sessions.replay_entries)" -eq "$entries"
make_session $secret Client1 1
accepts
it "remembers one more" test "$(status_of sessions.replay_entries)" -eq $((entries + 1))
it "has room for as many as configured" test "$(status_of sessions.replay_capacity)" -eq 2048
it "says how many bytes it uses, and may use" test "$(status_of sessions.replay_bytes)" -lt "$(status_of sessions.replay_bytes_max)"
it "uses no more than it should for these" test "$(status_of sessions.replay_bytes_max)" -lt 262144
it "has a few epochs' secrets" test "$(status_of sessions.epochs)" -le 6
it "counts what it refused" test "$(status_of counts.replayed)" -ge 6
used=$wire
stop_daemon
start_daemon
it "remembers nothing after a restart" test "$(status_of sessions.replay_entries)" -eq 0
it "refuses all from before it" refused expired as_server "$used"
it "takes new ones" takes $secret Client1 1

# Another mode from a reload on.
make_session $secret Client2 2
sed 's/"epoch"/"strict"/' "$scene/keys/epoch.json" >"$scene/strict.json"
cp "$scene/strict.json" "$scene/keys/epoch.json"
it "reloads a key whose mode was edited" psk reload
it "refuses those of the old mode" refused forged as_server "$wire"
it "takes those of the new mode" takes $secret Client2 1

# Roles.
list()
{
	prints "^allow +$2\$" psk key show "$1"
}
import_for session-identity client $secret --identity c --allow "$me:client"
import_for session-identity server $secret --identity s --allow "$me:server"
it "shows a role" list client "$me:client"
it "lets a client make one" as_client c
it "lets no client take one" sees unknown-identity $secret c 1
it "lets no server make one" refused unknown-identity as_client s
it "lets a server take one" takes $secret s 1
it "allows another role" psk key allow client "$me:server"
it "gives both roles then" takes $secret c 1
it "takes away one role" psk key deny client "$me:client"
it "leaves the other" list client "$me:server"
it "lets who had it make none" refused unknown-identity as_client c
it "takes away whatever role there is" psk key deny client "$me"
it "leaves nobody" prints '^allow *$' psk key show client

it "refuses a role where there are none" refused malformed import t 01 --identity t --allow "$me:client"
it "refuses a mode where there are none" refused malformed import t 01 --identity t --mode epoch --allow "$me"
it "refuses a mode that does not exist" refused malformed import_for session-identity t 01 --identity t --mode loose --allow "$me"
it "refuses an identity that leaves no room" refused malformed import_for session-identity t 01 --identity "$(printf '%078d' 0)" \
	--allow "$me"
it "refuses an identity that looks like a session identity" refused malformed import_for session-identity t 01 \
	--identity "$wire" --allow "$me"
it "refuses an identity with a zero byte" refused malformed import_for session-identity t 01 --identity-hex 610062 --allow "$me"
longest=$(printf '%077d' 0)
it "takes the longest identity" import_for session-identity longest $secret --identity "$longest" --allow "$me"
it "makes one for it" round_trip "$longest"
it "takes the same identity for another purpose" import strict12 $other --identity Client1 --allow "$me"
it "derives for that purpose by itself" derives Client1 $other
