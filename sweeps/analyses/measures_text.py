"""Detectability and resistance in words and tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sweeps.storage.tables import table

if TYPE_CHECKING:
    from sweeps.analyses.detectability import Detectability, LossSummary
    from sweeps.analyses.resistance import Bounded, ResistanceEntry, Resistances


def broken_text(count: int) -> list[str]:
    """A warning where some poisoned models are useless, else nothing."""
    if not count:
        return []
    return [
        f"{count} poisoned model{' is' if count == 1 else 's are'} in these figures although "
        "collapsed to one answer or diverged: that is damage, not a backdoor."
    ]


# --- detectability -----------------------------------------------------------------------------


def detectability_text(answer: Detectability, width: int | None = None) -> str:
    """What `sweeps probe detectability` prints. width: of the terminal, None for a file."""
    if not answer["points"]:
        return (
            "No pair of a poisoned and a clean model of equal defence point and seed has finished: "
            "finish the sweep with `sweeps resume DIR`, or, if `attack` has no poison rate 0, add "
            "it in a new sweep."
        )
    margin, overall = f"{answer['margin']:g}", answer["overall"]
    head = ["attack", "points", "lost accuracy", f"{_level(answer)} interval"]
    head += [f"equivalent within {margin}", "AUC", f"{100 * answer['confidence']:g} % interval"]
    rows = [_row(entry["attack"], entry, -1) for entry in answer["attacks"]]
    worst = max(answer["points"], key=lambda entry: entry["worst_loss"])
    return "\n".join(
        [
            table(head, [*rows, _row("all", overall, -1)], width),
            "",
            f"Clean accuracy of poisoned models against clean ones of equal point and seed: "
            f"{overall['equivalent']} of {overall['tested']} points and attacks are equivalent "
            f"within {margin} (two one-sided t-tests, alpha {answer['alpha']:g}, not corrected "
            "for their number).",
            "AUC: how often the poisoned model is the less accurate one of two; 0.5 tells nothing. "
            "Its interval is over defence points.",
            f"The class that lost most: class {worst['worst_class']}, {worst['worst_loss']:.3f} of "
            f"its accuracy, at {worst['label']}, {worst['attack']}, by "
            f"{worst['worst_images']} test images of it.",
            *_losses_text(answer, width),
            *broken_text(sum(e["broken"]["poisoned"] for e in answer["points"])),
        ]
    )


def _losses_text(answer: Detectability, width: int | None) -> list[str]:
    overall, margin = answer["overall"]["clean_loss"], f"{answer['loss_margin']:g}"
    if overall is None:
        return []
    head = ["attack", "points", "gained loss", f"{_level(answer)} interval"]
    head += [f"equivalent within {margin}", "AUC", f"{100 * answer['confidence']:g} % interval"]
    entries = [(entry["attack"], entry["clean_loss"]) for entry in answer["attacks"]]
    known = [(name, loss) for name, loss in [*entries, ("all", overall)] if loss is not None]
    return [
        "",
        "And by their loss, mean cross-entropy on the clean test images in nats; AUC: how often "
        "the poisoned model has the higher one.",
        table(head, [_row(name, loss, 1) for name, loss in known], width),
    ]


def _level(answer: Detectability) -> str:
    return f"{100 * (1 - 2 * answer['alpha']):g} %"


def _row(name: str, entry: LossSummary, sign: int) -> list[str]:
    """sign: 1 where a table shows differences as they are, -1 where it shows their negatives."""
    test, area = entry["test"], entry["auc"]
    difference = "-" if test["mean"] is None else f"{sign * test['mean']:.4f}"
    low, high = test["lower"], test["upper"]
    ends = [] if low is None or high is None else sorted((sign * low, sign * high))
    known = [] if area["lower"] is None else [area["lower"], area["upper"]]
    return [
        name,
        str(entry["points"]),
        difference,
        _interval(ends, 4),
        f"{entry['equivalent']} of {entry['tested']}",
        f"{area['mean']:.3f}",
        _interval(known, 3),
    ]


def _interval(ends: Sequence[float | None], decimals: int) -> str:
    """ends: both, or none."""
    return " to ".join(f"{end:.{decimals}f}" for end in ends) or "-"


# --- resistance --------------------------------------------------------------------------------


def resistance_text(answer: Resistances, width: int | None = None) -> str:
    """What `sweeps probe resistance` prints. width: of the terminal, None for a file."""
    if not answer["points"]:
        return "No poisoned model has finished."
    head = ["point", "trigger", "takes at", f"{100 * answer['confidence']:g} % interval"]
    head += ["inflection", "first above 50 %", "seeds"]
    return "\n".join(
        [
            table(head, map(_resistance_row, answer["points"]), width),
            "",
            f"Takes at: the poison rate at which mean attack success reaches "
            f"{100 * answer['success']:g} %, interpolated between the sweep's rates. The interval "
            "draws seeds; with three it is too narrow. Inflection and first above 50 %: as "
            "Mithridates has them (arXiv 2302.04977).",
            *broken_text(sum(at["broken"] for e in answer["points"] for at in e["curve"])),
        ]
    )


def _resistance_row(entry: ResistanceEntry) -> list[str]:
    found = entry["resistance"]
    interval = "-"
    if found is not None and found["lower"] is not None and found["upper"] is not None:
        interval = f"{_bounded(found['lower'])} to {_bounded(found['upper'])}"
    return [
        entry["label"],
        entry["trigger"],
        "-" if found is None else _bounded(found["value"]),
        interval,
        ", ".join(map(_percent, entry["inflection"])) or "-",
        "-" if entry["simplified"] is None else _percent(entry["simplified"]),
        str(len(entry["seeds"])),
    ]


def _bounded(value: Bounded) -> str:
    sign = {"exact": "", "at_most": "<= ", "above": "> "}[value["bound"]]
    return sign + _percent(value["rate"])


def _percent(rate: float) -> str:
    return f"{100 * rate:.3g} %"
