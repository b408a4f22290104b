"""The answer of a sweep in words, as it was recorded, against today's: figure by figure.

Rule: every search answers in the same form since (region.json of version 2), so that sentences of
the answer are others, and are not compared. Each figure, label and rule that a recorded sentence
holds has to be the one of today's region.json, and a share, count or rate has to stand in today's
answer as well. All that is no part of the answer is compared word for word: the panel, the table of
points and the caveats below it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from typing import Any

from golden_answers import said_before
from golden_compare import differences

Region = dict[str, Any]
Figure = Callable[[Region], str]


def rate(value: float | None) -> str:
    """As accuracies and rates are written."""
    return "none" if value is None else f"{value:.3f}"


def share(value: float) -> str:
    """As shares are written."""
    return f"{100 * value:.3g}"


def at(*place: str, form: Callable[[Any], str] = str) -> Figure:
    """A figure of region.json by its place."""

    def find(region: Region) -> str:
        value: Any = region
        for key in place:
            value = value[key]
        return form(value)

    return find


def points(*verdicts: str) -> Figure:
    """How many tried points have one of these verdicts."""
    return lambda region: str(sum(region["verdicts"]["points"][name] for name in verdicts))


def complete(region: Region) -> str:
    """How many points have every trial of the panel."""
    return str(sum(point["by_means"] != "INCOMPLETE" for point in region["points"]))


def incomplete(region: Region) -> str:
    """How many have not."""
    return str(len(region["points"]) - int(complete(region)))


def resisted(entries: Sequence[Region]) -> str:
    """Up to which poison rates a setting withstands which attacks, by the model of a search."""
    rates = (each["poison_rate"] for each in entries)
    told = ("at no rate of the panel" if r is None else f"up to {share(r)} %" for r in rates)
    return "; ".join(f"{each['attack']} {r}" for each, r in zip(entries, told, strict=True))


def at_most(region: Region) -> str:
    """The attack success that is allowed, in per cent."""
    return share(region["thresholds"]["attack_success"])


ASKED = r"clean accuracy >= (?P<asked>[\d.-]+)(?: \((?P<rule>[^)]*)\))?"
RESISTED = r"attack success <= (?P<most>[\d.]+) for (?:all (?P<attacks>\d+) attacks|the attack)"
THRESHOLDS: dict[str, Figure] = {
    "asked": at("thresholds", "clean_accuracy", "value", form=rate),
    "rule": at("thresholds", "clean_accuracy", "rule"),
    "most": at("thresholds", "attack_success", form="{:g}".format),
    "attacks": at("question", "attacks"),
}
SETTING: dict[str, Figure] = {
    "label": at("setting", "label"),
    "margin": at("setting", "margin", form=rate),
    "inside": at("setting", "inside", form="{:.2f}".format),
    "clean": at("setting", "clean_accuracy", "value", form=rate),
    "clean_low": at("setting", "clean_accuracy", "lower", form=rate),
    "clean_high": at("setting", "clean_accuracy", "upper", form=rate),
    "best": at("setting", "best_accuracy", form=rate),
    "worst": at("setting", "worst_attack"),
    "success": at("setting", "attack_success", "value", form=rate),
    "percent": at("setting", "attack_success", "value", form=share),
    "low": at("setting", "attack_success", "lower", form=rate),
    "high": at("setting", "attack_success", "upper", form=rate),
}
POINTS: dict[str, Figure] = {
    "total": at("verdicts", "points", "total"),
    "in": points("certainly_in"),
    "out": points("certainly_out"),
    # Points that lack trials were undecided by bounds, in words; they count apart today.
    "open": points("undecided", "likely_in", "likely_out", "incomplete"),
    "means": points("in_by_means"),
    "complete": complete,
    "incomplete": incomplete,
    "stopped": at("trials", "stopped"),
}
SPACE: dict[str, Figure] = {
    "volume": at("verdicts", "space", "volume", form=share),
    "volume_low": at("verdicts", "space", "volume_lower", form=share),
    "volume_high": at("verdicts", "space", "volume_upper", form=share),
    "space_in": at("verdicts", "space", "likely_in", form=share),
    "space_out": at("verdicts", "space", "likely_out", form=share),
    "space_open": at("verdicts", "space", "undecided", form=share),
    "trials": at("model", "trials"),
    "why": at("state", "why"),
    "resisted": at("model", "recommended", "resists", form=resisted),
}
#: The point that a search's model finds the most accurate, by the same names.
MOST_ACCURATE: dict[str, Figure] = {
    name: at("model", "most_accurate", *place, form=form)
    for name, place, form in (
        ("label", ("label",), str),
        ("inside", ("probability",), "{:.2f}".format),
        ("clean", ("clean_accuracy", "expected"), rate),
        ("clean_low", ("clean_accuracy", "lower"), rate),
        ("clean_high", ("clean_accuracy", "upper"), rate),
        ("worst", ("worst_attack",), str),
        ("success", ("attack_success", "expected"), rate),
        ("low", ("attack_success", "lower"), rate),
        ("high", ("attack_success", "upper"), rate),
        ("resisted", ("resists",), resisted),
    )
}
FIGURES: dict[str, Figure] = {
    **THRESHOLDS, **SETTING, **POINTS, **SPACE,
    "confidence": at("verdicts", "confidence", form=share),
}  # fmt: skip
#: What today's answer need not say: thresholds are written as the spec has them; undecided and
#: incomplete points count apart; up to which rate an attack is withstood stands in `model`.
ONLY_IN_JSON = frozenset({*THRESHOLDS, "open", "complete", "stopped", "resisted", "percent"})

#: Sentences of the recorded answer; groups are figures by the names above.
SENTENCES = [
    re.compile(pattern)
    for pattern in (
        rf"(?P<means>\d+) of (?P<total>\d+) defence points (?:is|are) IN by means: {ASKED}, {RESISTED}\.",
        r"By (?P<confidence>\d+) % bounds of each mean over seeds: (?P<in>\d+) IN, (?P<out>\d+) OUT, "
        r"(?P<open>\d+) UNDECIDED\.",
        rf"No region found: none of (?P<complete>\d+) judged points? meets {ASKED} and {RESISTED}\. "
        r"(?P<incomplete>\d+) are incomplete \((?P<stopped>\d+) trials were stopped early\)\.",
        r"Recommended: (?P<label>.+) \(IN by means only: not certain, margin (?P<margin>[\d.]+)\)",
        r" *clean accuracy (?P<clean>[\d.]+), best (?P<best>[\d.]+)",
        r" *worst attack: (?P<worst>.+), success (?P<success>[\d.]+)",
        rf"(?P<volume>[\d.]+) % of the defence space meet: {ASKED}, {RESISTED} \(90 % interval "
        r"(?P<volume_low>[\d.]+) % to (?P<volume_high>[\d.]+) %\)\.",
        r"At (?P<confidence>\d+) % certainty, for the median seed: (?P<space_in>[\d.]+) % IN, "
        r"(?P<space_out>[\d.]+) % OUT, (?P<space_open>[\d.]+) % UNDECIDED, from (?P<trials>\d+) "
        r"trials; ended: (?P<why>.+)\.",
        r"(?:Recommended|Most accurate): (?P<label>.+) \(P\(inside\) (?P<inside>[\d.]+)\)",
        r" *clean accuracy (?P<clean>[\d.]+) \((?P<clean_low>[\d.]+) to (?P<clean_high>[\d.]+)\) for "
        r"one new seed",
        r" *worst attack: (?P<worst>.+), success (?P<success>[\d.]+) \((?P<low>[\d.]+) to "
        r"(?P<high>[\d.]+)\)",
        r" *withstands (?P<resisted>.+)",
    )
]  # fmt: skip
#: Where the answer begins, in the record and today.
BEGINS = re.compile(r"\d+ of \d+ defence points? |No region |[\d.]+ % of the defence space ")
TODAY = "Verification: "
#: Caveats on broken models stand above the answer of a region search, too.
CAVEAT = re.compile(r"\d+ models? of \d+ defence points? ")


def parts_of_record(lines: Sequence[str]) -> tuple[list[str], list[str]]:
    """What stands above the answer, and the answer, both without empty lines."""
    told = [line for line in lines if line]
    start = next(n for n, line in enumerate(told) if BEGINS.match(line))
    caveats = [line for line in told[start:] if CAVEAT.match(line)]
    return told[:start] + caveats, [line for line in told[start:] if not CAVEAT.match(line)]


def parts_of_today(lines: Sequence[str]) -> tuple[list[str], list[str]]:
    """The same of today's words, without the question and the data with which they begin, and what
    to type next, with which they end."""
    told = [line for line in lines if line and not line.startswith(("Question: ", "Data: "))]
    told = told[:-1] if told[-1].startswith("Next: ") else told
    start = next(n for n, line in enumerate(told) if line.startswith(TODAY))
    return told[:start], told[start:]


def answer_differences(
    recorded: Sequence[str], today: Sequence[str], region: Region
) -> Iterator[str]:
    """Where figures of the recorded answer are others today. A recorded line that is said word for
    word is the same; any other has to be one of `SENTENCES`."""
    spoken = "\n".join(today)
    kept = [line for line in recorded if line in today]
    if kept != [line for line in today if line in kept]:
        yield f"said in another order: {kept}"
    for line, figures in with_figures(recorded):
        if line in today or f"Answer: {line}" in today:
            continue
        found = next(filter(None, (s.fullmatch(line) for s in SENTENCES)), None)
        if found is None:
            yield f"no longer said, and by no rule: {line!r}"
        else:
            yield from figure_differences(found, region, spoken, figures)


def with_figures(lines: Sequence[str]) -> Iterator[tuple[str, dict[str, Figure]]]:
    """Recorded lines with what their figures are: after `Most accurate:` those of that point."""
    figures = FIGURES
    for line in lines:
        if line.startswith(("Recommended: ", "Most accurate: ")):
            figures = FIGURES | MOST_ACCURATE if line.startswith("Most") else FIGURES
        yield line, figures


def figure_differences(
    found: re.Match[str],
    region: Region,
    spoken: str,
    figures: Mapping[str, Figure] = FIGURES,
    only_in_json: Set[str] = ONLY_IN_JSON,
) -> Iterator[str]:
    """Where the groups of a recorded sentence are not today's figures, or are not said."""
    for name, before in found.groupdict().items():
        if before is None:
            continue
        now = figures[name](region)
        if before != now:
            yield f"{name}: recorded {before!r}, now {now!r} ({found[0]!r})"
        elif name not in only_in_json and not stands_in(before, spoken):
            yield f"{name}: {before!r} is not said any more ({found[0]!r})"


def stands_in(figure: str, spoken: str) -> bool:
    """Whether a figure or a name stands in a text, not as a part of a longer number."""
    return re.search(rf"(?<![\w.]){re.escape(figure)}(?![\w]|\.\d)", spoken) is not None


def words_differences(recorded: Sequence[str], text: str, region: Region) -> Iterator[str]:
    """Where a region in words is otherwise than recorded: what stands above the answer word for
    word, the answer by its figures, which is the one of region.json."""
    above, answer = parts_of_record(recorded)
    yield from differences(above, parts_of_today(said_before(text).splitlines())[0], "above")
    today = parts_of_today(text.splitlines())[1]
    yield from differences([line for line in region["text"] if line], today, "the answer")
    if region.get("model"):
        yield from differences(region["text"], region["model"]["text"], "the model's sentences")
    if f"Question: {region['question']['text']}" not in text.splitlines():
        yield "the question of region.json is not said"
    yield from answer_differences(answer, today, region)
