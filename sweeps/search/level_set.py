"""Region search: trials chosen where the model learns most about the region's border.

A `LevelSetSearch` in encoded space chooses defence point and attack. The seed is one of the spec's
that this pair has not had, in an order drawn for each pair: otherwise the first seed, whose results
may be untypical, would be at every point. The clean baseline is not trained, since the region asks
for the accuracy of poisoned models. A resumed search is told the ledger and continues from there;
trials that had failed may be tried again.

A trial that was stopped because its verdict was certain has no final figures. Leaving it out would
bias the region to be too large: of its kind only those that do better would be left. So it tells
the model on which side of a threshold it ends, and nothing of the other metric.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import replace

import numpy as np

from backdoor.config import TrialConfig, build_defence
from backdoor.streams import stream, stream_seed
from sweeps.early_stopping.limits import limit_thresholds, stand_in_counts
from sweeps.ledger import Rows, trial_rows
from sweeps.levelset.columns import Floats
from sweeps.levelset.encoding import SpaceDomain, encode_panel
from sweeps.levelset.membership import Summary
from sweeps.levelset.model import Model, Trials
from sweeps.levelset.search import LevelSetSearch, LevelSetSettings, Outcome
from sweeps.records.trial_row import FINISHED, STOPPED, TrialRow
from sweeps.search.recorded import canonical, recorded_point
from sweeps.space.points import inactive_leaves
from sweeps.spec import SweepSpec

#: Where the median of the last trials takes fewer seconds than `FAST` and `pending` is not given,
#: a batch has as many trials as a share 1 / `GROW` of those known, and at least `LEAST`.
FAST, LEAST, GROW = 5.0, 8, 24
#: By so much the expected F1 may differ when the model of a search that had ended is fitted again.
REFIT = 0.005


class RegionSearch:
    """Proposes trials until the region is certain enough or the budget is spent.

    domain: the defence space as rows of numbers. optimizer: the search in these rows. tried: the
    rows of the defence points that it was told trials of, by `defence_id`.
    """

    def __init__(self, spec: SweepSpec) -> None:
        self.workers = 1
        self._spec, self._panel = spec, list(spec.panel)
        self.domain = SpaceDomain(spec.defence, inactive_leaves(spec.defence), canonical)
        settings = LevelSetSettings(
            budget=spec.search.budget.trials if spec.search.budget else 0,
            repeats=len(spec.seeds),
            confidence=spec.region.confidence,
            seed=stream_seed("search", spec.search.seed) % 2**31,
        )
        panel = encode_panel([attack.identity() for attack in self._panel])
        self.optimizer = LevelSetSearch(self.domain, panel, spec.region, settings)
        point = build_defence(next(iter(spec.defence.ends()))[0])
        self._attack = {spec.trial(point, a, 0).attack_id: i for i, a in enumerate(self._panel)}
        self.tried: dict[str, Floats] = {}
        self._number: dict[str, int] = {}  # trial id → its number in the optimizer
        self._seeds: dict[tuple[str, str], set[int]] = {}  # used, by defence and attack
        self._stopping_thresholds = limit_thresholds(spec.region)
        self._pending: set[str] = set()  # ids of trials that were asked for and are not known yet
        self._ready = deque[TrialConfig]()  # chosen, but not asked for yet
        self._seconds: list[float] = []  # of each known trial
        self._learned = 0  # trials of verifications, which are beyond the budget

    @property
    def size(self) -> int:
        return self.optimizer.settings.budget

    @property
    def finished(self) -> bool:
        return not self._ready and (self.optimizer.finished or self.affordable < 1)

    def tell(self, rows: Rows) -> None:
        for row in trial_rows(rows):
            if row.trial_id in self._number:
                self._conclude(row)
            elif row.status in (FINISHED, STOPPED) and row.attack_id in self._attack:
                self._remember(row)
            elif row.status in (FINISHED, STOPPED):
                self._place(row)

    def ask(self, limit: int) -> list[TrialConfig]:
        self.optimizer.enlarge_initial_design(self._served)
        free = min(self._free, self.affordable)
        if free > 0:
            self._ready.extend(self._trial(number) for number in self.optimizer.ask(free))
        asked = [self._ready.popleft() for _ in range(min(limit, len(self._ready)))]
        self._pending |= {trial.trial_id for trial in asked}
        return asked

    # --- how many at once -------------------------------------------------------------------

    @property
    def _free(self) -> int:
        """How many more trials may be chosen now.

        Without `pending`, as many as there are workers, and one in reserve for each eight of them.
        These are chosen together: on a large cluster choosing one by one would keep workers idle.
        Where trials take seconds, waiting for a few results takes longer than they are worth, so
        trials come in batches that grow with what is known: at most two, or as many as keep the
        workers busy.
        """
        settings, out = self._spec.search, len(self._pending) + len(self._ready)
        if settings.pending is not None:
            return settings.pending - out
        if self._slow:
            reserve = self.workers // 8
            free = max(settings.at_once, self.workers + reserve) - out
            return free if free >= max(1, reserve) else 0
        optimizer = self.optimizer
        to_begin = optimizer.initial - len(optimizer.points)
        batch = max(to_begin, LEAST, optimizer.trials_known // GROW)
        # Once the initial design is out, more trials need results: without any they are random.
        waits = to_begin <= 0 and not optimizer.trials_known
        return batch if out <= max(batch, 0 if waits else self._served) else 0

    @property
    def _served(self) -> int:
        """For how many workers trials are chosen; one, until it is known how many trials the budget
        of GPU-hours has room for."""
        settings = self._spec.search
        if settings.pending is not None:
            return min(settings.pending, self.workers)
        hours = settings.budget.gpu_hours if settings.budget else None
        return self.workers if hours is None or self._seconds else 1

    @property
    def _slow(self) -> bool:
        return bool(self._seconds) and float(np.median(self._seconds[-100:])) > FAST

    @property
    def affordable(self) -> int:
        """How many more trials, each as long as the mean so far, the budget of GPU-hours has room
        for; any number where there is no such budget, or no trial is known."""
        budget, known = self._spec.search.budget, len(self._seconds)
        spent = sum(self._seconds) * self._spec.resources.gpu / 3600
        if budget is None or budget.gpu_hours is None or not spent:
            return self.size
        out = len(self._pending) + len(self._ready)
        # A whole number of trials fits, whatever floating point makes of their sum.
        return max(0, math.floor(budget.gpu_hours / spent * known - known - out + 1e-9))

    # --- what its model says ----------------------------------------------------------------

    @property
    def trials_known(self) -> int:
        """How many trials have counts of both metrics."""
        return self.optimizer.trials_known

    @property
    def can_answer(self) -> bool:
        """Whether enough is known to say anything of the space."""
        known = self.trials_known
        return known >= self.optimizer.initial or bool(known and self.optimizer.used_up)

    def model(self) -> Model:
        """The model of all that is known, fitted again only when more has become known."""
        return self.optimizer.current()

    def trials(self) -> Trials:
        """The trials that the model is fitted to."""
        return self.optimizer.trials()

    def ended(self, found: Summary) -> str | None:
        """Why nothing more will be asked for; None if something will. found: what the model says of
        the whole space."""
        optimizer, settings = self.optimizer, self.optimizer.settings
        if len(optimizer.points) >= settings.budget:
            return f"its budget of {settings.budget - self._learned} trials is spent"
        if self.affordable < 1:
            budget = self._spec.search.budget
            return f"its budget of {budget.gpu_hours if budget else 0:g} GPU-hours is spent"
        if optimizer.used_up:
            return "every point has had all of its seeds"
        certain = found.expected_f1 >= settings.f1 - REFIT or found.undecided <= settings.undecided
        if certain and optimizer.trials_known >= optimizer.enough:
            return "it is certain enough"
        return None

    # --- trials and their numbers -----------------------------------------------------------

    def _trial(self, number: int) -> TrialConfig:
        spec, attack = self._spec, self._panel[self.optimizer.attacks[number]]
        defence = build_defence(self.domain.decode(self.optimizer.points[number]))
        seed = self._seed(spec.trial(defence, attack, spec.seeds[0]))
        trial = spec.trial(defence, attack, seed)
        self.tried[trial.defence_id] = self.optimizer.points[number]
        self._number[trial.trial_id] = number
        return trial

    def _seed(self, trial: TrialConfig) -> int:
        """A seed that this defence point has not had under this attack."""
        used = self._seeds.setdefault((trial.defence_id, trial.attack_id), set())
        order = stream("seeds", trial.defence_id, trial.attack_id).permutation(self._spec.seeds)
        seed = next(int(seed) for seed in order if int(seed) not in used)
        used.add(seed)
        return seed

    def _conclude(self, row: TrialRow) -> None:
        self._pending.discard(row.trial_id)
        self.optimizer.tell(self._number[row.trial_id], self._outcome(row))

    def _remember(self, row: TrialRow) -> None:
        """Takes in a trial of the ledger that this search has not proposed."""
        point = self.domain.encode(*recorded_point(self._spec, row))
        self.tried[row.defence_id] = point
        if row.learned:  # by a verification, beyond the budget
            settings = self.optimizer.settings
            self.optimizer.settings = replace(settings, budget=settings.budget + 1)
            self._learned += 1
        number = self.optimizer.add(point, self._attack[row.attack_id])
        self._number[row.trial_id] = number
        self._seeds.setdefault((row.defence_id, row.attack_id), set()).add(row.seed)
        self.optimizer.tell(number, self._outcome(row))

    def _place(self, row: TrialRow) -> None:
        """Notes where a trial lies of which the model learns nothing: its attack is none of the
        panel. A point that the space does not have has no place."""
        if row.defence_id in self.tried:
            return
        located = self._spec.defence.locate(row.config["defence"], canonical)
        if located is not None:
            self.tried[row.defence_id] = self.domain.encode(*located)

    def _outcome(self, row: TrialRow) -> Outcome | None:
        if row.status not in (FINISHED, STOPPED):
            return None
        if not row.learned:
            self._seconds.append(row.seconds or 0.0)
        if row.status == STOPPED:
            if row.predicted is None:
                return None
            return Outcome(*stand_in_counts(row, self._stopping_thresholds))
        measured = row.measurements[0]
        counts = row.clean_correct, row.clean_total, measured.success, measured.total
        return Outcome(*counts, row.broken)
