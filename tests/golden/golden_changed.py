"""Texts and figures of recorded folders that a rule has changed since.

Which figures, and by which rule, is listed in `changed_figures.csv` (see `golden_figures`); texts
that changed with them stand here.
"""

from __future__ import annotations

from typing import Any

from golden_figures import lines_of_today, with_figures_of_today

#: The only complete point of `unfinished` has broken models with every seed. Rule: these count for
#: their own point and not for the best accuracy, which is not known then; nor are a threshold
#: `best - 0.2`, a margin, and what follows from them.
FOLDER = "unfinished"
MEANINGLESS = "Clean accuracy >= -0.093 is met"
#: Lines of its report and of its region in words: as recorded → today, None where there is none.
LINES: dict[str, str | None] = {
    "No region found: none of 1 judged point meets clean accuracy >= -0.093 (best - 0.2) and attack success <= 0.3 for all 2 attacks. 2 are incomplete.": "No region found: the best accuracy is not known: 1 defence point has ended, and no seed is left where no model collapsed or diverged. 2 are incomplete.",
    "By 95 % bounds of each mean over seeds: 0 IN, 0 OUT, 3 UNDECIDED.": None,
    "There is no such point: none of 3 meets both conditions by the means.": "There is no such point: none of 3 meets both conditions by the means. The best accuracy is not known, since no seed is left where no model collapsed or diverged.",
}  # fmt: skip

#: Two points of `tpe` have the largest margin, 0.113 of clean accuracy. Rule: of equal margins the
#: lower attack success decides which is recommended, 0.175 and not 0.182; before, the first did.
TIED = "tpe"
#: What this changes in its lines: the label, success, and figures of the recommended point.
TIED_LINES = {
    "Recommended: linear, weight_decay 0.01373 (IN by means only: not certain, margin 0.113)": "Recommended: linear, weight_decay 0.01715 (IN by means only: not certain, margin 0.113)",
    "  worst attack: patch(size=1) at 5 % to class 0, success 0.182": "  worst attack: patch(size=1) at 5 % to class 0, success 0.175",
    "Recommended: linear, weight_decay 0.01373, with clean accuracy 0.913 and worst attack success 18.2 %.": "Recommended: linear, weight_decay 0.01715, with clean accuracy 0.913 and worst attack success 17.5 %.",
    "linear, weight_decay 0.01373": "linear, weight_decay 0.01715",
    "patch(size=1) at 5 % to class 0: succeeds on 18.2 %": "patch(size=1) at 5 % to class 0: succeeds on 17.5 %",
    "0.013731002817": "0.0171535934208",
    "| patch(size=1) at 5 % to class 0 | 0.1820.182 | 0.9130.913 | 0.000": "| patch(size=1) at 5 % to class 0 | 0.1750.175 | 0.9130.913 | 0.000",
    "| blend at 5 % to class 0 | 0.1230.123 | 0.9130.913 | 0.000": "| blend at 5 % to class 0 | 0.1120.112 | 0.9130.913 | 0.000",
}  # fmt: skip


#: Texts of drawings, as recorded → today. Rule: an axis reaches the bounds of the recommended point,
#: which are wider in `grid`; a threshold, a most accurate point and its clean baseline that are not
#: known are not drawn, as in `unfinished`.
DRAWN: dict[str, list[tuple[str, str]]] = {
    "grid": [("0.80 0.82 0.84 0.86 0.88 0.90 0.92 0.94 0.96", "0.75 0.80 0.85 0.90 0.95 1.00")],
    FOLDER: [
        ("lowest clean accuracy allowed", ""),
        ("-0.100 -0.075 -0.050 -0.025 0.000 0.025 0.050 0.075 0.100",
         "0.0975 0.1000 0.1025 0.1050 0.1075 0.1100 0.1125 0.1150"),
        ("most accurate", ""),
        ("clean baseline", ""),
    ],
}  # fmt: skip


def changed_drawings(name: str, texts: list[str]) -> list[str]:
    """Recorded texts of drawings as the rules of today have them."""
    told = "".join(f"{text}\n" for text in texts)
    for before, now in DRAWN.get(name, ()):
        old, new = (_one_a_line(each) for each in (before, now))
        assert told.count(f"\n{old}") == 1, f"{name}: {before} in its drawings"
        told = told.replace(f"\n{old}", f"\n{new}")
    return told.splitlines()


def _one_a_line(texts: str) -> str:
    """Ticks, one a line and with the sign that they are drawn with; any other text is a line."""
    ticks = texts.replace("-", "\N{MINUS SIGN}").split() if texts[:1] in "-0" else [texts]
    return "".join(f"{tick}\n" for tick in ticks if tick)


def changed_region(name: str, region: dict[str, Any]) -> dict[str, Any]:
    """A recorded region.json as the rules of today have it: one of version 2, whose model says no
    sentences of its own."""
    found = with_figures_of_today(name, region)
    assert region["schema_version"] == 1
    found["schema_version"] = 2
    if found.get("model"):
        del found["model"]["text"]
    if name == FOLDER:
        found["doubts"] = [text for text in found["doubts"] if not text.startswith(MEANINGLESS)]
    return found


def changed_lines(name: str, lines: list[str], region: dict[str, Any]) -> list[str]:
    """Recorded lines on a recorded region as the rules of today have them."""
    lines = lines_of_today(name, lines, region)
    if name == TIED:
        return [_of_tied(line) for line in lines]
    if name != FOLDER:
        return lines
    kept = [line for line in lines if not line.startswith((MEANINGLESS, "Nearest is"))]
    words = [LINES.get(_asked(line), _asked(line)) for line in kept]
    return [line for line in words if line is not None]


def _asked(line: str) -> str:
    line = line.replace("≥ -0.093 (best - 0.2; best is 0.107)", "of at least best - 0.2")
    return line.replace("| 0 of 2 | \N{MINUS SIGN}0.200", "| 0 of 2 | \N{EN DASH}")


def _of_tied(line: str) -> str:
    line = line.replace("weight_decay 0.01373recommended |", "weight_decay 0.01373 |")
    line = line.replace(
        "| linear, weight_decay 0.01715 |", "| linear, weight_decay 0.01715recommended |"
    )
    return TIED_LINES.get(line, line)
