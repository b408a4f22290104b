"""The parts of a report after the figures: all points, the panel, failures, limits, source."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from dashboards.page import Content, Markup, element, facts, join, paragraph, section, table
from dashboards.results import Results
from dashboards.sections import UNKNOWN, attack_label, fraction, percent, plural, seeds, small, soft
from sweeps.records.region_file import PointEntry
from sweeps.records.trial_row import FAILED, TrialRow

#: A password in an address, as in postgresql://user:password@host.
_PASSWORD = re.compile(r"(?<=://)([^/\s:@]*):[^\s@/]+@")


def all_points(results: Results) -> Markup:
    """One row a defence point, in the order of region.json."""
    head: list[Content] = ["defence point", "by means", "by bounds", "clean accuracy"]
    head += ["worst attack success", "worst attack", "seeds that pass", "margin"]
    return section(
        "All defence points",
        table("All defence points", head, (_point_row(results, p) for p in results.points)),
        soft(
            "Below each mean, its one-sided bounds in brackets, then every seed: of the worst "
            "attack for attack success, of the attack with the lowest mean for clean accuracy. A "
            "seed passes when it meets both conditions under every attack. The margin is the "
            "smaller distance to a threshold, negative outside.",
        ),
    )


def _point_row(results: Results, point: PointEntry) -> list[Content]:
    chosen = results.recommended
    ringed = chosen is not None and chosen["defence_id"] == point["defence_id"]
    name = join([point["label"], small("recommended") if ringed else None])
    if point["clean_accuracy"] is None:
        return [name, point["by_means"], point["by_bounds"], *[UNKNOWN] * 5]
    lowest = min(point["attacks"], key=lambda attack: attack["clean_accuracy"])
    worst = next(a for a in point["attacks"] if a["attack_id"] == point["worst_attack"])
    clean = point["clean_lower"], point["clean_upper"]
    success = point["success_lower"], point["success_upper"]
    return [
        name,
        point["by_means"],
        point["by_bounds"],
        _rate(point["clean_accuracy"], clean, lowest["clean_by_seed"]),
        _rate(point["attack_success"], success, worst["success_by_seed"]),
        attack_label(results, point["worst_attack"]),
        f"{point['seeds_passing']} of {point['seeds']}",
        fraction(point["margin"]).replace("-", "\N{MINUS SIGN}"),
    ]


def _rate(
    mean: float | None, ends: tuple[float | None, float | None], by_seed: dict[str, float]
) -> Markup:
    """A mean, its one-sided bounds, and every seed."""
    low, high = ends
    bounds = None if low is None or high is None else f"[{fraction(low)}, {fraction(high)}]"
    return join([fraction(mean), small(bounds) if bounds else None, small(seeds(by_seed))])


def panel(results: Results) -> Markup:
    """The attacks that the claims are about."""
    worst = Counter(point["worst_attack"] for point in results.points)
    head: list[Content] = ["attack", "trigger", "poison rate", "target class"]
    head += ["success over all points", "worst attack of"]
    rows = (
        [
            attack_label(results, attack["attack_id"]),
            attack["trigger"],
            percent(attack["poison_rate"]),
            _class_name(results, attack["target"]),
            _range_of(results, attack["attack_id"]),
            plural(worst[attack["attack_id"]], "point"),
        ]
        for attack in results.region["panel"]
    )
    return section("The attack panel", table("The attack panel", head, rows))


def _class_name(results: Results, target: int | None) -> str:
    if target is None:  # all-to-all
        return "the next class"
    names = results.sweep.get("class_names", [])
    name = names[target] if 0 <= target < len(names) else str(target)
    return name if name == str(target) else f"{target} ({name})"


def _range_of(results: Results, attack_id: str) -> str:
    values = [
        attack["attack_success"]
        for point in results.points
        for attack in point["attacks"]
        if attack["attack_id"] == attack_id
    ]
    return f"{fraction(min(values))} to {fraction(max(values))}" if values else UNKNOWN


# --- what went wrong ---------------------------------------------------------------------------


def failures(results: Results) -> Markup:
    """Failed trials by cause, those stopped early and those missing; nothing where all ended."""
    failed = [trial for trial in results.trials if trial.status == FAILED]
    counts = results.region["trials"]
    stopped = counts.get("stopped", 0)
    missing = (counts["planned"] or 0) - counts["finished"] - counts["failed"] - stopped
    if not failed and not stopped and missing <= 0:
        return Markup()
    parts: list[Content] = []
    if failed:
        causes = Counter(_cause(trial) for trial in failed)
        rows = (
            [cause, str(count), _examples(failed, cause)] for cause, count in causes.most_common()
        )
        parts.append(table("Failed trials by cause", ["cause", "trials", "for example"], rows))
    if missing > 0:
        parts.append(paragraph(f"{missing} of {counts['planned']} planned trials have no result."))
    if stopped:
        parts.append(
            paragraph(
                f"{stopped} trials were stopped early, by a rule that compares them with others of "
                "the same attack. Their points are not judged: they may be a part of the region."
            )
        )
    rule = "A point is judged once every attack has every seed;"
    parts.append(soft(f"{rule} `sweeps resume` tries what is missing again."))
    heading = "Failed, stopped and missing trials" if stopped else "Failed and missing trials"
    return section(heading, *parts)


def _cause(trial: TrialRow) -> str:
    return next(iter((trial.error or "").splitlines()), "") or "no reason was recorded"


def _examples(failed: Iterable[TrialRow], cause: str) -> Markup:
    ids = [trial.trial_id for trial in failed if _cause(trial) == cause]
    return element("code", " ".join(ids[:3]))


def broken_models(results: Results) -> Markup:
    """Trainings that finished with a useless model, by defence point; nothing where none did."""
    broken = [trial for trial in results.trials if trial.broken]
    if not broken:
        return Markup()
    trained = Counter(trial.defence_id for trial in results.trials)
    rows: list[list[Content]] = []
    for defence_id in dict.fromkeys(trial.defence_id for trial in broken):
        own = [trial for trial in broken if trial.defence_id == defence_id]
        point = results.by_id.get(defence_id)
        collapsed = sum(trial.collapsed for trial in own)
        diverged = sum(trial.diverged for trial in own)
        label = defence_id if point is None else point["label"]
        rows.append([label, str(collapsed), str(diverged), str(trained[defence_id])])
    return section(
        "Collapsed and diverged models",
        paragraph(
            "A collapsed model gives nearly every clean test image the same answer; a diverged one "
            "gives numbers that are not finite. An attack that fails on such a model proves "
            "nothing about the defence.",
        ),
        table(
            "Collapsed and diverged models",
            ["defence point", "collapsed", "diverged", "trained"],
            rows,
        ),
    )


# --- limits and source -------------------------------------------------------------------------


def limits(results: Results) -> Markup:
    """What the numbers above do not say."""
    items = [
        "Attacks outside the panel: other triggers, poison rates, targets, and attackers who adapt "
        "to the defence. A point that is IN has resisted the attacks listed above and no others.",
        "Other data, other architectures and other training settings than those of the spec.",
        "Points between those tried. Neighbours that agree make it likely, not certain.",
        "Seeds beyond those run. The bounds take the seeds' logits as draws from one normal "
        "distribution, which a few seeds cannot check.",
        *results.region.get("doubts", []),
    ]
    if results.recommended is not None:
        items.append(
            "The recommended point was chosen by the very figures that are quoted for it, so they "
            "lean to the hopeful side; new seeds would tell by how much.",
        )
    return section("What this does not cover", element("ul", *(element("li", i) for i in items)))


def source(results: Results) -> Markup:
    """How to get these results again."""
    versions = ", ".join(f"{k} {v}" for k, v in results.sweep.get("versions", {}).items())
    return section(
        "How to reproduce",
        paragraph("Save the spec below as spec.yaml and run:"),
        element("pre", "sweeps run spec.yaml"),
        facts(
            [
                ("Original command", element("code", without_passwords(results.sweep["command"]))),
                ("Begun", results.sweep["created"]),
                ("Trials", _trained(results)),
                ("Data fingerprint", element("code", results.sweep["data_fingerprint"])),
                ("Versions", versions),
            ]
        ),
        element("h3", "The spec"),
        element("pre", without_passwords(results.spec)),
    )


def _trained(results: Results) -> str:
    counts = results.region["trials"]
    planned = "" if counts["planned"] is None else f" of {counts['planned']} planned"
    finished = [trial for trial in results.trials if trial.finished]
    spent = sum(trial.seconds or 0.0 for trial in finished)
    failed = f", {counts['failed']} failed" if counts["failed"] else ""
    if counts.get("stopped"):
        failed = f", {counts['stopped']} stopped early{failed}"
    return f"{counts['finished']}{planned} finished{failed}; {duration(spent)} of training in all"


def duration(seconds_: float) -> str:
    """`48 seconds`, `12.5 minutes`, `3.2 hours`."""
    for size, word in ((3600, "hours"), (60, "minutes")):
        if seconds_ >= 2 * size:
            return f"{seconds_ / size:.3g} {word}"
    return f"{seconds_:.3g} seconds"


def without_passwords(text: str) -> str:
    """The text without the passwords in its addresses: a report is passed on, a spec seldom is."""
    return _PASSWORD.sub(r"\1:***@", text)
