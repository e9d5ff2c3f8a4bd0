# SPDX-License-Identifier: BSD-2-Clause
"""Every command that a document shows is run: here, line by line as it stands there, or by the test that the table below
names; and each entry of the table is needed by some document. TAP.

A command is a line of a code block that begins with the name of a program, `sudo`, or the name of a machine and `#`. What
stands behind it after two spaces or more explains it.
"""
import os
import re
import subprocess
from glob import glob

from scene import SOURCE, Machine, Tap, read, start

ME = f"uid:{os.getuid()}"
PROGRAMS = "tpm-psk|tpm-pskd|(psk|token|openssl|tls)-(server|client)|head|shred|ssh|openssl|tpm2_\\w+|meson|apt-get|systemctl|" \
    "journalctl|grep|udevadm|sh|bash|chroot|mmdebstrap|dpkg-buildpackage|ls|jq|pkg-config|python3|(tests|examples)/\\S+\\.sh|sudo|" \
    "stunnel\\d?|mosquitto\\w*|curl|gnutls-\\w+|install|cp|cat|echo|printf|setpriv|quiet|perf|promtool|env|export|mkdir|adduser|" \
    "usermod|chgrp|chmod|gcc|cc|nginx|git|[A-Z][A-Z0-9_]+=\\S+"

# What cannot be done in a moment on a machine that others use: the test that does it, and what that has of it; or None, and why no test
# does.
ELSEWHERE = [
    # Documents that a test of their own goes through from the first command to the last.
    ("client-lib/openssl/README.md", "tests/openssl/readme.sh", "client-lib/openssl/README.md"),
    ("systemd/README.md", "tests/systemd/run.sh", "every command in systemd/README.md was run"),
    ("keys/README.md:(server|client)# ", "tests/docs/rotation.py", "steps("),
    # And commands that take long, or a machine of their own.
    (r"sudo sh examples/quickstart\.sh|chroot root sh /src/examples/quickstart", "tests/docs/meson.build", "quickstart.sh"),
    (r"journalctl ", "tests/systemd/scenario.sh", "journalctl"),
    (r"sudo sh tests/run\.sh", "tests/run.sh", "meson test"),
    (r"meson setup build && meson compile", "tests/run.sh", "meson setup"),
    (r"meson test -C build", "tests/run.sh", "meson test -C"),
    (r"apt-get install gcc", "tests/run.sh", "libsodium-dev"),
    (r"mmdebstrap |chroot root ", "tests/systemd/roots.sh", "debian"),
    (r"dpkg-buildpackage", "tests/systemd", "dpkg-buildpackage"),
    (r"sudo sh tests/((systemd|bench|vm)/run|hostile/campaign|static)\.sh", None, "a campaign of its own, of some minutes"),
    (r"meson dist", None, "by hand, for a release: it runs all tests once more"),
    (r"tests/fuzz/run\.sh", "tests/fuzz/run.sh", None),
    (r"tpm2_(createprimary|create|import|encodeobject) ", "tests/cli/tools.sh", "tpm2_encodeobject"),
    (r"tls-(server|client) ", "tests/docs/certificate.py", "tls-server"),
    (r"tpm-psk key adopt ", "tests/cli/adopt.sh", "key adopt"),
]

tap = Tap()


def code_lines(path):
    """(number, line) of code blocks: indented ones behind an empty line, and fenced ones that are in no language but shell."""
    fenced = language = None
    indented, before = False, ""
    for number, line in enumerate(read(path).splitlines(), 1):
        if mark := re.match(r"```(\w*)", line):
            fenced, language = not fenced, mark[1]
        elif fenced:
            if language in ("", "sh", "bash", "console"):
                yield number, line
        elif path.endswith(".md"):
            indented = bool(re.match(r"    \s*\S" if indented else r"    \S", line)) and (indented or not before.strip())
            if indented:
                yield number, line[4:]
        before = line


def commands(path):
    """(number, command) with continued lines put together and explanations cut off."""
    lines = list(code_lines(path))
    i = 0
    while i < len(lines):
        number, line = lines[i]
        if path.endswith(".scd"):
            line = line.replace("\\\\", "\\")
        while line.endswith(("\\", " |")) and i + 1 < len(lines):
            i += 1
            more = lines[i][1].replace("\\\\", "\\") if path.endswith(".scd") else lines[i][1]
            line = line.rstrip("\\").rstrip() + " " + more.strip()
        i += 1
        line = re.sub(r"^\$ ", "", line)
        if re.match(rf"(?:(?:server|client)# )?(?:{PROGRAMS})(?: |$)", line):
            yield number, re.sub(r"(?<=\S)   *.*", "", line)


class Reader:
    """Somebody who types what a document says."""

    def __init__(self, name):
        self.machine = Machine(name)
        self.session_identity = self.pin = None
        self.ports = {}
        fake = f"{self.machine.folder}/bin"
        os.makedirs(fake)
        other = f"{self.machine.folder}/other-machine"
        os.makedirs(other)
        self.program(f"{fake}/ssh", f'cd "{self.machine.folder}/$1" && shift && exec "$@"')
        self.machine.env["PATH"] = fake + ":" + self.machine.env["PATH"]
        self.machine.run("head -c 32 /dev/urandom > secret; openssl rand -hex 32 > psk; cp secret other-machine")

    @staticmethod
    def program(path, text):
        with open(path, "w", encoding="utf-8") as f:
            f.write(f"#!/bin/sh\n{text}\n")
        os.chmod(path, 0o755)

    def spell_out(self, command):
        """What a person would put in the places that a document leaves open."""
        command = re.sub(r"\b(user:(www-data|alice|bob|root|mosquitto))(?=:|\b)", ME, command)
        command = re.sub(r"group:tls\b", "group:users", command)
        command = re.sub(r"\bHEX\b", "01" * 32, command)
        command = re.sub(r"\bSESSION_IDENTITY\b", self.session_identity or "", command)
        command = re.sub(r"\bPIN\b", self.pin or "", command)
        command = re.sub(r" \.\.\. ", f" --identity Client1 --purpose session-identity --allow {ME} ", command)
        command = re.sub(r"/var/lib/prometheus/node-exporter/", "", command)
        command = re.sub(r"^sudo ", "", command)
        return command

    def make_room(self, command):
        """A document that makes one key in two ways does not mean both."""
        if new := re.search(r"tpm-psk key (?:import|generate|adopt) (\S+)", command):
            identity = re.search(r"--identity (\S+)", command)
            purpose = re.search(r"--purpose (\S+)", command)
            for key in self.machine.json("tpm-psk key list"):
                if key["name"] == new[1] or (identity and purpose and key["identity"] == identity[1] and key["purpose"] == purpose[1]):
                    self.machine.run(f"tpm-psk key remove {key['name']}")
            for file in re.findall(r"--(?:secret|hex)-file (\S+)", command):
                if file != "-" and not os.path.exists(f"{self.machine.folder}/{file}"):
                    self.machine.run(f"openssl rand -hex 32 > {file}")

    def serve(self, command):
        """A server goes on in the background, at a port that is free."""
        port = re.search(r"--listen (\S+):(\d+)", command)
        process = start(["sh", "-c", "exec " + command.replace(port[0], f"--listen {port[1]}:0")], cwd=self.machine.folder,
                        env=self.machine.env, stdout=subprocess.PIPE, stderr=self.machine.log, text=True)
        said = ""
        wanted = [r"listening on \S+:(\d+)", r"^pin \S+"] if command.startswith("token-server") else [r"listening on \S+:(\d+)"]
        while not all(re.search(pattern, said, re.M) for pattern in wanted):
            line = process.stdout.readline()
            if not line:
                return f"ended: {said}"
            said += line
            if pin := re.match(r"pin (\S+)", line):
                self.pin = pin[1]
        self.ports[port[2]] = re.search(r"listening on \S+:(\d+)", said)[1]
        return None

    def follow(self, command):
        """Runs a command; what is wrong, or None."""
        self.make_room(command)
        if re.match(r"(psk|token|openssl)-server ", command):
            return self.serve(command)
        if deny := re.match(r"tpm-psk key deny (\S+) (\S+)", command):
            self.machine.run(f"tpm-psk key allow {deny[1]} {deny[2]}")
        for port, real in self.ports.items():
            command = command.replace(f":{port} ", f":{real} ")
        if command == "tpm-psk doctor":
            command += f" --config {self.machine.folder}/tpm-pskd.json"
        if command == "tpm-pskd --check-config":
            command = f"tpm-pskd --config {self.machine.folder}/tpm-pskd.json --check-config"
        result = self.machine.run(command)
        if "--role client" in command:
            self.session_identity = result.stdout.split(" ")[0]
        return None if result.returncode == 0 else f"exit status {result.returncode}: {result.stderr}"


def has(place, needle):
    """Whether a test, or a folder of them, is there and has a text."""
    path = f"{SOURCE}/{place}"
    files = [path] if os.path.isfile(path) else glob(f"{path}/**/*", recursive=True)
    if needle is None:
        return bool(files)
    files = [f for f in files if os.path.basename(f) != "commands.py"]
    return any(needle in open(f, encoding="utf-8", errors="replace").read() for f in files if os.path.isfile(f))


def elsewhere(path, command):
    for entry in ELSEWHERE:
        if re.match(rf"(?:{entry[0]})", command) or re.match(rf"(?:{entry[0]})", f"{path}:{command}"):
            return entry
    return None


def main():
    used = set()
    documents = sorted(os.path.relpath(p, SOURCE) for kind in ("md", "scd") for depth in ("", "*/", "*/*/")
                       for p in glob(f"{SOURCE}/{depth}*.{kind}") if not os.path.relpath(p, SOURCE).startswith("build"))
    for path in documents:
        found = list(commands(path))
        reader = None
        for number, command in found:
            if os.environ.get("LIST"):
                print(f"{path}:{number}: {command}  {(elsewhere(path, command) or ['', '-- here'])[1]}")
                continue
            entry = elsewhere(path, command)
            if entry:
                used.add(entry[0])
            if entry and not entry[1]:
                tap.skip(f"{path}:{number}: {command}", entry[2])
                continue
            if entry:
                tap.it(f"{path}:{number}: {entry[1]} does: {command}", has(entry[1], entry[2]), f"nothing like {entry[2]} in {entry[1]}")
                continue
            if not reader:
                reader = Reader(path.replace("/", "-"))
            spelled = reader.spell_out(command)
            wrong = reader.follow(spelled)
            tap.it(f"{path}:{number}: {command}", wrong is None, spelled, wrong)
        if reader:
            reader.machine.daemon.terminate()
    if os.environ.get("LIST"):
        return
    for pattern, _, _ in ELSEWHERE:
        tap.it(f"some document needs the entry {pattern}", pattern in used, "nothing matches it")
    tap.end()


main()
