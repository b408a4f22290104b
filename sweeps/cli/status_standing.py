"""How a region stands with fresh trainings, for `sweeps status`."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from backdoor.wording import counted

if TYPE_CHECKING:
    from sweeps.records.answer_entry import VerificationEntry

NOT_YET = "not yet"


class VerificationCount(TypedDict):
    """The latest verification that was answered: draws inside, and how many of them pass. state:
    as in region.json, `verified`, `failed`, `stale` and the others; text: a clause; basis: what was
    drawn from, None where nobody said; earlier: how many other verifications there are. claim: the
    share of draws that must pass; verification_id: None where none was answered."""

    verdict: str | None
    passed: int
    draws: int
    state: str
    text: str
    basis: str | None
    earlier: int
    claim: float | None
    verification_id: str | None


def count_of(entry: VerificationEntry) -> VerificationCount | None:
    """None where nobody has verified anything."""
    if entry["verification_id"] is None and entry["text"] == NOT_YET:
        return None
    return {
        "verdict": entry["verdict"],
        "passed": entry["passed"],
        "draws": entry["draws"],
        "state": entry["state"],
        "text": entry["text"],
        "basis": entry["basis"],
        "earlier": entry["earlier"],
        "claim": entry["claim"],
        "verification_id": entry["verification_id"],
    }


def standing_words(found: VerificationCount | None) -> str:
    """`failed (52 of 59 draws of settings IN by means pass); 1 other verification`."""
    if found is None:
        return NOT_YET
    # Those of this very region are named in the text already.
    others = found["earlier"] - found["text"].count("; another: ")
    more = "more verification" if others < found["earlier"] else "other verification"
    return found["text"] + (f"; {counted(others, more)}" if others > 0 else "")
