#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# What an administrator does with tpm-pskd in its first hour and after, on a machine of its own that run.sh has booted:
# installs it, starts it, makes a key, has users use it, breaks it, upgrades it and removes it. Destroys the machine's
# configuration: not for any other.
#
# /scenario has the packages, the example programs, README.md of systemd/, whose commands and files are used as they
# stand there, and `tpm`: "software", for which a software TPM is set up, or "device". One line for each test goes to
# /scenario/results.
set -u
cd /scenario || exit 1
[ -e scenario.service ] || [ -e /etc/systemd/system/scenario.service ] || exit 1
exec 3>/scenario/results
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive HOME=/root

tests=0
tpm=$(cat tpm)
config=/etc/tpm-pskd/tpm-pskd.json
socket=/run/tpm-pskd/socket
out=$(mktemp -d)
chmod 755 "$out"

# it NAME COMMAND...
it()
{
	tests=$((tests + 1))
	name=$1
	shift
	if "$@" >"$out/it" 2>&1; then
		echo "ok $tests - $name" >&3
		return 0
	fi
	{
		echo "not ok $tests - $name"
		{
			echo "$*"
			cat "$out/it"
			journalctl -u tpm-pskd.service -u tpm-pskd.socket -n 12 --no-pager
		} 2>&1 | sed 's/^/# /'
	} >&3
	return 0
}

skip()
{
	tests=$((tests + 1))
	echo "ok $tests - $1 # SKIP $2" >&3
}

not()
{
	! "$@"
}

# eventually COMMAND...: within a minute.
eventually()
{
	end=$(($(date +%s) + 60))
	until "$@"; do
		[ "$(date +%s)" -lt "$end" ] || return 1
		sleep 0.1
	done
}

# documented COMMAND: as it stands in README.md.
documented()
{
	grep -qxF "    $1" README.md || { echo "not in README.md: $1"; return 1; }
	echo "ran: $1" >&3
	eval "$1"
}

# documented_file PATH: the block behind the paragraph of README.md that names it.
documented_file()
{
	mkdir -p "$(dirname "$1")" &&
		awk -v path="\`$1\`" '
			index($0, path) { named = 1 }
			named && /^```/ && inside { exit }
			named && /^```/ { inside = 1; next }
			inside { print }
		' README.md >"$1" && [ -s "$1" ]
}

unit()
{
	systemctl show -P "$1" tpm-pskd.service
}


running()
{
	[ "$(unit ActiveState)/$(unit SubState)" = active/running ]
}

# restarted OLD_PID: it runs, as another process.
restarted()
{
	running && [ "$(unit MainPID)" != "$1" ]
}

process_status()
{
	sed -n "s/^$1:[[:space:]]*//p" "/proc/$(unit MainPID)/status"
}

as()
{
	user=$1
	shift
	runuser -u "$user" -- "$@"
}

# set_field FIELD STRING: in the configuration.
set_field()
{
	sed -i "s|\"$1\": \"[^\"]*\"|\"$1\": \"$2\"|" $config && grep -qF "\"$1\": \"$2\"" $config
}

configure()
{
	set_field tcti "$1"
}

uses_tcti()
{
	tpm-psk --timeout 30000 status | grep -F "$1"
}

# handshake CLIENT_USER: bob serves it; the PSKs that both saw are in $out/client and $out/server.
handshake()
{
	: >"$out/server"
	runuser -u bob -- /scenario/bin/psk-server --listen 127.0.0.1:0 --count 1 --print-psk --timeout 60000 \
		>"$out/server" 2>"$out/server.log" &
	server=$!
	eventually grep -q '^listening on ' "$out/server" || return 1
	runuser -u "$1" -- /scenario/bin/psk-client --connect "$(sed -n 's/^listening on //p' "$out/server")" --timeout 60000 \
		--identity Client1 --message "hello from $1" --print-psk >"$out/client" 2>"$out/client.log"
	answer=$?
	wait "$server"
	cat "$out/client" "$out/client.log" "$out/server" "$out/server.log"
	[ "$answer" -eq 0 ] && grep -q "hello from $1" "$out/client"
}

psk_of()
{
	sed -n 's/^psk //p' "$out/$1"
}

agree()
{
	handshake alice && [ -n "$(psk_of client)" ] && [ "$(psk_of client)" = "$(psk_of server)" ]
}

differ()
{
	before=$(psk_of client)
	agree && [ "$(psk_of client)" != "$before" ]
}

# refused STATUS USER: as a client, that one gets nothing but that word.
refused()
{
	as "$2" tpm-psk derive --identity Client1 --purpose session-identity --role client 2>"$out/refused" && return 1
	cat "$out/refused"
	grep -q ": $1" "$out/refused"
}

denied()
{
	refused denied "$1"
}

# logged FIELD VALUE PATTERN: a line of the daemon's in the journal.
logged()
{
	journalctl -u tpm-pskd.service "$1=$2" -o cat --no-pager | grep -E "$3"
}

installed_quietly()
{
	not systemctl is-enabled tpm-pskd.socket && not systemctl is-active tpm-pskd.socket &&
		not systemctl is-enabled tpm-pskd.service && not systemctl is-active tpm-pskd.service && [ ! -e $socket ]
}

has_tpm()
{
	documented "ls -l /dev/tpmrm0" && [ "$(stat -c '%G %a' /dev/tpmrm0)" = "tss 660" ]
}

own_user()
{
	id tpm-pskd && getent passwd tpm-pskd | grep ':/usr/sbin/nologin$' && not sh -c 'id -nG tpm-pskd | grep -w tss'
}

# listens MODE OWNER: the socket is there, and nobody was started.
listens()
{
	[ "$(stat -c '%F %a %U' $socket)" = "socket $1 $2" ] && not systemctl is-active tpm-pskd.service
}

confined()
{
	process_status Groups | grep -w "$(getent group tss | cut -d: -f3)" &&
		[ "$(process_status Uid | cut -f1)" = "$(id -u tpm-pskd)" ] &&
		[ "$(process_status CapEff)" = 0000000000000000 ] && [ "$(process_status CapBnd)" = 0000000000000000 ] &&
		[ "$(process_status NoNewPrivs)" = 1 ] && [ "$(process_status Seccomp)" = 2 ]
}

private()
{
	[ "$(stat -c '%a %U' /var/lib/tpm-pskd /var/lib/tpm-pskd/keys | sort -u)" = "700 tpm-pskd" ] &&
		[ "$(stat -c '%a %U' /var/lib/tpm-pskd/keys/web.* | sort -u)" = "600 tpm-pskd" ]
}

# Tries what the unit forbids, in a service with the same settings and another program.
outside()
{
	systemctl cat tpm-pskd.service | grep -vE '^(#|Type=|Exec|Restart|Watchdog|StateDirectory|LogsDirectory|Requires=|After=|\[Install|WantedBy)' \
		>/run/systemd/system/probe.service &&
		printf '[Service]\nType=oneshot\nExecStart=%s\n' "$1" >>/run/systemd/system/probe.service &&
		systemctl daemon-reload && systemctl start probe.service
}

confines()
{
	outside /bin/true && not outside "/usr/bin/touch /etc/x" && not outside "/usr/bin/touch /var/lib/x" &&
		not outside "/bin/ls /root" && not outside "/usr/bin/chown bob /proc/self/fd/0"
}

# reload_fails: with a configuration that is wrong; the same process serves on.
reload_fails()
{
	pid=$(unit MainPID)
	cp -p $config "$out/config" && sed -i 's/"window_seconds"/"widow_seconds"/' $config || return 1
	documented "tpm-pskd --check-config"
	wrong=$?
	documented "systemctl reload tpm-pskd.service"
	refused=$?
	cp -p "$out/config" $config
	[ "$wrong" -ne 0 ] && [ "$refused" -ne 0 ] && running && [ "$(unit MainPID)" = "$pid" ] && agree
}

# A policy that was edited by hand.
reload_takes()
{
	pid=$(unit MainPID)
	sed -i 's/user:alice:client/user:carol:client/' /var/lib/tpm-pskd/keys/web.json || return 1
	documented "tpm-pskd --check-config" && documented "systemctl reload tpm-pskd.service" || return 1
	eventually denied alice && as carol tpm-psk derive --identity Client1 --purpose session-identity --role client || return 1
	sed -i 's/user:carol:client/user:alice:client/' /var/lib/tpm-pskd/keys/web.json
	systemctl reload tpm-pskd.service && eventually denied carol && [ "$(unit MainPID)" = "$pid" ]
}

# With a shorter patience than the unit's.
watchdog_kills()
{
	mkdir -p /run/systemd/system/tpm-pskd.service.d
	printf '[Service]\nWatchdogSec=3\n' >/run/systemd/system/tpm-pskd.service.d/watchdog.conf
	systemctl daemon-reload && systemctl restart tpm-pskd.service || return 1
	pid=$(unit MainPID)
	kill -STOP "$pid" || return 1
	# Who asks now waits, and is answered by the next one.
	tpm-psk --timeout 60000 status || return 1
	eventually restarted "$pid" && [ "$(unit NRestarts)" -ge 1 ] && journalctl -u tpm-pskd.service --no-pager | grep -i watchdog
}

patience_is_back()
{
	rm /run/systemd/system/tpm-pskd.service.d/watchdog.conf
	systemctl daemon-reload && systemctl restart tpm-pskd.service && [ "$(unit WatchdogUSec)" = 30s ]
}

survives_kill()
{
	pid=$(unit MainPID)
	kill -KILL "$pid" && tpm-psk --timeout 60000 status && eventually restarted "$pid" && agree
}

stops()
{
	pid=$(unit MainPID)
	systemctl stop tpm-pskd.service && [ ! -e "/proc/$pid" ] && [ "$(unit Result)" = success ] &&
		[ "$(unit ExecMainStatus)" = 0 ] && systemctl is-active tpm-pskd.socket && [ -S $socket ]
}

nobody_listens()
{
	systemctl stop tpm-pskd.socket && not systemctl is-active tpm-pskd.service && [ ! -e $socket ] || return 1
	tpm-psk status 2>"$out/nobody" && return 1
	cat "$out/nobody"
	grep -q no-daemon "$out/nobody" && systemctl start tpm-pskd.socket
}

# The TPM goes away while the daemon is down, and comes later.
waits_for_tpm()
{
	systemctl stop tpm-pskd.service swtpm.service || return 1
	tpm-psk --timeout 1000 status >"$out/waiting" 2>&1 && return 1
	eventually sh -c '[ "$(systemctl show -P NRestarts tpm-pskd.service)" -ge 3 ]' || return 1
	systemctl start swtpm.service && tpm-psk --timeout 60000 status && agree
}

swtpm_by_tcp()
{
	systemctl stop tpm-pskd.service swtpm.service &&
		documented_file /etc/systemd/system/tpm-pskd.service.d/swtpm.conf && systemctl daemon-reload &&
		systemd-run --unit=swtpm-tcp --property=User=tss --property=StateDirectory=swtpm /usr/bin/swtpm socket --tpm2 \
			--tpmstate dir=/var/lib/swtpm --flags not-need-init,startup-clear \
			--server type=tcp,port=2321 --ctrl type=tcp,port=2322 &&
		configure swtpm:host=127.0.0.1,port=2321 && uses_tcti swtpm:host=127.0.0.1 && agree
}

swtpm_by_path_again()
{
	systemctl stop tpm-pskd.service swtpm-tcp.service && rm -r /etc/systemd/system/tpm-pskd.service.d &&
		systemctl daemon-reload && systemctl start swtpm.service && configure swtpm:path=/run/swtpm/tpm &&
		uses_tcti swtpm:path && agree
}

direct_device()
{
	documented_file /etc/udev/rules.d/61-tpm-pskd.rules && documented "udevadm control --reload" &&
		documented "udevadm trigger --settle /dev/tpm0" && ls -l /dev/tpm0 && configure device:/dev/tpm0 &&
		documented "systemctl restart tpm-pskd.service" && uses_tcti device:/dev/tpm0 && agree
}

no_other_device()
{
	outside "/bin/dd if=/dev/null of=/dev/tpmrm0 count=0" && mknod -m 666 /dev/other c 1 1 && not outside "/bin/dd if=/dev/other count=1"
}

audited()
{
	logged _UID "$(id -u tpm-pskd)" '"request":"derive".*"identity":"Client1.*"status":"ok"'
}

audited_denial()
{
	logged _SYSTEMD_UNIT tpm-pskd.service "\"uid\":$(id -u carol),.*\"request\":\"derive\".*\"status\":\"denied\""
}

# The unit of whoever asked, from /proc, which the daemon's own unit must leave it.
audits_unit()
{
	systemd-run --quiet --wait --unit=alice-at-work --property=User=alice \
		/usr/bin/tpm-psk derive --identity Client1 --purpose session-identity --role client &&
		logged _SYSTEMD_UNIT tpm-pskd.service '"unit":"alice-at-work.service"'
}

found_by_field()
{
	documented "journalctl SYSLOG_IDENTIFIER=tpm-pskd TPM_PSKD_STATUS=denied" | grep "\"uid\":$(id -u carol)"
}

audits_to_journal()
{
	set_field audit journal && systemctl reload tpm-pskd.service && eventually audits_to_journal_now
}

# The reload is over when the daemon says so, which is a little later.
audits_to_journal_now()
{
	denied carol && found_by_field
}

in_file()
{
	denied carol && grep "\"uid\":$(id -u carol).*denied" /var/log/tpm-pskd/audit.log
}

# A folder that was not in the configuration at the start is not in the sandbox.
audits_to_file()
{
	set_field audit /var/log/tpm-pskd/audit.log && systemctl restart tpm-pskd.service && eventually in_file &&
		[ "$(stat -c '%a %U' /var/log/tpm-pskd/audit.log)" = "600 tpm-pskd" ] &&
		logrotate -f /etc/logrotate.d/tpm-pskd && [ -s /var/log/tpm-pskd/audit.log.1 ] && eventually in_file &&
		set_field audit stderr && systemctl reload tpm-pskd.service
}

# What the daemon itself complains of. A container cannot be given more memory to lock than its host allows.
unworried()
{
	journalctl -u tpm-pskd.service _COMM=tpm-pskd -p warning -o cat --no-pager >"$out/worries"
	if ! grep -q '^Max locked memory *unlimited' "/proc/$(unit MainPID)/limits"; then
		[ "$tpm" = software ] && sed -i '/^lock memory: /d' "$out/worries"
	fi
	cat "$out/worries"
	[ ! -s "$out/worries" ]
}

# The daemon's own sandbox, within what the unit leaves it.
sandboxed()
{
	not logged _COMM tpm-pskd '^sandbox: '
}

prioritised()
{
	logged PRIORITY 5 '^ready: '
}

# ask_without_end FILE: as often as possible until FILE is gone; what is refused is written down.
ask_without_end()
{
	while [ -e "$1" ]; do
		tpm-psk --timeout 60000 status >/dev/null 2>>"$1.refused" || echo failed >>"$1.refused"
		echo >>"$1.asked"
	done
}

upgrades()
{
	pid=$(unit MainPID)
	inode=$(stat -c %i $socket)
	keys=$(cat /var/lib/tpm-pskd/keys/* | sha256sum)
	sum=$(sha256sum <$config)
	: >"$out/asking"
	ask_without_end "$out/asking" &
	asking=$!
	apt-get install ./next/*.deb
	upgraded=$?
	eventually restarted "$pid"
	back=$?
	rm "$out/asking"
	wait "$asking"
	wc -l "$out/asking.asked"
	cat "$out/asking.refused"
	[ "$upgraded" -eq 0 ] && [ "$back" -eq 0 ] && [ ! -s "$out/asking.refused" ] && [ -s "$out/asking.asked" ] &&
		[ "$(stat -c %i $socket)" = "$inode" ] && [ "$(cat /var/lib/tpm-pskd/keys/* | sha256sum)" = "$keys" ] &&
		[ "$(sha256sum <$config)" = "$sum" ] && [ -e $config.dpkg-dist ] && systemctl is-enabled tpm-pskd.socket &&
		dpkg -s tpm-pskd | grep '^Version: .*+next$' && agree
}

removes()
{
	keys=$(cat /var/lib/tpm-pskd/keys/* | sha256sum)
	sum=$(sha256sum <$config)
	documented "apt-get remove tpm-pskd" && [ ! -e /usr/sbin/tpm-pskd ] && [ ! -e $socket ] &&
		not systemctl is-active tpm-pskd.socket && not pgrep -u tpm-pskd &&
		[ "$(cat /var/lib/tpm-pskd/keys/* | sha256sum)" = "$keys" ] && [ "$(sha256sum <$config)" = "$sum" ] && id tpm-pskd
}

installs_again()
{
	apt-get install ./tpm-pskd_*.deb && systemctl is-enabled tpm-pskd.socket && systemctl is-active tpm-pskd.socket && agree
}

purges()
{
	documented "apt-get purge tpm-pskd" && not id tpm-pskd && not getent group tpm-pskd && not pgrep tpm-pskd || return 1
	find / -xdev -path /scenario -prune -o -path /proc -prune -o -path /var/cache -prune -o -path /var/log/journal -prune -o \
		-path /run/log -prune -o -name '*tpm-pskd*' -print >"$out/left"
	cat "$out/left"
	grep -vE '^/tmp/|^/etc/(udev|passwd|group|shadow|gshadow)|^/run/systemd|/var/tmp/|^/var/lib/dpkg/' "$out/left" && return 1
	getent group tss
}

cat >/etc/apt/apt.conf.d/90scenario <<-'APT'
	APT::Get::Assume-Yes "true";
	APT::Install-Recommends "false";
	Dpkg::Options { "--force-confdef"; "--force-confold"; };
APT
for user in alice bob carol; do
	useradd --create-home "$user"
done

it "is installed" documented "apt-get install ./tpm-pskd_*.deb ./libtpmpsk0_*.deb ./libtpmpsk-gnutls0_*.deb"
[ -x /usr/sbin/tpm-pskd ] || exit 1
it "starts nothing by that" installed_quietly
it "has a user of its own, who may not log in nor open the TPM elsewhere" own_user
it "has a configuration that is right" tpm-pskd --check-config
if [ "$tpm" = software ]; then
	it "a software TPM is set up" documented_file /etc/systemd/system/swtpm.service
	it "a software TPM is taken up" documented "systemctl daemon-reload"
	it "a software TPM is started" documented "systemctl enable --now swtpm.service"
	it "a software TPM is configured" configure swtpm:path=/run/swtpm/tpm
else
	it "has a TPM" has_tpm
fi
it "is enabled" documented "systemctl enable --now tpm-pskd.socket"
it "listens before it runs" listens 666 root
it "is started by who asks" documented "tpm-psk status"
it "is found to be in health" documented "tpm-psk doctor"
it "runs" documented "systemctl status tpm-pskd.service"
it "is in the journal" documented "journalctl -u tpm-pskd.service"
it "has nothing to complain of" unworried
it "has no privileges" confined
if [ "$tpm" = device ]; then
	it "has all of its own sandbox, too" sandboxed
fi
it "is enabled to start at boot" documented "systemctl enable tpm-pskd.service"
it "a secret is made" documented "head -c 32 /dev/urandom > secret"
it "a key is imported" documented \
	"tpm-psk key import web --identity Client1 --purpose session-identity --allow user:alice:client user:bob:server --secret-file secret"
it "the secret is destroyed" documented "shred -u secret"
it "lists the key" documented "tpm-psk key list"
it "keeps its keys to itself" private
it "one user serves, another connects, and both have the same PSK" agree
it "the next handshake has another PSK" differ
it "refuses a user who is not on the list" denied carol
it "refuses root, who is not on the list" denied root
it "refuses a user in the wrong role" refused unknown-identity bob
it "says in the journal what it is" documented "journalctl -u tpm-pskd.service -n 20"
it "says in the journal who got what" audited
it "says in the journal who got nothing" audited_denial
it "says in the journal from which unit it was asked" audits_unit
it "has priorities in the journal" prioritised
it "has important lines in the journal" documented "journalctl -u tpm-pskd.service -p notice"
it "is kept from everything else by its unit" confines
it "fails to reload a wrong configuration, and goes on" reload_fails
it "reloads" reload_takes
it "writes its audit to the journal, with fields" audits_to_journal
it "writes its audit to a file that logrotate takes away" audits_to_file
it "is killed by the watchdog when it hangs, and starts again" watchdog_kills
it "has its patience back" patience_is_back
it "starts again after a kill" survives_kill
it "stops, and its socket stays" stops
it "starts again when asked" tpm-psk --timeout 60000 status
it "is gone when its socket is stopped" nobody_listens
it "restarts" documented "systemctl restart tpm-pskd.service"
if [ "$tpm" = software ]; then
	it "waits for a TPM that comes late" waits_for_tpm
	it "uses a software TPM by TCP with a drop-in" swtpm_by_tcp
	it "uses a software TPM by path again" swtpm_by_path_again
else
	it "opens no device but the TPM's" no_other_device
	it "uses /dev/tpm0 with a rule" direct_device
fi
it "is upgraded, with nothing lost and nobody refused" upgrades
it "is removed, but for keys, configuration and user" removes
it "is installed again, and goes on with the same keys" installs_again
it "is purged, and nothing stays" purges
echo "1..$tests" >&3
echo "scenario: done" >&3
