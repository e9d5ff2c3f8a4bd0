# SPDX-License-Identifier: BSD-2-Clause
"""Session identities from a client in software, by the code that PROTOCOL.md shows.

make KEY_HEX IDENTITY VERSION [OFFSET_MS [AT_MS]]   prints the session identity and the PSK in hex
again KEY_HEX SESSION_IDENTITY                      the same for the time and nonce of this one
time SESSION_IDENTITY                               prints its time in ms
change SESSION_IDENTITY FIELD                       prints it with one bit of FIELD changed
"""
import base64
import os
import re
import sys
import time

with open(os.environ["TPMPSK_SOURCE"] + "/proto/PROTOCOL.md", encoding="utf-8") as document:
    for block in re.findall(r"^```python\n(.*?)^```", document.read(), re.MULTILINE | re.DOTALL):
        exec(block)

SUFFIX = 51
BITS = {  # of the 36 bytes behind the identity: 8 of the time, 16 of the nonce, 12 of the tag
    "time": (7, 0x01),
    "day": (3, 0x01),
    "nonce": (8, 0x80),
    "nonce-end": (23, 0x01),
    "tag": (24, 0x80),
    "tag-end": (35, 0x01),
}


def unpack(wire):
    return wire[:-SUFFIX], wire[-SUFFIX + 1:-SUFFIX + 2], bytearray(base64.urlsafe_b64decode(wire[-48:]))


def show(pair):
    print(pair[0].decode(), pair[1].hex())


def make(key, identity, version, offset="0", at=None):
    now = int(at) if at else time.time_ns() // 1000000
    show(session_identity(bytes.fromhex(key), identity.encode(), version.encode(), now + int(offset)))


def again(key, wire):
    identity, version, binary = unpack(wire.encode())
    unix_ms = int.from_bytes(binary[:8], "big")
    show(session_identity(bytes.fromhex(key), identity, version, unix_ms, bytes(binary[8:24])))


def show_time(wire):
    print(int.from_bytes(unpack(wire)[2][:8], "big"))


def change(wire, field):
    binary = unpack(wire.encode())[2]
    at, bit = BITS[field]
    binary[at] ^= bit
    print(wire[:-48] + base64.urlsafe_b64encode(binary).decode())


{"make": make, "again": again, "time": show_time, "change": change}[sys.argv[1]](*sys.argv[2:])
