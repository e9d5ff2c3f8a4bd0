# SPDX-License-Identifier: BSD-2-Clause
# Promises about the tree itself.
. "$(dirname "$0")/lib.sh"

cd "$TPMPSK_SOURCE" || exit 1
licensed()
{
	! grep -L 'SPDX-License-Identifier: BSD-2-Clause' */*.[ch] tests/*/*.[ch] tests/*/*.sh tests/*/*.py tests/run.sh examples/*.sh | grep .
}
it "every source file has a licence line" licensed

installed()
{
	DESTDIR=$scene/root meson install -C "$TPMPSK_BUILD" --no-rebuild >"$scene/install.log" 2>&1 || {
		cat "$scene/install.log"
		return 1
	}
	(cd "$scene/root" && find . -type f | sort)
	for file in sbin/tpm-pskd bin/tpm-psk include/tpmpsk.h include/tpmpsk-gnutls.h libtpmpsk.so.0 libtpmpsk-gnutls.so.0 \
		completions/tpm-psk site-functions/_tpm-psk man8/tpm-pskd.8 man3/tpmpsk.3 pkgconfig/libtpmpsk.pc pkgconfig/libtpmpsk-gnutls.pc tpm-pskd.service tpm-pskd.socket; do
		find "$scene/root" -path "*/$file" | grep -q . || { echo "no $file"; return 1; }
	done
}
it "installs what it should" installed
