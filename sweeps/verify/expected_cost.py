"""How long a verification will take here, from its announcement to its verdict.

Its trainings are made into packs as the runner will make them. What these take is estimated from
the packs of the sweep (`sweeps.cost.recorded_cost`), or measured: packs like them are trained for a
moment. Measured is where the sweep's packs say little: they were trained on another machine, were
of other sizes, or did more than a verification does; and by the serial runner wherever it costs
little, since the machine may now be busier, or less busy, than it was during the sweep.

To this comes what is not training: the start of Ray, and the judging and writing at the end.
"""

from __future__ import annotations

import datetime
import math
import platform
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from backdoor.memory import release_memory
from sweeps.cost.estimate import measured_seconds
from sweeps.cost.pack_cost import Budget
from sweeps.cost.processes import Measurers
from sweeps.cost.recorded_cost import RecordedCost
from sweeps.packs.pack import Pack, PackSettings, make_packs
from sweeps.records.trial_row import TrialRow
from sweeps.spec import SweepSpec
from sweeps.verify.plan import Plan, VerificationSettings
from sweeps.verify.regions import INSIDE

#: Seconds until Ray has started and the first pack begins: at least, usually on a common machine,
#: and the most that is believed of what the sweep shows; and until Ray has ended.
RAY_START, USUAL_START, LONGEST_START, RAY_END = 5.0, 6.5, 60.0, 1.0
#: Seconds of judging and of writing region.json and the report again: in any case; for each second
#: that reading the region took before the draws; and of a report.
JUDGING, FITTED, REPORT = 0.5, 4.0, 0.5
#: Measuring takes at most so many seconds or this share of the estimate, whichever is more; of
#: short verifications no more than another share.
MOST, SHARE, SHORT_SHARE = 5.0, 0.05, 0.2
#: Seconds of trainings from which they are measured: in this process, which loads what
#: the serial runner needs anyway, and in others, which first load libraries.
FROM, FROM_PROCESSES = 2.0, 20.0
#: Packs that last longer are halved where workers would be idle.
HALVED = 10.0
#: Claims that are offered in place of a larger one.
LESS = (0.99, 0.95, 0.9, 0.8, 0.7, 0.5)

#: Measures packs for some workers within a budget: seconds of each, None where it did not suffice.
Measure = Callable[[Sequence[Pack], int, Budget], Sequence[float | None]]


@dataclass(frozen=True)
class TrainingCost:
    """Seconds of trainings. packs: of each pack its trials and its seconds; shares: by trial id;
    measured: the seconds that measuring took, None where the sweep's packs tell the rest."""

    packs: tuple[tuple[int, float], ...]
    shares: dict[str, float]
    measured: float | None = None

    @property
    def total(self) -> float:
        """Of all packs, one after the other."""
        return sum(seconds for _, seconds in self.packs)

    def on(self, workers: int, total: float | None = None) -> float:
        """Of so many workers, which share the packs. total: of fewer trainings like these."""
        pieces = (min(s, HALVED) if trials > 1 else s for trials, s in self.packs)
        return max((self.total if total is None else total) / workers, max(pieces, default=0.0))

    def seconds(self, plan: Plan, spec: SweepSpec) -> float:
        """Of all trainings of a plan whose trials were estimated, one after the other."""
        usual = sum(self.shares.values()) / max(1, len(self.shares))
        ids = {trial.trial_id for trial in plan.trials(spec)}
        return sum(self.shares.get(name, usual) for name in ids)


def training_cost(
    plan: Plan,
    spec: SweepSpec,
    rows: Sequence[TrialRow],
    have: Collection[str],
    workers: int,
    alike: bool,
    measure: Measure,
) -> TrainingCost | None:
    """Of what the ledger lacks; None where that is nothing, or nothing is known of it.

    rows: of the sweep. have: ids of trials that are recorded. alike: whether the sweep did with its
    packs what the verification does.
    """
    trials = {trial.trial_id: trial for trial in plan.trials(spec)}
    missing = [trial for name, trial in trials.items() if name not in have]
    known = RecordedCost(rows)
    if not missing or not known:
        return None
    packs = make_packs(missing, PackSettings.of(spec))
    seconds, began = [known.seconds(pack) for pack in packs], time.perf_counter()
    took: float | None = None
    if (budget := budget_for(sum(seconds), workers, alike and _trusted(known, packs))) is not None:
        found = _tried(measure, packs, workers, budget)
        if any(found):
            seconds, took = combined(seconds, found), time.perf_counter() - began
    pairs = list(zip(packs, seconds, strict=True))
    shares = {t.trial_id: s / len(p.trials) for p, s in pairs for t in p.trials}
    return TrainingCost(tuple((len(p.trials), s) for p, s in pairs), shares, took)


def _trusted(known: RecordedCost, packs: Sequence[Pack]) -> bool:
    """Whether the recorded packs were trained here and had the sizes of these."""
    return known.hosts == {platform.node()} and known.covers(packs)


def budget_for(total: float, workers: int, trusted: bool) -> Budget | None:
    """What measuring may take, by the seconds of all trainings; None where it is not worth it.

    trusted: whether the sweep's packs tell them well. Several workers slow each other down, which
    the sweep's packs show, so that these are believed where they are trusted.
    """
    lasts = total / workers
    if workers > 1 and (trusted or lasts < FROM_PROCESSES):
        return None
    return Budget(min(MOST, SHORT_SHARE * lasts), SHARE) if lasts >= FROM else None


def measured_now(packs: Sequence[Pack], workers: int, budget: Budget) -> Sequence[float | None]:
    """Trains packs like these for a moment, as many at once as there are workers."""
    began = time.perf_counter()
    with Measurers(workers) as processes:
        found = measured_seconds(packs, workers, processes, began, budget=budget)
    release_memory()
    return found


def nothing_measured(packs: Sequence[Pack], workers: int, budget: Budget) -> list[float | None]:
    """In place of `measured_now` where other machines will train."""
    return [None] * len(packs)


def _tried(
    measure: Measure, packs: Sequence[Pack], workers: int, budget: Budget
) -> Sequence[float | None]:
    """What is measured; nothing where training fails, which the runner will report by trial."""
    try:
        return measure(packs, workers, budget)
    except Exception:  # whatever users' kinds raise
        return [None] * len(packs)


def combined(recorded: Sequence[float], measured: Sequence[float | None]) -> list[float]:
    """What was measured; of other packs what is recorded, times by how much more the measured ones
    took than is recorded of them."""
    pairs = list(zip(recorded, measured, strict=True))
    both = [(old, new) for old, new in pairs if new is not None]
    before = sum(old for old, _ in both)
    factor = sum(new for _, new in both) / before if before else 1.0
    return [old * factor if new is None else new for old, new in pairs]


# --- what is not training ------------------------------------------------------------------------


def start_seconds(rows: Sequence[TrialRow], created: str, slow: float = 1.0) -> float:
    """Until Ray trains: the geometric mean of what passed between the making of the sweep's folder
    and its first pack, and of what is usual on a machine that is as busy as this one is now; the
    former includes files that were read for the first time. created: ISO 8601; slow: see
    `slowdown`."""
    usual = USUAL_START * slow
    own = [row for row in rows if row.reused_from is None and row.finished_at]
    if not own:
        return usual
    first = min(own, key=lambda row: row.finished_at)
    pack = sum(row.seconds or 0.0 for row in own if row.pack_id == first.pack_id)
    try:
        began = datetime.datetime.fromisoformat(created).timestamp()
    except ValueError:
        return usual
    passed = min(LONGEST_START, max(RAY_START, first.finished_at - pack - began))
    return math.sqrt(passed * usual)


def closing_seconds(opened: float, report: bool, slow: float = 1.0) -> float:
    """Of judging and of writing the answer again. opened: seconds that it took to read the region;
    report: whether a report is written as well; slow: see `slowdown`."""
    return slow * (JUDGING + REPORT * report) + FITTED * opened


def slowdown(spin: float = 0.05) -> float:
    """By how much this process is slower than alone, since others use its core; at least 1."""
    begun, used = time.perf_counter(), time.process_time()
    while time.process_time() - used < spin:
        pass
    return max(1.0, (time.perf_counter() - begun) / spin)


# --- what less takes -----------------------------------------------------------------------------


def smaller(
    plan: Plan, spec: SweepSpec, cost: TrainingCost, predicted: float | None
) -> tuple[VerificationSettings, float] | None:
    """The next smaller claim that takes fewer draws, with the seconds of all its trainings, one
    after the other; None where no claim does.

    Of each part of the region, a draw takes as long as those of the plan do on average.
    """
    settings, inside = plan.settings, sum(draw.stratum == INSIDE for draw in plan.draws)
    for claim in LESS:
        asked = replace(settings, draws=0, own_claim=claim)
        if claim < settings.claim and (own := asked.sized(predicted)).draws < inside:
            return own, _scaled(plan, spec, cost, own)
    return None


def _scaled(
    plan: Plan, spec: SweepSpec, cost: TrainingCost, settings: VerificationSettings
) -> float:
    total = 0.0
    for stratum in {draw.stratum for draw in plan.draws}:
        draws = tuple(draw for draw in plan.draws if draw.stratum == stratum)
        seconds = cost.seconds(replace(plan, draws=draws), spec)
        total += seconds * min(1.0, settings.count(stratum) / len(draws))
    return total
