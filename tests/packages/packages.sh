# SPDX-License-Identifier: BSD-2-Clause
# What stands in several places says the same in all of them, the units are as tight as promised, and the scripts give
# nothing for shellcheck to warn of.
. "$(dirname "$0")/../cli/lib.sh"
cd "$TPMPSK_SOURCE" || exit 1

# The version is in meson.build, which the programs print.
version=$(psk --version | sed 's/^tpm-psk //')

first_heading()
{
	sed -n 's/^## //p' NEWS.md | head -n 1
}

packaged_version()
{
	sed -n '1s/^tpm-pskd (\([^)]*\)) .*/\1/p' debian/changelog
}

# symbols_agree LIBRARY PACKAGE: what the map exports is what the package says it has.
symbols_agree()
{
	sed -n 's/^[[:space:]]*\(tpmpsk_[a-z0-9_]*\);$/\1/p' "client-lib/$1.map" | sort >"$scene/exported"
	sed -n 's/^ \(tpmpsk_[a-z0-9_]*\)@tpmpsk_0 .*/\1/p' "debian/$2.symbols" | grep -vx tpmpsk_0 | sort >"$scene/packaged"
	[ -s "$scene/exported" ] || return 1
	diff "$scene/exported" "$scene/packaged" && return
	echo "A line for each that is missing, \" NAME@tpmpsk_0 VERSION\", belongs into debian/$2.symbols."
	return 1
}

# The unit as it is installed, but for the path of the program, which is the one just built.
copy_units()
{
	sed "s,^\(Exec.*=\)[^ ]*/tpm-pskd,\1$TPMPSK_BUILD/daemon/tpm-pskd," "$TPMPSK_BUILD/systemd/tpm-pskd.service" \
		>"$scene/tpm-pskd.service" &&
		cp "$TPMPSK_BUILD/systemd/tpm-pskd.socket" "$scene/"
}

verified()
{
	copy_units && systemd-analyze verify --man=no "$scene/tpm-pskd.service" && [ ! -s "$scene/it.out" ]
}

# At most 1.5, which systemd-analyze counts in tenths.
tight()
{
	copy_units && systemd-analyze security --offline=yes --threshold=15 --no-pager "$scene/tpm-pskd.service"
}

scripts()
{
	find . -name 'build*' -prune -o -name .git -prune -o -type f \( -name '*.sh' -o -path './.ci/run' -o \
		-path './debian/*.p*rm' -o -path './debian/*.p*inst' \) -print
}

unwarned()
{
	scripts >"$scene/scripts"
	[ "$(wc -l <"$scene/scripts")" -gt 10 ] || return 1
	xargs shellcheck --shell=sh --external-sources --source-path=SCRIPTDIR --source-path=. --severity=warning \
		<"$scene/scripts"
}

it "has one version in NEWS.md and meson.build" test "$(first_heading)" = "$version"
it "has one version in debian/changelog and meson.build" test "$(packaged_version)" = "$version"
it "exports from libtpmpsk what its package says" symbols_agree libtpmpsk libtpmpsk0
it "exports from libtpmpsk-gnutls what its package says" symbols_agree libtpmpsk-gnutls libtpmpsk-gnutls0
if ! [ -e "$TPMPSK_BUILD/systemd/tpm-pskd.service" ]; then
	skip "has units that systemd takes" "this build has no units"
elif command -v systemd-analyze >/dev/null; then
	it "has units that systemd takes" verified
	it "exposes 1.5 at most, as systemd counts" tight
else
	skip "has units that systemd takes" "systemd-analyze is not installed"
fi
if command -v shellcheck >/dev/null; then
	it "has scripts that shellcheck does not warn of" unwarned
else
	skip "has scripts that shellcheck does not warn of" "shellcheck is not installed"
fi
