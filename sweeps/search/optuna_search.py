"""Optuna's samplers through ask and tell: what is proposed follows from what came before.

An Optuna trial is a defence point. It is running while results of the point's trials (the baseline
and the panel, each with every seed) are missing, which its sampler knows. Then it gets two values:
clean accuracy, to be maximized, and the success of the worst attack, to be minimized. The study
lives in memory and is rebuilt from the ledger: a resumed search begins with every complete point as
a finished Optuna trial, continues with the incomplete ones, and tries once more what had failed.
Points that come after that may differ from those of an uninterrupted sweep: a sampler's generator
is seeded from `search.seed` and the number of points known.
"""

from __future__ import annotations

import itertools
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import optuna
from optuna.samplers import BaseGASampler
from optuna.trial import TrialState

from backdoor.config import Defence, TrialConfig, build_defence
from backdoor.streams import stream, stream_seed
from sweeps.ledger import Rows, trial_rows
from sweeps.records.thresholds import Thresholds
from sweeps.records.trial_row import FAILED, STOPPED, TrialRow
from sweeps.search.enumerated import random_points
from sweeps.search.parameters import Parameters
from sweeps.search.recorded import canonical, recorded_point
from sweeps.space.points import distinct
from sweeps.spec import SweepSpec
from sweeps.spec.samplers import FIXED_SPACE, make_sampler, quiet

#: After so many repeats of a sampler in a row, a random new point is taken instead.
REPEATS = 5


@dataclass(frozen=True)
class _Figures:
    """The figures of one finished trial, fractions in [0, 1]. measured: what is compared with the
    clean baseline, whose trial has the same measure and seed."""

    attack_id: str
    clean_accuracy: float
    attack_success: float
    measured: tuple[str, int]


@dataclass
class PointTrials:
    """A defence point: its trials, what is recorded of them, and which Optuna trials wait for it.

    figures: by trial id; None for a trial that failed or was stopped, and for the clean baseline,
    which has no part in the objectives. asked: whether this search has proposed it. stopped:
    whether a stopping rule has ended one of its trials, so that its objectives are censored. clean:
    success on the clean baseline, by measure and seed.
    """

    trials: list[TrialConfig]
    figures: dict[str, _Figures | None] = field(default_factory=dict)
    waiting: list[optuna.Trial] = field(default_factory=list)
    asked: bool = False
    stopped: bool = False
    clean: dict[tuple[str, int], float] = field(default_factory=dict)

    @property
    def missing(self) -> list[TrialConfig]:
        return [trial for trial in self.trials if trial.trial_id not in self.figures]

    def record(self, row: TrialRow) -> bool:
        """Notes a row; returns whether it was the last one missing.

        A failure from before this search leaves its trial missing: it is tried again.
        """
        if row.trial_id in self.figures or (row.status == FAILED and not self.asked):
            return False
        self.stopped = self.stopped or row.status == STOPPED
        self.figures[row.trial_id] = _figures_of(row)
        if row.finished and row.is_clean:
            for m in row.measurements:
                self.clean[m.measure_id, row.seed] = m.success / max(1, m.total)
        return not self.missing

    def objectives(self) -> tuple[float, float] | None:
        """Clean accuracy, the lowest mean over the panel, and attack success, the highest; None
        where a trial of the panel has failed or was stopped."""
        panel = self._panel()
        if panel is None:
            return None
        clean = [_mean([f.clean_accuracy for f in found]) for found in panel]
        success = [_mean([f.attack_success for f in found]) for found in panel]
        return min(clean), max(success)

    def excess(self) -> float | None:
        """By how much success is above the clean baseline's of the same seed, the highest mean over
        the panel; None where a trial has failed or was stopped."""
        panel = self._panel()
        if panel is None or any(f.measured not in self.clean for found in panel for f in found):
            return None
        return max(
            _mean([f.attack_success - self.clean[f.measured] for f in found]) for found in panel
        )

    def _panel(self) -> list[list[_Figures]] | None:
        """The figures of each attack; None where one of them is missing."""
        by_attack: dict[str, list[_Figures]] = defaultdict(list)
        for trial in self.trials:
            if trial.attack is not None:
                found = self.figures[trial.trial_id]
                if found is None:
                    return None
                by_attack[found.attack_id].append(found)
        return list(by_attack.values())


def _figures_of(row: TrialRow) -> _Figures | None:
    if not row.finished or row.is_clean or row.clean_accuracy is None:
        return None
    measured = row.measurements[0]
    success = measured.success / max(1, measured.total)
    return _Figures(row.attack_id, row.clean_accuracy, success, (measured.measure_id, row.seed))


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def constraints(thresholds: Thresholds, clean: float, success: float) -> dict[str, float]:
    """What the region asks for, as Optuna's constraints: above 0 is violated.

    `best - x` gives no constraint on clean accuracy, since it changes with every new best. success:
    what is compared with the threshold.
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
        #: As many points as asked for, or as the space has where it has fewer.
        self._count = sum(1 for _ in random_points(spec))
        self._parameters = Parameters(spec.defence, flat=spec.search.sampler in FIXED_SPACE)
        self._points: dict[str, PointTrials] = {}  # by defence id
        #: Those of the ledger that the sampler has not proposed since.
        self._remembered: dict[str, PointTrials] = {}
        self._recorded: deque[PointTrials] = deque()  # nothing missing, but not yet told to Optuna
        self._queue: deque[TrialConfig] = deque()
        self._exhausted = False
        self._study: optuna.Study | None = None

    @property
    def size(self) -> int:
        return self._count * len(self._spec.attacks) * len(self._spec.seeds)

    @property
    def finished(self) -> bool:
        ended = self._exhausted or len(self._points) >= self._count
        return ended and not self._queue and self._interrupted() is None

    @property
    def study(self) -> optuna.Study:
        """The study; made when first needed, since its seed follows from what is known then."""
        if self._study is None:
            key = () if self._settings.sampler == "qmc" else (len(self._points),)
            seed = stream_seed("sampler", self._settings.seed, *key)
            self._rng = stream("sampler", self._settings.seed, len(self._points))
            self._study = optuna.create_study(
                directions=["maximize", "minimize"],
                sampler=make_sampler(self._settings.sampler, self._settings.options, seed),
            )
        return self._study

    def tell(self, rows: Rows) -> None:
        for row in trial_rows(rows):
            point = self._points.get(row.defence_id) or self._remember(row)
            if point.record(row):
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

    def _interrupted(self) -> PointTrials | None:
        """A point of the ledger that is incomplete and not pending."""
        left = (p for p in self._remembered.values() if not p.asked and p.missing)
        return next(left, None)

    def _propose(self) -> bool:
        """Begins one more point; False where there is none."""
        if (point := self._interrupted()) is not None:
            self._begin(point, self._fixed(point))
            return True
        if self._exhausted or len(self._points) >= self._count:
            return False
        self._exhausted = not (self._propose_sampled() or self._propose_random())
        return not self._exhausted

    def _begin(self, point: PointTrials, trial: optuna.Trial) -> None:
        point.asked = True
        point.waiting.append(trial)
        self._points[point.trials[0].defence_id] = point
        self._queue.extend(point.missing)

    def _propose_sampled(self) -> bool:
        """Begins the sampler's next new point; False where it only repeats itself.

        A repeat costs no training: its Optuna trial gets what is known, or waits with the point. A
        point of the ledger may come back once without counting, since a resumed sequence begins
        from its start and comes back to all of them.
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
            self._attach(self._points[name], trial)
        return False

    def _attach(self, point: PointTrials, trial: optuna.Trial) -> None:
        """Gives one more Optuna trial to a known point."""
        if point.missing:
            point.waiting.append(trial)
        else:
            self._report(point, trial)

    def _propose_random(self) -> bool:
        """Begins a random new point; False where none is found."""
        sampled = (build_defence(self._spec.defence.sample(self._rng)) for _ in itertools.count())
        for defence in self._new_among(sampled):
            point = self._point(defence)
            self._begin(point, self._fixed(point))
            return True
        return False

    def _new_among(self, defences: Iterator[Defence]) -> Iterator[Defence]:
        known = [point.trials[0].defence for point in self._points.values()]
        yield from itertools.islice(distinct(itertools.chain(known, defences)), len(known), None)

    def _point(self, defence: Defence) -> PointTrials:
        spec = self._spec
        return PointTrials([spec.trial(defence, a, s) for a in spec.attacks for s in spec.seeds])

    # --- what Optuna is told ----------------------------------------------------------------

    def _conclude(self, point: PointTrials) -> None:
        for trial in point.waiting or [self._fixed(point)]:
            self._report(point, trial)
        point.waiting.clear()

    def _report(self, point: PointTrials, trial: optuna.Trial) -> None:
        """Tells Optuna the objectives of a point whose trials are all recorded."""
        objectives, region = point.objectives(), self._spec.region
        compared = point.excess() if region.above_baseline else objectives and objectives[1]
        if objectives is None or compared is None:
            state = TrialState.PRUNED if point.stopped else TrialState.FAIL
            self.study.tell(trial, state=state)
            return
        for name, value in constraints(region, objectives[0], compared).items():
            trial.set_constraint(name, value)
        self.study.tell(trial, objectives)

    def _fixed(self, point: PointTrials) -> optuna.Trial:
        """A running Optuna trial for a point that its sampler has not just proposed."""
        located = self._spec.defence.locate(point.trials[0].defence.active(), canonical)
        if located is None:
            raise ValueError("a point must lie in the space it was drawn from")
        study = self.study
        study.enqueue_trial(self._parameters.fixed(*located, self._rng))
        trial = study.ask()
        self._parameters.suggest(trial)
        if isinstance(study.sampler, BaseGASampler):
            # Without a generation, a genetic sampler would never use it as a parent.
            study.sampler.get_trial_generation(study, study.get_trials(deepcopy=False)[-1])
        return trial

    def _remember(self, row: TrialRow) -> PointTrials:
        """Takes in a point of the ledger."""
        branch, values = recorded_point(self._spec, row)
        point = self._point(build_defence(self._spec.defence.branches[branch].assignment(values)))
        self._points[row.defence_id] = self._remembered[row.defence_id] = point
        return point
