#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What tests/bench/run.sh makes of the benches' JSON.

    report.py markdown FILE...        tables, for RESULTS.md
    report.py plot FILE PREFIX        clients, a second, p50 us, p99 us: of the rows "PREFIX, clients: N", for gnuplot
    report.py missed FILE...          how many targets were missed
"""
import datetime
import json
import os
import sys


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def target(row):
    """A row's comparison in words, and whether it is as good as it should be."""
    words, ok = [], True
    if "p99_max" in row:
        words.append(f"p99 {row['p99_of_base']:.2f} × {row.get('p99_unit', 'p50')} of {row['base']}, at most {row['p99_max']:.2f}")
        ok = row["p99_of_base"] <= row["p99_max"]
    elif "ratio" in row:
        words.append(f"{row['ratio']:.2f} × {row['base']}")
        if "ratio_min" in row:
            words.append(f"at least {row['ratio_min']:.2f}")
            ok = row["ratio"] >= row["ratio_min"]
    if "per_second_min" in row:
        words.append(f"at least {row['per_second_min']:.0f} a second")
        ok = ok and row["per_second"] >= row["per_second_min"]
    return ", ".join(words), ok


def date_of(path):
    return datetime.date.fromtimestamp(os.path.getmtime(path)).isoformat()


def figures(bench, path):
    print(f"\n## {bench['bench']}\n\n{date_of(path)}\n\n| | | at most |\n|---|---|---|")
    for f in bench["figures"]:
        note = " **missed**" if over(f) else ""
        most = f"{f['max']:.0f}" if "max" in f else ""
        print(f"| {f['name'].strip()} | {f['value']:.0f} {f['unit']} | {most}{note} |")


def over(figure):
    return "max" in figure and figure["value"] > figure["max"]


def markdown(paths):
    for path in paths:
        bench = load(path)
        if "figures" in bench:
            figures(bench, path)
            continue
        print(f"\n## {bench['bench']}\n\n{date_of(path)}: {bench['rounds']} rounds of {bench['count']}; medians\n")
        print("| | a second | p50 µs | p99 µs | |\n|---|---|---|---|---|")
        for row in bench["rows"]:
            words, ok = target(row)
            note = "" if ok else " **missed**"
            print(f"| {row['name'].strip()} | {row['per_second']:.0f} | {row['p50_us']:.1f} | {row['p99_us']:.1f} "
                  f"| {words}{note} |")


def plot(path, prefix):
    start = prefix + ", clients: "
    for row in load(path)["rows"]:
        if row["name"].startswith(start):
            print(row["name"][len(start):], row["per_second"], row["p50_us"], row["p99_us"])


def missed(paths):
    n = 0
    for bench in map(load, paths):
        n += sum(not target(row)[1] for row in bench.get("rows", []))
        n += sum(map(over, bench.get("figures", [])))
    print(n)


if __name__ == "__main__":
    if sys.argv[1] == "markdown":
        markdown(sys.argv[2:])
    elif sys.argv[1] == "plot":
        plot(sys.argv[2], sys.argv[3])
    else:
        missed(sys.argv[2:])
