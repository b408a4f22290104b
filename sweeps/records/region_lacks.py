"""What region.json of an earlier release does not say, in sentences."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

#: Stands before the others.
EARLIER = (
    "An earlier release wrote this file: `sweeps region` writes it again, with what is missing "
    "here."
)
#: Files without a model of all points have the bounds of before, which held for normal seeds only.
FORMER_BOUNDS = (
    "Verdicts by bounds are those of that release, whose bounds were narrower: with few seeds, "
    "some points that are certainly IN or OUT here are undecided by those of today."
)
Old = Mapping[str, Any]


def lacks_of(old: Old) -> list[str]:
    """`EARLIER`, and `Missing: limits for one new seed at the recommended setting.` and such."""
    former = [FORMER_BOUNDS] if _complete(old) and _without("seed_model", "model")(old) else []
    missing = [f"Missing: {what}." for what, lacks in _LACKS.items() if lacks(old)]
    return [EARLIER, *former, *missing]


def _searched(old: Old) -> bool:
    return "model" in old


def _of_points(old: Old) -> bool:
    return not _searched(old)


def _recommends(old: Old) -> bool:
    found = (old["model"] or {}).get("recommended") if _searched(old) else old.get("recommended")
    return found is not None


def _complete(old: Old) -> bool:
    return any(point["attacks"] for point in old["points"])


def _without(*keys: str) -> Callable[[Old], bool]:
    return lambda old: not any(key in old for key in keys)


def _unfinished(old: Old) -> bool:
    trials = old["trials"]
    ended = trials["finished"] + (trials.get("stopped") or 0) + trials["failed"]
    stopped_by = (old.get("model") or {}).get("stopped_by")
    return stopped_by is None and (trials["planned"] is None or ended < trials["planned"])


#: What is missing, and where it is.
_LACKS: dict[str, Callable[[Old], bool]] = {
    "how the region stands with fresh trainings (verification)": lambda old: True,
    "whether the sweep was running or had stopped when the file was written": _unfinished,
    "limits for one new seed at the recommended setting": (
        lambda old: _of_points(old) and _recommends(old)
    ),
    "success of all attacks but the worst at the recommended setting": (
        lambda old: _searched(old) and _recommends(old)
    ),
    "P(inside), verdict and expected figures of points that were tried": (
        lambda old: _searched(old) and bool(old["points"])
    ),
    "how many seeds the search may draw": _searched,
    "whether each attack takes anywhere (positive controls)": _without("controls"),
    "P(inside) and verdicts by a model of all points together": _without("seed_model", "model"),
    "what of the region survives small changes (stability)": (
        lambda old: _complete(old) and _without("stability", "model")(old)
    ),
    "the region as a box and a rule, what limits it, and what is left by poison rate": _of_points,
    "which broken models the best accuracy leaves out": (
        lambda old: "left_out" not in old["thresholds"]["clean_accuracy"]
    ),
    "how many triggered images success is measured on": (
        lambda old: any("images" not in a for point in old["points"] for a in point["attacks"])
    ),
    "how many models collapsed or diverged": (
        lambda old: any("broken" not in point for point in old["points"])
    ),
    "what was read of the data": _without("data"),
    "names of the classes": _without("class_names"),
}
