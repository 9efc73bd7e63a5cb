# SPDX-License-Identifier: Apache-2.0
"""Tables and a plot from the lines of a sitting (sitting.py)."""
import math
import os
import statistics

import scaling
from engines import BESIDE, LABELS, OURS, PEERS

F32_PEERS = ["ort", "ov"]
SHORT = {"vitjit": "vitjit", "vitjit_bf16": "vitjit bf16", "vitjit_int8": "vitjit int8", "ort": "ORT", "ov": "OV", "ov_default": "OV def.", "ov_bf16": "OV bf16", "ort_int8": "ORT int8"}


def row(cells):
    return "| " + " | ".join(str(c) for c in cells) + " |"


def table(head, rows):
    return [row(head), row(["---"] * len(head)), *[row(r) for r in rows], ""]


def figures(lines, engine, key):
    """of the rounds in which the engine answered"""
    return [line["engines"][engine][key] for line in lines if key in line["engines"].get(engine, {})]


def ratios(lines, peer, key, more_is_better=False, mine="vitjit"):
    """of each round: above 1, vitjit is better"""
    both = [(line["engines"][mine], line["engines"].get(peer, {})) for line in lines if key in line["engines"].get(mine, {})]
    pairs = [(mine[key], other[key]) for mine, other in both if key in other and mine[key] > 0 and other[key] > 0]
    return [mine / other if more_is_better else other / mine for mine, other in pairs]


def with_spread(values, digits=2):
    if not values:
        return "-"
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def median_text(values, digits=2):
    return f"{statistics.median(values):.{digits}f}" if values else "-"


def better_peer(lines, key, more_is_better=False):
    """the float32 peer with the better median, or None"""
    found = [(statistics.median(figures(lines, p, key)), p) for p in F32_PEERS if figures(lines, p, key)]
    return (max(found) if more_is_better else min(found))[1] if found else None


def cases(sitting, what, *keys):
    """-> {key values: lines}, in the order of the sitting's models"""
    found = {}
    for line in sitting.lines:
        if line["what"] == what:
            found.setdefault(tuple(line[k] for k in keys), []).append(line)
    return dict(sorted(found.items()))


def engines_of(sitting, what):
    """those that the sitting has, in their order"""
    there = {engine for line in sitting.lines if line["what"] == what for engine in line["engines"]}
    return [engine for engine in [*OURS, *PEERS] if engine in there]


def comparisons(engines):
    """-> [(whose ratio, beside whom)]; None: the better peer in float32"""
    pairs = [("vitjit", None)] if "vitjit" in engines else []
    pairs += [(mine, peer) for mine in OURS for peer in BESIDE[mine]]
    pairs += [("vitjit_bf16", "vitjit"), ("vitjit_int8", "vitjit"), ("vitjit_int8", "vitjit_bf16")]
    return [(mine, peer) for mine, peer in pairs if mine in engines and (peer is None or peer in engines)]


def label_of(peer):
    if peer is None:
        return "the better of ONNX Runtime and OpenVINO in f32"
    return LABELS[peer] + (" f32" if peer in ("vitjit", "ov") else "")


def geometric_mean(values):
    return math.exp(statistics.fmean(math.log(v) for v in values))


def summary(sitting):
    rows = []
    for threads in sitting.head["threads"]:
        for mine, peer in comparisons(engines_of(sitting, "latency")):
            medians = []
            for (_, t, _), lines in cases(sitting, "latency", "model", "threads", "batch").items():
                chosen = peer or better_peer(lines, "min_ms")
                found = ratios(lines, chosen, "min_ms", mine=mine) if t == threads and chosen else []
                if found:
                    medians.append(statistics.median(found))
            if medians:
                slower = sum(m < 1 for m in medians)
                rows.append([threads, OURS[mine], label_of(peer), len(medians),
                             f"{geometric_mean(medians):.3f}", f"{min(medians):.2f}", f"{max(medians):.2f}", slower])
    return table(["threads", "vitjit in", "beside", "models", "geometric mean of the ratios", "least", "most", "below 1"], rows) if rows else []


def ratio_labels(pairs):
    return [f"{OURS[mine]}: ratio to {label_of(peer) if peer else 'the better in f32'} (spread)" for mine, peer in pairs]


def latency(sitting, threads):
    rows, engines = [], engines_of(sitting, "latency")
    pairs = [(mine, peer) for mine, peer in comparisons(engines) if peer not in F32_PEERS]
    for (model, t, batch), lines in cases(sitting, "latency", "model", "threads", "batch").items():
        if t != threads:
            continue
        facts = next(filter(None, (sitting.facts(model, mine) for mine in OURS)), {})
        rows.append([model + (f", batch {batch}" if batch > 1 else ""), f"{facts['flops'] * batch / 1e9:.2f}" if "flops" in facts else "-",
                     *[median_text(figures(lines, e, "min_ms")) for e in engines],
                     *[with_spread(ratios(lines, peer or better_peer(lines, "min_ms"), "min_ms", mine=mine)) for mine, peer in pairs]])
    head = ["model", "GFLOP", *[f"{LABELS[e]}, ms" for e in engines], *ratio_labels(pairs)]
    return [f"### Latency, {threads} thread{'s' if threads > 1 else ''}", "", *table(head, rows)] if rows else []


def start(sitting):
    rows, engines = [], engines_of(sitting, "start")
    ours, weighed = [e for e in engines if e in OURS], [e for e in engines if e != "ov_default"]
    for (model, threads), lines in cases(sitting, "start", "model", "threads").items():
        facts = [sitting.facts(model, e) for e in ours]
        cells = [model, *[f"{f['compile_ms'] / 1e3:.2f}" if "compile_ms" in f else "-" for f in facts]]
        for key in ("cold_ms", "warm_ms"):
            cells += [median_text(figures(lines, e, key), 0) for e in engines]
        for key in ("cold_rss", "warm_rss"):
            cells += [median_text([r / 1e6 for r in figures(lines, e, key)], 0) for e in weighed]
        rows.append([*cells, *[f"{(f.get('weights_bytes', 0) + f.get('arena_bytes', 0)) / 1e6:.0f}" for f in facts]])
    if not rows:
        return []
    head = ["model", *[f"compile {SHORT[e]}, s" for e in ours], *[f"{k} {SHORT[e]}, ms" for k in ("cold", "warm") for e in engines],
            *[f"peak {k} {SHORT[e]}, MB" for k in ("cold", "warm") for e in weighed], *[f"weights + arena {SHORT[e]}, MB" for e in ours]]
    text = ["### Start and memory", "", "Time to the first result. vitjit: the whole process. The peers: from the import of their library in a Python "
            "process, whose memory is counted with theirs. Warm: vitjit's cache, ONNX Runtime's saved optimised model, OpenVINO's cache.", ""]
    return [*text, *table(head, rows)]


def throughput(sitting):
    rows, engines = [], engines_of(sitting, "throughput")
    pairs = [(mine, peer) for mine, peer in (("vitjit", None), ("vitjit_bf16", "ov_default")) if mine in engines]
    for (model, sessions), lines in cases(sitting, "throughput", "model", "sessions").items():
        cells = [model, sessions]
        for engine in engines:
            cells += [f"{median_text(figures(lines, engine, 'images_per_s'), 1)} / {median_text(figures(lines, engine, 'p99_ms'), 1)}"]
        for mine, peer in pairs:
            peer = peer or better_peer(lines, "images_per_s", more_is_better=True)
            cells += [with_spread(ratios(lines, peer, "images_per_s", True, mine)), with_spread(ratios(lines, peer, "p99_ms", mine=mine))]
        rows.append(cells)
    if not rows:
        return []
    text = ["### Throughput", "", "Images a second / 99th percentile of a run's time in ms, with so many callers at once on all cores: vitjit with a session "
            "each, ONNX Runtime with one global pool, OpenVINO with its THROUGHPUT hint and a request each. In f32 the ratios are to the "
            "float32 peer with more images a second, in bf16 to OpenVINO's defaults; above 1, vitjit has more of them, or the shorter time.", ""]
    head = ["model", "callers", *[LABELS[e] for e in engines],
            *[f"{OURS[mine]}: {what}, ratio (spread)" for mine, _ in pairs for what in ("images/s", "p99")]]
    return [*text, *table(head, rows)]


def scaling_section(sitting, beyond=(16, 64)):
    machine, rows, parts = sitting.machine, [], []
    plans = {(line["model"], line["threads"]): line["stats"] for line in sitting.lines if line["what"] == "plan"}
    most = max((threads for _, threads in plans), default=1)
    for model in sorted({m for m, _ in plans}):
        if (model, 1) not in plans or (model, most) not in plans or not machine or most < 2:
            continue
        kernels = plans[model, 1]["kernel_times"]
        peaks = {t: plans[model, t]["peak_gflops"] for t in (1, most)}
        work, span = scaling.work_and_span(kernels)
        one = scaling.predict(kernels, machine, peaks, 1)["ms"]
        here = scaling.predict(kernels, machine, peaks, most)["ms"]
        measured = plans[model, most]["min_ms"] / plans[model, 1]["min_ms"]
        cells = [model, f"{work:.2f}", f"{span:.3f}", f"{1 / measured:.2f}", f"{one / here:.2f}", f"{100 * (here / one / measured - 1):+.1f} %"]
        for t in beyond:
            low, high = (one / scaling.predict(kernels, machine, peaks, t, grows)["ms"] for grows in (False, True))
            cells.append(f"{low:.1f} to {high:.1f}")
        rows.append(cells)
        for t in beyond:
            p = scaling.predict(kernels, machine, peaks, t)
            parts.append([model, t, *[f"{p[k]:.3f}" for k in ("ms", "even", "uneven", "memory", "steps")]])
    if not rows:
        return []
    text = ["### Scaling, modelled", "", f"**Unmeasured beyond {most} cores.** `bench/scaling.py` has the model: the time of each kernel on one thread, the plan's phases and "
            f"units, the cut into {scaling.PARTS} parts a thread, the steps between phases ({', '.join(f'{ns:.0f}' for ns in machine['step_ns'])} ns with 1 to "
            f"{len(machine['step_ns'])} threads here) and bandwidth ({', '.join(f'{g:.1f}' for g in machine['read_gb_per_s'])} GB/s here). Speed-ups are over one thread. "
            f"Work: all units; span: the longest unit of every phase, one after another. A range is from the bandwidth of the {most} cores here to as much more "
            "as there are more cores.", ""]
    head = ["model", "work, ms", "span, ms", f"{most} threads, measured", f"{most}, modelled", "error of time", *[f"{t}, modelled" for t in beyond]]
    more = ["Where the modelled time goes, in ms, bandwidth growing with the cores:", ""]
    return [*text, *table(head, rows), *more,
            *table(["model", "threads", "time", "work spread evenly", "uneven cuts", "memory", "steps"], parts)]


def preamble(sitting):
    h = sitting.head
    versions = ", ".join(f"{LABELS[e]} {v}" for e, v in h["versions"].items())
    told = {"ov_default": "OpenVINO's own defaults compute", "ov_bf16": "OpenVINO that is told bf16 computes"}
    own = "".join(f" {who} in {sitting.precision(e)} on this CPU." for e, who in told.items() if sitting.precision(e))
    return [f"{h['cpu']}, {h['cpus']} CPUs; {h['date']}; {versions}; {h['rounds']} rounds of {h['seconds']:g} s of each engine in turn.",
            f"float32, but for columns of bf16 and of OpenVINO's defaults.{own} A round's figure is its best run, a table's the median of the rounds'; a "
            "ratio is the median over the rounds of that round's ratio, with its least and largest. Above 1, vitjit is faster.", ""]


def failures(sitting):
    found = {}
    for line in sitting.lines:
        for engine, answer in line.get("engines", {}).items():
            if "error" in answer:
                found.setdefault((line["model"], engine), answer["error"])
    return [*[f"- {m}: {LABELS[e]} does not run it: {why}" for (m, e), why in sorted(found.items())], ""] if found else []


def text(sitting, plot=None):
    image = [f"![ratios of all models]({os.path.basename(plot)})", ""] if plot else []
    parts = [preamble(sitting), summary(sitting), image]
    parts += [latency(sitting, t) for t in sitting.head["threads"]]
    parts += [start(sitting), throughput(sitting), scaling_section(sitting), failures(sitting)]
    return [line for part in parts for line in part]


def put(path, lines, mark="sitting"):
    """Between the marks of the file, or, where there are none, at the end."""
    begin, end = f"<!-- {mark} -->", f"<!-- /{mark} -->"
    with open(path) as file:
        old = file.read()
    new = f"{begin}\n" + "\n".join(lines).rstrip("\n") + f"\n{end}"
    if begin in old and end in old:
        old = old[: old.index(begin)] + new + old[old.index(end) + len(end) :]
    else:
        old = old.rstrip("\n") + "\n\n" + new + "\n"
    with open(path + ".new", "w") as file:
        file.write(old)
    os.replace(path + ".new", path)


# The plot: a line a model, a dot a peer at the median ratio, a whisker over the rounds.

STEP, TOP, LEFT, WIDTH, BOTTOM = 14, 46, 190, 560, 30
SERIES = [("vitjit", "ort", "#1f6fb4", "f32, ONNX Runtime"), ("vitjit", "ov", "#d9700d", "f32, OpenVINO"),
          ("vitjit_bf16", "ov_default", "#2a8f4a", "bf16, OpenVINO's defaults")]


def svg(sitting):
    threads = max(sitting.head["threads"])
    rows = []
    for (model, t, batch), lines in cases(sitting, "latency", "model", "threads", "batch").items():
        found = [ratios(lines, peer, "min_ms", mine=mine) for mine, peer, _, _ in SERIES]
        if t == threads and any(found):
            rows.append((min(statistics.median(v) for v in found if v), model + (f" x{batch}" if batch > 1 else ""), found))
    rows.sort(key=lambda r: r[0])
    if not rows:
        return None
    every = [v for _, _, found in rows for values in found for v in values]
    low, high = math.log2(min(0.9, *every)) - 0.05, math.log2(max(2, *every)) + 0.05
    at = lambda v: LEFT + WIDTH * (math.log2(v) - low) / (high - low)
    height = TOP + STEP * len(rows) + BOTTOM
    escape = lambda s: s.replace("&", "&amp;").replace("<", "&lt;")
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 20}" height="{height}" font-family="sans-serif" font-size="10">',
           '<rect width="100%" height="100%" fill="white"/>',
           f'<text x="8" y="16" font-size="13">How many times faster vitjit is, {threads} thread{"s" if threads > 1 else ""}</text>',
           f'<text x="8" y="31">{escape(sitting.head["cpu"])}, {sitting.head["date"]}</text>']
    for i, (_, _, colour, label) in enumerate(SERIES):
        out.append(f'<circle cx="{LEFT + WIDTH - 340 + 120 * i}" cy="12" r="4" fill="{colour}"/>'
                   f'<text x="{LEFT + WIDTH - 332 + 120 * i}" y="16">{label}</text>')
    bottom = TOP + STEP * len(rows)
    for tick in (0.25, 0.5, 0.75, 1, 1.25, 1.5, 2, 3, 4, 6, 8):
        if low <= math.log2(tick) <= high:
            out.append(f'<line x1="{at(tick):.1f}" y1="{TOP - 6}" x2="{at(tick):.1f}" y2="{bottom}" stroke="{"black" if tick == 1 else "#ddd"}"/>'
                       f'<text x="{at(tick):.1f}" y="{bottom + 14}" text-anchor="middle">{tick:g}</text>')
    for i, (_, model, found) in enumerate(rows):
        y = TOP + STEP * i + 4
        out.append(f'<text x="{LEFT - 6}" y="{y + 3}" text-anchor="end">{escape(model)}</text>')
        for (_, _, colour, _), values in zip(SERIES, found):
            if values:
                out.append(f'<line x1="{at(min(values)):.1f}" y1="{y}" x2="{at(max(values)):.1f}" y2="{y}" stroke="{colour}"/>'
                           f'<circle cx="{at(statistics.median(values)):.1f}" cy="{y}" r="3" fill="{colour}"/>')
    return "\n".join([*out, "</svg>", ""])
