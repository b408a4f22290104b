"""Figures of recorded folders that are others today: `changed_figures.csv`, each with its rule.

The record stays as it is. A line of the list says folder, point, figure, what the record has, what
is said today, and which rule changed it. Texts follow from the list: where they show a figure, they
show the one of today. `unfinished, resumed` is the folder `unfinished` once it has been resumed.
"""

from __future__ import annotations

import copy
import csv
import json
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from scipy.special import stdtrit

Entry = dict[str, Any]

LIST = Path(__file__).resolve().parent / "changed_figures.csv"
RESUMED = ", resumed"
#: Why a figure is another one.
RULES = {
    "mean": "A bound is one of the mean rate over all seeds, which holds for skewed and heavy-tailed "
    "seeds: E expit(z + s T). Before, it was Student's t bound of the mean logit.",
    "rates": "No bound is inside Student's t interval of the seeds' rates themselves, cut at 0 and 1.",
    "verdict": "A bound that crosses its threshold makes the point UNDECIDED; how many there are.",
    "collapsed": "Collapsed and diverged models count for their own point and not for the best accuracy; "
    "where no others are left, it is not known, and neither is what follows from it.",
    "setting": "The setting that the model of a region search recommends is its recommended point, "
    "also where it was not tried; before, only points with all trials were recommended.",
    "tie": "Of equal margins the lower attack success decides which point is recommended.",
}  # fmt: skip
BOUNDS = ("clean_lower", "clean_upper", "success_lower", "success_upper")


@cache
def changes(name: str) -> tuple[dict[str, str], ...]:
    """The lines of the list on one folder."""
    with LIST.open(newline="", encoding="utf-8") as file:
        return tuple(line for line in csv.DictReader(file) if line["folder"] == name)


def folders_of_the_list() -> list[str]:
    """Their names, in order."""
    with LIST.open(newline="", encoding="utf-8") as file:
        return list(dict.fromkeys(line["folder"] for line in csv.DictReader(file)))


def with_figures_of_today(name: str, region: Entry) -> Entry:
    """A recorded region.json with the figures of the list. What it replaces has to be recorded."""
    found = copy.deepcopy(region)
    for line in changes(name):
        *place, key = line["figure"].split(".")
        holder = _point(found, line) if line["point"] else found
        for part in place:
            holder = holder[part]
        before, now = _value(line["before"]), _value(line["now"])
        assert _equal(holder[key], before), f"{name}: {line}, but {holder[key]} is recorded"
        assert not _equal(before, now), f"{name}: {line} is no change"
        holder[key] = now
    return found


def run_with_figures_of_today(name: str, run: Entry) -> Entry:
    """A recorded run of MLflow with the figures of the list, where it is the run of a point."""
    found = copy.deepcopy(run)
    if "trial_id" not in run["tags"]:
        for line in changes(name):
            if line["point"] == run["tags"]["defence_id"] and line["figure"] in BOUNDS:
                assert _equal(found["metrics"][line["figure"]], _value(line["before"])), line
                found["metrics"][line["figure"]] = _value(line["now"])
    return found


def _point(region: Entry, line: dict[str, str]) -> Entry:
    (point,) = (p for p in region["points"] if p["defence_id"] == line["point"])
    assert point["label"] == line["label"], f"{line} is {point['label']}"
    found: Entry = point
    return found


def _value(text: str) -> Any:
    """A number or null as in JSON; anything else is text."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=1e-11, abs_tol=1e-12)
    return bool(one == other)


# --- texts -------------------------------------------------------------------------------------


def lines_of_today(name: str, lines: Sequence[str], region: Entry) -> list[str]:
    """Recorded lines on a recorded region with the bounds and verdicts of the list."""
    today = with_figures_of_today(name, region)
    points = list(zip(region["points"], today["points"], strict=True))
    pairs = [pair for pair in points if pair[0] != pair[1]]
    sums = list(zip(_sums(region), _sums(today), strict=True))
    return [_line_of_today(line, pairs, sums) for line in lines]


def _line_of_today(
    line: str, points: list[tuple[Entry, Entry]], sums: list[tuple[str, str]]
) -> str:
    for before, now in points:
        for old, new in zip(_shown(before), _shown(now), strict=True):
            if all(part in line for part in old):
                for part, other in zip(old, new, strict=True):
                    line = line.replace(part, other, 1)
    for one, another in sums:
        line = line.replace(one, another)
    return line


def _shown(point: Entry) -> list[tuple[str, ...]]:
    """Parts of lines that show the bounds of a point, or its verdict by them: its row of the table in
    the report and in words, and two lines on the recommended one. Where all parts of one of these
    are in a line, it is of this point."""
    verdicts = point["by_means"], point["by_bounds"]
    words = point["defence_id"][:8] + " ", f"/{point['seeds']}    {verdicts[0]:<7}{verdicts[1]:<11}"
    if point["clean_lower"] is None:
        return [words]
    clean, *of_clean = (f"{point[key]:.3f}" for key in ("clean_accuracy", *BOUNDS[:2]))
    success, *of_success = (f"{point[key]:.3f}" for key in ("attack_success", *BOUNDS[2:]))
    shares = [f"{100 * point[key]:.3g} %" for key in ("attack_success", *BOUNDS[2:])]
    row = f" | {' | '.join(verdicts)} | {clean}[{', '.join(of_clean)}]"
    return [
        words,
        (f"| {point['label']}", row, f" | {success}[{', '.join(of_success)}]"),
        (f"{clean} (bounds {' and '.join(of_clean)})",),
        (f"succeeds on {shares[0]} (bounds {' and '.join(shares[1:])})",),
    ]


def _sums(region: Entry) -> list[str]:
    """How many points have which verdict by bounds, in words and in the report."""
    n = region["counts"]["by_bounds"]
    told = f": {n['IN']} IN, {n['OUT']} OUT, {n['UNDECIDED']} "
    return [f"{told}UNDECIDED.", f"{told}undecided."]


# --- bounds by hand ----------------------------------------------------------------------------


def students_limits(point: Entry, rows: list[Entry], confidence: float) -> dict[str, float]:
    """The one-sided limits of Student's t interval of a point's rates, from the counts of a ledger,
    each under the attack that is least favourable to the point."""
    sides = {"lower": -1, "upper": 1}
    found: dict[str, float] = {}
    for kind, pick in (("clean", min), ("success", max)):
        cells = list(_counts(point, rows, kind))
        for side, sign in sides.items():
            limit = pick(_student(cell, sign, confidence) for cell in cells)
            found[f"{kind}_{side}"] = min(1.0, max(0.0, limit))
    return found


def _counts(point: Entry, rows: list[Entry], kind: str) -> Iterator[list[tuple[int, int]]]:
    """Of each attack, successes and images of every seed."""
    by_attack = defaultdict(list)
    for row in rows:
        if row["defence_id"] == point["defence_id"] and row["attack_id"] != "clean":
            measured = row["measurements"][0]
            clean = sum(row["class_correct"]), sum(row["class_total"])
            success = measured["success"], measured["total"]
            by_attack[row["attack_id"]].append(clean if kind == "clean" else success)
    yield from by_attack.values()


def _student(counts: list[tuple[int, int]], sign: int, confidence: float) -> float:
    """mean ± t s / √n; s is at least the binomial noise of the rates, a half added to either count."""
    n = len(counts)
    rates = [k / images for k, images in counts]
    mean = sum(rates) / n
    spread = sum((rate - mean) ** 2 for rate in rates) / (n - 1)
    inside = [((k + 0.5) / (images + 1), images) for k, images in counts]
    noise = sum(p * (1 - p) / (images + 1) for p, images in inside) / n
    return mean + sign * float(stdtrit(n - 1, confidence)) * math.sqrt(max(spread, noise) / n)
