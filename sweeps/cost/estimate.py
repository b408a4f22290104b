"""How long a sweep will take, measured in advance on a small part of each shape of pack.

The time of probes is estimated separately, trial by trial (`sweeps.cost.probe_cost`).
"""

from __future__ import annotations

import functools
import heapq
import os
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweeps.cost.pack_cost import (
    Asked,
    Budget,
    Line,
    filled,
    mean_of,
    measure_shapes,
)
from sweeps.cost.pack_parts import shape_of, units_of
from sweeps.cost.probe_cost import Example, examples, kind_of, probe_seconds
from sweeps.cost.processes import Measurers, is_dealt
from sweeps.packs.pack import Pack


@dataclass(frozen=True)
class Estimate:
    """How long a sweep will take.

    seconds: of all packs on `workers` workers, from the first pack's start to the last one's end,
    without Ray's start. worker_seconds: of all packs, one after the other. gpu_hours: the same for
    the GPUs that packs hold.
    """

    trials: int
    packs: int
    workers: int
    seconds: float
    worker_seconds: float
    gpu_hours: float


def estimate(
    packs: Sequence[Pack],
    trials: int | None = None,
    measurers: Measurers | None = None,
    began: float | None = None,
) -> Estimate:
    """Trains a little of each shape of pack here and estimates all of them on this machine.

    packs: those planned, or a sample of them. trials: how many there are in all, where the packs
    are a sample. measurers: processes that measure, where they have been started already. began:
    when the command began, on the clock `time.perf_counter`: all that it takes counts for the
    budget.
    """
    settings = packs[0].settings
    workers = workers_here(settings.cpu, settings.gpu)
    planned = sum(len(pack.trials) for pack in packs)
    scale = (trials or planned) / planned
    with measurers or Measurers(workers) as processes:
        taken = pack_seconds(packs, workers, processes, began, scale)
        probed = examples(packs)
        probing = dict(
            zip(probed, measure_probes(list(probed.values()), workers, processes), strict=True)
        )
    durations = [
        own + sum(probing.get(kind_of(t), 0.0) for t in p.trials)
        for own, p in zip(taken, packs, strict=True)
    ]
    total = sum(durations) * scale
    return Estimate(
        trials=trials or planned,
        packs=round(len(packs) * scale),
        workers=workers,
        seconds=makespan(durations, workers) * scale,
        worker_seconds=total,
        gpu_hours=total * settings.gpu / 3600,
    )


def pack_seconds(
    packs: Sequence[Pack],
    workers: int,
    processes: Measurers,
    began: float | None = None,
    scale: float = 1.0,
) -> list[float]:
    """Seconds of each pack, trained while other workers train too. scale: how many times as many
    packs there will be."""
    found = measured_seconds(packs, workers, processes, began, scale)
    assert None not in found, "what was not measured is filled"
    return [seconds or 0.0 for seconds in found]


def measured_seconds(
    packs: Sequence[Pack],
    workers: int,
    processes: Measurers,
    began: float | None = None,
    scale: float = 1.0,
    budget: Budget | None = None,
) -> list[float | None]:
    """As `pack_seconds`; with a budget, None of packs whose shape it did not suffice for."""
    shapes: dict[tuple[str, bool], list[int]] = defaultdict(list)
    for number, pack in enumerate(packs):
        shapes[shape_of(pack)].append(number)
    # A closed form has trials as units: its largest pack is the most like all others.
    units = {id(pack): units_of(pack) for pack in packs}
    asked = []
    for numbers in shapes.values():
        some = [packs[number] for number in numbers]
        largest = max(some, key=lambda p: (len(p.trials), units[id(p)]))
        together = round(scale * sum(units[id(p)] for p in some))
        asked.append(Asked(largest, together, round(scale * len(some))))
    lines = _lines(asked, workers, processes, began, budget)
    if budget is None:
        lines = [*filled(asked, lines)]
    found: list[float | None] = [None] * len(packs)
    for numbers, one, line in zip(shapes.values(), asked, lines, strict=True):
        if line is None:
            continue
        for number in numbers:
            pack = packs[number]
            by_epochs = pack.trials[0].defence.architecture.trained_by_epochs
            share = len(pack.trials) / len(one.pack.trials) if by_epochs else 1.0
            found[number] = share * line.seconds(units[id(pack)])
    return found


def _lines(
    asked: Sequence[Asked],
    workers: int,
    processes: Measurers,
    began: float | None,
    budget: Budget | None,
) -> list[Line | None]:
    gpu = asked[0].pack.settings.gpu
    spent = 0.0 if began is None else time.perf_counter() - began
    dealt = is_dealt(len(asked), workers)
    options: dict[str, Any] = {"spent": spent, "parallel": 1.0 if dealt else workers}
    if budget is not None:
        options |= {"budget": budget} | ({} if gpu else {"timer": time.process_time})
    each = functools.partial(measure_shapes, **options)
    rows = []
    for numbers, lines in processes.shares(each, asked, workers):
        row: list[Line | None] = [None] * len(asked)
        for number, line in zip(numbers, lines, strict=True):
            row[number] = line
        rows.append(row)
    return mean_of(rows)


def measure_probes(asked: Sequence[Example], workers: int, processes: Measurers) -> list[float]:
    """Seconds that the probes of each of these trials take, while other workers run too."""
    if not asked:
        return []
    return processes.seconds(_measure_each_example, asked, workers)


def _measure_each_example(asked: Sequence[Example]) -> list[float]:
    return [probe_seconds(example) for example in asked]


def makespan(durations: Iterable[float], workers: int) -> float:
    """Seconds until the last of these is done, each started by the first worker that is free."""
    free = [0.0] * workers
    for duration in durations:
        heapq.heappush(free, heapq.heappop(free) + duration)
    return max(free)


def workers_here(cpu: int, gpu: float, machine: Mapping[str, float] | None = None) -> int:
    """Packs that run at once on this machine, at least 1."""
    have = machine or {"CPU": len(os.sched_getaffinity(0)), "GPU": _gpus()}
    at_once = have["CPU"] / cpu
    return max(1, int(min(at_once, have["GPU"] / gpu) if gpu else at_once))


def _gpus() -> int:
    import torch

    return torch.cuda.device_count()
