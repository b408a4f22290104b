"""Detectability and resistance in words and tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Answer = Mapping[str, Any]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns of equal width, the first line their names."""
    lines = [list(head), *map(list, rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def broken_text(count: int) -> list[str]:
    """What to know of poisoned models that are useless; nothing where there are none."""
    if not count:
        return []
    return [
        f"{count} poisoned model{' is' if count == 1 else 's are'} in these figures although "
        "collapsed to one answer or diverged: that is damage, not a backdoor."
    ]


# --- detectability -----------------------------------------------------------------------------


def detectability_text(answer: Answer) -> str:
    """What `sweeps probe detectability` prints."""
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
            table(head, [*rows, _row("all", overall, -1)]),
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
            *_losses_text(answer),
            *broken_text(sum(e["broken"]["poisoned"] for e in answer["points"])),
        ]
    )


def _losses_text(answer: Answer) -> list[str]:
    overall, margin = answer["overall"]["clean_loss"], f"{answer['loss_margin']:g}"
    if overall is None:
        return []
    head = ["attack", "points", "gained loss", f"{_level(answer)} interval"]
    head += [f"equivalent within {margin}", "AUC", f"{100 * answer['confidence']:g} % interval"]
    entries = [*answer["attacks"], {"attack": "all", "clean_loss": overall}]
    known = [entry for entry in entries if entry["clean_loss"] is not None]
    return [
        "",
        "And by their loss, mean cross-entropy on the clean test images in nats; AUC: how often "
        "the poisoned model has the higher one.",
        table(head, [_row(entry["attack"], entry["clean_loss"], 1) for entry in known]),
    ]


def _level(answer: Answer) -> str:
    return f"{100 * (1 - 2 * answer['alpha']):g} %"


def _row(name: str, entry: Answer, sign: int) -> list[str]:
    """sign: 1 where a table tells differences as they are, -1 where it tells their negatives."""
    test, area = entry["test"], entry["auc"]
    lost = "-" if test["mean"] is None else f"{sign * test['mean']:.4f}"
    ends = None if test["lower"] is None else sorted((sign * test["lower"], sign * test["upper"]))
    return [
        name, str(entry["points"]), lost, _interval(ends, 4),
        f"{entry['equivalent']} of {entry['tested']}", f"{area['mean']:.3f}",
        _interval(None if area["lower"] is None else (area["lower"], area["upper"]), 3),
    ]  # fmt: skip


def _interval(ends: Sequence[float] | None, digits: int) -> str:
    return "-" if ends is None else f"{ends[0]:.{digits}f} to {ends[1]:.{digits}f}"


# --- resistance --------------------------------------------------------------------------------


def resistance_text(answer: Answer) -> str:
    """What `sweeps probe resistance` prints."""
    if not answer["points"]:
        return "No poisoned model has finished."
    head = ["point", "trigger", "takes at", f"{100 * answer['confidence']:g} % interval",
            "inflection", "first above 50 %", "seeds"]  # fmt: skip
    return "\n".join(
        [
            table(head, map(_resistance_row, answer["points"])),
            "",
            f"Takes at: the poison rate at which mean attack success reaches "
            f"{100 * answer['success']:g} %, interpolated between the sweep's rates. The interval "
            "draws seeds; with three it is too narrow. Inflection and first above 50 %: as "
            "Mithridates has them (arXiv 2302.04977).",
            *broken_text(sum(look["broken"] for e in answer["points"] for look in e["curve"])),
        ]
    )


def _resistance_row(entry: Answer) -> list[str]:
    found = entry["resistance"]
    interval = "-"
    if found is not None and found["lower"] is not None:
        interval = f"{_bounded(found['lower'])} to {_bounded(found['upper'])}"
    return [
        entry["label"], entry["trigger"], "-" if found is None else _bounded(found["value"]),
        interval, ", ".join(map(_percent, entry["inflection"])) or "-",
        "-" if entry["simplified"] is None else _percent(entry["simplified"]),
        str(len(entry["seeds"])),
    ]  # fmt: skip


def _bounded(value: Answer) -> str:
    sign = {"exact": "", "at_most": "<= ", "above": "> "}[value["bound"]]
    return sign + _percent(value["rate"])


def _percent(rate: float) -> str:
    return f"{100 * rate:.3g} %"
