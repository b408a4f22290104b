"""Feeding the trainings of a verification back into the search that it verified.

They are recorded in the sweep's own ledger as rows that were taken over from `verify/ID`
(`reused_from`), so that a region search's model learns from them. They are beyond the budget of
the search, and prove nothing about the region any more, which now depends on them.

Killed at any moment, nothing is lost or counted twice, and the same command goes on: sweep.json
first says how many trials come, which is at most what there will be; then all rows become durable
at once; then verification.json says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from backdoor.errors import Mistake, StoredDataError, UserError
from sweeps.ledger import Ledger, Rows, with_column
from sweeps.records.criteria import REGION_SEARCH
from sweeps.records.sweep_file import SweepFile
from sweeps.records.trial_row import FINISHED, LEARNED
from sweeps.records.verification_file import VERIFICATION_VERSION, VerificationFile
from sweeps.region.panel import attacks_by_id
from sweeps.spec import SweepSpec
from sweeps.storage.files import RESTORE, read_versioned, write_json
from sweeps.storage.paths import SweepPaths, VerificationPaths, read_sweep
from sweeps.storage.shell import command
from sweeps.verify.plan import read_plan, verifications
from sweeps.verify.run import write_standing

PLACE = "--learn"


@dataclass(frozen=True)
class Learned:
    """verification_id: whose trainings were fed back; added: how many this time; total: in all."""

    verification_id: str
    added: int
    total: int


def refuse_learning(paths: SweepPaths, spec: SweepSpec) -> None:
    """`UserError` where the search does not learn from trials that it has not asked for."""
    if spec.search.kind != REGION_SEARCH:
        rule = "needs a region search, whose model learns from any trial"
        more = command("sweeps", "extend", paths.root, "--set", "seeds=N")
        remedy = f"This search completes points: `{more}` gives them more seeds."
        raise UserError(Mistake(PLACE, rule, spec.search.kind, remedy))


def answered_folder(paths: SweepPaths, verification_id: str) -> VerificationPaths:
    """The folder of a verification that was answered.

    Raises:
        UserError: there is none, or it has no answer yet.
        StoredDataError: its answer is damaged.
    """
    known = [folder for folder in verifications(paths) if folder.answer.is_file()]
    found = [f for f in known if verification_id and f.root.name.startswith(verification_id)]
    if len(found) != 1:
        ids = ", ".join(folder.root.name for folder in known)
        remedy = f"There are: {ids}." if known else "There is none: `sweeps verify` first."
        rule = "must be the id of one verification that was answered"
        raise UserError(Mistake(PLACE, rule, verification_id, remedy))
    return found[0]


def learn(paths: SweepPaths, spec: SweepSpec, ledger: Ledger, folder: VerificationPaths) -> Learned:
    """Takes the trainings over, whose sweep must be locked. ledger: of the sweep.

    Raises:
        StoredDataError: the plan or the answer is damaged, or the trainings are of other data or of
            another version of an engine.
    """
    plan, name = read_plan(folder), folder.root.name
    rule = "must be a verification's answer with schema version"
    answer = cast(VerificationFile, read_versioned(folder.answer, VERIFICATION_VERSION, rule))
    if answer["verification_id"] != name:
        raise StoredDataError(
            Mistake(
                str(folder.answer),
                "must be of this verification",
                answer["verification_id"],
                RESTORE,
            )
        )
    planned = {trial.trial_id for trial in plan.trials(spec)}
    rows = _rows(Ledger(folder.ledger).table(), planned, set(attacks_by_id(spec)), name)
    new = rows.filter([t not in ledger.finished for t in rows["trial_id"].to_pylist()])
    ledger.refuse_mixture(new)
    there = sum(row.reused_from == LEARNED + name for row in ledger.trials())
    total = there + new.num_rows
    _plan_for(paths, name, total)
    added = ledger.append(new).num_rows if new.num_rows else 0
    write_standing(paths)
    return Learned(name, added, total)


def _rows(table: Rows, planned: set[str], panel: set[str], name: str) -> Rows:
    """The finished rows of the panel, as the sweep's ledger has them. What was only planned by a
    changed file is no training of the plan."""
    columns = (table[c].to_pylist() for c in ("trial_id", "attack_id", "status"))
    keep = [
        status == FINISHED and attack in panel and trial in planned
        for trial, attack, status in zip(*columns, strict=True)
    ]
    rows = table.filter(keep)
    return with_column(rows, "reused_from", [LEARNED + name] * rows.num_rows)


def _plan_for(paths: SweepPaths, name: str, total: int) -> None:
    """Writes to sweep.json how many trials this verification adds to those planned."""
    sweep = read_sweep(paths)
    learned = sweep.get("learned", {})
    if learned.get(name) == total:
        return
    planned = sweep["planned"] + total - learned.get(name, 0)
    changed: SweepFile = {**sweep, "planned": planned, "learned": {**learned, name: total}}
    write_json(paths.sweep, changed)
