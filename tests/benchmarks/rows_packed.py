"""Packs of small networks against one after the other.

The baseline is what a good user writes: plain torch modules, images normalised and poisoned
beforehand and held as float tensors, batches by indexing, torch's SGD in its fastest form. Trials
are those of a sweep: poison rates from 0 to 10 %, several weight decays. On digits every trial has
a seed, and so a batch order, of its own; on wide images they share one seed, as the trials of a
pack do in a sweep of few seeds.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from synthetic import synthetic_source
from throughput import Row, side_by_side, timed
from torch.nn import functional
from trials import DIGITS, trial

from backdoor.config import TrialConfig, build_data
from backdoor.datasets.source import load_source
from backdoor.engines import Engine, Member, init_state, learning_rate_factor
from backdoor.engines.grouped import Grouped
from backdoor.engines.packed import Packed
from backdoor.engines.serial import Serial
from backdoor.image_store.store import ImageStore
from backdoor.streams import stream
from backdoor.trial import prepare

MODELS = 32
#: The baseline trains so many of them, scaled up.
PART = 8
FORMS = ({}, {"foreach": True}, {"fused": True})
NOISE = build_data({"kind": "digits", "train": 1500, "validation": 10, "test": 100})


def rows() -> Iterator[Row]:
    for name, architecture, required in (("linear models", "linear", 11), ("MLPs", "mlp", 7.5)):
        configs = _configs(architecture, range(MODELS), DIGITS, epochs=6)
        yield from _against_torch(f"{MODELS} packed {name} on digits", required, configs, None)
    for inputs, shape, required in ((784, (1, 28, 28), 6), (3072, (3, 32, 32), 4)):
        configs = _configs("linear", [0] * MODELS, NOISE, epochs=3)
        yield from _against_torch(
            f"{MODELS} packed linear models at {inputs}", required, configs, shape
        )
    yield from _narrow()


def _configs(architecture: Any, seeds: Sequence[int], data: Any, epochs: int) -> list[TrialConfig]:
    points = itertools.product((0, 0.01, 0.03, 0.1), (1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3))
    return [
        trial(architecture, seed=seed, rate=rate, weight_decay=decay, data=data, epochs=epochs,
              trigger={"kind": "patch", "size": 1 if data is DIGITS else 3})
        for seed, (rate, decay) in zip(seeds, points, strict=False)
    ]  # fmt: skip


def _prepared(
    configs: list[TrialConfig], shape: tuple[int, int, int] | None
) -> tuple[list[Member], ImageStore]:
    source = load_source(DIGITS) if shape is None else synthetic_source(1700, shape)
    return prepare(configs, (), source)


def _against_torch(
    name: str, required: float, configs: list[TrialConfig], shape: tuple[int, int, int] | None
) -> Iterator[Row]:
    members, store = _prepared(configs, shape)
    baselines = [_one_by_one(members[:: MODELS // PART], store, form) for form in FORMS]
    yield from side_by_side(
        name, required, baselines, timed(lambda: _train(Packed(), members, store))
    )


def _narrow() -> Iterator[Row]:
    """On images of MNIST's size. Smaller ones gain more (digits 3 to 5), larger ones less (1.5)."""
    data = build_data({"kind": "digits", "train": 640, "validation": 10, "test": 30})
    configs = [
        trial({"kind": "convnet", "width": 4}, seed=s, epochs=1, data=data) for s in range(8)
    ]
    members, store = prepare(configs, (), synthetic_source(700, (1, 28, 28)))
    serial = timed(lambda: _train(Serial(), members, store))
    packed = timed(lambda: _train(Grouped(), members, store))
    yield from side_by_side("8 packed convnets of 4 to 16 channels", 1.6, [serial], packed)


def _train(engine: Engine, members: Sequence[Member], store: ImageStore) -> None:
    with torch.enable_grad() if engine.name == "serial" else torch.no_grad():
        engine.train(members, store, 10, None)


def _one_by_one(
    members: Sequence[Member], store: ImageStore, form: dict[str, bool]
) -> Callable[[], float]:
    def run() -> float:
        seconds = 0.0
        for member in members:
            module = init_state(member.config, store.shape, 10)
            images = store.batch(torch.from_numpy(member.train))
            start = time.perf_counter()
            _train_module(
                module, images, torch.from_numpy(member.train_labels), member.config, form
            )
            seconds += time.perf_counter() - start
        return seconds * MODELS / len(members)

    return run


def _train_module(
    module: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor, config: TrialConfig,
    form: dict[str, bool],
) -> None:  # fmt: skip
    defence, size, n = config.defence, config.training.batch_size, len(labels)
    decayed = [p for p in module.parameters() if p.ndim > 1]
    others = [p for p in module.parameters() if p.ndim == 1]
    groups = [{"params": decayed, "weight_decay": defence.weight_decay}, {"params": others}]
    optimizer = torch.optim.SGD(groups, defence.learning_rate, defence.momentum, **form)
    steps, done = -(-n // size) * defence.epochs, 0
    for epoch in range(defence.epochs):
        order = torch.from_numpy(stream("order", config.seed, n, epoch).permutation(n))
        for chosen in order.split(size):
            for group in optimizer.param_groups:
                group["lr"] = defence.learning_rate * learning_rate_factor(done, steps, "cosine")
            loss = functional.cross_entropy(module(images[chosen]), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            done += 1
