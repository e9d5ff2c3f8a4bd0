# SPDX-License-Identifier: BSD-2-Clause
# Session identities while the clock of the daemon's machine does as it likes.
. "$(dirname "$0")/lib.sh"

me=uid:$(id -u)
secret=c13614b81ba3bc5034813a297ab52bbf78ab071ef26bc040296e5485a848461d
hour=3600000

# clock WHEN: see clock.c.
clock()
{
	echo "$1" >"$scene/clock.new"
	mv "$scene/clock.new" "$scene/clock"
}

start_daemon_with_clock()
{
	start_daemon TPMPSK_TEST_CLOCK="$scene/clock" LD_PRELOAD="$TPMPSK_BUILD/tests/cli/clock.so" \
		ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0"
}

# takes and sees STATUS: as in sessions.sh, of a session identity that is that many milliseconds off the real time.
takes()
{
	make_session $secret Client1 1 "$1" && accepts
}

sees()
{
	make_session $secret Client1 1 "$2" && refused "$1" as_server "$wire"
}

start_tpm
configure '"window_seconds": 5, "replay_entries": 4096,'
clock +0
start_daemon_with_clock
import_for session-identity k $secret --identity Client1 --allow "$me"

it "takes a session identity" takes 0
first=$wire
it "takes it once" refused replayed as_server "$first"
it "takes one that is somewhat ahead" takes 3000

clock +$hour
it "refuses the first an hour ahead" refused expired as_server "$first"
it "serves clients whose clocks are an hour ahead, too" takes $hour
ahead=$wire
it "serves them once" refused replayed as_server "$ahead"
it "refuses clients whose clocks are right" sees expired 0
clock +0
it "still knows the first when the clock is right again" refused replayed as_server "$first"
it "refuses the one of an hour ahead" refused expired as_server "$ahead"
it "serves at once" takes 0
second=$wire
clock -$hour
it "refuses the first an hour before" refused expired as_server "$first"
it "serves clients whose clocks are an hour behind, too" takes -$hour
behind=$wire
it "serves them once, too" refused replayed as_server "$behind"
clock +0
it "still knows the second" refused replayed as_server "$second"
it "refuses the one of an hour before" refused expired as_server "$behind"
it "serves at once again" takes 0

# An hour ahead the daemon forgets what is out of the window, once the window has passed in real time. Back at the time of the second it then
# is `expired`, as one that nobody remembers; until then `replayed`; and never right.
session()
{
	python3 "$TPMPSK_SOURCE/tests/cli/session.py" "$@"
}
forgotten()
{
	clock +$hour
	takes $hour || return 1
	clock "=$(session time "$second")"
	! as_server "$second" 2>"$scene/answer" || touch "$scene/taken"
	grep -q ': expired' "$scene/answer"
}
it "forgets, in time" eventually forgotten
it "does not take what it has forgotten when its time comes back" not ls "$scene/taken"
it "nor what came before that" refused expired as_server "$first"
clock +0
it "serves when the clock is right" takes 0
it "serves clients that are somewhat ahead" takes 3000
it "serves clients that are somewhat behind" takes -1000
it "has not grown for it" test "$(status_of sessions.replay_bytes)" -le "$(status_of sessions.replay_bytes_max)"
psk key remove k
stop_daemon

# The known answers with the daemon in the role of the server, at their time.
configure
start_daemon_with_clock
sessions()
{
	python3 - "$TPMPSK_SOURCE/tests/data/vectors.json" <<-'PYTHON'
		import json, sys
		for v in json.load(open(sys.argv[1])):
		    if v["purpose"] == "session-identity":
		        print(v["version"], v["unix_ms"], v["key"], v["identity"], v["session_identity"], v["psk"])
	PYTHON
}
sessions >"$scene/vectors"
it "has vectors of both modes" test "$(cut -d ' ' -f 1 "$scene/vectors" | sort | uniq -c | awk '$1 >= 4' | wc -l)" -eq 2
while read -r version unix_ms key identity wire answer; do
	mode=strict
	[ "$version" -eq 1 ] || mode=epoch
	clock "=$unix_ms"
	import_for session-identity vector "$key" --identity-hex "$identity" --mode $mode --allow "$me"
	it "gives the known answer at $unix_ms ($mode, ${#identity} hex digits)" accepts
	psk key remove vector
done <"$scene/vectors"

# The edges of the window, to the millisecond.
import_for session-identity k $secret --identity Client1 --allow "$me"
at=1790000000000
clock "=$at"
edge()
{
	make_session $secret Client1 1 "$1" $at && accepts
}
beyond()
{
	make_session $secret Client1 1 "$1" $at && refused expired as_server "$wire"
}
it "takes one that is 30.000 s old" edge -30000
it "refuses one that is 30.001 s old" beyond -30001
it "refuses one that is 31 s old" beyond -31000
it "takes one that is 30.000 s ahead" edge 30000
it "refuses one that is 30.001 s ahead" beyond 30001
it "refuses one that is 31 s ahead" beyond 31000

# An epoch's end: both epochs' identities are good on both sides of it.
at=$((5966667 * 300000))
clock "=$at"
it "takes one of the epoch before" edge -1
it "takes one of the new epoch" edge 0
clock "=$((at - 1000))"
it "takes one of the new epoch before it has begun" edge 1
kill "$daemon_pid"
wait "$daemon_pid"
it "ends in order" test $? -eq 0
daemon_pid=
