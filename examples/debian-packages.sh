# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh
# need_packages PACKAGE...: installs what a Debian machine lacks of them; without root it says how.
# To be read with `.` by quickstart.sh and tests/run.sh.

need_packages()
{
	missing=
	command -v dpkg-query >/dev/null || return 0
	for package in "$@"; do
		state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || state=none
		[ "$state" = installed ] || missing="$missing $package"
	done
	[ -n "$missing" ] || return 0
	if [ "$(id -u)" -ne 0 ]; then
		echo "These packages are missing. Install them as root, then try again:" >&2
		echo "apt-get install -y --no-install-recommends$missing" >&2
		return 1
	fi
	echo "Installing:$missing" >&2
	export DEBIAN_FRONTEND=noninteractive
	# A machine that is fresh has no list of packages yet; an old list names files that are gone.
	apt-get -qq update >&2 || true
	# shellcheck disable=SC2086
	apt-get -qq install -y --no-install-recommends $missing >&2 </dev/null || {
		echo "apt-get could not install:$missing" >&2
		return 1
	}
}
