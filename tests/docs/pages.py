# SPDX-License-Identifier: BSD-2-Clause
"""The manual pages against what is there, both ways: each command, option, field, status, purpose and exported name has
its place in a page, and each page names only what there is. What fails says which file lacks what. TAP.

The place of a thing is a line `*thing*` in the section that is for its kind, as scdoc sets off a term to be explained.
"""
import os
import re
import subprocess
import sys
from glob import glob

SOURCE = os.environ["TPMPSK_SOURCE"]
BUILD = os.environ["TPMPSK_BUILD"]
os.chdir(SOURCE)


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def program(*argv):
    return subprocess.run([f"{BUILD}/{argv[0]}", *argv[1:]], capture_output=True, text=True, check=True, timeout=30).stdout


class Page:
    """One .scd file as its sections."""

    def __init__(self, path):
        self.path = path
        self.sections = {}
        title = ""
        for line in read(path).splitlines():
            if heading := re.match(r"#+ (.*)", line):
                title = heading[1]
            self.sections.setdefault(title, []).append(line)

    def terms(self, *titles):
        """What the lines of terms in these sections name: "*--a* _X_, *--b*" is two."""
        found = set()
        for title in titles:
            for line in self.sections.get(title, []):
                if re.match(r"\*[^*]+\*(?: _[^_]+_(?:\.\.\.)?)?(?:$|, )", line):
                    found.update(re.findall(r"\*([^*]+)\*", line))
        return found

    def names(self):
        return re.split(r", ", self.sections["NAME"][2].split(" - ")[0])


PAGES = {path: Page(path) for path in sorted(glob("*/*.scd") + glob("*/*/*.scd"))}
number = 0
failed = False


def compare(what, page, documented, place, real, origin):
    """One test: both sets are the same."""
    global number, failed
    number += 1
    lacks, invents = sorted(set(real) - set(documented)), sorted(set(documented) - set(real))
    good = not lacks and not invents and real
    failed |= not good
    print(f"{'ok' if good else 'not ok'} {number} - {what}")
    for thing in lacks:
        print(f"# {page}: section \"{place}\" lacks a line *{thing}*, which {origin} has")
    for thing in invents:
        print(f"# {page}: section \"{place}\" has *{thing}*, which {origin} does not have")
    if not real:
        print(f"# found nothing of the kind in {origin}")


def help_options(text):
    return set(re.findall(r"^  (--[a-z-]+)", text, re.M))


# The operator's command
TPM_PSK, NEW_KEYS = PAGES["keys/tpm-psk.1.scd"], "OPTIONS FOR NEW KEYS"
overview = program("keys/tpm-psk", "--help")
commands = re.findall(r"^  ([a-z][a-z ]*?)  +[A-Z]", overview, re.M)
common = help_options(overview)
headings = [t[3:] for t in re.findall(r"^## .*", "\n".join(read(TPM_PSK.path).split("\n# COMMANDS\n")[1].split("\n# ")[:1]), re.M)]
compare("tpm-psk(1) has a section for each command", TPM_PSK.path, headings, "COMMANDS", commands, "tpm-psk --help")
compare("tpm-psk(1) has the common options", TPM_PSK.path, TPM_PSK.terms("COMMON OPTIONS"), "COMMON OPTIONS", common,
        "tpm-psk --help")
shared_by = re.findall(r"\*([a-z ]+)\*", TPM_PSK.sections[NEW_KEYS][2])
for command in commands:
    options = help_options(program("keys/tpm-psk", *command.split(), "--help")) - common
    documented = TPM_PSK.terms(command) | (TPM_PSK.terms(NEW_KEYS) if command in shared_by else set())
    documented = {o for o in documented if o.startswith("--")}
    if options or documented:
        compare(f"tpm-psk(1) has the options of {command}", TPM_PSK.path, documented, command, options,
                f"tpm-psk {command} --help")

# The daemon
compare("tpm-pskd(8) has the daemon's options", "daemon/tpm-pskd.8.scd", PAGES["daemon/tpm-pskd.8.scd"].terms("OPTIONS"),
        "OPTIONS", help_options(program("daemon/tpm-pskd", "--help")), "tpm-pskd --help")


def fields(text):
    return set(re.findall(r"^\s*FIELD\((\w+),", text, re.M)) | set(re.findall(r"\{ \"(\w+)\", (?:json_)?read_\w+", text))


config = read("daemon/config.c").split("limit_fields[] =")
page = PAGES["daemon/tpm-pskd.json.5.scd"]
compare("tpm-pskd.json(5) has each field", page.path, page.terms("FIELDS"), "FIELDS", fields(config[0]), "daemon/config.c")
compare("tpm-pskd.json(5) has each limit", page.path, page.terms("Fields of limits"), "Fields of limits", fields(config[1]),
        "daemon/config.c")
page = PAGES["keys/tpm-psk-key-policy.5.scd"]
compare("tpm-psk-key-policy(5) has each field", page.path, page.terms("FIELDS"), "FIELDS", fields(read("daemon/policy.c")),
        "daemon/policy.c")

# Words of the protocol
statuses = set(re.findall(r"\] = \"([a-z-]+)\"", read("proto/status.c")))
page = PAGES["daemon/tpm-pskd.8.scd"]
compare("tpm-pskd(8) has each status", page.path, page.terms("STATUSES"), "STATUSES", statuses, "proto/status.c")
purposes = set(re.findall(r"PURPOSE_\w+\] = \"([a-z0-9-]+)\"", read("proto/purpose.c")))
page = PAGES["keys/tpm-psk-key-policy.5.scd"]
compare("tpm-psk-key-policy(5) has each purpose", page.path, page.terms("PURPOSES"), "PURPOSES", purposes, "proto/purpose.c")


def table(path, title):
    """The first column of the table below a heading, where it is code."""
    section = re.split(r"^#+ ", read(path).split(f"# {title}\n", 1)[1], maxsplit=1, flags=re.M)[0]
    return set(re.findall(r"^\| `([^`]+)` \|", section, re.M))


compare("README.md has each purpose", "README.md", table("README.md", "What it does"), "What it does", purposes,
        "proto/purpose.c")
compare("keys/README.md has each purpose", "keys/README.md", table("keys/README.md", "Purpose, mode, role") & purposes,
        "Purpose, mode, role", purposes, "proto/purpose.c")

# The metrics
metrics_source = read("keys/command_metrics.c")
page = PAGES["keys/tpm-psk-metrics.5.scd"]
compare("tpm-psk-metrics(5) has each metric", page.path, page.terms("METRICS"), "METRICS",
        set(re.findall(r"\"(tpmpsk_\w+)\"", metrics_source)), "keys/command_metrics.c")

# The audit
page = PAGES["daemon/tpm-pskd-audit.5.scd"]
audit = read("daemon/audit.c")
compare("tpm-pskd-audit(5) has each field", page.path, page.terms("FIELDS"), "FIELDS",
        set(re.findall(r"\bput_\w+\(&?l, \"(\w+)\"", audit)), "daemon/audit.c")
requests = set(re.findall(r"\{ TPMPSK_OP_\w+, \"([a-z-]+)\" \}", audit))
words = set(re.findall(r"_([a-z-]+)_", " ".join(page.sections["FIELDS"]).split("*request*")[1].split("*purpose*")[0]))
compare("tpm-pskd-audit(5) has each request", page.path, words - {"request"}, "FIELDS", requests, "daemon/audit.c")

# The libraries
library_pages = [p for p in PAGES.values() if p.path.endswith(".3.scd")]
exported = {name for path in glob("client-lib/**/*.map", recursive=True) for name in re.findall(r"^\t(tpmpsk_\w+);", read(path), re.M)}
named = [name for p in library_pages for name in p.names()]
compare("each exported name is in the NAME of a page of section 3", "client-lib/*.3.scd",
        {name for name in named if "_" in name and name not in {os.path.basename(p.path)[:-6] for p in library_pages} - exported},
        "NAME", exported, "a .map file of client-lib/")
in_synopsis = {name for p in library_pages for name in re.findall(r"\b(tpmpsk_\w+)\(", "\n".join(p.sections["SYNOPSIS"]))}
compare("each exported name is in the SYNOPSIS of a page of section 3", "client-lib/*.3.scd", in_synopsis, "SYNOPSIS", exported,
        "a .map file of client-lib/")


def prototypes(text):
    """Each prototype's text, without comments, attributes and white space, by its name."""
    text = re.sub(r"/\*.*?\*/|__attribute__\(\(.*?\)\)|^[#`].*?$", " ", text, flags=re.S | re.M)
    found = {}
    for declaration in re.findall(r"[^;{}]*?\btpmpsk_\w+\([^;{}]*\)\s*;", text):
        name = re.search(r"\b(tpmpsk_\w+)\(", declaration)[1]
        found[name] = re.sub(r"\s+", "", declaration)
    return found


headers = glob("client-lib/**/tpmpsk*.h", recursive=True)
real = {p for path in headers for p in prototypes(read(path)).values()}
compare("each SYNOPSIS has the prototypes as they are in the header", "client-lib/*.3.scd",
        {d for p in library_pages for d in prototypes("\n".join(p.sections["SYNOPSIS"])).values()}, "SYNOPSIS", real,
        "a header in client-lib/")
constants = {name for path in headers for name in re.findall(r"^(?:#define |\t)(TPMPSK_\w+)(?= = | +\S)", read(path), re.M)}
compare("each constant of the headers is explained in a page of section 3", "client-lib/*.3.scd",
        {t for p in library_pages for title in p.sections for t in p.terms(title) if t.startswith("TPMPSK_")}, "*", constants,
        "a header in client-lib/")

# The environment
for folder, pages in {"daemon": ["daemon/tpm-pskd.8.scd"], "keys": ["keys/tpm-psk.1.scd"],
                      "client-lib": ["client-lib/tpmpsk_open.3.scd"]}.items():
    text = "".join(read(path) for path in glob(f"{folder}/*.c"))
    real = set(re.findall(r"getenv\(\"(\w+)\"\)", text)) | set(re.findall(r"\(\"((?:LISTEN|WATCHDOG)_\w+)\", \"\w+\"", text)) \
        | set(re.findall(r"\(\"(?:LISTEN|WATCHDOG)_\w+\", \"(\w+)\"", text))
    compare(f"the environment that {folder}/ reads is in its page", pages[0],
            {t for p in pages for t in PAGES[p].terms("ENVIRONMENT")}, "ENVIRONMENT", real, f"{folder}/*.c")

# The pages among each other
pages = {os.path.basename(path)[:-4] for path in PAGES}
known = {f"{name}({page.rsplit('.', 1)[1]})" for path, page in ((p.path, os.path.basename(p.path)[:-4]) for p in PAGES.values())
         for name in PAGES[path].names() + [page.rsplit(".", 1)[0]]}
references = {f"{name}({section})" for path in PAGES for name, section in re.findall(r"\*(tpm-?psk[\w.-]*)\*\((\d)\)", read(path))}
compare("each page that is referred to exists, and each is referred to", "*/*.scd", references,
        "*", {f"{p.rsplit('.', 1)[0]}({p.rsplit('.', 1)[1]})" for p in pages} | (references & known), "the folders")
print(f"1..{number}")
sys.exit(failed)
