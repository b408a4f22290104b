"""How long a verification will take here, by what the trials of the sweep took.

A trial takes as long as the mean of those of its architecture, and of equally many epochs where
some are known, else in proportion to the epochs. Learners with a closed form share work among the
trials of one training set (attack and seed). A verification has a training set for nearly every
trial; a sweep has one for many points, so what its trials take alone lies between their share and
the whole of a set, and the geometric mean of both is taken.
"""

from __future__ import annotations

import datetime
import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from backdoor.config import TrialConfig
from sweeps.records.trial_row import TrialRow
from sweeps.spec import SweepSpec
from sweeps.verify.plan import Plan, VerificationSettings
from sweeps.verify.regions import INSIDE

#: Seconds until Ray has started, at least; and the most that is believed of what the sweep shows.
RAY_START, LONGEST_START = 5.0, 60.0
#: Claims that are offered in place of a larger one.
LESS = (0.99, 0.95, 0.9, 0.8, 0.7, 0.5)


class KnownTimes:
    """Seconds of trials by what rows say. rows: of the sweep, and of the verification itself."""

    def __init__(self, rows: Iterable[TrialRow]) -> None:
        self._by_kind: dict[str, list[TrialRow]] = defaultdict(list)
        for row in rows:
            if row.seconds and row.finished:
                self._by_kind[_kind(row.config["defence"])].append(row)
        self._means: dict[tuple[str, int], float] = {}

    def __bool__(self) -> bool:
        return bool(self._by_kind)

    def seconds(self, trial: TrialConfig) -> float:
        """Of one trial that is trained alone or beside others like it."""
        defence = trial.canonical["defence"]
        key = _kind(defence), int(defence.get("epochs", 0))
        if key not in self._means:
            self._means[key] = self._mean(*key)
        return self._means[key]

    def _mean(self, kind: str, epochs: int) -> float:
        rows = self._by_kind.get(kind) or [r for own in self._by_kind.values() for r in own]
        same = [row for row in rows if row.epochs == epochs]
        if same or not epochs:
            return _alone(same or rows)
        each = sum(row.seconds or 0.0 for row in rows) / max(1, sum(row.epochs for row in rows))
        return each * epochs


def _kind(defence: Mapping[str, object]) -> str:
    known = defence["architecture"]
    return str(known["kind"] if isinstance(known, Mapping) else known)


def _alone(rows: Sequence[TrialRow]) -> float:
    """The mean of these rows; of closed forms, the geometric mean of that and of a training set."""
    total = sum(row.seconds or 0.0 for row in rows)
    if rows[0].epochs:
        return total / len(rows)
    sets = len({(row.attack_id, row.seed) for row in rows})
    return total / math.sqrt(len(rows) * sets)


def missing_seconds(plan: Plan, spec: SweepSpec, known: KnownTimes, have: Collection[str]) -> float:
    """Of all trainings that the ledger lacks, one after the other. have: ids of those it has."""
    trials = {trial.trial_id: trial for trial in plan.trials(spec)}
    return sum(known.seconds(trial) for name, trial in trials.items() if name not in have)


def start_seconds(rows: Sequence[TrialRow], created: str) -> float:
    """Until Ray trains: as long as from the making of the sweep's folder to its first pack, within
    limits. created: ISO 8601."""
    own = [row for row in rows if row.reused_from is None and row.finished_at]
    if not own:
        return RAY_START
    first = min(own, key=lambda row: row.finished_at)
    pack = sum(row.seconds or 0.0 for row in own if row.pack_id == first.pack_id)
    try:
        began = datetime.datetime.fromisoformat(created).timestamp()
    except ValueError:
        return RAY_START
    return min(LONGEST_START, max(RAY_START, first.finished_at - pack - began))


def smaller(
    plan: Plan, spec: SweepSpec, known: KnownTimes, predicted: float | None
) -> tuple[VerificationSettings, float] | None:
    """The next smaller claim that takes fewer draws, with the seconds of all its trainings, one
    after the other; None where no claim does.

    Of each part of the region, a draw takes as long as those of the plan do on average.
    """
    settings, inside = plan.settings, sum(draw.stratum == INSIDE for draw in plan.draws)
    for claim in LESS:
        asked = replace(settings, draws=0, own_claim=claim)
        if claim < settings.claim and (own := asked.sized(predicted)).draws < inside:
            return own, _scaled(plan, spec, known, own)
    return None


def _scaled(
    plan: Plan, spec: SweepSpec, known: KnownTimes, settings: VerificationSettings
) -> float:
    total = 0.0
    for stratum in {draw.stratum for draw in plan.draws}:
        draws = tuple(draw for draw in plan.draws if draw.stratum == stratum)
        seconds = missing_seconds(replace(plan, draws=draws), spec, known, ())
        total += seconds * min(1.0, settings.count(stratum) / len(draws))
    return total
