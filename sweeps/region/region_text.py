"""The region in words, for a terminal."""

from __future__ import annotations

from backdoor.wording import noun_for
from sweeps.records.control_text import panel_lines
from sweeps.records.data_entry import data_text
from sweeps.records.region_file import PointEntry, RegionFile
from sweeps.records.success_words import add_excess_column
from sweeps.region.point_columns import add_model_columns, legend, narrowed
from sweeps.storage.tables import natural_widths, table, total

#: Digits of an id that are shown; commands accept the beginning of one.
SHOWN = 8


def region_text(region: RegionFile, width: int | None = None) -> str:
    """The question, the data, the panel, numbered from 1, a table of all points, and last the
    answer (`text` of the file), in the same order for every search. width: of the terminal; None
    where nothing is to be cut.

    A region search has no table: it completes no points, and answers for the whole space."""
    caveats = region.get("doubts", [])
    points = [] if "model" in region else [*_table(region, width), *legend(region), ""]
    remarks = [*caveats, ""] if caveats else []
    return "\n".join([*_asked(region), *_panel(region), "", *points, *remarks, *region["text"]])


def _asked(region: RegionFile) -> list[str]:
    """The question, and the data in a line."""
    data = [f"Data: {line}" for line in data_text(region)[:1]]
    return [f"Question: {region['question']['text']}", *data]


def _table(region: RegionFile, width: int | None) -> list[str]:
    """All points. In a narrow terminal, attacks have their numbers alone, and then columns are left
    out; what is too long still is shortened."""
    head = ["id", "defence point", "clean", "success", "seeds", "means", "bounds", "worst attack"]
    labels = {
        attack["attack_id"]: (str(number), f"{number} {attack['label']}")
        for number, attack in enumerate(region["panel"], 1)
    }
    worst = [labels.get(point["worst_attack"] or "", ("", "")) for point in region["points"]]
    rows = [_cells(point) for point in region["points"]]
    add_excess_column(region, head, rows)
    add_model_columns(region, head, rows)
    whole = [[*cells, label] for cells, (_, label) in zip(rows, worst, strict=True)]
    if width is None or total(natural_widths([head, *whole])) <= width:
        return [table(head, whole)]
    head = [*head[:-1], "attack"]
    rows = [[*cells, number] for cells, (number, _) in zip(rows, worst, strict=True)]
    head, rows, left = narrowed(head, rows, width)
    which = noun_for(
        len(left), f"the column {' '.join(left)} is", f"the columns {' and '.join(left)} are"
    )
    out = f"{which} left out, " if left else ""
    told = f"({out}attacks are numbers: the terminal is too narrow; --json has all)"
    if not any(number for number, _ in worst):
        head, rows = head[:-1], [cells[:-1] for cells in rows]
    return [table(head, rows, width), told]


def _cells(point: PointEntry) -> list[str]:
    return [
        point["defence_id"][:SHOWN],
        point["label"],
        _fraction(point["clean_accuracy"]),
        _fraction(point["attack_success"]),
        f"{point['seeds_passing']}/{point['seeds']}",
        point["by_means"],
        point["by_bounds"],
    ]


def _panel(region: RegionFile) -> list[str]:
    lines = ["Attacks:", *panel_lines(region)]
    targets = {attack.get("target") for attack in region["panel"]}
    named = [
        f"class {number} is {name}"
        for number, name in enumerate(region.get("class_names") or ())
        if number in targets and name.partition(" ")[0] != str(number)
    ]
    return [*lines, *([f"  ({', '.join(named)})"] if named else [])]


def _fraction(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
