# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh
# Keys made by tpm2-tools, as somebody makes them who has never heard of the daemon. To be read with `.` behind lib.sh. The tools have the
# TPM to themselves, before the daemon starts: swtpm serves one at a time.

# shellcheck disable=SC2154 # lib.sh sets it
TPM2TOOLS_TCTI=swtpm:path=$scene/swtpm
export TPM2TOOLS_TCTI

# with_tools FILE COMMAND...: a key file of what the command, tpm2_create or tpm2_import, makes with these options.
with_tools()
{
	file=$1
	command=$2
	shift 2
	tpm2_createprimary -Q -C o -G ecc256:aes128cfb -c "$scene/primary.ctx" \
		-a 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt' &&
		"$command" -Q -C "$scene/primary.ctx" -u "$scene/key.pub" -r "$scene/key.priv" "$@" &&
		tpm2_encodeobject -Q -C "$scene/primary.ctx" -u "$scene/key.pub" -r "$scene/key.priv" -o "$file" &&
		tpm2_flushcontext -Q -t && tpm2_flushcontext -Q -l && tpm2_flushcontext -Q -s
}
