"""How a region stands with fresh trainings, for `sweeps status`."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict

from backdoor.wording import counted

if TYPE_CHECKING:
    from sweeps.records.answer_entry import VerificationEntry
    from sweeps.records.region_file import RegionFile
    from sweeps.storage.paths import SweepPaths

#: The verdict of a verification that proves the region.
PASSED = "passed"
#: States that stand until trials are added.
HELD = ("verified", "failed", "too few")
#: What was drawn from, by the basis of a verification.
DRAWN = {
    "means": "points IN by means",
    "bounds": "points IN by bounds",
    "model": "points IN by the model of all points",
    "verdict": "what the model of the search calls IN",
    "probability": "the space by P(inside) of the search's model",
}


class VerificationCount(TypedDict):
    """The latest verification that was answered: draws inside, and how many of them pass. state:
    as in region.json, `verified`, `failed`, `stale` and the others; text: a clause; basis: what was
    drawn from, None where nobody said; earlier: how many other verifications there are."""

    verdict: str | None
    passed: int
    draws: int
    state: str
    text: str
    basis: str | None
    earlier: int


def answers_of(paths: SweepPaths) -> list[dict[str, Any]]:
    """The verifications that have been answered, the latest last; damaged ones are left out."""
    found = []
    with contextlib.suppress(OSError):
        files = list(paths.verifications.glob("*/answer.json"))
        files.sort(key=lambda file: file.stat().st_mtime)
        for file in files:
            with contextlib.suppress(ValueError):
                found.append(json.loads(file.read_bytes()))
    return [answer for answer in found if isinstance(answer, dict) and "verdict" in answer]


def standing_of(
    region: RegionFile | None, added: int, answers: Sequence[Mapping[str, Any]]
) -> VerificationCount | None:
    """By region.json, where that knows of a verification, else by the latest answer; None without
    one. added: trials that ended since region.json was written."""
    entry = None if region is None else region.get("verification")
    if entry is not None and (entry["verification_id"] is not None or entry["state"] != "not yet"):
        return _of_file(entry, added)
    drawn = [answer for answer in answers if "inside" in answer]
    return _of_answer(drawn) if drawn else None


def _of_file(entry: VerificationEntry, added: int) -> VerificationCount:
    state, text = entry["state"], entry["text"]
    if added and state in HELD:
        since = f"{counted(added, 'trial')} ended since"
        state, text = "stale", f"stale: {text}, but {since}"
    return {
        "verdict": entry["verdict"],
        "passed": entry["passed"],
        "draws": entry["draws"],
        "state": state,
        "text": text,
        "basis": entry["basis"],
        "earlier": entry["earlier"],
    }


def _of_answer(answers: Sequence[Mapping[str, Any]]) -> VerificationCount:
    """Of files of before, and where a verification was answered since region.json was written."""
    last = answers[-1]
    passed, draws = last["inside"]["passed"], last["inside"]["draws"]
    if last["verdict"] == PASSED:
        state = "verified"
    elif not draws:
        state = "not yet"
    else:
        state = "too few" if passed == draws else "failed"
    count = f"{passed} of {counted(draws, 'draw')} pass" if draws else "nothing to draw from"
    return {
        "verdict": last["verdict"],
        "passed": passed,
        "draws": draws,
        "state": state,
        "text": f"{state} ({count})",
        "basis": last.get("region", {}).get("basis"),
        "earlier": len(answers) - 1,
    }


def standing_words(found: VerificationCount | None) -> str:
    """`failed (52 of 59 draws pass), drawn from points IN by means; 1 other verification`."""
    if found is None:
        return "not yet"
    basis = DRAWN.get(found["basis"] or "")
    drawn = f", drawn from {basis}" if basis and found["draws"] else ""
    others = found["earlier"]
    return f"{found['text']}{drawn}" + (
        f"; {counted(others, 'other verification')}" if others else ""
    )
