"""Sections that may be written in short: seeds, tracking, and the thresholds of the region."""

from __future__ import annotations

from typing import Any

from backdoor.errors import Mistake
from backdoor.settings.schema import LARGEST
from sweeps.records.thresholds import Thresholds
from sweeps.spec.sections import MOST_SEEDS, RegionSettings, Seeds, Tracking, Warn, validate
from sweeps.spec.success_rule import AboveBaseline

#: What people write to switch the mirror off, apart from `none`.
OFF = ("off", "no", "false", "none", "never", "disabled")


def read_seeds(given: Any, warn: Warn, new: bool) -> tuple[int, ...] | None:
    """The seeds of a number of them, a list, or a mapping; None where they are wrong.

    new: whether the sweep has not begun yet: only then there is a limit to a list.
    """
    if isinstance(given, int) and not isinstance(given, bool):
        given = {"count": given}
    if isinstance(given, list):
        return _listed_seeds(given, warn, new)
    if given is not None and not isinstance(given, dict):
        rule = "must be a number of seeds, a list of them, or a mapping"
        remedy = "For example 3, [0, 1, 2] or {count: 3, base: 0}."
        warn(Mistake("seeds", rule, given, remedy))
        return None
    model = validate(Seeds, {} if given is None else given, "seeds", warn)
    return None if model is None else tuple(range(model.base, model.base + model.count))


def _listed_seeds(given: list[Any], warn: Warn, new: bool) -> tuple[int, ...] | None:
    wrong = [
        s for s in given if isinstance(s, bool) or not isinstance(s, int) or not 0 <= s <= LARGEST
    ]
    if wrong or not given or len(set(given)) != len(given):
        remedy = "For example [0, 1, 2], or 3 for three of them."
        warn(Mistake("seeds", "must be distinct whole numbers >= 0", given, remedy))
        return None
    if len(given) > MOST_SEEDS and new:
        rule = f"must be at most {MOST_SEEDS:,} seeds"
        warn(Mistake("seeds", rule, f"{len(given):,}", "Use fewer."))
    return tuple(given)


def thresholds_of(model: RegionSettings | None) -> Thresholds | None:
    """The thresholds that the section `region` asks for; None where it is wrong."""
    if model is None:
        return None
    asked = model.clean_accuracy
    below = asked[1] if isinstance(asked, tuple) else None
    absolute = None if isinstance(asked, tuple) else asked
    return Thresholds(
        clean_accuracy=absolute,
        below_best=below,
        attack_success=float(model.attack_success),
        confidence=model.confidence,
        target=model.target,
        above_baseline=isinstance(model.attack_success, AboveBaseline),
    )


def read_tracking(given: Any, warn: Warn) -> Tracking | None:
    """Where MLflow's runs go; None where the mirror is switched off, or the section is wrong."""
    if given in (None, False, "none", "None"):
        return None
    if isinstance(given, str):
        given = {"uri": given}
    uri = given.get("uri") if isinstance(given, dict) else None
    if isinstance(uri, str) and uri.strip().lower() in OFF:
        remedy = "To switch it off, write `tracking: none`."
        warn(Mistake("tracking", "must be an address, or none", uri, remedy))
        return None
    tracking: Tracking | None = validate(Tracking, given, "tracking", warn)
    return tracking
