"""Optuna's samplers through ask and tell: what is proposed follows from what came before.

An Optuna trial is a defence point. It runs while the point's trials (the baseline and the panel,
each with every seed) are missing, which its sampler knows, and is then told two objectives: clean
accuracy, to be high, and the success of the worst attack, to be low. The study lives in memory
and is rebuilt from the ledger: a resumed search begins with every complete point as a finished
Optuna trial, first goes on with the incomplete ones, and tries once more what had failed. Which
points come after that may differ from an undisturbed sweep's: a sampler's generator is seeded
from `search.seed` and the number of points known.
"""

from __future__ import annotations

import itertools
import json
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.samplers import BaseGASampler
from optuna.trial import TrialState

from backdoor.config import Defence, TrialConfig, build_defence
from backdoor.errors import Mistake, StoredDataError
from backdoor.streams import stream, stream_seed
from sweeps.ledger import FAILED, FINISHED, STOPPED, Rows, accuracies
from sweeps.search.enumerated import distinct, random_points
from sweeps.search.parameters import Parameters
from sweeps.space.space import Assignment
from sweeps.spec import SweepSpec, Thresholds
from sweeps.spec.samplers import FIXED_SPACE, make_sampler, quiet

#: When a sampler has repeated itself so often in a row, a random point that is new takes its turn.
REPEATS = 5


@dataclass(frozen=True)
class _Figures:
    """What came of one finished trial."""

    attack_id: str
    clean_accuracy: float
    attack_success: float


@dataclass
class Point:
    """A defence point: its trials, what is recorded of them, and who waits for it.

    figures: by trial id; None for a trial that failed or was stopped, and for the clean baseline,
    which has no part in the objectives. asked: whether this search has proposed it. stopped:
    whether a stopping rule has ended one of its trials, so that its objectives are censored.
    """

    trials: list[TrialConfig]
    figures: dict[str, _Figures | None] = field(default_factory=dict)
    waiting: list[optuna.Trial] = field(default_factory=list)
    asked: bool = False
    stopped: bool = False

    @property
    def missing(self) -> list[TrialConfig]:
        return [trial for trial in self.trials if trial.trial_id not in self.figures]

    def take(self, row: dict[str, Any]) -> bool:
        """Notes a row; whether it was the last one missing.

        A failure from before this search leaves its trial missing: it is tried again.
        """
        if row["trial_id"] in self.figures or (row["status"] == FAILED and not self.asked):
            return False
        self.stopped = self.stopped or row["status"] == STOPPED
        self.figures[row["trial_id"]] = _read(row)
        return not self.missing

    def objectives(self) -> tuple[float, float] | None:
        """Clean accuracy, the lowest mean over the panel, and attack success, the highest; None
        where a trial of the panel has failed or was stopped."""
        by_attack: dict[str, list[_Figures]] = defaultdict(list)
        for trial in self.trials:
            if trial.attack is not None:
                found = self.figures[trial.trial_id]
                if found is None:
                    return None
                by_attack[found.attack_id].append(found)
        clean = [_mean([f.clean_accuracy for f in found]) for found in by_attack.values()]
        success = [_mean([f.attack_success for f in found]) for found in by_attack.values()]
        return min(clean), max(success)


def _read(row: dict[str, Any]) -> _Figures | None:
    if row["status"] != FINISHED or row["attack_id"] == "clean":
        return None
    measured = row["measurements"][0]
    return _Figures(
        row["attack_id"],
        accuracies(row)["clean_accuracy"],
        measured["success"] / max(1, measured["total"]),
    )


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def constraints(thresholds: Thresholds, clean: float, success: float) -> dict[str, float]:
    """What the region asks for, as Optuna has it: above 0 is violated.

    `best - x` gives no constraint on clean accuracy, since it moves with every new best.
    """
    found = {"attack_success": success - thresholds.attack_success}
    if thresholds.clean_accuracy is not None:
        found["clean_accuracy"] = thresholds.clean_accuracy - clean
    return found


class OptunaSearch:
    """Proposes points of one of Optuna's samplers, at most `search.pending` at a time."""

    workers = 1

    def __init__(self, spec: SweepSpec) -> None:
        self._spec, self._settings = spec, spec.search
        #: As many as asked for, or as the space has where it has fewer.
        self._wanted = sum(1 for _ in random_points(spec))
        self._parameters = Parameters(spec.defence, flat=spec.search.sampler in FIXED_SPACE)
        self._points: dict[str, Point] = {}  # by defence id
        self._remembered: dict[str, Point] = {}  # of the ledger, not proposed by the sampler since
        self._recorded: deque[Point] = deque()  # nothing missing, and Optuna has yet to hear of it
        self._queue: deque[TrialConfig] = deque()
        self._exhausted = False
        self._study: optuna.Study | None = None

    @property
    def size(self) -> int:
        return self._wanted * len(self._spec.attacks) * len(self._spec.seeds)

    @property
    def finished(self) -> bool:
        ended = self._exhausted or len(self._points) >= self._wanted
        return ended and not self._queue and self._interrupted() is None

    @property
    def study(self) -> optuna.Study:
        """The study; made when first needed, since its seed follows from what is known then."""
        if self._study is None:
            key = () if self._settings.sampler == "qmc" else (len(self._points),)
            seed = stream_seed("sampler", self._settings.seed, *key)
            self._draw = stream("sampler", self._settings.seed, len(self._points))
            self._study = optuna.create_study(
                directions=["maximize", "minimize"],
                sampler=make_sampler(self._settings.sampler, self._settings.options, seed),
            )
        return self._study

    def tell(self, rows: Rows) -> None:
        for row in rows.to_pylist():
            point = self._points.get(row["defence_id"]) or self._remember(row)
            if point.take(row):
                self._recorded.append(point)

    def ask(self, limit: int) -> list[TrialConfig]:
        with quiet():
            while self._recorded:
                self._conclude(self._recorded.popleft())
            while self._pending < self._settings.at_once and self._propose():
                pass
        return [self._queue.popleft() for _ in range(min(limit, len(self._queue)))]

    # --- what is proposed ------------------------------------------------------------------

    @property
    def _pending(self) -> int:
        return sum(bool(point.waiting) for point in self._points.values())

    def _interrupted(self) -> Point | None:
        """A point of the ledger that is incomplete and not pending."""
        left = (p for p in self._remembered.values() if not p.asked and p.missing)
        return next(left, None)

    def _propose(self) -> bool:
        """Begins one more point; False where there is none."""
        if (point := self._interrupted()) is not None:
            self._begin(point, self._fixed(point))
            return True
        if self._exhausted or len(self._points) >= self._wanted:
            return False
        self._exhausted = not (self._sampled() or self._drawn())
        return not self._exhausted

    def _begin(self, point: Point, trial: optuna.Trial) -> None:
        point.asked = True
        point.waiting.append(trial)
        self._points[point.trials[0].defence_id] = point
        self._queue.extend(point.missing)

    def _sampled(self) -> bool:
        """Begins the sampler's next new point; False where it only repeats itself.

        A repeat costs no training: its trial is told what is known, or waits with the point. A
        point of the ledger may come back once without counting, as a sequence that has begun anew
        comes back to all of them.
        """
        repeats = 0
        while repeats < REPEATS:
            trial = self.study.ask()
            new = self._point(build_defence(self._parameters.suggest(trial)))
            name = new.trials[0].defence_id
            if name not in self._points:
                self._begin(new, trial)
                return True
            repeats += self._remembered.pop(name, None) is None
            self._meet_again(self._points[name], trial)
        return False

    def _meet_again(self, point: Point, trial: optuna.Trial) -> None:
        if point.missing:
            point.waiting.append(trial)
        else:
            self._report(point, trial)

    def _drawn(self) -> bool:
        """Begins a random new point; False where chance finds none either."""
        draws = (build_defence(self._spec.defence.sample(self._draw)) for _ in itertools.count())
        for defence in self._new_among(draws):
            point = self._point(defence)
            self._begin(point, self._fixed(point))
            return True
        return False

    def _new_among(self, draws: Iterator[Defence]) -> Iterator[Defence]:
        known = [point.trials[0].defence for point in self._points.values()]
        yield from itertools.islice(distinct(itertools.chain(known, draws)), len(known), None)

    def _point(self, defence: Defence) -> Point:
        spec = self._spec
        return Point([spec.trial(defence, a, s) for a in spec.attacks for s in spec.seeds])

    # --- what Optuna hears of ---------------------------------------------------------------

    def _conclude(self, point: Point) -> None:
        for trial in point.waiting or [self._fixed(point)]:
            self._report(point, trial)
        point.waiting.clear()

    def _report(self, point: Point, trial: optuna.Trial) -> None:
        """Tells Optuna what came of a point whose trials are all recorded."""
        objectives = point.objectives()
        if objectives is None:
            state = TrialState.PRUNED if point.stopped else TrialState.FAIL
            self.study.tell(trial, state=state)
            return
        for name, value in constraints(self._spec.region, *objectives).items():
            trial.set_constraint(name, value)
        self.study.tell(trial, objectives)

    def _fixed(self, point: Point) -> optuna.Trial:
        """A running Optuna trial for a point that its sampler has not chosen just now."""
        located = self._spec.defence.locate(point.trials[0].defence.active(), _canonical)
        if located is None:
            raise ValueError("a point must lie in the space it was drawn from")
        study = self.study
        study.enqueue_trial(self._parameters.fixed(*located, self._draw))
        trial = study.ask()
        self._parameters.suggest(trial)
        if isinstance(study.sampler, BaseGASampler):
            # Without its generation, a genetic sampler would never take it for a parent.
            study.sampler.get_trial_generation(study, study.get_trials(deepcopy=False)[-1])
        return trial

    def _remember(self, row: dict[str, Any]) -> Point:
        """A point that the ledger holds."""
        factors = json.loads(row["config"])["defence"]
        located = self._spec.defence.locate(factors, _canonical)
        if located is None:
            rule = "must hold points of the spec's defence space only"
            remedy = "Restore spec.yaml as it was, or begin a new sweep."
            raise StoredDataError(Mistake("ledger", rule, factors, remedy))
        branch, values = located
        point = self._point(build_defence(self._spec.defence.branches[branch].assignment(values)))
        self._points[row["defence_id"]] = self._remembered[row["defence_id"]] = point
        return point


def _canonical(assignment: Assignment) -> Assignment:
    return build_defence(assignment).active()
