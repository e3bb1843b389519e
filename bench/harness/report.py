# SPDX-License-Identifier: GPL-2.0
"""Results: one row a comparison, medians, ratios, and what machine it was. Markdown on purpose: the table that is
printed is the file that is kept."""
import os
import platform
import re
import statistics
import subprocess
import time

from .servers import NAMES


class Row:
    """One comparison. `samples` by server name; `target` is the ratio to reach, as (comparison, value)."""

    def __init__(self, key, title, unit, target=None, is_smaller_better=False):
        self.key, self.title, self.unit, self.target = key, title, unit, target
        self.is_smaller_better = is_smaller_better
        self.samples, self.notes = {}, []

    def add(self, server, value):
        self.samples.setdefault(server, []).append(value)

    def median(self, server):
        values = self.samples.get(server)
        return statistics.median(values) if values else None

    def ratio(self, other):
        a, b = self.median("weir"), self.median(other)
        return a / b if a and b else None


def number(v):
    if v is None:
        return "-"
    return f"{v:,.0f}" if abs(v) >= 100 else f"{v:.1f}"


def verdict(row):
    if row.target is None:
        return ""
    r = row.ratio("nginx") if row.target[0] != "abs" else row.median("weir")
    if r is None:
        return f"wanted {row.target[0].replace('abs', '<=')} {row.target[1]}"
    ok = r <= row.target[1] if row.target[0] in ("<=", "abs") else r >= row.target[1]
    return f"{'reached' if ok else 'MISSED'} ({row.target[0].replace('abs', '<=')} {row.target[1]})"


def machine():
    def first(pattern, path, default="?"):
        with open(path) as f:
            m = re.search(pattern, f.read(), re.M)
        return m.group(1).strip() if m else default

    def output(cmd):
        try:
            r = subprocess.run(cmd, capture_output=True, text=True, timeout=10, check=False)
            return (r.stdout + r.stderr).strip().splitlines()[0]
        except (OSError, IndexError, subprocess.TimeoutExpired):
            return "?"

    flags = first(r"^flags\s*: (.*)", "/proc/cpuinfo", "")
    rows = [
        ("CPU", f"{first(r'^model name.*: (.*)', '/proc/cpuinfo')}"
                f" ({os.cpu_count()} cores{', virtual machine' if 'hypervisor' in flags.split() else ''})"),
        ("memory", f"{int(first(r'^MemTotal: +([0-9]+)', '/proc/meminfo')) // 1024:,} MiB"),
        ("kernel", platform.release()),
        ("nginx", output(["nginx", "-v"]).replace("nginx version: ", "")),
        ("wrk", " ".join(output(["wrk", "-v"]).split()[:2])),
        ("Weir", output(["git", "-C", os.path.dirname(os.path.abspath(__file__)), "describe", "--always", "--dirty"])),
        ("load before", " ".join(f"{x:.2f}" for x in os.getloadavg())),
        ("when", time.strftime("%Y-%m-%d %H:%M:%S %Z")),
    ]
    return rows


def markdown(rows, errors, about, rounds, seconds):
    out = ["# make bench", "",
           f"Medians of {rounds} rounds of {seconds} s each. Ratios are Weir / peer. How each number is made: "
           "bench/README.md.", ""]
    out += [f"- {k}: {v}" for k, v in about]
    if float(dict(about)["load before"].split()[0]) > 0.5:
        out += ["", "**Other work was going on before the first measurement: rates are too low and ratios unsure.**"]
    head = ["", "what", "unit", NAMES["weir"], NAMES["nginx"], "ratio", NAMES["nginx-nosendfile"], "ratio", "target"]
    cells = [head]
    for row in rows:
        line = [row.key, row.title, row.unit, number(row.median("weir"))]
        for peer in ("nginx", "nginx-nosendfile"):
            r = row.ratio(peer)
            line += [number(row.median(peer)), f"{r:.2f}" if r else "-"]
        cells.append(line + [verdict(row)])
    width = [max(len(line[i]) for line in cells) for i in range(len(head))]
    out.append("")
    for n, line in enumerate(cells):
        out.append("| " + " | ".join(c.ljust(w) if i in (0, 1, 2, 8) else c.rjust(w)
                                     for i, (c, w) in enumerate(zip(line, width))) + " |")
        if n == 0:
            out.append("|" + "|".join("-" * (w + 2) if i in (0, 1, 2, 8) else "-" * (w + 1) + ":"
                                      for i, w in enumerate(width)) + "|")
    notes = [f"- {row.key}: {note}" for row in rows for note in dict.fromkeys(row.notes)]
    spread = [f"- {row.key}, {NAMES[s]}: " + ", ".join(number(v) for v in values)
              for row in rows for s, values in row.samples.items() if len(values) > 1]
    if errors:
        out += ["", "## What could not be measured", "", *(f"- {e}" for e in errors)]
    if notes:
        out += ["", "## Notes", "", *notes]
    if spread:
        out += ["", "## Each round", "", *spread]
    return "\n".join(out) + "\n"
