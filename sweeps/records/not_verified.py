"""How a region stands that no verification has been asked of, or none that is known."""

from __future__ import annotations

from sweeps.records.answer_entry import VerificationEntry


def not_verified(text: str = "not yet", earlier: int = 0) -> VerificationEntry:
    """earlier: verifications that there are all the same."""
    return {
        "state": "not yet",
        "text": text,
        "verification_id": None,
        "verdict": None,
        "passed": 0,
        "draws": 0,
        "claim": None,
        "lower_bound": None,
        "basis": None,
        "earlier": earlier,
        "stale_because": None,
        "failed_where": [],
    }
