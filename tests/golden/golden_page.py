"""The page of a report as it was recorded, against today's: what leads, figure by figure, and what
follows it, line by line.

Rule: a page says what region.json answers, in the same form for every search. What it leads with, up
to the map, has other sentences than before: each figure that the record has there has to be today's,
as in `golden_said`. From the map on, lines are the recorded ones but for what `rest_of_today` says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from golden_compare import differences
from golden_said import (
    FIGURES,
    ONLY_IN_JSON,
    SENTENCES,
    Figure,
    Region,
    at,
    at_most,
    figure_differences,
    incomplete,
    points,
    rate,
    share,
    stands_in,
    with_figures,
)

#: The heading of the map, of points and of a model: recorded → today.
MAPS = {
    "Where the region lies": "The map of the points",
    "Where the region lies, by the model of the search": "The map, by the model of the search",
}


# --- what leads --------------------------------------------------------------------------------


def _recommended(region: Region) -> dict[str, Any]:
    name = region["setting"]["defence_id"]
    (found,) = (point for point in region["points"] if point["defence_id"] == name)
    return dict(found)


def _bound(key: str, form: Figure) -> Figure:
    return lambda region: form(_recommended(region)[key])


def _sought(region: Region) -> str:
    asked = region["thresholds"]["clean_accuracy"]
    if asked["value"] is None:
        return f"of at least {asked['rule']}"
    relative = f" ({asked['rule']}; best is {rate(asked['best'])})" * ("best" in asked["rule"])
    return f"\N{GREATER-THAN OR EQUAL TO} {rate(asked['value'])}{relative}"


def _most_accurate(region: Region) -> str:
    """The point most accurate on validation images: label, accuracy, success of its worst attack."""
    known = [point for point in region["points"] if point["validation_accuracy"] is not None]
    best = max(known, key=lambda point: point["validation_accuracy"])
    worst = f"where the worst attack succeeds on {share(best['attack_success'])} %"
    return f"{best['label']} ({rate(best['clean_accuracy'])}), {worst}"


#: Figures of the page's lead by the names of groups.
LEAD_FIGURES: dict[str, Figure] = {
    **FIGURES,
    "sought": _sought,
    "panel": at("question", "attacks"),
    "seeds": at("question", "seeds"),
    "allowed": at_most,
    "undecided": points("undecided", "likely_in", "likely_out"),
    "basis": at("setting", "basis"),
    "clean_lower": _bound("clean_lower", rate),
    "clean_upper": _bound("clean_upper", rate),
    "success_lower": _bound("success_lower", share),
    "success_upper": _bound("success_upper", share),
    "passing": _bound("seeds_passing", str),
    "of_seeds": _bound("seeds", str),
    "cost": lambda region: rate(max(0.0, region["setting"]["cost"])),
    "other": _most_accurate,
}
#: Per cent are rates today; a cost of nothing is `none`; the point that is the most accurate on
#: validation images is the one that is most accurate; its figures stand in the table.
LEAD_ONLY_IN_JSON = ONLY_IN_JSON | {
    "sought", "allowed", "success_lower", "success_upper", "cost", "other", "panel",
}  # fmt: skip

#: Sentences of the recorded lead, besides those of the region in words.
LEAD = [
    re.compile(pattern)
    for pattern in (
        r"With which training settings does the model keep clean accuracy (?P<sought>.+) while each of "
        r"the (?P<panel>\d+) attacks? of the panel succeeds on at most (?P<allowed>[\d.]+) % of the "
        r"triggered test images\?",
        r"(?P<means>\d+) of (?P<total>\d+) defence points do so, by their means over seeds\.",
        r"With (?P<confidence>\d+) % confidence per point: (?P<in>\d+) IN, (?P<out>\d+) OUT, "
        r"(?P<undecided>\d+) undecided\.",
        r"Confidence is by one-sided bounds of each mean over (?P<seeds>\d+) seeds\. A point is IN .+ "
        r"judging (?P<total>\d+) points at once, nor, where a point is OUT, for looking at "
        r"(?P<panel>\d+) attacks: some of these verdicts may be wrong\.",
        r"There is no such point: none of (?P<total>\d+) meets both conditions by the means\. .+",
        r"(?P<incomplete>\d+) of the (?P<total>\d+) lack results and are not judged\.",
        r"Recommended: (?P<label>.+), with clean accuracy (?P<clean>[\d.]+) and worst attack success "
        r"(?P<percent>[\d.]+) %\.",
        r"(?P<clean>[\d.]+)(?: \(bounds (?P<clean_lower>[\d.]+) and (?P<clean_upper>[\d.]+)\))?",
        r"(?P<worst>.+): succeeds on (?P<percent>[\d.]+) %"
        r"(?: \(bounds (?P<success_lower>[\d.]+) % and (?P<success_upper>[\d.]+) %\))?",
        r"IN by the (?P<basis>means) over seeds only; the bounds leave it undecided; (?P<passing>\d+) "
        r"of (?P<of_seeds>\d+) seeds? meets? both conditions",
        r"(?P<cost>[\d.]+) against the point most accurate on validation images, (?P<other>.+)",
        # Without figures: said in other words, or in the table of verdicts
        r"Recommended operating point|Accuracy given up",
        r"\[div: The recommended point under each attack\]",
        r"\| attack \| attack success \| clean accuracy \| success on clean models",
        r"Means over seeds, then every seed\. The last column is how often the clean baseline, .+",
        r"With one seed for each point there are no bounds: no verdict here has a known certainty\.",
        r"Not known yet: no defence point has results for every attack and seed\.",
        # Rule: the setting that a model recommends is shown, though it was not tried
        r"None: no point is inside the region\.",
    )
]
UNDER_ATTACK = re.compile(r"\| (?P<attack>.+) \| (?P<success>[\d. ]+) \| [\d. ]+ \| (?P<clean>\S+)")


def lead_differences(recorded: Sequence[str], page: Sequence[str], region: Region) -> Iterator[str]:
    """Where figures of the recorded lead are others today, or are not on the page any more."""
    spoken = "\n".join(page)
    words = [line.strip() for line in region["text"]]
    yield from _not_in_its_place(page, region)
    for line, figures in with_figures(recorded):
        found = next(filter(None, (s.fullmatch(line) for s in (*LEAD, *SENTENCES))), None)
        row = UNDER_ATTACK.fullmatch(line)
        if line in page:
            continue
        if row is not None:
            yield from _row_differences(row, page, region)
        elif line in words:  # in the table of boxes and rules, and in that of limits
            numbers = re.findall(r"\d+(?:\.\d+)?", line)
            yield from (f"{n} of {line!r}" for n in numbers if not stands_in(n, spoken))
        elif found is None:
            yield f"no longer on the page, and by no rule: {line!r}"
        else:
            known = LEAD_FIGURES | figures
            yield from figure_differences(found, region, spoken, known, LEAD_ONLY_IN_JSON)


#: Where the page has which figures of the setting.
PLACES = {
    "Margin": ["margin"],
    "Clean accuracy": ["clean"],
    "Cost in accuracy": ["best"],
    "Worst attack": ["worst", "success"],
}


def _not_in_its_place(page: Sequence[str], region: Region) -> Iterator[str]:
    """Where headline, question or figures of the setting are not where they are looked for."""
    for text in (region["headline"]["text"], region["question"]["text"]):
        if not any(line.startswith(text) for line in page):
            yield f"not on the page: {text!r}"
    for title, names in PLACES.items() if region["setting"] else ():
        line = page[page.index(title) + 1]
        for figure in (FIGURES[name](region) for name in names):
            if not stands_in(figure, line):
                yield f"{title}: {figure} is not in {line!r}"


def _row_differences(row: re.Match[str], page: Sequence[str], region: Region) -> Iterator[str]:
    """Of the recommended setting under one attack: all figures by region.json, and on the page all
    but clean accuracy by attack."""
    labels = {attack["attack_id"]: attack["label"] for attack in region["panel"]}
    today = [
        f"| {labels[a['attack_id']]} | {_cell(a['attack_success'], a['success_by_seed'])}"
        f" | {_cell(a['clean_accuracy'], a['clean_by_seed'])} | {rate(a['baseline_success'])}"
        for a in _recommended(region)["attacks"]
    ]
    if row[0] not in today:
        yield f"recorded {row[0]!r}, now one of {today}"
    begins = f"| {row['attack']} | {row['success']} | "
    if not any(line.startswith(begins) and f" | {row['clean']} | " in line for line in page):
        yield f"no row begins with {begins!r} and has {row['clean']}"


def _cell(mean: float, by_seed: dict[str, float]) -> str:
    return rate(mean) + " ".join(map(rate, by_seed.values()))


# --- what follows ------------------------------------------------------------------------------


POINTS_TABLE, TRIED = "[div: All defence points]", "All defence points"
PANEL_TABLE, PANEL = "[div: The attack panel]", "The attack panel"
CURVES = "Lines are means over seeds, dots single seeds."
MARKS = re.compile(
    r"(Each mark is a defence point\. Shaded: both conditions hold\.) The cross through the "
    r"recommended point spans its one-sided bounds\.(?: (\d+) incomplete points? not shown\.)?"
)
TRIALS = re.compile(
    r"(\d+) of (\d+) planned finished(?:, (\d+) stopped early)?; (.+) of training in all"
)
#: Lines with other words today.
OTHERWISE: dict[str, list[str]] = {
    **{before: [now] for before, now in MAPS.items()},
    "The recommended point was chosen by the very figures that are quoted for it, so they are "
    "optimistic; new seeds would tell by how much.": [
        "The recommended setting was chosen by the very figures that are quoted for it, so they are "
        "optimistic; new seeds would tell by how much."
    ],
    "| defence point | by means | by bounds | clean accuracy | worst attack success | worst attack | "
    "seeds that pass | margin": [
        "| defence point | verdict | by means | by bounds | clean accuracy | worst attack success | "
        "worst attack | seeds that pass | margin"
    ],
    "Failed and missing trials": ["Trials without a result: missing"],
    "Failed, stopped and missing trials": ["Trials without a result: stopped"],
    "18 of 30 planned trials have no result.": [
        "18 of at most 30 planned trials have no result: the sweep was interrupted.",
        "sweeps resume trains what is missing.",
    ],
    "A point is judged once every attack has every seed; `sweeps resume` tries what is missing "
    "again.": [],
}
#: Of a region search, what a page does not cover.
NOT_COVERED = {
    "Points between those tried. Neighbours that agree make it likely, not certain.": "The model of "
    "the search, where it is wrong: shares of the space, P(inside) and expected figures are its own. "
    "Fresh trainings at points drawn from the region test them."
}
#: How the text below the table of points begins since it has the verdict.
VERDICT_TOLD = (
    "The verdict is the surest that holds: certain by bounds, likely by the model of all points "
    "together, where there is one. What is IN by means alone claims nothing about new seeds. "
)
BELOW = "Below each mean, its one-sided bounds in brackets, "


def rest_of_today(recorded: Sequence[str], region: Region) -> list[str]:
    """Recorded lines from the map on as today's page has them.

    The panel stands before the points, with how many points its worst attacks are of. Points have
    their verdict besides. Trials are those of the state. A figure in what is replaced must be
    today's.
    """
    lines = [now for line in _panel_first(recorded) for now in _line_of_today(line, region)]
    return _without_panels_range(lines, region)


def _panel_first(lines: Sequence[str]) -> list[str]:
    start = lines.index(PANEL)
    end = next(n for n in range(start + 3, len(lines)) if not lines[n].startswith("| "))
    panel, others = list(lines[start:end]), [*lines[:start], *lines[end:]]
    after = [n for n, line in enumerate(others) if line.startswith(CURVES)]
    place = after[0] + 1 if after else others.index(TRIED)
    return [*others[:place], *panel, *others[place:]]


def _line_of_today(line: str, region: Region) -> list[str]:
    if line in OTHERWISE:
        return OTHERWISE[line]
    if line.startswith(BELOW):
        return [VERDICT_TOLD + line]
    if (found := MARKS.fullmatch(line)) is not None:
        return [_marks(found, region)]
    if (found := TRIALS.fullmatch(line)) is not None:
        return _trials(found, region)
    for point in region["points"]:
        for label in (point["label"], point["label"] + "recommended"):
            begins = f"| {label} | {point['by_means']} | {point['by_bounds']} | "
            if line.startswith(begins):
                said = point["verdict"].replace(" in", " IN").replace(" out", " OUT")
                return [f"| {label} | {said} | {line.removeprefix(f'| {label} | ')}"]
    return [line]


def _marks(found: re.Match[str], region: Region) -> str:
    assert (found[2] or "0") == incomplete(region), found[0]
    cross = " The cross through the recommended setting, where it was tried, spans its one-sided bounds."
    hidden = f" {found[2]} points without measured figures under every attack not shown."
    return found[1] + cross * bool(region["setting"]) + hidden * bool(found[2])


def _trials(found: re.Match[str], region: Region) -> list[str]:
    trials, early = region["trials"], int(found[3] or 0)
    assert (trials["finished"], trials["planned"]) == (int(found[1]), int(found[2])), found[0]
    assert trials["stopped"] == early, found[0]
    ended = re.search(r"(\d+) of (?:at most )?(\d+) trials have ended", region["state"]["text"])
    assert ended is not None
    assert ended.groups() == (str(int(found[1]) + early), found[2]), found[0]
    stopped = f"; {early} trials stopped early" * bool(early)
    return [region["state"]["text"], "Training", f"{found[4]} in all{stopped}"]


def _without_panels_range(lines: list[str], region: Region) -> list[str]:
    """The rows of the panel; where no point has all trials, they have no figures of points."""
    start = lines.index(PANEL_TABLE) + 1
    rows = range(start + 1, start + 1 + len(region["panel"]))
    judged = sum(point["attack_success"] is not None for point in region["points"])
    header = "| attack | trigger | poison rate | target class"
    more = " | success over complete points | worst attack of"
    assert lines[start] == f"{header} | success over all points | worst attack of"
    lines[start] = header + more * bool(judged)
    for n in rows:
        row, _, worst = lines[n].rpartition(" | ")
        count = worst.removesuffix("s").removesuffix(" point")
        if judged:
            lines[n] = f"{row} | {count} of {judged} point{'s' * (judged != 1)}"
        else:
            assert (row[-4:], count) == (" | \N{EN DASH}", "0"), lines[n]
            lines[n] = row[:-4]
    return lines


def without_points_of_a_search(
    recorded: list[str], today: list[str], region: Region
) -> tuple[list[str], list[str]]:
    """Both pages without the table of points of a region search. Rule: it shows what the model
    expects at tried points, most of which lack trials, and no longer that they do."""
    start = recorded.index(TRIED)
    rows = recorded[start + 3 : start + 3 + len(region["points"])]
    below = start + 3 + len(rows)
    assert recorded[start + 1] == POINTS_TABLE
    dash = " | ".join(["\N{EN DASH}"] * 5)
    told = [
        f"| {p['label']} | {p['verdict'].replace(' in', ' IN').replace(' out', ' OUT')}"
        f" | {p['by_means']} | {p['by_bounds']} | {dash}"
        for p in region["points"]
    ]
    assert rows == told, "the recorded table of points"
    assert recorded[below].startswith(VERDICT_TOLD)
    first, last = today.index("Tried points"), _end_of_tried(today)
    shown = today[first:last]
    for p in region["points"]:
        expected, rates = p["expected"], ("clean_accuracy", "attack_success")
        figures = [
            f"{rate(expected[k]['expected'])}{rate(expected[k]['lower'])} to {rate(expected[k]['upper'])}"
            for k in rates
        ]
        ends = f" | {' | '.join(figures)} | {expected['worst_attack']}"
        fits = [row for row in shown if row.startswith(f"| {p['label']} | ") and row.endswith(ends)]
        assert len(fits) == 1, f"{p['label']}: no row of it ends with {ends}"
    told = [*recorded[:start], *recorded[below + 1 :]]
    return _not_covered_of_a_search(told, region), [*today[:first], *today[last:]]


def _not_covered_of_a_search(lines: Sequence[str], region: Region) -> list[str]:
    """Rule: what a page does not cover speaks of the search's model, not of points between those
    tried; and of the recommended setting, since there is one."""
    end = lines.index("How to reproduce")
    told = [NOT_COVERED.get(line, line) for line in lines]
    chosen = [line for each in OTHERWISE.values() for line in each if "was chosen by" in line]
    return [*told[:end], *chosen * bool(region["setting"]), *told[end:]]


def _end_of_tried(today: Sequence[str]) -> int:
    return 1 + next(
        n for n, line in enumerate(today) if line.startswith("Sorted by verdict, IN first")
    )


# --- the whole page ----------------------------------------------------------------------------


def page_differences(recorded: Sequence[str], page: Sequence[str], region: Region) -> Iterator[str]:
    """Where a page is otherwise than recorded."""
    start = next(n for n, line in enumerate(recorded) if line in MAPS)
    yield from lead_differences(recorded[:start], page, region)
    expected = rest_of_today(recorded[start:], region)
    today = list(page[page.index(MAPS[recorded[start]]) :])
    if region.get("model"):
        expected, today = without_points_of_a_search(expected, today, region)
    yield from differences(expected, today, "from the map on")
