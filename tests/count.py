# SPDX-License-Identifier: BSD-2-Clause
"""Adds up meson's log of a test run: prints how many tests passed, failed and were skipped.

What counts is each test that a program reports (TAP), not the program. One that ends early or in disorder has a
failure more: for each test it had planned and did not report, else for itself. What a failed one said of it goes to
standard error: meson shows what a program wrote there, but not its report.
"""
import json
import re
import sys


def count(entry):
    """(passed, failed, skipped) of one program."""
    passed = failed = skipped = 0
    planned = None
    for line in entry.get("stdout", "").splitlines():
        if plan := re.match(r"1\.\.(\d+)", line):
            planned = int(plan[1])
        elif line.startswith("not ok"):
            failed += 1
        elif re.match(r"ok\b.*# *skip", line, re.IGNORECASE):
            skipped += 1
        elif re.match(r"ok\b", line):
            passed += 1
    reported = passed + failed + skipped
    if planned is not None and reported < planned:
        failed += planned - reported
    if entry["result"] == "SKIP" and reported == 0:
        skipped = 1
    elif entry["result"] not in ("OK", "SKIP") and failed == 0:
        failed = 1
    elif entry["result"] == "OK" and reported == 0 and planned is None:
        passed = 1
    return passed, failed, skipped


def explain(entry):
    """The failed ones of a program's report, each with the lines behind it."""
    failed = False
    for line in entry.get("stdout", "").splitlines():
        failed = line.startswith("not ok") or (failed and not re.match(r"ok\b", line))
        if failed:
            print(f"{entry['name']}: {line}", file=sys.stderr)


with open(sys.argv[1], encoding="utf-8", errors="replace") as log:
    entries = [json.loads(line) for line in log]
results = [count(entry) for entry in entries]
for entry in entries:
    explain(entry)
print(*(sum(column) for column in zip(*results)) if results else (0, 0, 0))
