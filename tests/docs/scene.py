# SPDX-License-Identifier: BSD-2-Clause
"""What the tests of documents run commands in: machines, each with a software TPM and a daemon of its own; TAP; what a
document says. Everything is in one temporary folder and ends with the test.
"""
import atexit
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

SOURCE = os.environ["TPMPSK_SOURCE"]
BUILD = os.environ["TPMPSK_BUILD"]
DEADLINE = 60
PROGRAMS = [f"{BUILD}/{folder}" for folder in ("keys", "daemon", "examples")]

folder = tempfile.mkdtemp(prefix="tpm-pskd-docs.")
running = []


def end():
    for process in reversed(running):
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    shutil.rmtree(folder, ignore_errors=True)


atexit.register(end)
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, lambda *_: sys.exit(1))


def read(path):
    with open(f"{SOURCE}/{path}", encoding="utf-8") as f:
        return f.read()


def section(path, title):
    """The text below a heading, up to the next one of its level or above."""
    text = read(path)
    level = re.search(rf"^(#+) {re.escape(title)}$", text, re.M)
    assert level, f"{path} has no heading \"{title}\""
    below = text[level.end():]
    return re.split(rf"^#{{1,{len(level[1])}}} ", below, maxsplit=1, flags=re.M)[0]


def wait_for(what, condition):
    """Until it is true; a failure when it does not become so in time."""
    until = time.monotonic() + DEADLINE
    while not (result := condition()):
        if time.monotonic() > until:
            raise TimeoutError(what)
        time.sleep(0.02)
    return result


def start(argv, **options):
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, **options)
    running.append(process)
    return process


class Machine:
    """A TPM and a daemon; commands run in its folder, and find its socket and the built programs."""

    def __init__(self, name, **fields):
        self.folder = f"{folder}/{name}"
        os.makedirs(f"{self.folder}/tpm")
        swtpm, self.socket = f"{self.folder}/swtpm", f"{self.folder}/socket"
        self.env = dict(os.environ, TPM_PSK_SOCKET=self.socket, LC_ALL="C.UTF-8", PATH=":".join(PROGRAMS) + ":" + os.environ["PATH"])
        for variable in ("NOTIFY_SOCKET", "JOURNAL_STREAM", "LISTEN_FDS"):
            self.env.pop(variable, None)
        self.log = open(f"{self.folder}/log", "w", encoding="utf-8")
        start(["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self.folder}/tpm", "--flags", "not-need-init,startup-clear",
               "--server", f"type=unixio,path={swtpm}", "--ctrl", f"type=unixio,path={swtpm}.ctrl"],
              stdout=self.log, stderr=self.log)
        wait_for("swtpm", lambda: os.path.exists(swtpm))
        self.config = {"tcti": f"swtpm:path={swtpm}", "socket": self.socket, "keys": f"{self.folder}/keys",
                       "audit": f"{self.folder}/audit.log", "admins": [f"uid:{os.getuid()}"], **fields}
        with open(f"{self.folder}/tpm-pskd.json", "w", encoding="utf-8") as f:
            json.dump(self.config, f)
        self.start()

    def start(self):
        self.daemon = start([f"{BUILD}/daemon/tpm-pskd", "--config", f"{self.folder}/tpm-pskd.json"], env=self.env,
                            stdout=self.log, stderr=self.log)
        wait_for("tpm-pskd", lambda: self.run("tpm-psk status").returncode == 0)

    def run(self, command, **options):
        """A line of shell; what it said is in the result."""
        options = {"capture_output": True, "stdin": subprocess.DEVNULL, **options}
        return subprocess.run(["sh", "-c", command], cwd=self.folder, env=self.env, text=True, timeout=DEADLINE, check=False,
                              **options)

    def json(self, command):
        result = self.run(command + " --json")
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)


class Tap:
    def __init__(self):
        self.number = 0
        self.failed = False

    def it(self, name, good, *why):
        self.number += 1
        self.failed |= not good
        print(f"{'ok' if good else 'not ok'} {self.number} - {name}", flush=True)
        if not good:
            for line in "\n".join(map(str, why)).splitlines():
                print(f"# {line}")
        return good

    def skip(self, name, why):
        self.number += 1
        print(f"ok {self.number} - {name} # SKIP {why}", flush=True)

    def end(self):
        print(f"1..{self.number}")
        sys.exit(self.failed)
