# SPDX-License-Identifier: BSD-2-Clause
"""Runs a program on a terminal of its own, sends keys and looks at its screen: terminal.py COLUMNS ROWS STEP... -- COMMAND...

A step is `see=PATTERN` (waits until a line of the screen has it), `key=K`, `size=COLUMNSxROWS`, `signal=NAME`, `end=STATUS` (waits
for the end with that exit status), or `back` (the terminal is as it was, and shows the screen that it had).
"""
import fcntl
import os
import pty
import re
import signal
import struct
import sys
import termios
import time

DEADLINE = 30


class Screen:
    """As much of a terminal as is needed: text, cursor home, clearing, newlines, colours that are skipped."""

    def __init__(self, columns, rows):
        self.other = False
        self.resize(columns, rows)

    def resize(self, columns, rows):
        self.columns, self.rows = columns, rows
        self.lines = [""] * rows
        self.row = self.column = 0

    def feed(self, data):
        for match in re.finditer(r"\x1b\[(\?)?([0-9;]*)([A-Za-z])|\r|\n|[^\x1b\r\n]+", data):
            code = match[3]
            if match[0] == "\r":
                self.column = 0
            elif match[0] == "\n":
                self.row += 1
            elif code == "H":
                self.row = self.column = 0
            elif code == "K":
                self.lines[self.row] = self.lines[self.row][:self.column]
            elif code == "J":
                self.lines[self.row] = self.lines[self.row][:self.column]
                self.lines[self.row + 1:] = [""] * (self.rows - self.row - 1)
            elif code in ("h", "l") and match[2] == "1049":
                self.other = code == "h"
            elif code is None:
                assert self.row < self.rows, f"line {self.row + 1} of {self.rows}: {match[0]}"
                line = self.lines[self.row].ljust(self.column)
                self.lines[self.row] = line[:self.column] + match[0] + line[self.column + len(match[0]):]
                self.column += len(match[0])
                assert self.column <= self.columns, f"wider than {self.columns}: {self.lines[self.row]}"


split = sys.argv.index("--")
columns, rows = int(sys.argv[1]), int(sys.argv[2])
steps, command = sys.argv[3:split], sys.argv[split + 1:]
pid, terminal = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    os.environ["TERM"] = "xterm"
    os.execv(command[0], command)
screen = Screen(columns, rows)
os.set_blocking(terminal, False)
status = None


def pump():
    try:
        screen.feed(os.read(terminal, 65536).decode())
    except (BlockingIOError, OSError):
        time.sleep(0.02)


def wait(what, condition):
    until = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > until:
            os.kill(pid, signal.SIGKILL)
            sys.exit("\n".join([f"not seen in time: {what}", *screen.lines]))
        pump()


def ended():
    global status
    if status is None:
        done, raw = os.waitpid(pid, os.WNOHANG)
        if done == pid:
            status = os.waitstatus_to_exitcode(raw)
    return status is not None


for step in steps:
    name, _, value = step.partition("=")
    if name == "see":
        wait(value, lambda: any(re.search(value, line) for line in screen.lines))
    elif name == "key":
        os.write(terminal, value.encode())
    elif name == "size":
        columns, rows = map(int, value.split("x"))
        screen.resize(columns, rows)
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    elif name == "signal":
        os.kill(pid, getattr(signal, value))
    elif name == "end":
        wait("its end", ended)
        if status != int(value):
            sys.exit(f"exit status {status}")
        pump()
    elif name == "back":
        if screen.other:
            sys.exit("the screen was not given back")
