"""The region in words, for a terminal."""

from __future__ import annotations

from backdoor.wording import counted, noun_for
from sweeps.records.control_text import control_answer, panel_lines
from sweeps.records.region_file import PointEntry, RegionFile
from sweeps.records.seed_model_text import seed_model_lines
from sweeps.region.left_out import unknown_best
from sweeps.region.model_text import for_all_attacks, model_text
from sweeps.region.point_columns import add_model_columns, legend, narrowed
from sweeps.region.recommended import recommended_lines
from sweeps.region.success_words import add_excess_column, and_baseline, attack_words
from sweeps.storage.tables import natural_widths, table, total

#: Digits of an id that are shown; commands accept the beginning of one.
SHOWN = 8


def region_text(region: RegionFile, width: int | None = None) -> str:
    """The panel, numbered from 1, a table of all points, and last the answer and the recommended
    point. width: of the terminal; None where nothing is to be cut.

    A region search answers from its model, since it completes no points."""
    caveats = region.get("doubts", [])
    if "model" in region:
        return "\n".join(
            [*_panel(region), "", *model_text(region), *control_answer(region), *caveats]
        )
    return "\n".join(
        [
            *_panel(region),
            "",
            *_table(region, width),
            *legend(region),
            *([""] if caveats else []),
            *caveats,
            "",
            *_answer(region),
            "",
            *_stability(region),
            *recommended_lines(region),
        ]
    )


def _answer(region: RegionFile) -> list[str]:
    thresholds, means = region["thresholds"], region["counts"]["by_means"]
    bounds, points = region["counts"]["by_bounds"], len(region["points"])
    clean, stopped = thresholds["clean_accuracy"], region["trials"]["stopped"]
    were_stopped = f"{counted(stopped or 0, 'trial was', 'trials were')} stopped early"
    if clean["value"] is None and (unknown := unknown_best(clean.get("left_out", []))):
        left, found = means["INCOMPLETE"], " found" * bool(means["INCOMPLETE"])
        more = f" {left} {noun_for(left, 'is', 'are')} incomplete." if left else ""
        return [f"No region{found}: {unknown}{more}"]
    if clean["value"] is None:
        early = f" {were_stopped}." if stopped else ""
        rule = f"every attack of the panel{and_baseline(thresholds)} needs every seed."
        return [f"No defence point is complete yet: {rule}{early}"]
    rule = f"clean accuracy >= {clean['value']:.3f} ({clean['rule']})"
    attack = f"{attack_words(thresholds)} "
    attack += for_all_attacks(len(region["panel"]))
    are = noun_for(means["IN"], "is", "are")
    head = f"{means['IN']} of {counted(points, 'defence point')} {are} IN by means: "
    head += f"{rule}, {attack}."
    if not means["IN"] and means["INCOMPLETE"]:
        judged = points - means["INCOMPLETE"]
        head = (
            f"No region found: none of {counted(judged, 'judged point')} meets {rule} and {attack}."
        )
    elif not means["IN"]:
        head = f"No region: none of {counted(points, 'point')} meets {rule} and {attack}."
    if means["INCOMPLETE"]:
        head += f" {means['INCOMPLETE']} {noun_for(means['INCOMPLETE'], 'is', 'are')} incomplete"
        head += f" ({were_stopped})." if stopped else "."
    certain = f"{100 * thresholds['confidence']:g} %"
    return [
        head,
        f"By {certain} bounds of each mean over seeds: {bounds['IN']} IN, {bounds['OUT']} OUT, "
        f"{bounds['UNDECIDED']} UNDECIDED.",
        *seed_model_lines(region),
        *control_answer(region),
    ]


def _stability(region: RegionFile) -> list[str]:
    found = region.get("stability")
    return [*found["text"], ""] if found else []


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
