#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Every header compiles alone as C, the installed ones also as C++, and the libraries show no other names than
# tpmpsk_...: headers.sh BUILD_FOLDER. Compilers: $CC and $CXX, else gcc and g++; C++ is left out where there is none.
set -eu
cd "$(dirname "$0")/../.."
build=$1
cc=${CC:-gcc}
cxx=${CXX:-g++}
n=0
failed=0

# check COMMAND...: a test; its name is in $label.
# shellcheck disable=SC2154
check() {
	n=$((n + 1))
	if "$@"; then
		echo "ok $n - $label"
	else
		echo "not ok $n - $label"
		failed=1
	fi
}

alone() {
	printf '#include <%s>\n#include <%s>\n' "$1" "$1" | "$2" -x "$3" -std="$4" -fsyntax-only -Wall -Wextra -Wpedantic \
		-Werror $5 -
}

only_our_names() {
	! nm -D --defined-only "$1" | awk '{ print $NF }' | grep -v '^tpmpsk_'
}

needs_only_libc() {
	! readelf -d "$1" | grep NEEDED | grep -v 'ld-linux\|libc\.so\|libasan\|libubsan\|libtsan'
}

for header in tpmpsk.h tpmpsk-gnutls.h; do
	label="$header as C11" check alone "$header" "$cc" c c11 -Iclient-lib
	label="$header as C99" check alone "$header" "$cc" c c99 -Iclient-lib
	if command -v "$cxx" >/dev/null; then
		label="$header as C++11" check alone "$header" "$cxx" c++ c++11 -Iclient-lib
	fi
done
for header in proto/*.h client-lib/*.h keys/*.h daemon/*.h; do
	label="$header alone" check alone "$header" "$cc" c gnu11 '-I. -Iclient-lib -D_GNU_SOURCE -Wno-pedantic'
done
for library in libtpmpsk.so.0 libtpmpsk-gnutls.so.0; do
	label="$library exports only tpmpsk_ names" check only_our_names "$build/client-lib/$library"
done
label='libtpmpsk needs nothing but libc' check needs_only_libc "$build/client-lib/libtpmpsk.so.0"
echo "1..$n"
exit $failed
