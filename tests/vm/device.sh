# SPDX-License-Identifier: BSD-2-Clause
# The daemon on a kernel's device, $TPMPSK_DEVICE, beside others who use the TPM through /dev/tpmrm0.
. "$(dirname "$0")/../cli/lib.sh"

secret=0a0b0c
export TPM2TOOLS_TCTI=device:/dev/tpmrm0

# Objects that are loaded now, as /dev/tpmrm0 does not show them: by the device itself.
transient()
{
	tpm2_getcap -T device:/dev/tpm0 handles-transient
}

other_user()
{
	tpm2_createprimary -Q -G ecc -c "$scene/other.ctx" && tpm2_create -Q -C "$scene/other.ctx" -G hmac \
		-u "$scene/other.pub" -r "$scene/other.priv" -c "$scene/other-key.ctx" &&
		echo input | tpm2_hmac -c "$scene/other-key.ctx" --hex >"$scene/other.hmac"
}

it "has both devices" test -c /dev/tpm0 -a -c /dev/tpmrm0
configure
start_daemon
it "takes a key" import k $secret --identity one --allow "uid:$(id -u)"
it "derives" derives one $secret
it "leaves room for others" other_user
it "derives after others have used the TPM" derives one $secret
it "takes a second key" import l 0d0e --identity two --allow "uid:$(id -u)"
# Both at once, and somebody else, for as long as that takes.
together()
{
	for identity in "one $secret" "two 0d0e"; do
		(for _ in 1 2 3 4 5 6 7 8; do
			# shellcheck disable=SC2086
			derives $identity || exit 1
		done) &
		pids="${pids:-} $!"
	done
	other_user || return 1
	for pid in $pids; do
		wait "$pid" || return 1
	done
}
it "derives under two keys while others use the TPM" together
it "ends in order" kill -TERM "$daemon_pid"
wait "$daemon_pid"
it "says so" test $? -eq 0
daemon_pid=
it "leaves nothing in the TPM" test -z "$(transient)"
start_daemon
kill -KILL "$daemon_pid"
wait "$daemon_pid" 2>/dev/null
daemon_pid=
start_daemon
it "serves after it was killed" derives two 0d0e
