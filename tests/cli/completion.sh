# SPDX-License-Identifier: BSD-2-Clause
# What bash and zsh complete behind tpm-psk.
. "$(dirname "$0")/lib.sh"

start_tpm
configure
start_daemon
import web 0a --identity alpha --allow uid:4711
import web-tls13 0b --identity beta --allow uid:4711
export TPM_PSK_SOCKET="$socket"

# completes SHELL: the pairs of lines from standard input.
completes()
{
	command -v "$1" >/dev/null || { skip "$1 completes" "there is no $1"; return; }
	mkdir "$scene/$1"
	(cd "$scene/$1" && python3 "$TPMPSK_SOURCE/tests/cli/completion.py" "$1" "$TPMPSK_SOURCE/keys/completion.$1" "$TPMPSK_BUILD/keys") \
		>"$scene/$1.tap" 2>&1
	it "$1 ends" test $? -eq 0
	while IFS= read -r line; do
		case $line in
		"ok - "* | "not ok - "*)
			tests=$((tests + 1))
			echo "${line%% - *} $tests - ${line#* - }"
			;;
		*) echo "# ${line#\# }" ;;
		esac
	done <"$scene/$1.tap"
}

both='tpm-psk met
tpm-psk metrics
tpm-psk key gen
tpm-psk key generate
tpm-psk key show web-
tpm-psk key show web-tls13
tpm-psk key import new --secr
tpm-psk key import new --secret-file
tpm-psk key generate new --purpose tls12-s
--purpose tls12-session
tpm-psk key generate new --purpose exporter-k
--purpose exporter-kdf
tpm-psk key generate new --mode e
--mode epoch
tpm-psk key generate new --algorithm rsa
--algorithm rsa-2048
tpm-psk --timeout 3000 derive --ro
derive --role
tpm-psk derive --role s
--role server
tpm-psk status --j
status --json
tpm-psk key allow web user:www-d
user:www-data
tpm-psk key import new --allow group:nogro
group:nogroup
tpm-psk key generate new --replaces web-
--replaces web-tls13
tpm-psk key sh
key show'

completes bash <<EOF
$both
tpm-psk key 
(?s)adopt.*import.*show.*allow.*remove
tpm-psk 
(?s)bench.*doctor.*top.*key.*status
tpm-psk key show 
web +web-tls13
EOF
completes zsh <<EOF
$both
tpm-psk key 
adopt +-- Takes
tpm-psk 
doctor +-- Looks
EOF
