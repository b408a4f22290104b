"""The parts of a report after the figures: what their templates are given.

All points, the panel, caveats, source. Sentences are the templates' own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from dashboards.filters import UNKNOWN
from dashboards.results import Results
from sweeps.records.control_entry import ERRORS
from sweeps.records.control_text import control_line, control_of
from sweeps.records.data_entry import data_text
from sweeps.records.model_used import chance_words, judged_together
from sweeps.records.region_file import PanelEntry, PointEntry
from sweeps.records.seed_model_text import seed_model_lines
from sweeps.storage import scrubbed

# --- points and attacks ------------------------------------------------------------------------


@dataclass(frozen=True)
class Rates:
    """What stands beside the means of a judged point. clean: by seed, of the attack with the lowest
    mean. success: by seed, of the worst attack. worst_attack: its label."""

    clean: dict[str, float]
    success: dict[str, float]
    worst_attack: str


@dataclass(frozen=True)
class PointRow:
    """A defence point; rates: None where it is incomplete. together: verdict and P(inside) by the
    model of all points together, None where it judges none."""

    point: PointEntry
    recommended: bool
    rates: Rates | None
    together: tuple[str, str] | None


@dataclass(frozen=True)
class Points:
    """All defence points. told: what a model of all points together says of them, in a sentence;
    none where there is no such model."""

    rows: list[PointRow]
    told: list[str]


def all_points(results: Results) -> Points:
    """The points in the order of region.json."""
    name = None if results.setting is None else results.setting["defence_id"]
    rows = [
        PointRow(p, p["defence_id"] == name, _rates(results, p), _together(results, p))
        for p in results.points
    ]
    told = seed_model_lines(results.region)[:1] if judged_together(results.region) else []
    return Points(rows, told)


def _together(results: Results, point: PointEntry) -> tuple[str, str] | None:
    if not judged_together(results.region):
        return None
    return point.get("by_model", "UNDECIDED"), chance_words(point.get("inside")) or UNKNOWN


def _rates(results: Results, point: PointEntry) -> Rates | None:
    if point["clean_accuracy"] is None:
        return None
    lowest = min(point["attacks"], key=lambda attack: attack["clean_accuracy"])
    worst = next(a for a in point["attacks"] if a["attack_id"] == point["worst_attack"])
    label = results.attack_label(point["worst_attack"])
    return Rates(lowest["clean_by_seed"], worst["success_by_seed"], label)


@dataclass(frozen=True)
class PanelRow:
    """An attack of the panel. class_name: of its target, None where it has no other name than its
    number. range: its lowest and its highest mean success over the points that have all figures,
    None where there is none. worst_of: at how many of these it is the worst; judged: how many these
    are. control: whether it takes anywhere, in words; None where region.json is of an earlier
    release. by_errors: whether that compares its success with the models' own errors."""

    attack: PanelEntry
    label: str
    class_name: str | None
    range: tuple[float, float] | None
    worst_of: int
    judged: int
    control: str | None
    by_errors: bool


def panel(results: Results) -> list[PanelRow]:
    """The attacks that the claims are about."""
    worst = Counter(point["worst_attack"] for point in results.points)
    judged = sum(point["worst_attack"] is not None for point in results.points)
    return [
        PanelRow(
            attack=attack,
            label=results.attack_label(attack["attack_id"]),
            class_name=_class_name(results, attack["target"]),
            range=_range_of(results, attack["attack_id"]),
            worst_of=worst[attack["attack_id"]],
            judged=judged,
            control=_control(results, attack["attack_id"]),
            by_errors=_by_errors(results, attack["attack_id"]),
        )
        for attack in results.region["panel"]
    ]


def _control(results: Results, attack_id: str) -> str | None:
    found = control_of(results.region, attack_id)
    return None if found is None else control_line(found)


def _by_errors(results: Results, attack_id: str) -> bool:
    found = control_of(results.region, attack_id)
    return found is not None and found["basis"] == ERRORS


def _class_name(results: Results, target: int | None) -> str | None:
    names = results.sweep.get("class_names", [])
    if target is None or not 0 <= target < len(names):
        return None
    return None if names[target] == str(target) else names[target]


def _range_of(results: Results, attack_id: str) -> tuple[float, float] | None:
    values = [
        attack["attack_success"]
        for point in results.points
        for attack in point["attacks"]
        if attack["attack_id"] == attack_id
    ]
    return (min(values), max(values)) if values else None


# --- caveats and source ------------------------------------------------------------------------


@dataclass(frozen=True)
class Caveats:
    """of_region: sentences that the region itself has for its readers. together: whether a model
    of all points together judges them. recommends: whether it recommends a setting. searched:
    whether a region search judges a whole space."""

    of_region: list[str]
    together: bool
    recommends: bool
    searched: bool


def caveats(results: Results) -> Caveats:
    """What the numbers do not say, beside what is true of every sweep."""
    region = results.region
    recommends = results.setting is not None
    together = judged_together(region)
    return Caveats(region.get("doubts", []), together, recommends, results.searched)


@dataclass(frozen=True)
class Source:
    """Where the results come from. command, spec: without passwords. state: how far the sweep was,
    in a line; stopped: trials that were stopped early. seconds: of training in all. data: what was
    read, in sentences; none where the folder is of a release that did not record it."""

    command: str
    created: str
    state: str
    stopped: int
    seconds: float
    data: list[str]
    data_fingerprint: str
    versions: dict[str, str]
    spec: str


def source(results: Results) -> Source:
    """How to get these results again."""
    sweep = results.sweep
    addresses = [uri] if (uri := sweep.get("tracking", {}).get("uri")) else []
    return Source(
        command=without_passwords(sweep["command"], addresses),
        created=sweep["created"],
        state=results.region["state"]["text"],
        stopped=results.region["trials"].get("stopped", 0),
        seconds=sum(trial.seconds or 0.0 for trial in results.trials if trial.finished),
        data=data_text(sweep),
        data_fingerprint=sweep["data_fingerprint"],
        versions=sweep.get("versions", {}),
        spec=without_passwords(results.spec, addresses),
    )


def without_passwords(text: str, uris: Iterable[str] = ()) -> str:
    """The text without the passwords in its addresses: a report is passed on, a spec seldom is.
    uris: addresses that it may hold in pieces."""
    return scrubbed(text, uris)
