# SPDX-License-Identifier: BSD-2-Clause
# What keeps the daemon from starting, or from reloading: one line that names the file and field, and nothing half done.
. "$(dirname "$0")/lib.sh"

me=uid:$(id -u)

# refuses PATTERN: the daemon does not start and says so in one line.
refuses()
{
	fails 1 "$1" timeout 60 "$TPMPSK_BUILD/daemon/tpm-pskd" --config "$scene/tpm-pskd.json"
}

# with FIELDS PATTERN: the same with these fields in the configuration.
with()
{
	configure "$1"
	refuses "$2"
}

check()
{
	configure "$1"
	fails 1 "$2" daemon --check-config
}

no_root()
{
	[ "$(id -u)" -ne 0 ]
}

config=$scene/tpm-pskd.json
start_tpm

it "prints its version" prints '^tpm-pskd [0-9]+\.[0-9]+\.[0-9]+$' daemon --version
it "prints help" prints '--config' daemon --help
it "refuses an option that does not exist" fails 2 'frobnicate' daemon --frobnicate
it "shows an option that does not exist as it may be shown" fails 2 '^tpm-pskd: --a\?b: ' daemon "$(printf -- '--a\033b')"
it "says that there is no such configuration" fails 1 "$scene/none.json: No such file" daemon --config "$scene/none.json"

configure
it "checks a configuration that is right" daemon --check-config
it "has made nothing by checking" not ls "$scene/keys" "$scene/socket"
it "names the file and line of wrong syntax" check '"queue": ,' "$config: line 2"
it "names a field that does not exist" check '"sokcet": "x",' "$config: line 2: .*sokcet"
it "names a field of the wrong type" check '"window_seconds": "30",' "$config: .*window_seconds"
it "names a number that is too big" check '"window_seconds": 4294967296,' "$config: .*window_seconds"
it "names a mode that is none" check '"socket_mode": "0888",' "$config: .*socket_mode"
it "names an admin that is none" check '"admins": ["root"],' "$config: .*admins"
it "names a limit that does not exist" check '"limits": { "conections": 1 },' "$config: .*conections"
it "names a limit of nothing" check '"limits": { "queue": 0 },' "$config: .*queue"
it "names a socket whose path is too long" check "\"socket\": \"$(printf '%0120d' 0)\"," "$config: .*socket"
it "takes comments" sh -c "printf '// a\n{ /* b */ \"audit\": \"off\" }' >'$config' && \
	'$TPMPSK_BUILD/daemon/tpm-pskd' --config '$config' --check-config"
it "does not start with a wrong configuration" with '"limits": 1,' "$config: .*limits"

it "says that there is no TPM" with "\"tcti\": \"swtpm:path=$scene/no-tpm\"," "no-tpm"
it "says that a TCTI does not exist" with '"tcti": "frobnicate:x",' "frobnicate"
it "says that a TPM's device does not exist" with "\"tcti\": \"device:$scene/tpm0\"," "$scene/tpm0"

it "says that the socket cannot be made" with "\"socket\": \"$scene/none/socket\"," "$scene/none"
it "says that the audit file cannot be made" with "\"audit\": \"$scene/none/audit\"," "$scene/none/audit"
mkfifo "$scene/fifo"
it "says that the audit file is a FIFO" with "\"audit\": \"$scene/fifo\"," "$scene/fifo: is not a regular file"
it "says that the audit file is a folder" with "\"audit\": \"$scene\"," "$scene: "
it "says that the key directory cannot be made" with "\"keys\": \"$scene/none/keys\"," "$scene/none/keys"
touch "$scene/file"
it "says that the key directory is none" with "\"keys\": \"file\"," "$scene/file"

configure
start_daemon
it "refuses to share a socket with another daemon" with '"keys": "keys2",' "$socket"
it "refuses to share keys with another daemon" with '"socket": "socket2",' "$scene/keys"
configure
it "leaves that other daemon alone" psk key generate k --identity I --purpose tls12-session --allow "$me"
it "leaves nothing behind" not ls "$scene/socket2"

answer=$(derive I)
still()
{
	[ "$(derive I)" = "$answer" ]
}
reload_fails()
{
	fails 1 "^tpm-psk: reload: malformed: .*$1" psk reload
}
it "reloads" psk reload
configure '"sokcet": 1,'
it "refuses to reload a wrong configuration" reload_fails "$config: line 2: .*sokcet"
it "serves on" still
configure
cp "$scene/keys/k.json" "$scene/good.json"
sed 's/tls12-session/tls12/' "$scene/good.json" >"$scene/keys/k.json"
it "refuses to reload a wrong policy" reload_fails "k\.json: .*purpose"
it "serves on with the old policy" still
sed 's/"identity"/"identitty"/' "$scene/good.json" >"$scene/keys/k.json"
it "names a policy's field that does not exist" reload_fails "k\.json: line [0-9]+: .*identitty"
hup()
{
	kill -HUP "$daemon_pid"
	eventually grep -q 'identitty' "$scene/daemon.log"
}
it "says so, too, when asked by SIGHUP" hup
it "serves on after that" still
it "is unchanged to who looks" prints '^purpose +tls12-session$' psk key show k
stop_daemon
it "does not start with a wrong policy" refuses "$scene/keys/k\.json: line [0-9]+: .*identitty"
cp "$scene/good.json" "$scene/keys/k.json"
cp "$scene/keys/k.pem" "$scene/good.pem"
head -n 2 "$scene/good.pem" >"$scene/keys/k.pem"
it "does not start with a key file that is cut short" refuses "$scene/keys/k\.pem: "
cp "$scene/good.pem" "$scene/keys/k.pem"
sed 's/"I"/"J"/' "$scene/good.json" >"$scene/keys/k.json"
start_daemon
it "takes a policy that was edited" sh -c "'$tpm_psk' --socket '$socket' key show k | grep -Eq '^identity +J$'"
sed "s/\"uid:$(id -u)\"/\"uid:1234567\"/" "$scene/good.json" >"$scene/keys/k.json"
it "reloads a policy that was edited" psk reload
it "goes by it at once" fails 1 'denied' derive I
cp "$scene/good.json" "$scene/keys/k.json"
it "reloads it again" psk reload
it "derives as before" still
it "ends with status 0" sh -c "kill -TERM $daemon_pid"
wait "$daemon_pid"
it "has ended with status 0" test $? -eq 0
daemon_pid=
it "has removed its socket" not ls "$socket"

# What a killed daemon leaves at the socket's place is no daemon.
start_daemon
kill -9 "$daemon_pid"
wait "$daemon_pid" 2>/dev/null
start_daemon
it "starts where a daemon was killed" still
stop_daemon

if no_root; then
	mkdir "$scene/locked"
	chmod 500 "$scene/locked"
	it "says that the key directory cannot be written" with "\"keys\": \"locked\"," "$scene/locked"
else
	# Root may write anywhere but on what is mounted read-only.
	skip "says that the key directory cannot be written" "root may write to it"
fi

# A disk that is full: a small file system of one's own, which needs root and the right to mount.
mkdir "$scene/small"
if no_root || ! mount -t tmpfs -o size=64k,mode=755 none "$scene/small" 2>/dev/null; then
	skip "a full disk" "cannot mount a tmpfs"
	skip "a read-only disk" "cannot mount a tmpfs"
	exit 0
fi
at_exit()
{
	umount "$scene/small"
}
configure '"keys": "small/keys",'
start_daemon
generate()
{
	psk key generate "$1" --identity "$1" --purpose tls12-session --allow "$me"
}
it "stores keys while there is room" generate before
dd if=/dev/zero of="$scene/small/fill" bs=4k 2>/dev/null
it "says that the disk is full" fails 1 'internal: .*small/keys: .*disk is full' generate full
it "has stored nothing of that key" sh -c "! ls -A '$scene/small/keys' | grep full"
it "serves on with a full disk" psk derive --identity before --purpose tls12-session --client-random $random_a \
	--server-random $random_b
it "cannot change a policy on a full disk" fails 1 'internal: .*small/keys: .*disk is full' psk key allow before uid:4711
it "has the old policy then" prints "^allow +$me$" psk key show before
rm "$scene/small/fill"
it "stores keys when there is room again" generate full
stop_daemon
mount -o remount,ro "$scene/small"
it "says that the key directory cannot be written" refuses "$scene/small/keys"
mount -o remount,rw "$scene/small"
