"""The verifications of a sweep that were answered, from verification.json or the answers alone.

Nothing here raises for damaged files in `verify/`: what could not be read is named.
"""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from backdoor.errors import StoredDataError, UserError
from sweeps.ledger import Ledger
from sweeps.records.schema import schema_of
from sweeps.records.schema_check import faults
from sweeps.records.verification_file import VERIFICATION_VERSION, VerificationFile
from sweeps.records.verification_standing import (
    STANDING_VERSION,
    AnsweredEntry,
    EarlierEntry,
    StandingFile,
)
from sweeps.storage.files import read_versioned
from sweeps.storage.paths import SweepPaths, VerificationPaths, read_sweep

#: What reading a damaged file may raise.
DAMAGED = (StoredDataError, OSError, LookupError, TypeError, ValueError, AttributeError)


@dataclass(frozen=True)
class Answered:
    """The verifications that were answered, the last one first, those without a draw after all
    others; how many drew anything; and the files that could not be read, by their paths in the
    results folder. whole: whether the entries are all of them, or only the first one."""

    entries: list[AnsweredEntry]
    drawn: int
    unreadable: list[str]
    whole: bool = True


def folders_of(paths: SweepPaths) -> list[VerificationPaths]:
    """The folders of all verifications, by id."""
    with contextlib.suppress(OSError):
        found = (each for each in paths.verifications.iterdir() if each.is_dir())
        return [VerificationPaths(each) for each in sorted(found)]
    return []


def answers_of(paths: SweepPaths) -> Answered:
    """From the answers themselves, whatever verification.json says."""
    used, entries, unreadable = used_up(paths), list[AnsweredEntry](), list[str]()
    for folder in folders_of(paths):
        if not folder.answer.is_file():
            continue
        try:
            entries.append(_entry(folder, folder.root.name in used))
        except DAMAGED:
            unreadable.append(_name(paths, folder))
    drawn = sum(entry["draws"] > 0 for entry in entries)
    return Answered(sorted(entries, key=_order, reverse=True), drawn, unreadable)


def _name(paths: SweepPaths, folder: VerificationPaths) -> str:
    return str(folder.answer.relative_to(paths.root))


def _order(entry: AnsweredEntry) -> tuple[bool, str, str]:
    return bool(entry["draws"]), entry["answered"], entry["verification_id"]


def used_up(paths: SweepPaths) -> set[str]:
    """Ids of verifications whose trainings were fed back into the search, as sweep.json has it."""
    with contextlib.suppress(UserError, OSError):
        learned = read_sweep(paths).get("learned", {})
        return set(learned) if isinstance(learned, Mapping) else set()
    return set()


def _entry(folder: VerificationPaths, used: bool) -> AnsweredEntry:
    found = answer_in(folder)
    entry = answered_entry(found, _last_end(folder) or found["region"]["frozen"], used)
    _refuse_odd(entry)
    return entry


def answer_in(folder: VerificationPaths) -> VerificationFile:
    """The answer of a verification; one of `DAMAGED` where it cannot be read."""
    rule = "must be a verification's answer with schema version"
    return cast(VerificationFile, read_versioned(folder.answer, VERIFICATION_VERSION, rule))


def answered_entry(found: VerificationFile, answered: str, used: bool) -> AnsweredEntry:
    """What verification.json keeps of an answer."""
    inside, region = found["inside"], found["region"]
    return {
        "verification_id": found["verification_id"],
        "verdict": found["verdict"],
        "target": found["target"],
        "passed": inside["passed"],
        "draws": inside["draws"],
        "claim": found["claim"],
        "lower_bound": inside["lower_bound"],
        "basis": region["basis"],
        "hash": region["hash"],
        "frozen": region["frozen"],
        "answered": answered,
        "failed_where": found.get("failed_where", []),
        "used_up": used,
    }


def _refuse_odd(entry: AnsweredEntry) -> None:
    """`ValueError` where a value is of another type than it must be, or contradicts another."""
    if fault := next(faults(entry, schema_of(AnsweredEntry)), None):
        raise ValueError(f"{fault.place} {fault.rule}")
    draws, bound, claim = entry["draws"], entry["lower_bound"], entry["claim"]
    verdict = "empty"
    if bound is not None:
        verdict = "passed" if bound >= claim else "not proven"
    known = 0 <= entry["passed"] <= draws and 0 < claim < 1 and (bound is None) == (draws == 0)
    if not known or entry["verdict"] != verdict:
        raise ValueError("its figures contradict each other")


def _last_end(folder: VerificationPaths) -> str | None:
    """When the last training of a verification ended; None where it trained nothing."""
    if not folder.ledger.is_dir():
        return None
    last = max((row.finished_at for row in Ledger(folder.ledger).trials()), default=0.0)
    if not last:
        return None
    return datetime.datetime.fromtimestamp(last, datetime.UTC).isoformat(timespec="milliseconds")


# --- verification.json -------------------------------------------------------------------------


def standing_file(entries: list[AnsweredEntry]) -> StandingFile:
    """The content of verification.json. entries: the last one first."""
    others: list[EarlierEntry] = [
        {
            "verification_id": entry["verification_id"],
            "verdict": entry["verdict"],
            "passed": entry["passed"],
            "draws": entry["draws"],
            "claim": entry["claim"],
            "answered": entry["answered"],
        }
        for entry in entries[1:]
    ]
    return {
        "schema_version": STANDING_VERSION,
        "latest": entries[0] if entries else None,
        "earlier": len(others),
        "others": others,
    }


def known_answers(paths: SweepPaths) -> Answered:
    """By verification.json, which has the first one whole, where it is of all answers that are
    there; else by these."""
    stored = _stored(paths)
    if stored is None or stored["latest"] is None:
        return answers_of(paths)
    listed = {
        stored["latest"]["verification_id"],
        *(o["verification_id"] for o in stored["others"]),
    }
    there = {folder.root.name for folder in folders_of(paths) if folder.answer.is_file()}
    latest = stored["latest"]
    if listed != there or not _is_answer(paths, latest):
        return answers_of(paths)
    used = latest["used_up"] or latest["verification_id"] in used_up(paths)
    drawn = sum(each["draws"] > 0 for each in (latest, *stored["others"]))
    return Answered([{**latest, "used_up": used}], drawn, [], whole=len(listed) == 1)


def _is_answer(paths: SweepPaths, entry: AnsweredEntry) -> bool:
    """Whether it repeats what its answer says; not where that is damaged, which is then named."""
    folder = VerificationPaths(paths.verifications / entry["verification_id"])
    try:
        found = answer_in(folder)
        return answered_entry(found, entry["answered"], entry["used_up"]) == entry
    except DAMAGED:
        return False


def _stored(paths: SweepPaths) -> StandingFile | None:
    """What verification.json says; None where it is missing or damaged: it can be made again."""
    rule = "must have schema version"
    try:
        found = read_versioned(paths.verification, STANDING_VERSION, rule)
        if any(faults(found, schema_of(StandingFile))):
            return None
        if found["latest"] is not None:
            _refuse_odd(found["latest"])
    except DAMAGED:
        return None
    return cast(StandingFile, found)
