#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Reads Prometheus' text exposition format 0.0.4 and complains of what is not it; prints
each sample as NAME{LABELS}=VALUE."""
import re
import sys

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\n"])*"'
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? (\d+)")

text = sys.stdin.read()
assert text.endswith("\n"), "the last line does not end"
types, helps, seen, current = {}, set(), set(), None
for line in text.splitlines():
    if m := re.fullmatch(rf"# HELP ({NAME}) (.+)", line):
        assert m[1] not in helps, f"second HELP: {line}"
        assert m[1] not in types, f"HELP after TYPE: {line}"
        helps.add(m[1])
    elif m := re.fullmatch(rf"# TYPE ({NAME}) (counter|gauge)", line):
        assert m[1] not in types, f"second TYPE: {line}"
        types[m[1]] = m[2]
        current = m[1]
    else:
        m = SAMPLE.fullmatch(line)
        assert m, f"no sample: {line}"
        assert m[1] == current, f"apart from its kind: {line}"
        assert m[1] in helps, f"no HELP: {line}"
        assert (types[m[1]] == "counter") == m[1].endswith("_total"), f"name: {line}"
        assert m[1].startswith("keyblob_"), f"name: {line}"
        sample = f"{m[1]}{{{m[2] or ''}}}"
        assert sample not in seen, f"twice: {line}"
        seen.add(sample)
        print(f"{sample}={m[3]}")
assert seen, "no sample at all"
