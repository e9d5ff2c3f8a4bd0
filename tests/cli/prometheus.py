# SPDX-License-Identifier: BSD-2-Clause
"""Reads the text format of Prometheus from a file, strictly: exit 1 and a line for what is wrong, or for a value that is not as
expected: prometheus.py FILE [METRIC=VALUE...], a metric with its labels as they stand there.
"""
import re
import sys

LABELS = r'\{(?:[a-z_]+="(?:[^"\\]|\\["\\n])*",?)*\}'
wrong = []
types, values = {}, {}
family = None
with open(sys.argv[1], encoding="utf-8") as f:
    text = f.read()
if not text.endswith("\n"):
    wrong.append("no newline at the end")
for line in text.splitlines():
    if match := re.fullmatch(r"# HELP ([a-z_]+) (.+\.)", line):
        family = match[1]
        if family in types:
            wrong.append(f"{family}: twice")
        types[family] = None
    elif match := re.fullmatch(r"# TYPE ([a-z_]+) (gauge|counter|histogram)", line):
        if match[1] != family or types[family]:
            wrong.append(f"{line}: not behind its HELP")
        types[family] = match[2]
    elif match := re.fullmatch(rf"([a-z_]+)({LABELS})? (-?[0-9.e+-]+)", line):
        name, labels, value = match[1], match[2] or "", float(match[3])
        base = re.sub(r"_(bucket|sum|count)$", "", name) if types.get(family) == "histogram" else name
        if base != family:
            wrong.append(f"{line}: not below its family")
        if types.get(base) == "counter" and not base.endswith("_total"):
            wrong.append(f"{base}: a counter without _total")
        if name + labels in values:
            wrong.append(f"{name}{labels}: twice")
        values[name + labels] = value
    else:
        wrong.append(f"not understood: {line}")
for name, kind in types.items():
    if kind != "histogram":
        continue
    buckets = [(float(re.search(r'le="([^"]+)"', key)[1]), value) for key, value in values.items() if key.startswith(name + "_bucket")]
    if buckets != sorted(buckets) or [v for _, v in buckets] != sorted(v for _, v in buckets):
        wrong.append(f"{name}: buckets are not in order")
    if buckets[-1] != (float("inf"), values.get(name + "_count")):
        wrong.append(f"{name}: the last bucket is not all there are")
for expected in sys.argv[2:]:
    metric, value = expected.rsplit("=", 1)
    if values.get(metric) != float(value):
        wrong.append(f"{metric} is {values.get(metric)}, not {value}")
print("\n".join(wrong))
sys.exit(bool(wrong))
