# SPDX-License-Identifier: BSD-2-Clause
"""What an interactive shell completes: completion.py SHELL SCRIPT DIRECTORY, and from standard input a pair of lines for each
test: what is typed before a tab, and a pattern of what the shell then shows. Prints TAP without a plan. The program tpm-psk is
found in DIRECTORY.
"""
import os
import pty
import re
import select
import sys
import time

shell, script, directory = sys.argv[1:4]
DEADLINE = 20

pid, terminal = pty.fork()
if pid == 0:
    os.environ.update(PATH=directory + ":" + os.environ["PATH"], TERM="vt100", PS1="$ ", LC_ALL="C.UTF-8", HOME=os.getcwd())
    arguments = {"bash": ["bash", "--norc", "--noprofile", "-i"], "zsh": ["zsh", "-f", "-i"]}[shell]
    os.execvp(arguments[0], arguments)


def read_until(pattern):
    """What was shown up to there; what was not, as None."""
    text, until = "", time.monotonic() + DEADLINE
    while not re.search(pattern, text):
        left = until - time.monotonic()
        if left <= 0 or not select.select([terminal], [], [], left)[0]:
            return None, text
        try:
            new = os.read(terminal, 65536).decode(errors="replace")
        except OSError:
            return None, text
        text += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|[\x07\r]", "", new)
    return text, text


marks = 0


def run(command):
    """A command, and what it took to its end."""
    global marks
    marks += 1
    # The mark as it is typed is not the mark as it is shown.
    os.write(terminal, f"{command}; echo the-''end-{marks}-\n".encode())
    if read_until(f"the-end-{marks}-")[0] is None:
        sys.exit(f"{shell} does not do: {command}")


run("stty cols 2000")
if shell == "bash":
    run("bind 'set show-all-if-ambiguous on'; bind 'set completion-query-items 0'; bind 'set page-completions off'")
    run(f"source '{script}'")
else:
    run("LISTMAX=0; setopt no_auto_menu auto_list no_list_beep")
    run(f"mkdir functions && cp '{script}' functions/_tpm-psk && fpath=($PWD/functions $fpath)")
    run("autoload -Uz compinit && compinit -u -D")
lines = sys.stdin.read().splitlines()
for typed, pattern in zip(lines[::2], lines[1::2]):
    os.write(terminal, f"{typed}\t".encode())
    seen, text = read_until(pattern)
    print(f"{'not ok' if seen is None else 'ok'} - {shell} completes: {typed}")
    if seen is None:
        print(f"# nothing like {pattern} in {text!r}")
    os.write(terminal, b"\x15\n")  # Ctrl-U: the line is not wanted
    run(":")
os.write(terminal, b"exit\n")
os.close(terminal)
os.waitpid(pid, 0)
