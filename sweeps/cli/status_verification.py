"""What `sweeps status` is asked about: the folder of a verification."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, cast

from backdoor.errors import UserError
from sweeps.cli.status_next import SAME_COMMAND, Next, next_by_standing, stronger_attacks
from sweeps.cli.status_standing import VerificationCount, count_of
from sweeps.cli.status_subject import State, Subject, SweepSubject
from sweeps.records.control_text import takes_nowhere
from sweeps.records.trial_row import TrialRow
from sweeps.records.verification_file import PLAN_VERSION, PlanFile
from sweeps.storage.files import read_versioned
from sweeps.storage.paths import SweepPaths, VerificationPaths, read_region
from sweeps.storage.shell import command

if TYPE_CHECKING:
    from sweeps.cli.status_verdict import Verdict
    from sweeps.ledger import Ledger
    from sweeps.records.region_file import RegionFile

#: The part of a plan whose draws are also trained under attacks outside the panel.
INSIDE = "inside"


class VerificationSubject(Subject):
    """A verification, which trains what its plan names."""

    def __init__(self, paths: VerificationPaths) -> None:
        rule = "must be a verification's plan with schema version"
        plan = cast(PlanFile, read_versioned(paths.plan, PLAN_VERSION, rule))
        self.paths, self.planned, self.adaptive = paths, planned_trials(plan), False
        self._folder = paths.root.absolute()
        self._sweep = SweepPaths(self._folder.parent.parent)
        self.name = f"verification {self._folder.name}"
        self._answer, self._answered = paths.answer, paths.answer.is_file()

    def ended_early(self, trials: Sequence[TrialRow]) -> bool:
        return False

    def verdict(self, ledger: Ledger) -> Verdict | None:
        return None

    def verification(self, ledger: Ledger) -> VerificationCount | None:
        """What this one found, as its sweep has it where it is the latest; None without an answer
        that can be read."""
        from sweeps.answer.answered import answers_of
        from sweeps.answer.verification import standing_alone

        if not self._answered:
            return None
        if (found := self._of_sweep) is not None and found["verification_id"] == self._folder.name:
            return found
        known = answers_of(self._sweep)
        own = [e for e in known.entries if e["verification_id"] == self._folder.name]
        return count_of(standing_alone(own[0], known.drawn)) if own else None

    def next(
        self, state: State, again: int, trials: Sequence[TrialRow], found: VerificationCount | None
    ) -> Next:
        if state == "running":
            return None, "it ends by itself"
        if state != "finished" or again or not self._answered:
            return None, SAME_COMMAND
        sweep, region = self._sweep.root, self._region
        if found is None:
            return None, f"{self._answer} cannot be read: {SAME_COMMAND}"
        status = command("sweeps", "status", sweep)
        if region is None or not found["draws"]:
            return status, f"this one: {found['text']}; says what is next for the sweep"
        if takes_nowhere(region):
            return stronger_attacks(sweep)
        if found != self._of_sweep:
            latest = "another verification says more of the region as it is now"
            return status, f"this one: {found['text']}; {latest}"
        following, why = next_by_standing(sweep, region, found)
        return following, why if found["state"] == "verified" else f"{found['text']}: {why}"

    @cached_property
    def _of_sweep(self) -> VerificationCount | None:
        """How the sweep's region stands; None where it cannot be told."""
        from sweeps.ledger import Ledger

        with contextlib.suppress(UserError, OSError):
            return SweepSubject(self._sweep).verification(Ledger(self._sweep.ledger))
        return None

    @cached_property
    def _region(self) -> RegionFile | None:
        with contextlib.suppress(UserError, OSError):
            return read_region(self._sweep.root)
        return None


def planned_trials(plan: PlanFile) -> int:
    """Distinct trials: of every draw the panel's attacks with each of its seeds, which no other
    draw has; inside the attacks outside the panel as well."""
    panel = {json.dumps(attack, sort_keys=True) for attack in plan["frozen"]["panel"]}
    inside = panel | {json.dumps(attack, sort_keys=True) for attack in plan["transfer"]}
    return sum(
        len(draw["seeds"]) * len(inside if draw["stratum"] == INSIDE else panel)
        for draw in plan["draws"]
    )
