"""Region search: trials chosen where they tell most about the region's border.

A `LevelSetSearch` in encoded space chooses defence point and attack; the seed is one of the spec's
that this pair has not had, in an order drawn for the pair, so that no seed's luck is everywhere.
The clean baseline is not trained: the region asks for the accuracy of poisoned models. A resumed
search is told the ledger and goes on from there; trials that had failed may be tried again.

A trial that was stopped because its verdict was certain is no finished one, but leaving it out
would be worse: those left of its kind would be the lucky ones, and the region too large. It tells
the model on which side of a bar it ends, and nothing of the other metric.
"""

from __future__ import annotations

import json
import math
from collections import deque
from typing import Any

import numpy as np

from backdoor.config import Defence, TrialConfig, build_defence
from backdoor.errors import Mistake, StoredDataError
from backdoor.streams import stream, stream_seed
from sweeps.early_stopping.limits import bare, stand_in_counts
from sweeps.ledger import FINISHED, STOPPED, Rows, accuracies
from sweeps.levelset.encoding import SpaceDomain, panel_of
from sweeps.levelset.search import LevelSetSearch, Outcome, Settings
from sweeps.levelset.surrogate import Goal
from sweeps.records.trial_row import TrialRow
from sweeps.space.space import Assignment, Space
from sweeps.spec import SweepSpec

#: The share of seeds that the target `share` asks for; the median seed is a share of one half.
SHARE, HALF = 0.9, 0.5
#: Where the median of the last trials lasts fewer seconds than `FAST` and `pending` is not given, a
#: batch is of as many trials as a share 1 / `GROW` of those known, and of `LEAST` at least.
FAST, LEAST, GROW = 5.0, 8, 24


class RegionSearch:
    """Proposes trials until the region is certain enough or the budget is spent."""

    def __init__(self, spec: SweepSpec) -> None:
        self.workers = 1
        self._spec, self._panel = spec, list(spec.panel)
        self._domain = SpaceDomain(spec.defence, inactive_leaves(spec.defence), _canonical)
        settings = Settings(
            budget=spec.search.budget.trials if spec.search.budget else 0,
            repeats=len(spec.seeds),
            confidence=spec.region.confidence,
            seed=stream_seed("search", spec.search.seed) % 2**31,
        )
        panel = panel_of([attack.identity() for attack in self._panel])
        self.optimizer = LevelSetSearch(self._domain, panel, goal_of(spec), settings)
        point = build_defence(next(iter(spec.defence.ends()))[0])
        self._attack = {spec.trial(point, a, 0).attack_id: i for i, a in enumerate(self._panel)}
        self._number: dict[str, int] = {}  # trial id → its number in the core
        self._seeds: dict[tuple[str, str], set[int]] = {}  # used, by defence and attack
        self._defences: dict[bytes, Defence] = {}  # of all points tried, which may be tried again
        self._thresholds = bare(spec.region)
        self._open: set[str] = set()
        self._left = deque[TrialConfig]()
        self._seconds: list[float] = []

    @property
    def size(self) -> int:
        return self.optimizer.settings.budget

    @property
    def finished(self) -> bool:
        return not self._left and (self.optimizer.finished or self.affordable < 1)

    def tell(self, rows: Rows) -> None:
        for row in rows.to_pylist():
            if row["trial_id"] in self._number:
                self._conclude(row)
            elif row["status"] in (FINISHED, STOPPED) and row["attack_id"] in self._attack:
                self._remember(row)

    def ask(self, limit: int) -> list[TrialConfig]:
        self.optimizer.begin_with(self._served)
        free = min(self._free, self.affordable)
        if free > 0:
            self._left.extend(self._trial(number) for number in self.optimizer.ask(free))
            self._domain.forget()
        asked = [self._left.popleft() for _ in range(min(limit, len(self._left)))]
        self._open |= {trial.trial_id for trial in asked}
        return asked

    @property
    def _free(self) -> int:
        """How many more trials may be asked for now.

        Without `pending`, as many as there are workers, and one ready for each eight of them, which
        are asked for together: on a large cluster an ask for each trial would keep the workers
        waiting. Trials that last seconds are not worth waiting for: what is learned from a few of
        them takes longer to work out. They come in batches that grow with what is known, two at
        most, or as many as keep the workers busy.
        """
        settings, out = self._spec.search, len(self._open) + len(self._left)
        if settings.pending is not None:
            return settings.pending - out
        if self._slow:
            ready = self.workers // 8
            free = max(settings.at_once, self.workers + ready) - out
            return free if free >= max(1, ready) else 0
        batch = max(
            self.optimizer.begin - len(self.optimizer.points),
            LEAST,
            self.optimizer.trials_known // GROW,
        )
        # With the even design out and nothing told yet, more would be chosen blindly.
        blind = (
            len(self.optimizer.points) >= self.optimizer.begin and not self.optimizer.trials_known
        )
        return batch if out <= max(batch, 0 if blind else self._served) else 0

    @property
    def _served(self) -> int:
        """How many workers trials are found for; one, until it is known how many trials the budget
        of GPU-hours has room for."""
        settings = self._spec.search
        if settings.pending is not None:
            return min(settings.pending, self.workers)
        hours = settings.budget.gpu_hours if settings.budget else None
        return self.workers if hours is None or self._seconds else 1

    @property
    def _slow(self) -> bool:
        return bool(self._seconds) and float(np.median(self._seconds[-100:])) > FAST

    # --- trials and numbers -----------------------------------------------------------------

    def _trial(self, number: int) -> TrialConfig:
        spec, attack = self._spec, self._panel[self.optimizer.attacks[number]]
        point = self.optimizer.points[number]
        if point.tobytes() not in self._defences:
            self._defences[point.tobytes()] = build_defence(self._domain.decode(point))
        defence = self._defences[point.tobytes()]
        seed = self._seed(spec.trial(defence, attack, spec.seeds[0]))
        trial = spec.trial(defence, attack, seed)
        self._number[trial.trial_id] = number
        return trial

    def _seed(self, trial: TrialConfig) -> int:
        """A seed that this defence point has not had under this attack."""
        used = self._seeds.setdefault((trial.defence_id, trial.attack_id), set())
        order = stream("seeds", trial.defence_id, trial.attack_id).permutation(self._spec.seeds)
        seed = next(int(seed) for seed in order if int(seed) not in used)
        used.add(seed)
        return seed

    def _conclude(self, row: dict[str, Any]) -> None:
        self._open.discard(row["trial_id"])
        self.optimizer.tell(self._number[row["trial_id"]], self._outcome(row))

    def _remember(self, row: dict[str, Any]) -> None:
        """A trial of the ledger that this search has not proposed."""
        factors = json.loads(row["config"])["defence"]
        located = self._spec.defence.locate(factors, _canonical)
        if located is None:
            rule = "must hold points of the spec's defence space only"
            remedy = "Restore spec.yaml as it was, or begin a new sweep."
            raise StoredDataError(Mistake("ledger", rule, factors, remedy))
        point = self._domain.encode(*located)
        self._defences[point.tobytes()] = build_defence(self._domain.decode(point))
        number = self.optimizer.add(point, self._attack[row["attack_id"]])
        self._number[row["trial_id"]] = number
        self._seeds.setdefault((row["defence_id"], row["attack_id"]), set()).add(row["seed"])
        self.optimizer.tell(number, self._outcome(row))

    def _outcome(self, row: dict[str, Any]) -> Outcome | None:
        if row["status"] not in (FINISHED, STOPPED):
            return None
        self._seconds.append(row["seconds"] or 0.0)
        if row["status"] == STOPPED:
            trial = TrialRow.of(row)
            return Outcome(*stand_in_counts(trial, self._thresholds)) if trial.predicted else None
        clean, measured = accuracies(row), row["measurements"][0]
        return Outcome(
            clean["clean_correct"], clean["clean_total"], measured["success"], measured["total"]
        )

    # --- the budget -------------------------------------------------------------------------

    @property
    def affordable(self) -> int:
        """How many more trials, each as long as the mean so far, the budget of GPU-hours has room
        for; where there is none, or nothing is known of how long they last, any number."""
        budget, known = self._spec.search.budget, len(self._seconds)
        spent = sum(self._seconds) * self._spec.resources.gpu / 3600
        if budget is None or budget.gpu_hours is None or not spent:
            return self.size
        out = len(self._open) + len(self._left)
        # Whole trials fit, whatever floating point makes of their sum.
        return max(0, math.floor(budget.gpu_hours / spent * known - known - out + 1e-9))


def goal_of(spec: SweepSpec) -> Goal:
    """What the region asks for."""
    region = spec.region
    seeds = SHARE if region.target == "share" else HALF
    return Goal(region.attack_success, region.clean_accuracy, region.below_best or 0.0, seeds)


def inactive_leaves(space: Space) -> list[frozenset[str]]:
    """For each branch the factors that its architecture makes no use of."""
    found = []
    for branch in space.branches:
        first = build_defence(branch.assignment([leaf.ends()[0] for _, leaf in branch.leaves]))
        found.append(frozenset(first.architecture.inactive))
    return found


def _canonical(assignment: Assignment) -> Assignment:
    return build_defence(assignment).active()
