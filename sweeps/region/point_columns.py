"""The table of points in the words of a terminal: what the model of all points adds to it, how it
fits a narrow terminal, and what its columns mean."""

from __future__ import annotations

from collections.abc import Sequence

from sweeps.records.model_used import chance_words, judged_together
from sweeps.records.region_file import RegionFile
from sweeps.records.success_words import COLUMN
from sweeps.region.point_table import UNDECIDED
from sweeps.storage.tables import fits, natural_widths, total

#: The columns of the model, behind that of the bounds.
VERDICT, CHANCE, BEHIND = "model", "P(in)", "bounds"
#: What is left out where the terminal is too narrow, in this order.
LEAST_NEEDED = ("seeds", CHANCE)


def add_model_columns(region: RegionFile, head: list[str], rows: list[list[str]]) -> None:
    """Adds the verdict by the model and P(inside) to the head and the rows of the table, where the
    model judges points."""
    if not judged_together(region):
        return
    at = head.index(BEHIND) + 1
    head[at:at] = [VERDICT, CHANCE]
    for cells, point in zip(rows, region["points"], strict=True):
        cells[at:at] = [point.get("by_model", UNDECIDED), chance_words(point.get("inside"))]


def narrowed(
    head: list[str], rows: Sequence[list[str]], width: int
) -> tuple[list[str], list[list[str]], list[str]]:
    """The head and the rows without the columns that a terminal of this width has no room for, and
    the names of these. The number of seeds goes before names are shortened, P(inside) only where
    shorter names do not make room for it."""
    kept, left = [list(head), *map(list, rows)], list[str]()
    for name in LEAST_NEEDED:
        roomy = total(natural_widths(kept)) <= width or (name == CHANCE and fits(kept, width))
        if name in kept[0] and not roomy:
            at = kept[0].index(name)
            kept, left = [cells[:at] + cells[at + 1 :] for cells in kept], [*left, name]
    return kept[0], kept[1:], left


def legend(region: RegionFile) -> list[str]:
    """What the columns mean; nothing while no point has figures."""
    if all(point["clean_accuracy"] is None for point in region["points"]):
        return []
    certain = f"{100 * region['thresholds']['confidence']:g} %"
    above = f"{COLUMN}: how far success lies above that of clean models, paired by seed"
    model = (
        f"{VERDICT}: by a model of all points together; {CHANCE}: its probability that the means "
        "over all seeds",
        "  keep both limits; a single model may still miss them (see seeds)",
    )
    return [
        "clean, success: means over seeds, each under its least favourable attack",
        *([above] if "attack_rule" in region["thresholds"] else []),
        "seeds: how many meet both thresholds",
        f"means: the verdict by these means; bounds: by {certain} bounds of each mean over seeds",
        *(model if judged_together(region) else ()),
    ]
