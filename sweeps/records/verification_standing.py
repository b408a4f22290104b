"""verification.json beside region.json: the latest verification that was answered, and the others.

It repeats what the answers in `verify/` say, which stay as they are: without it, it is made again
from them. Shares are fractions.
"""

from __future__ import annotations

from typing import TypedDict

from sweeps.records.answer_entry import FailingEntry
from sweeps.records.verification_file import Verdict

STANDING_VERSION = 1


class AnsweredEntry(TypedDict):
    """A verification that was answered. target: `median` or `share`; passed, draws: inside; claim:
    the share of draws that must pass; lower_bound: of the share, None without a draw. basis: what
    was drawn from; hash: of all that was frozen; frozen: when. answered: when its last training
    ended, or when it was frozen, where nothing was trained. Times are ISO 8601 in UTC. used_up:
    whether its trainings were fed back into the search, so that they prove nothing any more."""

    verification_id: str
    verdict: Verdict
    target: str
    passed: int
    draws: int
    claim: float
    lower_bound: float | None
    basis: str
    hash: str
    frozen: str
    answered: str
    failed_where: list[FailingEntry]
    used_up: bool


class EarlierEntry(TypedDict):
    """Another verification that was answered, in brief."""

    verification_id: str
    verdict: Verdict
    passed: int
    draws: int
    claim: float
    answered: str


class StandingFile(TypedDict):
    """The whole file. latest: of those that drew anything, the one that was answered last; of
    others, where nothing was inside, the last one; None without an answer. earlier: how many others
    there are. others: those, the last one first."""

    schema_version: int
    latest: AnsweredEntry | None
    earlier: int
    others: list[EarlierEntry]
