# SPDX-License-Identifier: BSD-2-Clause
# Every manual page is built, and groff has nothing to say about it.
. "$(dirname "$0")/../cli/lib.sh"

# quiet PAGE: groff formats it without a warning.
quiet()
{
	groff -K utf8 -t -man -ww -z -Tutf8 "$1" 2>&1 | tee "$scene/warnings"
	[ ! -s "$scene/warnings" ]
}

# readable PAGE: it has a name and a description, and no line is wider than a terminal.
readable()
{
	groff -K utf8 -t -man -rLL=78n -Tascii -P-cbou "$1" >"$scene/page" || return 1
	grep -q '^NAME' "$scene/page" && grep -q '^DESCRIPTION' "$scene/page" && ! grep -E '^.{81}' "$scene/page"
}

for source in "$TPMPSK_SOURCE"/*/*.scd "$TPMPSK_SOURCE"/*/*/*.scd; do
	[ -e "$source" ] || continue
	page=$(basename "$source" .scd)
	if [ ! -e "$TPMPSK_BUILD/$page" ] && ! command -v scdoc >/dev/null; then
		skip "$page" "no scdoc"
		continue
	fi
	it "builds $page" test -s "$TPMPSK_BUILD/$page"
	it "groff is quiet about $page" quiet "$TPMPSK_BUILD/$page"
	it "$page fits a terminal" readable "$TPMPSK_BUILD/$page"
done
