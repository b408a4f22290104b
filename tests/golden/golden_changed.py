"""Figures of recorded folders that a rule has changed since, each with the rule."""

from __future__ import annotations

import copy
from typing import Any

#: The only complete point of `unfinished` has broken models with every seed. Rule: these count for
#: their own point and not for the best accuracy, which is not known then; nor are a threshold
#: `best - 0.2`, a margin, and what follows from them.
FOLDER = "unfinished"
UNKNOWN = ("value", "best", "best_point", "best_source")
MEANINGLESS = "Clean accuracy >= -0.093 is met"
#: Lines of its report and of its region in words: as recorded → today, None where there is none.
LINES: dict[str, str | None] = {
    "No region found: none of 1 judged point meets clean accuracy >= -0.093 (best - 0.2) and attack success <= 0.3 for all 2 attacks. 2 are incomplete.": "No region found: the best accuracy is not known: 1 defence point has ended, and no seed is left where no model collapsed or diverged. 2 are incomplete.",
    "By 95 % t-bounds over seeds: 0 IN, 0 OUT, 3 UNDECIDED.": None,
    "There is no such point: none of 3 meets both conditions by the means.": "There is no such point: none of 3 meets both conditions by the means. The best accuracy is not known, since no seed is left where no model collapsed or diverged.",
}  # fmt: skip


def changed_region(name: str, region: dict[str, Any]) -> dict[str, Any]:
    """A recorded region.json as the rules of today have it."""
    if name != FOLDER:
        return region
    found = copy.deepcopy(region)
    found["thresholds"]["clean_accuracy"].update(dict.fromkeys(UNKNOWN))
    found["points"][0]["margin"] = None
    found["doubts"] = [text for text in found["doubts"] if not text.startswith(MEANINGLESS)]
    return found


def changed_lines(name: str, lines: list[str]) -> list[str]:
    """Recorded lines as the rules of today have them."""
    if name != FOLDER:
        return lines
    kept = [line for line in lines if not line.startswith((MEANINGLESS, "Nearest is"))]
    words = [LINES.get(_asked(line), _asked(line)) for line in kept]
    return [line for line in words if line is not None]


def _asked(line: str) -> str:
    line = line.replace("≥ -0.093 (best - 0.2; best is 0.107)", "of at least best - 0.2")
    return line.replace("| 0 of 2 | \N{MINUS SIGN}0.200", "| 0 of 2 | \N{EN DASH}")
