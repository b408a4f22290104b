"""How far a sweep is, as one line."""

from __future__ import annotations

from backdoor.wording import counted, noun_for
from sweeps.records.answer_entry import StateEntry, SweepState
from sweeps.records.region_file import TrialCounts


def state_entry(
    trials: TrialCounts,
    state: SweepState,
    at_most: bool,
    why: str | None,
    points: tuple[int, int] | None = None,
) -> StateEntry:
    """at_most: whether the search may end before all planned trials; why: why it has ended. points:
    tried, and planned in all, where that is known."""
    ended = trials["finished"] + (trials.get("stopped") or 0)
    tried, all_points = points or (0, 0)
    begun = f"; {tried:,} of {counted(all_points, 'point')} {_have(tried)} begun"
    return {
        "state": state,
        "text": _text(trials, state, ended, at_most, why, begun * (tried < all_points)),
        "planned": trials["planned"],
        "at_most": at_most,
        "ended": ended,
        "failed": trials["failed"],
        "why": why,
        "points_planned": None if points is None else all_points,
    }


def _text(
    trials: TrialCounts, state: SweepState, ended: int, at_most: bool, why: str | None, begun: str
) -> str:
    """`finished, 648 of 648 trials have ended.`, `stopped, 12 of at most 120 trials have ended.`"""
    planned, stopped, failed = trials["planned"], trials.get("stopped") or 0, trials["failed"]
    if planned is None:
        text = f"{state}, {counted(ended, 'trial has', 'trials have')} ended"
    else:
        most = "at most " if at_most and ended + failed < planned else ""
        text = f"{state}, {ended:,} of {most}{counted(planned, 'trial')} {_have(ended)} ended"
    if stopped:
        text += f", {stopped:,} of them early"
    if failed:
        text += f"; {failed:,} failed"
    text += begun
    if why and state != "running":
        return f"{text}. The search ended by itself: {why}."
    return f"{text}. `sweeps resume` goes on." if state == "stopped" else f"{text}."


def _have(count: int) -> str:
    return noun_for(count, "has", "have")
