# SPDX-License-Identifier: BSD-2-Clause
# Who may do what. As root: acts as users and groups that need not exist, by their numbers.
. "$(dirname "$0")/lib.sh"

if [ "$(id -u)" -ne 0 ]; then
	skip "rights of several users" "needs root"
	exit 0
fi

secret=0a0b0c
friend=61001 # may use the key
member=61002 # of a group that may use it
stranger=61003
friends=61100
elsewhere=61101

# A place that those users can reach.
chmod 755 "$scene"
mkdir -m 755 "$scene/bin"
cp "$tpm_psk" "$scene/bin/"
tpm_psk=$scene/bin/tpm-psk

# as UID[:GROUP] COMMAND...
as()
{
	who=$1
	shift
	case $who in
	*:*) groups="--groups=${who#*:}" ;;
	*) groups=--clear-groups ;;
	esac
	setpriv --reuid="${who%:*}" --regid="${who%:*}" "$groups" "$@"
}

psk_as()
{
	who=$1
	shift
	as "$who" "$tpm_psk" --socket "$socket" "$@"
}

derive_as()
{
	psk_as "$1" derive --identity "$2" --purpose tls12-session --client-random $random_a --server-random $random_b
}

gives()
{
	[ "$(derive_as "$1" "$2")" = "$(expected $secret)" ]
}

refuses()
{
	fails 1 "^tpm-psk: derive: $1(: |$)" derive_as "$2" "$3"
}

# replies UID IDENTITY: the daemon's reply to a derive request, in hex.
cat >"$scene/reply.py" <<'PYTHON'
import socket, struct, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.settimeout(20)
s.connect(sys.argv[1])
for identity in sys.argv[2:]:
    if identity == "-":  # wait for the test to go on
        print(flush=True)
        sys.stdin.readline()
        continue
    identity = identity.encode()
    s.send(struct.pack(">BBHI", 1, 2, 0, 7) + bytes([1, 0, len(identity)]) + identity + 2 * (b"\x20" + bytes(32)))
    print(s.recv(4096).hex(), flush=True)
PYTHON

# One that every user may run, whatever comes first in root's $PATH.
python=$(PATH=/usr/bin:/bin:$PATH command -v python3)

replies()
{
	who=$1
	shift
	as "$who" "$python" "$scene/reply.py" "$socket" "$@"
}

same_reply()
{
	reply=$(replies "$1" "$2") && [ -n "$reply" ] && [ "$reply" = "$(replies "$1" "$3")" ]
}

is_denied()
{
	# header with status 3, no retry_after_ms, no detail
	[ "$(replies "$1" "$2")" = 01820003000000070000000000 ]
}

start_tpm
configure
start_daemon
it "lets root make a key for others" import k $secret --identity known --allow uid:$friend gid:$friends

it "serves a user on the list" gives $friend known
it "serves a member of a group on the list" gives $member:$friends known
it "denies a member of another group" refuses denied $member:$elsewhere known
it "denies somebody else" refuses denied $stranger known
it "denies root" refuses denied 0 known
it "denies for a key that does not exist" refuses denied $stranger unknown
it "denies in the same bytes" same_reply $stranger known unknown
it "denies without a word more" is_denied $stranger known
it "tells who has a key that another is unknown" refuses unknown-identity $friend unknown

it "lets root make a key for nobody here" import hidden 0d --identity hidden --allow uid:$member
it "does not tell who has another key that it exists" same_reply $friend hidden unknown

it "allows a user without a restart" psk key allow k uid:$stranger
it "serves that user" gives $stranger known
it "denies a user without a restart" psk key deny k uid:$friend uid:$stranger
it "no longer serves that user" refuses denied $stranger known

# One connection across the change.
connected()
{
	psk key allow k uid:$friend || return 1
	mkfifo "$scene/go"
	exec 3<>"$scene/go"
	as $friend "$python" "$scene/reply.py" "$socket" known - known <"$scene/go" >"$scene/replies" &
	client=$!
	eventually grep -q '^$' "$scene/replies" || return 1
	psk key deny k uid:$friend || return 1
	echo >&3
	exec 3>&-
	wait $client || return 1
	cat "$scene/replies"
	[ "$(sed -n '1s/^\(........\).*/\1/p' "$scene/replies")" = 01820000 ] &&
		[ "$(sed -n '3s/^\(........\).*/\1/p' "$scene/replies")" = 01820003 ]
}
it "denies on a connection that was served before" connected

# Roles. One may make session identities, another may take them, and neither may do the other's part.
client_as()
{
	psk_as "$1" derive --purpose session-identity --role client --identity "$2"
}

# From $friend, who may be a client, to another, who may be a server.
session_to()
{
	made=$(client_as $friend session) || return 1
	[ "$(psk_as "$1" derive --purpose session-identity --role server --identity "${made% *}" 2>"$scene/err")" = "${made##* }" ]
}
it "takes a key with roles" import_for session-identity s $secret --identity session --allow uid:$friend:client \
	gid:$friends:server
it "lets the server take what the client made" session_to $member:$friends
it "lets the client not be the server" not session_to $friend
it "says that it is unknown in that role" grep -q 'derive: unknown-identity' "$scene/err"
it "lets the server make none" refused unknown-identity client_as $member:$friends session
it "denies both to others" not session_to $stranger
it "says so" grep -q 'derive: denied' "$scene/err"
it "denies the one" refused denied client_as $stranger session
it "denies as it does for an identity that is not there" refused denied client_as $stranger nobody

manages()
{
	who=$1
	shift
	fails 1 '^tpm-psk: [a-z ]+: denied(: |$)' psk_as "$who" "$@"
}
printf 01 >"$scene/hex"
chmod 644 "$scene/hex"
it "lets nobody else import" manages $friend key import x --identity x --purpose tls12-session --allow uid:$friend \
	--hex-file "$scene/hex"
it "lets nobody else generate" manages $friend key generate x --identity x --purpose tls12-session --allow uid:$friend
it "lets nobody else adopt" manages $friend key adopt x --pem "$scene/hex" --identity x --purpose tls12-session \
	--allow uid:$friend
it "lets nobody else list" manages $friend key list
it "lets nobody else show" manages $friend key show k
it "lets nobody else allow" manages $friend key allow k uid:$friend
it "lets nobody else deny" manages $friend key deny k gid:$friends
it "lets nobody else remove" manages $friend key remove k
it "lets nobody else reload" manages $friend reload
it "has done nothing of that" prints "^allow +gid:$friends$" psk key show k
it "tells everyone its version" prints '^tpm-pskd [0-9.]+$' psk_as $stranger status
it "tells nobody else what it does" not prints '^(keys|derived|refused|now) |swtpm' psk_as $stranger status
stop_daemon

configure "\"admins\": [\"gid:$friends\"],"
start_daemon
it "takes a group as admins" psk_as $member:$friends key show k
it "asks them, and not root" manages 0 key show k
