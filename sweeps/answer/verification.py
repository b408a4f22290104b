"""How a region stands with fresh trainings: what `sweeps verify` found, and whether it still holds.

Nothing here raises for damaged files in `verify/`: the verification is then passed over, and the
text names the file.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, cast

from backdoor.settings.digest import digest
from backdoor.wording import counted, noun_for
from sweeps.answer.answered import (
    DAMAGED,
    Answered,
    answer_in,
    answers_of,
    folders_of,
    known_answers,
)
from sweeps.answer.changed_region import changes
from sweeps.ledger import Ledger
from sweeps.records.answer_entry import Standing, VerificationEntry
from sweeps.records.control_text import NOWHERE_AT_ALL, takes_nowhere
from sweeps.records.not_verified import not_verified
from sweeps.records.region_file import RegionFile
from sweeps.records.verification_file import PLAN_VERSION, DrawEntry, PlanFile
from sweeps.records.verification_standing import AnsweredEntry
from sweeps.storage.files import read_versioned
from sweeps.storage.paths import SweepPaths, VerificationPaths

NOT_YET: Literal["not yet"] = "not yet"
#: States of a verification of what is the region still.
HELD = ("verified", "failed", "too few")
#: Why it is stale, in a clause.
REASONS = 2
#: Of other verifications, those that say something of the region.
TOLD = ("verified", "failed")
#: Other verifications that are named.
NAMED = 2
#: What was drawn from, by the basis of a verification.
DRAWN = {
    "means": "points IN by means",
    "bounds": "points certainly IN",
    "model": "points likely IN",
    "verdict": "the surest settings",
    "probability": "settings likely IN",
}
#: Keys of plan.json that its hash leaves out.
HEAD = ("schema_version", "hash")


@dataclass(frozen=True)
class Found:
    """An answered verification, how it stands now, and why it is stale."""

    entry: AnsweredEntry
    state: Standing
    why: str | None = None


def verification_entry(
    paths: SweepPaths, region: RegionFile, ended: Collection[str]
) -> VerificationEntry:
    """How the region stands, by the files of `verify/` as they are.

    region: judged by what the ledger holds now. ended: ids of the trials that it has a result of,
    finished or stopped.
    """
    known = known_answers(paths)
    notes, latest = list(known.unreadable), _latest(paths, known, region, ended)
    if latest.found is None and not known.whole:
        known = answers_of(paths)
        notes += known.unreadable
        latest = _latest(paths, known, region, ended)
    notes += latest.unreadable
    begun = _begun(paths, latest.found, region, ended)
    notes += begun.unreadable
    entry = _entry(latest.found, known.drawn)
    entry["text"] = _text(latest.found, takes_nowhere(region))
    if latest.found is not None:
        entry["text"] += _others(paths, latest.found, region, ended, entry["earlier"])
    if latest.found is not None and takes_nowhere(region) and entry["state"] == "verified":
        entry["state"] = "not yet"
    if begun.recorded is not None:
        before = "" if latest.found is None else f"; before it: {entry['text']}"
        entry["state"] = "unfinished"
        entry["text"] = f"unfinished ({counted(begun.recorded, 'training')} so far{before})"
    if notes:
        listed = ", ".join(dict.fromkeys(notes))
        entry["text"] += f"; could not be read: {listed}"
    return entry


def draws_of(paths: SweepPaths, entry: VerificationEntry) -> list[DrawEntry]:
    """The draws of the verification that an entry is of; none where it holds no more, or where they
    cannot be read."""
    if entry["state"] not in HELD or entry["verification_id"] is None:
        return []
    with contextlib.suppress(*DAMAGED):
        found = answer_in(VerificationPaths(paths.verifications / entry["verification_id"]))
        return [draw for draw in found["draws"] if isinstance(draw["passes"], bool)]
    return []


# --- the latest answer -------------------------------------------------------------------------


@dataclass(frozen=True)
class Latest:
    """The latest answer of which it can be told how it stands, None without one, and files of later
    ones that could not be read."""

    found: Found | None
    unreadable: list[str]


def _latest(
    paths: SweepPaths, known: Answered, region: RegionFile, ended: Collection[str]
) -> Latest:
    unreadable = list[str]()
    for entry in known.entries:
        if not entry["draws"]:
            continue
        folder = VerificationPaths(paths.verifications / entry["verification_id"])
        try:
            return Latest(_stands(folder, entry, region, ended), unreadable)
        except DAMAGED:
            unreadable.append(_name(paths, folder))
    return Latest(_nothing_drawn(paths, known, region, ended), unreadable)


def _nothing_drawn(
    paths: SweepPaths, known: Answered, region: RegionFile, ended: Collection[str]
) -> Found | None:
    """The latest verification where nothing was inside, as long as the region is the same."""
    for entry in known.entries:
        folder = VerificationPaths(paths.verifications / entry["verification_id"])
        with contextlib.suppress(*DAMAGED):
            if not entry["draws"] and not changes(_read_plan(folder)["frozen"], region, ended):
                return Found(entry, "not yet")
    return None


def _stands(
    folder: VerificationPaths, entry: AnsweredEntry, region: RegionFile, ended: Collection[str]
) -> Found:
    plan = _read_plan(folder)
    if digest("plan", plan["frozen"]) != entry["hash"]:
        raise ValueError("the answer is of another plan")
    if entry["used_up"]:
        return Found(entry, "used up")
    found = changes(plan["frozen"], region, ended)
    if same := len(_recorded(folder) & set(ended)):
        # An extension by seeds trains some that the verification took as fresh ones.
        found.append(f"{same:,} of its trainings became trials of the sweep")
    if found:
        return Found(entry, "stale", "; ".join(found))
    return Found(entry, _held(entry))


def _held(entry: AnsweredEntry) -> Standing:
    if entry["verdict"] == "passed":
        return "verified"
    return "too few" if entry["passed"] == entry["draws"] else "failed"


def _recorded(folder: VerificationPaths) -> set[str]:
    """Ids of the trainings of a verification that have finished."""
    return Ledger(folder.ledger).finished if folder.ledger.is_dir() else set()


def _read_plan(folder: VerificationPaths) -> PlanFile:
    """The plan; `StoredDataError` or `ValueError` where it is not as it was written."""
    rule = "must be a verification's plan with schema version"
    plan = read_versioned(folder.plan, PLAN_VERSION, rule)
    if plan["hash"] != digest("plan", {k: v for k, v in plan.items() if k not in HEAD}):
        raise ValueError("the plan was changed")
    return cast(PlanFile, plan)


def _name(paths: SweepPaths, folder: VerificationPaths) -> str:
    return str(folder.plan.relative_to(paths.root))


# --- one that has begun ------------------------------------------------------------------------


@dataclass(frozen=True)
class Begun:
    """How many trainings the latest verification without an answer has, where it is newer than any
    answer and still of this region; None without one."""

    recorded: int | None
    unreadable: list[str]


def _begun(
    paths: SweepPaths, latest: Found | None, region: RegionFile, ended: Collection[str]
) -> Begun:
    newest: tuple[str, VerificationPaths] | None = None
    unreadable = []
    for folder in folders_of(paths):
        if not folder.plan.exists() or folder.answer.exists():
            continue
        try:
            plan = _read_plan(folder)
            if not changes(plan["frozen"], region, ended):
                newest = max(newest or ("", folder), (plan["created"], folder), key=lambda n: n[0])
        except DAMAGED:
            unreadable.append(_name(paths, folder))
    if newest is None or (latest is not None and newest[0] < latest.entry["answered"]):
        return Begun(None, unreadable)
    try:
        return Begun(len(_recorded(newest[1])), unreadable)
    except DAMAGED:
        return Begun(0, [*unreadable, str(newest[1].ledger.relative_to(paths.root))])


# --- in words ----------------------------------------------------------------------------------


def standing_alone(entry: AnsweredEntry, total: int) -> VerificationEntry:
    """What a verification found by itself, whatever has become of the region. total: of all that
    were answered."""
    found = Found(entry, "used up" if entry["used_up"] else _held(entry))
    if not entry["draws"]:
        found = Found(entry, NOT_YET)
    return {**_entry(found, total), "text": _text(found, nowhere=False)}


def _entry(found: Found | None, total: int) -> VerificationEntry:
    """The figures, without the text."""
    if found is None:
        return not_verified("", total)
    own = found.entry
    return {
        "state": found.state,
        "text": "",
        "verification_id": own["verification_id"],
        "verdict": own["verdict"],
        "passed": own["passed"],
        "draws": own["draws"],
        "claim": own["claim"],
        "lower_bound": own["lower_bound"],
        "basis": own["basis"],
        "earlier": total - 1,
        "stale_because": found.why,
        "failed_where": own["failed_where"],
    }


def _text(found: Found | None, nowhere: bool) -> str:
    if found is None:
        return NOT_YET
    own, state = found.entry, found.state
    if not own["draws"]:
        return f"{NOT_YET} (nothing was inside to draw from)"
    held = _held(own)
    drawn = f" of {DRAWN[own['basis']]}" if own["basis"] in DRAWN else ""
    verb = noun_for(own["draws"], "passes", "pass")
    count = f"{own['passed']} of {counted(own['draws'], 'draw')}{drawn} {verb}"
    told = f"{held} ({count}{', which cannot prove it' if held == 'too few' else ''})"
    if held == "verified":
        told = f"verified for {100 * own['claim']:g} % of draws ({count})"
    if nowhere and held == "verified":
        told = f"proves nothing about backdoors ({count}, but {NOWHERE_AT_ALL})"
    if state == "stale":
        return f"stale: {told} before {_since(found.why or '')}"
    if state == "used up":
        return f"used up: {told} before its trainings were fed back into the search"
    return told


def _others(
    paths: SweepPaths, latest: Found, region: RegionFile, ended: Collection[str], count: int
) -> str:
    """Other verifications of what is the region still, so that a weaker claim that passed hides no
    stronger one that failed: `; another: failed (50 of 59 draws of points IN by means pass)`."""
    if not count:
        return ""
    told = []
    for entry in answers_of(paths).entries:
        folder = VerificationPaths(paths.verifications / entry["verification_id"])
        if entry["verification_id"] == latest.entry["verification_id"] or not entry["draws"]:
            continue
        with contextlib.suppress(*DAMAGED):
            if (found := _stands(folder, entry, region, ended)).state in TOLD:
                told.append(_text(found, nowhere=False))
    more = f"; and {len(told) - NAMED:,} more" if len(told) > NAMED else ""
    return "".join(f"; another: {text}" for text in told[:NAMED]) + more


def _since(why: str) -> str:
    """The first reasons; `stale_because` has all."""
    first, *others = why.split("; ")
    told = [first, *others[: REASONS - 1]]
    return ", ".join(told) + (" and more changed" if len(others) >= REASONS else "")
