#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Precisions of vitjit side by side on several models: a table, and a plot of time beside accuracy.

usage: precisions.py VITJIT [FOLDER | MODEL.onnx]... [--precision f32,bf16,int8] [--seconds 5] [-j N] [--picture FILE]... [--cpu NAME]
                     [--plot docs/precisions.svg] [--results FILE.jsonl] [--into FILE.md]

Runs `vitjit MODEL --bench SECONDS --precision LIST --stats` for each, one after another: vitjit measures in turns, and judges beside float32 on the
pictures, or on seeded noise. The plot has a group of bars a model: a precision's time as a part of the first one's, and behind it the milliseconds, the
megabytes of weights and 1 - cosine. It names the machine's CPU; --cpu says in front of that what its number does not (Zen 4). The table goes to stdout,
and with --into between `<!-- precisions -->` and `<!-- /precisions -->` of a file. --results keeps the lines; models that are in it are not run again.
Needs Python alone.
"""
import argparse
import datetime
import json
import os
import sys

import report
from compare import cpu, models_of
from engines import Failed, measured

COLOURS = {"f32": "#1f6fb4", "bf16": "#2a8f4a", "int8": "#d9700d"}
FEATURES = {"avx512_bf16": "AVX-512 BF16", "avx512_vnni": "AVX-512 VNNI", "avx_vnni": "AVX-VNNI", "amx_tile": "AMX"}
BAR, GAP, TOP, LEFT, WIDTH, NOTE = 15, 10, 58, 120, 360, 150


def features():
    """of the CPU, those that small numbers are multiplied by"""
    try:
        with open("/proc/cpuinfo") as info:
            flags = next((line.split() for line in info if line.startswith("flags")), [])
    except OSError:
        return ""
    return "".join(f", {name}" for flag, name in FEATURES.items() if flag in flags)


def error_of(row):
    return f"{max(0, 1 - row['cosine']):.1e}" if "cosine" in row else "-"


def text(lines):
    head = ["model", "precision", "median, ms", "ratio", "weights, MB", "arena, MB", "1 - cosine", "largest difference", "top-1"]
    rows = [[line["model"], r["precision"], f"{r['median_ms']:.2f}", f"{r['ratio']:.2f}", f"{r['weights_bytes'] / 1e6:.1f}", f"{r['run_arena_bytes'] / 1e6:.2f}",
             error_of(r), f"{r.get('max_abs') or 0:.2g}", f"{r['top1_same']} of {r['top1_rows']}" if "top1_rows" in r else "-"]
            for line in lines for r in line["precisions"]]
    return report.table(head, rows)


def where(lines):
    """-> what was measured on, if all have that in common"""
    kinds = {(line["threads"], line["batch"], line["inputs"], line["images"]) for line in lines}
    if len(kinds) > 1:
        return "threads, batches or inputs differ"
    threads, batch, inputs, images = kinds.pop()
    what = {"noise": f"{images} images of noise", "pictures": f"{images} pictures"}.get(inputs, "inputs given")
    return f"{threads} thread{'s' if threads > 1 else ''}, batch {batch}; accuracy on {what}"


def svg(lines, machine):
    escape = lambda s: s.replace("&", "&amp;").replace("<", "&lt;")
    most = max(1.0, *(1 / r["ratio"] for line in lines for r in line["precisions"]))
    at = lambda part: WIDTH * part / most
    rows = sum(len(line["precisions"]) for line in lines)
    bottom = TOP + BAR * rows + GAP * len(lines)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + NOTE}" height="{bottom + 30}" font-family="sans-serif" font-size="10">',
           '<rect width="100%" height="100%" fill="white"/>',
           f'<text x="8" y="16" font-size="13">Time of a run as a part of {lines[0]["precisions"][0]["precision"]}\'s; weights; 1 - cosine beside f32</text>',
           f'<text x="8" y="31">{escape(machine)}</text>', f'<text x="8" y="44">{escape(where(lines))}</text>']
    for tick in (0, 0.25, 0.5, 0.75, 1):
        x = LEFT + at(tick)
        out.append(f'<line x1="{x:.1f}" y1="{TOP - 4}" x2="{x:.1f}" y2="{bottom}" stroke="{"black" if tick in (0, 1) else "#ddd"}"/>'
                   f'<text x="{x:.1f}" y="{bottom + 14}" text-anchor="middle">{tick:g}</text>')
    y = TOP
    for line in lines:
        out.append(f'<text x="8" y="{y + BAR}">{escape(line["model"])}</text>')
        for r in line["precisions"]:
            part, note = 1 / r["ratio"], f"{r['median_ms']:.1f} ms, {r['weights_bytes'] / 1e6:.1f} MB"
            note += f", {error_of(r)}" if r.get("cosine", 1) < 1 else ""
            out.append(f'<text x="{LEFT - 6}" y="{y + BAR - 4}" text-anchor="end">{r["precision"]}</text>'
                       f'<rect x="{LEFT}" y="{y + 1}" width="{at(part):.1f}" height="{BAR - 3}" fill="{COLOURS[r["precision"]]}"/>'
                       f'<text x="{LEFT + at(part) + 6:.1f}" y="{y + BAR - 4}" stroke="white" stroke-width="3" paint-order="stroke">{note}</text>')
            y += BAR
        y += GAP
    return "\n".join([*out, "</svg>", ""])


def read(path):
    """-> {model: line}"""
    if not path or not os.path.exists(path):
        return {}
    with open(path) as file:
        return {line["model"]: line for line in map(json.loads, file)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vitjit")
    parser.add_argument("models", nargs="+")
    parser.add_argument("--precision", default="f32,bf16,int8")
    parser.add_argument("--seconds", default="5")
    parser.add_argument("-j", "--threads")
    parser.add_argument("--picture", action="append", default=[])
    parser.add_argument("--cpu")
    parser.add_argument("--plot")
    parser.add_argument("--results")
    parser.add_argument("--into")
    a = parser.parse_args()
    done, lines, failed = read(a.results), [], 0
    for name, path in models_of(a.models).items():
        command = [a.vitjit, path, *a.picture, "--bench", a.seconds, "--precision", a.precision, "--stats", "--quiet", *(["-j", a.threads] if a.threads else [])]
        try:
            line = done.get(name) or {"model": name, **measured(command)[0]}
        except Failed as error:
            print(f"precisions.py: {name}: {error}", file=sys.stderr)
            failed = 1
            continue
        lines.append(line)
        if a.results and name not in done:
            with open(a.results, "a") as file:
                file.write(json.dumps(line) + "\n")
    if not lines:
        return 1
    machine = f"{a.cpu + ': ' if a.cpu else ''}{cpu()}{features()}; {datetime.date.today()}"
    table = [f"{machine}; {where(lines)}.", "", *text(lines)]
    if a.plot:
        with open(a.plot, "w") as file:
            file.write(svg(lines, machine))
    if a.into:
        image = [f"![time, weights and accuracy of precisions]({os.path.relpath(a.plot, os.path.dirname(a.into) or '.')})", ""] if a.plot else []
        report.put(a.into, [*table, *image], "precisions")
    print("\n".join(table))
    return failed


if __name__ == "__main__":
    sys.exit(main())
