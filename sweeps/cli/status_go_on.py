"""The command that goes on with a verification that was interrupted."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from backdoor.errors import UserError
from sweeps.cli.status_more_draws import SEEDS
from sweeps.records.region_file import RegionFile
from sweeps.records.thresholds import MEDIAN
from sweeps.records.verification_file import PLAN_VERSION, PlanFile
from sweeps.storage.files import read_versioned
from sweeps.storage.paths import SweepPaths, VerificationPaths
from sweeps.storage.shell import command

#: What a damaged plan raises.
DAMAGED = (KeyError, TypeError, ValueError, AttributeError, UserError)
#: What is said where the command itself cannot be told.
SAME_COMMAND = "the same `sweeps verify` command as before goes on with it"
#: The attacks outside the panel where nothing is asked, as `sweeps verify --transfer` names them.
STANDARD = "standard-1"


def go_on(folder: Path, own: VerificationPaths | None) -> tuple[str | None, str]:
    """The command and what it does. own: the verification, None where none was found."""
    options = None
    with contextlib.suppress(*DAMAGED):
        plan = None if own is None else _plan(own)
        options = None if plan is None else _options(plan)
    if own is None or options is None:
        return None, SAME_COMMAND
    why = f"goes on with verification {own.root.name}, which was interrupted"
    return command("sweeps", "verify", folder, *options), why


def _options(plan: PlanFile) -> list[object] | None:
    """Those that ask for this very plan; None where it does not say all of them."""
    if (transfer := _transfer(plan)) is None:
        return None
    asked, options = plan["settings"], list[object]()
    if "claim" in asked:
        options += ["--claim", asked["claim"]]
    options += ["--draws", asked["draws"]]
    if asked["target"] == MEDIAN and asked["seeds"] != SEEDS:
        options += ["--seeds", asked["seeds"]]
    options += ["--target", asked["target"], "--basis", plan["frozen"]["region"]["basis"]]
    return options if transfer == STANDARD else [*options, "--transfer", transfer]


def begun(folder: Path, region: RegionFile) -> VerificationPaths | None:
    """The latest verification without an answer that is of this region still."""
    from sweeps.answer.answered import folders_of

    found = dict[str, VerificationPaths]()
    for own in folders_of(SweepPaths(folder)):
        plan = None if own.answer.exists() else _plan(own)
        with contextlib.suppress(*DAMAGED):
            if plan is not None and changed(folder, region, own) is False:
                found[plan["created"]] = own
    return found[max(found)] if found else None


def changed(folder: Path, region: RegionFile, own: VerificationPaths) -> bool | None:
    """Whether the region is another one than this verification began with, so that the command
    would begin a new one; None where its plan does not say that."""
    from sweeps.answer.changed_region import changes
    from sweeps.ledger import Ledger

    with contextlib.suppress(*DAMAGED):
        if (plan := _plan(own)) is not None:
            return bool(changes(plan["frozen"], region, Ledger(SweepPaths(folder).ledger).ended))
    return None


def _plan(own: VerificationPaths) -> PlanFile | None:
    """None where it cannot be read."""
    rule = "must be a verification's plan with schema version"
    with contextlib.suppress(UserError, OSError, ValueError):
        return cast(PlanFile, read_versioned(own.plan, PLAN_VERSION, rule))
    return None


def _transfer(plan: PlanFile) -> str | None:
    """The attacks outside the panel: `none`, a bundled panel, or JSON. None where they name files
    of the user, which the plan has by their content alone."""
    from sweeps.panels.attacks import panel_attacks
    from sweeps.panels.bundled import bundled_panels

    attacks = plan["transfer"]
    if not attacks:
        return "none"
    for name in sorted(bundled_panels(), key=lambda each: each != STANDARD):
        if _left_of([attack.identity() for attack in panel_attacks(name)], attacks):
            return name
    return None if plan.get("files") else json.dumps(attacks)


def _left_of(panel: Sequence[dict[str, Any]], attacks: Sequence[dict[str, Any]]) -> bool:
    """Whether these are attacks of the panel in its order, with a target of their own: those that
    do not fit the data are left out."""
    members = iter([{**attack, "target": None} for attack in panel])
    return all({**attack, "target": None} in members for attack in attacks)
