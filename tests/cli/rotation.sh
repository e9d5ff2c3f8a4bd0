# SPDX-License-Identifier: BSD-2-Clause
# A key that takes another one's place: who is served with which, as peers move on one after the other.
. "$(dirname "$0")/lib.sh"

me=uid:$(id -u)
old=0a0b0c
new=0d0e0f
start_tpm
configure
start_daemon

import_session()
{
	import_for session-identity "$@"
}

# made_with HEX: what a client is given here is a session identity of the key with that secret, and its PSK.
made_with()
{
	made=$(as_client alpha) || return 1
	[ "$made" = "$(python3 "$TPMPSK_SOURCE/tests/cli/session.py" again "$1" "${made% *}")" ]
}

# accepts_of HEX [VERSION]: a client that has this secret in software.
accepts_of()
{
	make_session "$1" alpha "${2:-1}" && accepts
}

refuses_of()
{
	make_session "$1" alpha "${2:-1}" && refused forged as_server "$wire"
}

it "makes a key" import_session web $old --identity alpha --allow "$me"
it "serves clients with it" made_with $old
it "takes its session identities" accepts_of $old
it "takes none of a key that is not there yet" refuses_of $new
it "refuses a second key that replaces nothing" fails 1 ': exists: ' import_session web-2 $new --identity alpha --allow "$me"
it "refuses to replace a key that is not there" fails 1 'malformed.*replaces' import_session web-2 $new --identity beta \
	--replaces web --allow "$me"
it "refuses where a peer's key cannot be told" fails 1 'malformed.*second identity' import_for tls12-session web-2 $new \
	--identity alpha --replaces web --allow "$me"

it "lets a key take the place of another" import_session web-2 $new --identity alpha --replaces web --allow "$me"
it "says so of the new one" prints '^replaces +web$' psk key show web-2
it "says so of the old one" prints '^replaced by +web-2$' psk key show web
it "serves clients with the new one" made_with $new
it "takes session identities of the new one" accepts_of $new
it "takes those of the old one" accepts_of $old
accepts_once()
{
	make_session $old alpha 1 && accepts && refused replayed as_server "$wire"
}
it "takes those once, too" accepts_once
it "refuses what neither has made" refuses_of 010203
it "refuses a mode that neither has" refuses_of $old 2
it "refuses a third" fails 1 ': exists: ' import_session web-3 aa --identity alpha --replaces web-2 --allow "$me"

it "has both after a restart" eval 'stop_daemon && start_daemon && made_with $new && accepts_of $old && accepts_of $new'
it "has both after a reload" eval 'psk reload && made_with $new && accepts_of $old && accepts_of $new'

it "takes it back when the new one is removed" psk key remove web-2
it "serves clients with the old one again" made_with $old
it "takes nothing of the new one any more" refuses_of $new

it "changes the mode in the same way" import_session web-2 $new --identity alpha --replaces web --mode epoch --allow "$me"
it "takes the new mode" accepts_of $new 2
it "takes the old mode" accepts_of $old 1
it "does not mix them up" refuses_of $new 1

it "keeps who may use the old one only" eval "psk key deny web-2 $me && accepts_of $old"
it "gives such a one nothing of the new one" refused unknown-identity as_client alpha
it "lets go of the old one" eval "psk key allow web-2 $me && psk key remove web"
it "takes nothing of it any more" refuses_of $old 1
it "goes on with the new one" accepts_of $new 2
it "is ready for the next" import_session web-3 $old --identity alpha --replaces web-2 --allow "$me"
