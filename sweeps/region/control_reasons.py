"""Why it is not known whether an attack takes anywhere, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence

from backdoor.wording import counted
from sweeps.region.control_figures import ControlFigures

#: What a sweep that lacks a clean baseline is to be extended with.
ADD_BASELINE = "add rate 0 to `attack.poison_rate` with `sweeps extend`"


def why_unknown(
    figures: Sequence[ControlFigures], compared: bool, hidden: int, region_search: bool
) -> str | None:
    """The reason and the remedy, as one clause; None where it is known that it takes nowhere.

    compared: whether its success could be compared with anything. hidden: how many of its trials
    were stopped early although they may have succeeded.
    """
    if hidden and not any(each.success for each in figures):
        return _stopped(hidden)
    if not any(each.trained for each in figures):
        return "no trial of it has finished; finish the sweep with `sweeps resume`"
    if not any(each.success for each in figures):
        return _broken(sum(each.broken for each in figures), "model of it", "models of it")
    if compared:
        return _stopped(hidden) if hidden else None
    if region_search:
        return "a region search trains no clean baseline; repeat some points as a grid with rate 0"
    if not any(each.baselines for each in figures):
        return f"no clean baseline has been trained; {ADD_BASELINE}"
    if not any(each.clean for each in figures):
        broken = sum(each.broken_baselines for each in figures)
        return _broken(broken, "clean baseline", "clean baselines")
    return (
        "no two seeds have a sound model of it and a sound clean baseline; add seeds with "
        "`sweeps extend`"
    )


def _broken(count: int, one: str, many: str) -> str:
    which = f"the only {one}" if count == 1 else f"all {counted(count, one, many)}"
    return f"{which} collapsed or diverged; train longer, or with other settings"


def _stopped(count: int) -> str:
    return (
        f"{counted(count, 'trial')} of it {'was' if count == 1 else 'were'} stopped early, perhaps "
        "since it succeeds there; sweep without `stopping`"
    )
