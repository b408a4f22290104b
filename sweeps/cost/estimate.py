"""How long a sweep will take, measured in advance on a small part of each kind of pack.

A pack that is trained in steps takes `a + b * steps`: a for its data and its evaluation, b for one
step of all its models. Both follow from two short trainings of the whole pack on part of the
images. A closed form is not linear in anything, but fast: such a pack is trained as it is. The time
of probes is estimated separately, trial by trial (`sweeps.cost.probe_cost`).

Where the sweep has several workers, as many processes measure at the same time: cores share caches,
memory and cooling, and each is slower beside the others than alone.
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
from multiprocessing.synchronize import Barrier
from typing import TypeVar

from backdoor.config import TrialConfig
from backdoor.datasets.source import load_source, split
from backdoor.engines import pack_key
from sweeps.cost.probe_cost import Example, examples, kind_of, probe_seconds
from sweeps.packs.pack import Pack
from sweeps.runners import train_pack

#: A short training is made longer until it takes so many seconds, or is the whole training.
LONG_ENOUGH = 0.4
#: Most processes that measure at the same time; with more the result would hardly differ.
MOST_AT_ONCE = 16
#: From so many parts for each process on, the parts are dealt out to the processes.
MANY = 4
#: Each short training is repeated so often; its time is the median.
REPEATS = 3

Clock = Callable[[], float]
T = TypeVar("T")


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


def estimate(packs: Sequence[Pack], trials: int | None = None) -> Estimate:
    """Trains a little of each kind of pack here and estimates all of them on this machine.

    packs: those planned, or a sample of them. trials: how many there are in all, where the packs
    are a sample.
    """
    by_kind: dict[tuple[str, bool], list[Pack]] = defaultdict(list)
    for pack in packs:
        by_kind[_kind(pack)].append(pack)
    settings = packs[0].settings
    workers = workers_here(settings.cpu, settings.gpu)
    largest = [max(some, key=lambda p: len(p.trials)) for some in by_kind.values()]
    cost = dict(zip(by_kind, measure_packs(largest, workers), strict=True))
    probed = examples(packs)
    probing = dict(zip(probed, measure_probes(list(probed.values()), workers), strict=True))
    durations = [
        cost[_kind(p)] * len(p.trials) + sum(probing.get(kind_of(t), 0.0) for t in p.trials)
        for p in packs
    ]
    planned = sum(len(pack.trials) for pack in packs)
    scale = (trials or planned) / planned
    total = sum(durations) * scale
    return Estimate(
        trials=trials or planned,
        packs=round(len(packs) * scale),
        workers=workers,
        seconds=makespan(durations, workers) * scale,
        worker_seconds=total,
        gpu_hours=total * settings.gpu / 3600,
    )


def _kind(pack: Pack) -> tuple[str, bool]:
    """Packs of one kind take the same time for each trial. A pack that may be stopped is a kind by
    itself, estimated as if it ran to its end."""
    return pack_key(pack.trials[0]), pack.may_stop


def measure_packs(packs: Sequence[Pack], workers: int) -> list[float]:
    """Seconds that one trial of each pack takes, trained while other workers train too."""
    return _in_parallel(_measure_each_pack, packs, workers)


def measure_probes(asked: Sequence[Example], workers: int) -> list[float]:
    """Seconds that the probes of each of these trials take, while other workers run too."""
    return _in_parallel(_measure_each_example, asked, workers) if asked else []


def _in_parallel(
    each: Callable[[Sequence[T]], list[float]], parts: Sequence[T], workers: int
) -> list[float]:
    """What `each` measures in so many processes at the same time.

    Few parts are measured by every process, and the result is the mean. Many parts are dealt out to
    the processes, since any of them loads the machine.
    """
    count = min(workers, MOST_AT_ONCE)
    if count == 1:
        return each(parts)
    many = len(parts) >= MANY * count
    shares = [parts[i::count] if many else parts for i in range(count)]
    spawn = multiprocessing.get_context("spawn")
    barrier = spawn.Barrier(count)
    with ProcessPoolExecutor(count, spawn, _wait_for_all, (barrier,)) as pool:
        found = list(pool.map(each, shares))
    if many:
        return [found[i % count][i // count] for i in range(len(parts))]
    return [statistics.mean(seconds) for seconds in zip(*found, strict=True)]


def _wait_for_all(barrier: Barrier) -> None:
    """Waits until all processes have started."""
    barrier.wait()


def _measure_each_pack(packs: Sequence[Pack]) -> list[float]:
    return [measure_pack(pack) for pack in packs]


def _measure_each_example(asked: Sequence[Example]) -> list[float]:
    return [probe_seconds(example) for example in asked]


def measure_pack(pack: Pack, clock: Clock = time.perf_counter) -> float:
    """Seconds that one trial of this pack takes, trained together with the others."""
    images, size = train_images(pack.trials[0]), pack.trials[0].training.batch_size
    part = min(images, 4 * size)
    _timed(_shortened(pack, part, 1), clock, repeats=1)  # loads the data and the libraries
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

    return Pack(tuple(map(shorten, pack.trials)), pack.settings)


def _timed(pack: Pack, clock: Clock, repeats: int = REPEATS) -> float:
    """Median seconds; one run is enough where it is long."""
    taken: list[float] = []
    while len(taken) < repeats and sum(taken) < REPEATS * LONG_ENOUGH:
        start = clock()
        train_pack(replace(pack, settings=replace(pack.settings, probes=())))
        taken.append(clock() - start)
    return statistics.median(taken)


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
