# SPDX-License-Identifier: Apache-2.0
"""What vitjit's plan says of more cores than there are at hand: work, span, barriers, bandwidth.

A plan is a list of phases; no thread goes on to the next before all parts of one are done. A phase is cut into PARTS parts for each
thread, and a part has its share of the units of every kernel of the phase, units being what kernels can be cut into. From the
time of each kernel on one thread (`--bench --stats`: busy_ms, units, phase, bytes) the time on T threads is modelled as

    sum over phases of  max(makespan, bytes / bandwidth) + step

makespan: the parts, in order, each taken by the thread that is free first; a part costs its units, a unit the kernel's time / units.
bytes: what the phase's kernels must move at least, were none of it in any cache. step: the time from the last part of a phase to the first
of the next, measured here for the threads there are; beyond, it is taken to grow with their number, since all threads write one counter.
The clock: multiply-adds a core with all cores at work, beside those with one, as measured here.
"""
import heapq

PARTS = 4  # runtime/session.c: PARTS_PER_THREAD


def phases_of(kernels):
    phases = {}
    for kernel in kernels:
        phases.setdefault(kernel["phase"], []).append(kernel)
    return [phases[number] for number in sorted(phases)]


def makespan(phase, threads):
    """ms of a phase on so many threads"""
    if threads == 1:
        return sum(k["busy_ms"] for k in phase)
    parts, free = threads * PARTS, [0.0] * threads
    for part in range(parts):
        cost = 0.0
        for k in phase:
            units = k["units"] * (part + 1) // parts - k["units"] * part // parts
            cost += k["busy_ms"] * units / k["units"]
        if cost > 0:
            heapq.heapreplace(free, free[0] + cost)
    return max(free)


def step_ms(machine, threads):
    known = machine["step_ns"]
    if threads == 1:
        return 0.0
    if threads <= len(known):
        return known[threads - 1] * 1e-6
    return known[-1] * 1e-6 * threads / len(known)


def clock(peaks, threads):
    """How fast a core is with all cores at work: peaks are GFLOP/s by number of threads."""
    most = max(peaks)
    return 1.0 if threads == 1 else peaks[most] / most / peaks[1]


def bandwidth(machine, threads, grows):
    """GB/s; beyond the cores at hand either what all of these reach, or as much more as there are more cores"""
    known = machine["read_gb_per_s"]
    if threads <= len(known):
        return known[threads - 1]
    return known[-1] * (threads / len(known) if grows else 1)


def predict(kernels, machine, peaks, threads, grows=True):
    """-> ms of a run, and its parts: ms if work were spread evenly, uneven cuts, memory, steps"""
    even = uneven = memory = steps = 0.0
    speed, rate = clock(peaks, threads), bandwidth(machine, threads, grows)
    for phase in phases_of(kernels):
        share = sum(k["busy_ms"] for k in phase) / threads / speed
        span = makespan(phase, threads) / speed
        moved = sum(k["bytes"] for k in phase) / rate * 1e-6
        even += share
        uneven += span - share
        # On one thread the measured times have the memory's in them.
        memory += max(0.0, moved - span) if threads > 1 else 0.0
        steps += step_ms(machine, threads)
    return {"ms": even + uneven + memory + steps, "even": even, "uneven": uneven, "memory": memory, "steps": steps}


def work_and_span(kernels):
    """ms of all units, and of the longest unit of each phase one after another: no number of threads is faster"""
    work = sum(k["busy_ms"] for k in kernels)
    return work, sum(max(k["busy_ms"] / k["units"] for k in phase) for phase in phases_of(kernels))
