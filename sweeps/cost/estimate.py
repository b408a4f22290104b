"""What a sweep will take, measured beforehand on a small part of each kind of pack.

A pack that learns by steps takes `a + b * steps`: a for its data and its evaluation, b for one step
of all its models. Both follow from two short trainings of the whole pack on part of the images. A
closed form is not linear in anything, but short: such a pack is trained as it is. What probes take
is reckoned apart, trial by trial (`sweeps.cost.probe_cost`).

Where the sweep has several workers, as many processes measure side by side: cores share caches,
memory and heat, and each is slower beside the others than alone.
"""

from __future__ import annotations

import heapq
import multiprocessing
import os
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from backdoor.config import TrialConfig
from backdoor.datasets.source import load_source, split
from backdoor.engines import pack_key
from sweeps.cost.probe_cost import Example, examples, kind_of, probe_seconds
from sweeps.packs.pack import Pack
from sweeps.runners import train_pack

#: A probe is made longer until it takes so many seconds, or is the whole training.
LONG_ENOUGH = 0.4
#: At most so many processes measure side by side; more would tell little else.
MOST_AT_ONCE = 16
#: So many parts for each process are many.
MANY = 4
#: Each probe's time is the median of so many.
REPEATS = 3

Clock = Callable[[], float]
T = TypeVar("T")


@dataclass(frozen=True)
class Estimate:
    """seconds: of all packs on `workers` workers, from the first pack's start to the last one's
    end, without Ray's start. worker_seconds: of all packs, one after the other. gpu_hours: what
    the packs hold of GPUs, in the same sense."""

    trials: int
    packs: int
    workers: int
    seconds: float
    worker_seconds: float
    gpu_hours: float


def estimate(packs: Sequence[Pack], trials: int | None = None) -> Estimate:
    """Trains a little of each kind of pack here and says what all of them take on this machine.

    packs: those planned, or a sample of them. trials: how many there are in all, where the packs
    are a sample.
    """
    by_kind: dict[tuple[str, bool], list[Pack]] = defaultdict(list)
    for pack in packs:
        by_kind[_kind(pack)].append(pack)
    job, workers = packs[0].job, workers_here(packs[0].job.cpu, packs[0].job.gpu)
    largest = [max(some, key=lambda p: len(p.trials)) for some in by_kind.values()]
    cost = dict(zip(by_kind, probe_all(largest, workers), strict=True))
    asked = examples(packs)
    studies = dict(zip(asked, probe_results_all(list(asked.values()), workers), strict=True))
    lasts = [
        cost[_kind(p)] * len(p.trials) + sum(studies.get(kind_of(t), 0.0) for t in p.trials)
        for p in packs
    ]
    planned = sum(len(pack.trials) for pack in packs)
    scale = (trials or planned) / planned
    total = sum(lasts) * scale
    return Estimate(
        trials or planned, round(len(packs) * scale), workers,
        makespan(lasts, workers) * scale, total, total * job.gpu / 3600,
    )  # fmt: skip


def _kind(pack: Pack) -> tuple[str, bool]:
    """Packs that cost the same a trial. One that may be stopped shares nothing; it is reckoned as
    if it ran to its end."""
    return pack_key(pack.trials[0]), pack.may_stop


def probe_all(packs: Sequence[Pack], workers: int) -> list[float]:
    """Seconds a trial of each pack takes, trained beside the other workers."""
    return _side_by_side(_probe_each, packs, workers)


def probe_results_all(asked: Sequence[Example], workers: int) -> list[float]:
    """Seconds that the studies of each of these trials take, beside the other workers."""
    return _side_by_side(_probe_each_model, asked, workers) if asked else []


def _side_by_side(
    each: Callable[[Sequence[T]], list[float]], parts: Sequence[T], workers: int
) -> list[float]:
    """What `each` measures in so many processes at the same time: of few parts each one's mean over
    all processes; many parts are dealt out, as the processes load the machine with any of them."""
    count = min(workers, MOST_AT_ONCE)
    if count == 1:
        return each(parts)
    many = len(parts) >= MANY * count
    hands = [parts[i::count] if many else parts for i in range(count)]
    spawn = multiprocessing.get_context("spawn")
    together = spawn.Barrier(count)
    with ProcessPoolExecutor(count, spawn, _meet, (together,)) as pool:
        found = list(pool.map(each, hands))
    if many:
        return [found[i % count][i // count] for i in range(len(parts))]
    return [statistics.mean(seconds) for seconds in zip(*found, strict=True)]


def _meet(together: Any) -> None:
    """Waits until all processes have started."""
    together.wait()


def _probe_each(packs: Sequence[Pack]) -> list[float]:
    return [probe(pack) for pack in packs]


def _probe_each_model(asked: Sequence[Example]) -> list[float]:
    return [probe_seconds(example) for example in asked]


def probe(pack: Pack, clock: Clock = time.perf_counter) -> float:
    """Seconds a trial of this pack takes, trained in it."""
    images, size = train_images(pack.trials[0]), pack.trials[0].training.batch_size
    part = min(images, 4 * size)
    _timed(_shortened(pack, part, 1), clock, repeats=1)  # the data and the libraries are loaded
    if not pack.trials[0].defence.architecture.trained_by_epochs:
        return _timed(pack, clock) / len(pack.trials)
    while (once := _timed(_shortened(pack, part, 1), clock)) < LONG_ENOUGH and part < images:
        part = min(images, 4 * part)
    thrice = _timed(_shortened(pack, part, 3), clock)
    step = max(0.0, thrice - once) / (2 * -(-part // size))
    steps = -(-images // size) * pack.trials[0].defence.epochs
    return (max(0.0, once - step * -(-part // size)) + step * steps) / len(pack.trials)


def train_images(trial: TrialConfig) -> int:
    """How many images the trial trains on."""
    return len(split(trial.data, load_source(trial.data), trial.seed).train)


def _shortened(pack: Pack, images: int, epochs: int) -> Pack:
    def shorten(trial: TrialConfig) -> TrialConfig:
        data, defence = replace(trial.data, train=images), replace(trial.defence, epochs=epochs)
        return replace(trial, data=data, defence=defence)

    return Pack(tuple(map(shorten, pack.trials)), pack.job)


def _timed(pack: Pack, clock: Clock, repeats: int = REPEATS) -> float:
    """Median seconds; one run is enough where it lasts."""
    taken: list[float] = []
    while len(taken) < repeats and sum(taken) < REPEATS * LONG_ENOUGH:
        start = clock()
        train_pack(replace(pack, job=replace(pack.job, probes=())))
        taken.append(clock() - start)
    return statistics.median(taken)


def makespan(durations: Iterable[float], workers: int) -> float:
    """Seconds until the last of these is done, each begun by the first worker that is free."""
    free = [0.0] * workers
    for duration in durations:
        heapq.heappush(free, heapq.heappop(free) + duration)
    return max(free)


def workers_here(cpu: int, gpu: float, machine: Mapping[str, float] | None = None) -> int:
    """Packs that run at once on this machine, at least 1."""
    have = machine or {"CPU": len(os.sched_getaffinity(0)), "GPU": _cards()}
    at_once = have["CPU"] / cpu
    return max(1, int(min(at_once, have["GPU"] / gpu) if gpu else at_once))


def _cards() -> int:
    import torch

    return torch.cuda.device_count()
