"""What every engine takes and returns, and functions that engines share."""

from __future__ import annotations

import functools
import itertools
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from threadpoolctl import ThreadpoolController

from backdoor.architectures.contract import hold
from backdoor.config import Attack, TrialConfig
from backdoor.errors import TrainingError
from backdoor.image_store.store import ImageStore
from backdoor.poison import Poison
from backdoor.settings.digest import digest
from backdoor.streams import stream_seed

Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
T = TypeVar("T")


@dataclass(frozen=True)
class Triggered:
    """Triggered test images: rows in the image store, true labels and target labels, (m,) int64."""

    attack: Attack
    rows: Ids
    truth: Ids
    target_labels: Ids

    @property
    def wanted(self) -> Ids:
        """`target_labels`, by its former name, which probes of users may read."""
        return self.target_labels


@dataclass(frozen=True)
class Member:
    """One trial of a pack: rows in the image store of the pack, and labels, each (n,) int64."""

    config: TrialConfig
    poison: Poison
    train: Ids
    train_labels: Ids
    validation: Ids
    validation_labels: Ids
    test: Ids
    test_labels: Ids
    triggered: tuple[Triggered, ...]


#: Former name, which probes of users may import.
Lane = Member


class Fitted(Protocol):
    """The trained models of a pack; member: position of a trial in it."""

    def predict(self, member: int, rows: Ids) -> Ids:
        """Classes predicted by the model of `member`, (m,) int64; -1 if logits are not finite."""
        ...

    def scores(self, member: int, rows: Ids) -> torch.Tensor:
        """Scores (m, classes), whose maximum `predict` returns: logits, for architectures that
        learn by cross-entropy."""
        ...

    def state(self, member: int) -> dict[str, torch.Tensor]:
        """Weights of the model of `member`, a state dict of the module of its architecture."""
        ...


#: Called after each epoch with its number; the members that it returns are dropped.
OnEpoch = Callable[[int, Fitted], Collection[int] | None]


class Engine(Protocol):
    """Trains packs of at most `max_pack` members."""

    name: ClassVar[str]
    version: ClassVar[int]
    pack_invariant: ClassVar[bool]
    max_pack: ClassVar[int]

    def train(
        self, members: Sequence[Member], store: ImageStore, classes: int, on_epoch: OnEpoch | None
    ) -> Fitted:
        """Trains all members, which have equal `pack_key`, and calls `on_epoch` after each epoch.

        Dropped members have no model any more. The others keep their numbers and, if the engine is
        `pack_invariant`, get the same bits as without the drop. An engine turns gradients on or off
        itself.
        """
        ...


def init_state(config: TrialConfig, shape: tuple[int, int, int], classes: int) -> torch.nn.Module:
    """The untrained module of a trial; equal for all trials of equal seed and architecture."""
    architecture = config.defence.architecture
    key = digest("init", [architecture.identity(), list(shape), classes])
    with torch.random.fork_rng(devices=[]):
        # `torch.manual_seed` would also seed devices and record its caller, which takes a
        # millisecond.
        torch.default_generator.manual_seed(stream_seed("init", config.seed, key))
        module = hold(architecture, architecture.build(shape, classes), classes)
        architecture.start(module)
        return module


@contextmanager
def layer_noise(name: str, seed: int, device: torch.device) -> Iterator[None]:
    """Seeds torch's global generators, which layers such as dropout use, with the stream `name` of
    this seed. Afterwards the generators are as before."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(stream_seed(name, seed))
        yield


def learning_rate_factor(step: int, steps: int, schedule: str) -> float:
    """The factor of the learning rate at `step` of `steps`, counted from 0."""
    return 0.5 * (1 + float(np.cos(np.pi * step / steps))) if schedule == "cosine" else 1.0


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Limits the threads of torch and of numpy's BLAS: results may depend on their number."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        with _libraries(len(sys.modules)).limit(limits=count):
            yield
    finally:
        torch.set_num_threads(before)


@functools.lru_cache(maxsize=1)
def _libraries(modules: int) -> ThreadpoolController:
    """Controls the numerical libraries that the process has loaded. Finding them takes
    milliseconds, as long as a small model, so it is repeated only if the number of modules has
    changed."""
    return ThreadpoolController()


def classes_of(logits: torch.Tensor) -> Ids:
    """(m, k) logits to (m,) classes; -1, which is never correct, if a logit is not finite."""
    answers = torch.where(logits.isfinite().all(1), logits.argmax(1), -1)
    result: Ids = answers.cpu().numpy()
    return result


def members_by_training_set(members: Sequence[Member]) -> list[list[int]]:
    """Groups of members with equal training images and equal labels."""
    groups: dict[tuple[bytes, bytes], list[int]] = {}
    for index, member in enumerate(members):
        key = member.train.tobytes(), member.train_labels.tobytes()
        groups.setdefault(key, []).append(index)
    return list(groups.values())


def positive_decay(member: Member) -> float:
    """The weight decay of a member, for engines that divide by it; `TrainingError` if it is 0."""
    defence = member.config.defence
    if not defence.weight_decay:
        name = defence.architecture.kind_name()
        raise TrainingError(f"{name} needs a weight decay above 0: it is solved exactly")
    return defence.weight_decay


def split_evenly(items: Sequence[T], count: int) -> list[Sequence[T]]:
    """Consecutive parts of nearly equal length, `count` of them."""
    ends = [round(i * len(items) / count) for i in range(count + 1)]
    return [items[a:b] for a, b in itertools.pairwise(ends)]
