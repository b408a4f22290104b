"""From a results folder to an answer: plan, train what is missing, judge."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from backdoor.config import Attack, TrialConfig
from sweeps.answer.answered import answers_of, standing_file
from sweeps.ledger import Ledger, Rows
from sweeps.records.verification_file import VerificationFile
from sweeps.records.verification_standing import StandingFile
from sweeps.runners import Runner
from sweeps.scheduling.loop import Observer, Surroundings, SweepOutcome, run_search
from sweeps.spec import SweepSpec
from sweeps.storage.files import refuse_links, write_json
from sweeps.storage.paths import SweepPaths, VerificationPaths, read_sweep
from sweeps.verify.answer import answer_of
from sweeps.verify.open_region import open_region
from sweeps.verify.plan import (
    Plan,
    VerificationSettings,
    frozen_values,
    make_plan,
    plan_id,
    read_plan,
    used_seeds,
    verifications,
    write_plan,
)


class FixedTrials:
    """A search that proposes a list of trials and nothing else."""

    size: int | None = None
    workers = 1

    def __init__(self, trials: Iterable[TrialConfig]) -> None:
        self._left = deque(trials)

    @property
    def finished(self) -> bool:
        return not self._left

    def ask(self, limit: int) -> list[TrialConfig]:
        return [self._left.popleft() for _ in range(min(limit, len(self._left)))]

    def tell(self, rows: Rows) -> None:
        """Nothing: the plan is fixed."""


@dataclass(frozen=True)
class Verification:
    """A sweep's verification.

    spec: the sweep's, without curves and probes, and without a rule that would stop a trial.
    predicted: the share of draws that are expected to pass, None where nothing is known of it.
    opened: seconds that it took to read the region. alike: whether the sweep did no more with each
    trial than is done here.
    """

    sweep_paths: SweepPaths
    paths: VerificationPaths
    spec: SweepSpec
    draw_plan: Callable[[], Plan]
    predicted: Callable[[], float | None] = lambda: None
    opened: float = 0.0
    alike: bool = True

    @property
    def plan(self) -> Plan:
        """Read if it is written, else drawn and written. The folder must be locked."""
        if not self.paths.plan.is_file():
            write_plan(self.paths, self.draw_plan())
        return read_plan(self.paths)

    def train(
        self,
        ledger: Ledger,
        plan: Plan,
        runner: Runner,
        observers: Sequence[Observer] = (),
        on_interrupt: Callable[[], None] = lambda: None,
        around: Surroundings | None = None,
    ) -> SweepOutcome:
        """Trains what the ledger lacks, through the ordinary loop."""
        search = FixedTrials(plan.trials(self.spec))
        told = observers, on_interrupt, None, around
        return run_search(self.spec, ledger, search, runner, *told)

    def answer(self, ledger: Ledger, plan: Plan) -> VerificationFile:
        """Judges, and writes answer.json, and verification.json of the sweep."""
        earlier = len(verifications(self.sweep_paths)) - 1
        found = answer_of(plan, self.spec, ledger, read_sweep(self.sweep_paths), earlier)
        write_json(self.paths.answer, found)
        write_standing(self.sweep_paths)
        return found


def verification(
    paths: SweepPaths,
    spec: SweepSpec,
    settings: VerificationSettings,
    transfer: Sequence[Attack],
    basis: str | None = None,
) -> Verification:
    """The verification of the region as it is now; makes its folder, but trains nothing."""
    ledger, began = Ledger(paths.ledger), time.perf_counter()
    region = open_region(spec, ledger, settings.target, settings.seeds, basis)
    opened = time.perf_counter() - began
    if not settings.draws:
        settings = settings.sized(region.predicted)
    frozen = frozen_values(spec, read_sweep(paths)["sweep_id"], region)
    own = VerificationPaths(paths.verifications / plan_id(frozen, settings, transfer))
    refuse_links(paths.root, paths.verifications.name, str(own.root.relative_to(paths.root)))
    own.ledger.mkdir(parents=True, exist_ok=True)

    def draw_plan() -> Plan:
        return make_plan(frozen, region, settings, transfer, used_seeds(spec, ledger, paths))

    alike = not (spec.curve_every or spec.probes or spec.stopping)
    plain = replace(spec, curve_every=0, stopping=None, probes=())
    if spec.region.above_baseline:
        plain = replace(plain, also_measured=tuple(transfer))
    return Verification(paths, own, plain, draw_plan, lambda: region.predicted, opened, alike)


def write_standing(paths: SweepPaths) -> StandingFile:
    """Writes verification.json by the answers in `verify/`, whole or not at all."""
    found = standing_file(answers_of(paths).entries)
    write_json(paths.verification, found)
    return found
