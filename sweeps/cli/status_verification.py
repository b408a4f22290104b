"""`sweeps status` of a verification's folder, DIR/verify/ID."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from backdoor.errors import UserError
from sweeps.cli.status_subject import Next, State, Subject, stronger_attacks
from sweeps.records.control_text import takes_nowhere
from sweeps.records.trial_row import TrialRow
from sweeps.records.verification_file import PLAN_VERSION, PlanFile
from sweeps.storage.files import read_versioned
from sweeps.storage.paths import VerificationPaths, read_region
from sweeps.storage.shell import command

if TYPE_CHECKING:
    from sweeps.cli.status_verdict import Verdict
    from sweeps.ledger import Ledger

#: The part of a plan whose draws are also trained under attacks outside the panel.
INSIDE = "inside"


class VerificationSubject(Subject):
    """A verification, which trains what its plan names."""

    def __init__(self, paths: VerificationPaths) -> None:
        rule = "must be a verification's plan with schema version"
        plan = cast(PlanFile, read_versioned(paths.plan, PLAN_VERSION, rule))
        self.paths, self.planned, self.adaptive = paths, planned_trials(plan), False
        self._folder = paths.root.absolute()
        self.name = f"verification {self._folder.name}"
        self._answered = paths.answer.is_file()

    def ended_early(self, trials: Sequence[TrialRow]) -> bool:
        return False

    def verdict(self, ledger: Ledger) -> Verdict | None:
        return None

    def next(self, state: State, again: int, trials: Sequence[TrialRow]) -> Next:
        if state == "running":
            return None, "it ends by itself"
        if state == "finished" and not again and self._answered:
            sweep = self._folder.parent.parent
            if _proves_nothing(sweep):
                return stronger_attacks(sweep)
            return command("sweeps", "train", sweep), "trains a model at the recommended point"
        return None, "the same `sweeps verify` command as before goes on with it"


def _proves_nothing(sweep: Path) -> bool:
    """Whether no attack of the sweep's panel takes; False where region.json does not say so."""
    with contextlib.suppress(UserError, OSError):
        return takes_nowhere(read_region(sweep))
    return False


def planned_trials(plan: PlanFile) -> int:
    """Distinct trials: of every draw the panel's attacks with each of its seeds, which no other
    draw has; inside the attacks outside the panel as well."""
    panel = {json.dumps(attack, sort_keys=True) for attack in plan["frozen"]["panel"]}
    inside = panel | {json.dumps(attack, sort_keys=True) for attack in plan["transfer"]}
    return sum(
        len(draw["seeds"]) * len(inside if draw["stratum"] == INSIDE else panel)
        for draw in plan["draws"]
    )
