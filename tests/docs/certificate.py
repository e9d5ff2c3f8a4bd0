# SPDX-License-Identifier: BSD-2-Clause
"""The walk-through "A certificate whose key is in the TPM" of README.md, line by line as it stands there: from nothing to a
server that a client finds right. The port is one that is free. TAP.
"""
import os
import re

from scene import Machine, Tap, section, start, wait_for

ME = f"uid:{os.getuid()}"
tap = Tap()
machine = Machine("machine")
address = None


def serve(command):
    """Starts the server of the walk-through; where it listens."""
    out = f"{machine.folder}/server.out"
    with open(out, "w", encoding="utf-8") as f:
        start(["sh", "-c", "exec " + command.replace("127.0.0.1:4433", "127.0.0.1:0")], cwd=machine.folder, env=machine.env,
              stdout=f, stderr=f)

    def listening():
        with open(out, encoding="utf-8") as f:
            return re.search(r"^listening on (\S+)$", f.read(), re.M)

    return wait_for("tls-server", listening)[1]


commands = re.findall(r"^    (\S.*)$", section("README.md", "A certificate whose key is in the TPM"), re.M)
for command in commands:
    command = command.replace("user:www-data", ME)
    if command.startswith("tls-server"):
        address = serve(command)
        tap.it(command, address)
        continue
    result = machine.run(command.replace("127.0.0.1:4433", address) if address else command)
    good = result.returncode == 0
    if command.startswith("tls-client"):
        good = good and "hello" in result.stdout.splitlines()
    tap.it(command, good, result.stdout, result.stderr)
tap.it("all of it was there to be run", len(commands) == 6 and address, commands)
tap.it("the request verifies", machine.run("openssl req -in www.csr -verify -noout").returncode == 0)
tap.it("the certificate is for the key that the TPM has",
       machine.run("tpm-psk key public www").stdout == machine.run("openssl x509 -in www.pem -pubkey -noout").stdout != "")
tap.it("the key is in no file", machine.run("grep -rl 'PRIVATE KEY' . | sort").stdout.split() == ["./ca.key", "./keys/www.pem"],
       machine.run("grep -rl 'PRIVATE KEY' .").stdout)
tap.it("and what is in its file is the TPM's", machine.run("head -n 1 keys/www.pem").stdout == "-----BEGIN TSS2 PRIVATE KEY-----\n")
tap.end()
