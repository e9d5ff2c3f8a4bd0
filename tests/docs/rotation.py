# SPDX-License-Identifier: BSD-2-Clause
"""The walk-through "Rotate" of keys/README.md, line by line as it stands there, while clients shake hands all the time: none
fails. TAP.
"""
import re
import shutil
import subprocess
import threading

from scene import BUILD, Machine, Tap, section, start, wait_for

CLIENTS = 2
BETWEEN = 20  # handshakes, at least, between two steps
ME = f"uid:{__import__('os').getuid()}"
TLS12 = "NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+ECDHE-PSK"
TLS13 = "NORMAL:-VERS-ALL:+VERS-TLS1.3:-KX-ALL:+ECDHE-PSK"

tap = Tap()
server, client = Machine("server"), Machine("client")
machines = {"server": server, "client": client}


class Load:
    """Clients that shake hands one time after the other, each in a thread."""

    def __init__(self, identity, priority):
        self.identity, self.priority = identity, priority
        self.done, self.failures, self.stop = 0, [], False
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.work) for _ in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def work(self):
        while not self.stop:
            result = subprocess.run([f"{BUILD}/examples/psk-client", "--connect", address, "--identity", self.identity,
                                     "--priority", self.priority, "--message", "hello"],
                                    env=client.env, capture_output=True, text=True, timeout=60, check=False)
            with self.lock:
                self.done += 1
                if result.returncode != 0:
                    self.failures.append(f"{self.identity}: {result.stderr}")

    def more(self):
        """Waits until some have begun and ended since now."""
        target = self.done + CLIENTS + BETWEEN
        wait_for("handshakes", lambda: self.done >= target)

    def end(self):
        self.stop = True
        for thread in self.threads:
            thread.join()


def steps(title):
    """(machine, command) of each line of code below a heading."""
    found = re.findall(r"^    (server|client)# (.*)$", section("keys/README.md", title), re.M)
    return [(machine, re.sub(r"  +.*", "", command)) for machine, command in found]


def derivations(name):
    return server.json(f"tpm-psk key show {name}")["derivations"]


def take(load, machine, command):
    """One step of the walk-through, and handshakes behind it."""
    if command.startswith("psk-client"):
        load.identity = re.search(r"--identity (\S+)", command)[1]
        load.more()
        return
    if shows := re.match(r"tpm-psk key show (\S+)", command):
        # Nobody uses it any more: what was under way when the last client moved on has ended by now.
        before = derivations(shows[1])
        load.more()
        tap.it(f"nothing asks for the key {shows[1]} any more", derivations(shows[1]) == before)
        return
    result = machines[machine].run(re.sub(r"user:www-data(:\w+)?", lambda m: ME + (m[1] or ""), command))
    tap.it(f"{machine}: {command}", result.returncode == 0, result.stderr)
    if "secret-2" in command and "head" in command:
        shutil.copy(f"{server.folder}/secret-2", f"{client.folder}/secret-2")
    load.more()


def walk(title, old, purpose, identity, priority):
    make = f"tpm-psk key import {old} --identity {identity} --purpose {purpose} --allow {ME} --secret-file secret"
    for machine in machines.values():
        result = machine.run(make)
        tap.it(f"there is a key {old}", result.returncode == 0, result.stderr)
    load = Load(identity, priority)
    load.more()
    for machine, command in steps(title):
        take(load, machine, command)
    load.end()
    tap.it(f"{purpose}: of the handshakes under way meanwhile, none failed", not load.failures, *load.failures)
    print(f"# {load.done} handshakes")
    names = [key["name"] for key in server.json("tpm-psk key list")]
    tap.it("the old key is gone, the new one is there", old not in names and f"{old}-2" in names, names)
    for machine in machines.values():
        machine.run(f"tpm-psk key remove {old}-2")


assert server.run("head -c 32 /dev/urandom > secret").returncode == 0
shutil.copy(f"{server.folder}/secret", f"{client.folder}/secret")
listener = start([f"{BUILD}/examples/psk-server", "--listen", "127.0.0.1:0", "--priority", "NORMAL:-VERS-ALL:+VERS-TLS1.3:"
                  "+VERS-TLS1.2:-KX-ALL:+ECDHE-PSK:+DHE-PSK"], env=server.env, stdout=subprocess.PIPE, stderr=server.log, text=True)
address = listener.stdout.readline().split()[-1]

# What is below the heading itself, for both.
common = [step for step in steps("Rotate") if step[1].startswith("head")]
assert len(common) == 1, common
server.run(common[0][1])
shutil.copy(f"{server.folder}/secret-2", f"{client.folder}/secret-2")
walk("With session-identity: a second key in the place of the first", "web", "session-identity", "Client1", TLS13)
walk("With any other purpose: a second identity", "old", "tls12-session", "Client1", TLS12)
tap.end()
