# SPDX-License-Identifier: BSD-2-Clause
"""The walk-through "Make one: from a standard PSK" of keys/README.md, line by line as it stands there, and what it prints
computed anew from RFC 5246, 8446 and 9258. TAP.
"""
import hashlib
import hmac
import os
import re

from scene import Machine, Tap, section

ME = f"uid:{os.getuid()}"
tap = Tap()
machine = Machine("machine")
psk = {}


def mac(key, message):
    return hmac.digest(key, message, "sha256")


def expand_label(secret, label, context):
    label = b"tls13 " + label
    return mac(secret, b"\0\x20" + bytes([len(label)]) + label + bytes([len(context)]) + context + b"\1")


def expected(option):
    """What the command should print, from the PSK in the clear."""
    empty = hashlib.sha256().digest()
    if "psk-import" in option["--purpose"]:
        key, identity, context = psk["epsk"], option["--identity"].encode(), bytes.fromhex(option["--context"])
        imported = b"".join(len(x).to_bytes(2, "big") + x for x in (identity, context)) + b"\x03\x04\0\1"
        return expand_label(mac(bytes(32), key), b"derived psk", hashlib.sha256(imported).digest())
    key = psk["psk"]
    if option["--purpose"] == "tls12-master":
        n = len(key).to_bytes(2, "big")
        premaster, seed = n + bytes(len(key)) + n + key, b"extended master secret" + bytes.fromhex(option["--session-hash"])
        a = mac(premaster, seed)
        return (mac(premaster, a + seed) + mac(premaster, mac(premaster, a) + seed))[:48]
    early = mac(bytes(32), key)
    if "--transcript" in option:
        return mac(expand_label(expand_label(early, b"ext binder", empty), b"finished", b""), bytes.fromhex(option["--transcript"]))
    return mac(expand_label(early, b"derived", empty), bytes.fromhex(option["--shared-secret"]))


commands = re.findall(r"^    (\S.*)$", section("keys/README.md", "Make one: from a standard PSK"), re.M)
for command in commands:
    result = machine.run(command.replace("user:www-data", ME))
    good, why = result.returncode == 0, result.stderr
    if made := re.match(r"openssl rand .* > (\w+)$", command):
        with open(f"{machine.folder}/{made[1]}", encoding="ascii") as f:
            psk[made[1]] = bytes.fromhex(f.read())
    elif command.startswith("tpm-psk derive"):
        answer = expected(dict(re.findall(r"(--[a-z-]+) (\S+)", command))).hex()
        good, why = good and result.stdout == answer + "\n", f"{result.stdout}{result.stderr}and not {answer}"
    elif command.startswith("tpm-psk reference"):
        good = good and re.fullmatch(rb"tpm-psk-reference:[0-9a-f]{32}:Client1", bytes.fromhex(result.stdout)) is not None
    tap.it(command, good, why)
tap.it("all of it was there to be run", len(psk) == 2 and len(commands) >= 12, commands)
tap.it("a key file has what it says", [machine.run(f"grep -c BEGIN keys/{name}.pem").stdout for name in ("mq", "mq-tls12", "lamp")]
       == ["4\n", "2\n", "2\n"])
for verb in ("generate", "adopt --pem /dev/null"):
    verb, _, rest = verb.partition(" ")
    for purpose in ("tls13-schedule", "tls12-master", "psk-import"):
        with open(f"{machine.folder}/any.pem", "w", encoding="ascii") as f:
            f.write("-----BEGIN TSS2 PRIVATE KEY-----\n-----END TSS2 PRIVATE KEY-----\n")
        result = machine.run(f"tpm-psk key {verb} x --identity x --purpose {purpose} {'--pem any.pem' if rest else ''}")
        tap.it(f"{verb} is refused for {purpose}, with the reason", result.returncode == 1 and "unsupported: " in result.stderr
               and "import it" in result.stderr, result.stderr)
tap.end()
