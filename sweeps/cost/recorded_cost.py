"""How long packs will take, by what packs of the ledger took.

A row has its trial's share of the seconds of its pack, so that the rows of a pack add up to what it
took: `train_seconds` of training, the rest of reading, poisoning and measuring. Neither holds the
start of a worker. Packs may have other sizes than those that are recorded:

- Training by epochs takes `fixed + each * trials` seconds an epoch, a line through the recorded
  packs where their sizes differ, else it is in proportion to the trials.
- Learners with a closed form, and what is not training, share work among the trials of one training
  set (attack and seed). What it takes lies between a share for each trial and one for each training
  set, and the geometric mean of both is taken.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sweeps.packs.pack import Pack
from sweeps.records.trial_row import TrialRow

#: Sizes of packs that differ by less than this factor count as equal.
DIFFERENT = 1.5
#: From so many packs on, the slowest for its size is left out: libraries are loaded in the first.
SEVERAL = 4
#: Packs that may differ from recorded ones hold at most this share of all seconds.
FOREIGN = 0.2


@dataclass(frozen=True)
class KnownPack:
    """A recorded pack. sets: its distinct training sets. epochs: 0 of a closed form. training,
    other: seconds."""

    architecture: dict[str, Any]
    epochs: int
    trials: int
    sets: int
    training: float
    other: float

    @property
    def each(self) -> float:
        """Seconds of training an epoch, or of a closed form, and trial."""
        return self.training / max(1, self.epochs) / self.trials


class RecordedCost:
    """Seconds of packs by rows of the ledger; of packs without failed or stopped trials."""

    def __init__(self, rows: Iterable[TrialRow]) -> None:
        packs: dict[str | None, list[TrialRow]] = defaultdict(list)
        for row in rows:
            if row.reused_from is None:
                packs[row.pack_id].append(row)
        whole = [own for own in packs.values() if all(r.finished and r.seconds for r in own)]
        self.known = [_known(own) for own in whole]
        self.hosts = {row.host for own in whole for row in own}

    def __bool__(self) -> bool:
        return bool(self.known)

    def seconds(self, pack: Pack) -> float:
        """Of the pack, trained alone or beside others as the recorded ones were."""
        like, sets, trials = self._like(pack), len(_sets(pack)), len(pack.trials)
        epochs = _epochs(pack)
        whole = sum(k.other + (0.0 if epochs else k.training) for k in like)
        shared = whole * math.sqrt(
            trials * sets / (sum(k.trials for k in like) * sum(k.sets for k in like))
        )
        return shared + (epochs * _line(like, trials) if epochs else 0.0)

    def covers(self, packs: Sequence[Pack]) -> bool:
        """Whether nearly all of these have about as many trials as recorded ones like them."""
        if not self:
            return False
        seconds = [self.seconds(pack) for pack in packs]
        foreign = sum(s for s, p in zip(seconds, packs, strict=True) if not self._covers(p))
        return foreign <= FOREIGN * sum(seconds)

    def _covers(self, pack: Pack) -> bool:
        trials, kind = len(pack.trials), _architecture(pack)["kind"]
        return any(
            k.architecture["kind"] == kind and _close(k.trials, trials)
            and (k.epochs > 0 or _close(k.sets, len(_sets(pack))))
            for k in self._like(pack)
        )  # fmt: skip

    def _like(self, pack: Pack) -> list[KnownPack]:
        """Recorded packs of its architecture and epochs, else of the former, else of its kind, else
        all."""
        own, axes = _architecture(pack), pack.trials[0].defence.architecture.pack_axes
        epochs = _epochs(pack)
        same = [k for k in self.known if bool(k.epochs) == bool(epochs)] or self.known
        kind = [k for k in same if k.architecture["kind"] == own["kind"]] or same
        shape = [k for k in kind if _text(k.architecture, axes) == _text(own, axes)] or kind
        return [k for k in shape if k.epochs == epochs] or shape


def _known(rows: Sequence[TrialRow]) -> KnownPack:
    defence = rows[0].config["defence"]
    architecture = defence["architecture"]
    named = architecture if isinstance(architecture, dict) else {"kind": architecture}
    seconds = sum(row.seconds or 0.0 for row in rows)
    training = sum((row.seconds if (t := row.train_seconds) is None else t) or 0.0 for row in rows)
    sets = len({(row.seed, row.attack_id) for row in rows})
    training = min(seconds, training)
    return KnownPack(
        named, int(defence.get("epochs", 0)), len(rows), sets, training, seconds - training
    )


def _line(like: Sequence[KnownPack], trials: int) -> float:
    """Seconds of training an epoch for so many trials."""
    if len(like) >= SEVERAL:
        slowest = max(like, key=lambda k: k.each)
        like = [k for k in like if k is not slowest]
    counts = np.array([k.trials for k in like], dtype=float)
    taken = np.array([k.training / max(1, k.epochs) for k in like])
    if not _close(counts.min(), counts.max()):
        # What differs from the line by chance grows with the root of the size.
        each, fixed = np.polyfit(counts, taken, 1, w=1 / np.sqrt(counts))
        if each > 0 and fixed >= 0:
            return float(fixed + each * trials)
    return float(taken.sum() / counts.sum() * trials)


def _close(one: float, other: float) -> bool:
    return max(one, other) <= DIFFERENT * min(one, other)


def _sets(pack: Pack) -> set[tuple[int, str]]:
    return {(trial.seed, trial.attack_id) for trial in pack.trials}


def _epochs(pack: Pack) -> int:
    return int(pack.trials[0].canonical["defence"].get("epochs", 0))


def _architecture(pack: Pack) -> dict[str, Any]:
    known = pack.trials[0].canonical["defence"]["architecture"]
    return known if isinstance(known, dict) else {"kind": known}


def _text(architecture: dict[str, Any], without: Collection[str]) -> str:
    return json.dumps({k: v for k, v in architecture.items() if k not in without}, sort_keys=True)
