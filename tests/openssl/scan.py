# SPDX-License-Identifier: BSD-2-Clause
"""Looks through all memory of a process that can be read, for what may be in it while a PSK is in use.

    scan.py PSK_HEX PID NAME...    how often each is there, one `NAME N` a line

Names: psk, psk-hex (as text), premaster, and for either hash early-N, binder-N, finished-N, derived-N (N: 256, 384).
"""
import hashlib
import hmac
import sys


def expand(name, secret, label, context):
    size = hashlib.new(name).digest_size
    label = b"tls13 " + label
    info = size.to_bytes(2, "big") + bytes([len(label)]) + label + bytes([len(context)]) + context
    return hmac.new(secret, info + b"\1", name).digest()


def wanted(psk):
    zero = len(psk).to_bytes(2, "big")
    values = {"psk": psk, "psk-hex": psk.hex().encode(), "premaster": zero + bytes(len(psk)) + zero + psk}
    for bits in ("256", "384"):
        name = "sha" + bits
        nothing = hashlib.new(name).digest()
        early = hmac.new(bytes(len(nothing)), psk, name).digest()
        binder = expand(name, early, b"ext binder", nothing)
        values |= {
            "early-" + bits: early,
            "binder-" + bits: binder,
            "finished-" + bits: expand(name, binder, b"finished", b""),
            "derived-" + bits: expand(name, early, b"derived", nothing),
        }
    return values


def regions(pid):
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            where, mode, *rest = line.split()
            if not mode.startswith("r") or rest[-1] in ("[vvar]", "[vsyscall]"):
                continue
            start, end = (int(x, 16) for x in where.split("-"))
            mem.seek(start)
            try:
                yield mem.read(end - start)
            except OSError:
                pass


values = wanted(bytes.fromhex(sys.argv[1]))
names = sys.argv[3:] or list(values)
found = dict.fromkeys(names, 0)
for region in regions(sys.argv[2]):
    for name in names:
        found[name] += region.count(values[name])
for name in names:
    print(name, found[name])
