"""What every engine is given and gives back."""

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
    """Test images that carry a trigger: rows in the bank (m,), true labels (m,), wanted (m,)."""

    attack: Attack
    rows: Ids
    truth: Ids
    target_labels: Ids


@dataclass(frozen=True)
class Member:
    """One trial as its engine sees it: rows of the pack's bank, with labels, each (n,) int64."""

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
    """Trained models of a pack."""

    def predict(self, member: int, rows: Ids) -> Ids:
        """Classes predicted by the model of `member`, (m,) int64; -1 where it answers nonsense."""
        ...

    def scores(self, member: int, rows: Ids) -> torch.Tensor:
        """What `predict` chooses by, (m, classes): logits, for architectures that learn by
        cross-entropy."""
        ...

    def state(self, member: int) -> dict[str, torch.Tensor]:
        """Weights of the model of `member`, as a state dict of its architecture's module."""
        ...


#: Told after each epoch; lanes whose numbers it returns are trained no further.
OnEpoch = Callable[[int, Fitted], Collection[int] | None]


class Engine(Protocol):
    """Trains packs of at most `max_pack` lanes."""

    name: ClassVar[str]
    version: ClassVar[int]
    pack_invariant: ClassVar[bool]
    max_pack: ClassVar[int]

    def train(
        self, members: Sequence[Member], store: ImageStore, classes: int, on_epoch: OnEpoch | None
    ) -> Fitted:
        """Trains all lanes, which agree in `pack_key`, and calls `on_epoch` after each epoch.
        The mode of gradients (`torch.enable_grad`, `torch.no_grad`) is its own business.

        Lanes that it drops have no model any more. Those left keep their numbers and, where the
        engine is `pack_invariant`, get the bits that they would have got with all of them.
        """
        ...


def init_state(config: TrialConfig, shape: tuple[int, int, int], classes: int) -> torch.nn.Module:
    """The trial's untrained module; equal for all trials of equal seed and architecture."""
    architecture = config.defence.architecture
    key = digest("init", [architecture.identity(), list(shape), classes])
    with torch.random.fork_rng(devices=[]):
        # `torch.manual_seed` would also tell devices, and for that note who called: a millisecond.
        torch.default_generator.manual_seed(stream_seed("init", config.seed, key))
        module = architecture.build(shape, classes)
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
    """What the learning rate is multiplied by at `step` of `steps`, counted from 0."""
    return 0.5 * (1 + float(np.cos(np.pi * step / steps))) if schedule == "cosine" else 1.0


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Limits torch and the BLAS behind numpy: results may depend on the number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        with _libraries(len(sys.modules)).limit(limits=count):
            yield
    finally:
        torch.set_num_threads(before)


@functools.lru_cache(maxsize=1)
def _libraries(modules: int) -> ThreadpoolController:
    """Those of numerical libraries that a process of so many modules has loaded. To look for them
    takes milliseconds, as long as a small model; a later import may bring another."""
    return ThreadpoolController()


def classes_of(logits: torch.Tensor) -> Ids:
    """(m, k) logits to (m,) classes; -1 where a logit is not finite, which is never right."""
    answers = torch.where(logits.isfinite().all(1), logits.argmax(1), -1)
    result: Ids = answers.cpu().numpy()
    return result


def members_by_training_set(members: Sequence[Member]) -> list[list[int]]:
    """Numbers of the lanes, those together that train on equal images with equal labels."""
    groups: dict[tuple[bytes, bytes], list[int]] = {}
    for index, member in enumerate(members):
        key = member.train.tobytes(), member.train_labels.tobytes()
        groups.setdefault(key, []).append(index)
    return list(groups.values())


def positive_decay(member: Member) -> float:
    """The lane's weight decay, for engines that divide by it; `TrainingError` where it is 0."""
    defence = member.config.defence
    if not defence.weight_decay:
        name = defence.architecture.kind_name()
        raise TrainingError(f"{name} needs a weight decay above 0: its optimum is sought exactly")
    return defence.weight_decay


def split_evenly(items: Sequence[T], count: int) -> list[Sequence[T]]:
    """Consecutive parts of nearly equal length, `count` of them."""
    ends = [round(i * len(items) / count) for i in range(count + 1)]
    return [items[a:b] for a, b in itertools.pairwise(ends)]
