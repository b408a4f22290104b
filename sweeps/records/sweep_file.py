"""sweep.json: what a sweep is, written once when its results folder is made."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

from sweeps.records.data_entry import DataEntry
from sweeps.records.region_file import PanelEntry


class TrackingEntry(TypedDict):
    """Where MLflow's runs go: uri, None where tracking is off; runs: one a `trial` or a `point`."""

    uri: str | None
    runs: NotRequired[str]


class SpecThresholds(TypedDict):
    """When a point is inside, as the spec says it. Fractions.

    rule: the clean accuracy asked for, in words. clean_accuracy: as a number, None where it depends
    on the best accuracy; below_best: by how much it may then be lower. attack_success: at most.
    attack_rule: `baseline + x`, where it is above the clean baseline's, and attack_success the x.
    confidence: of the verdicts. target: of a region search, `median` or `share` (90 %) of seeds.
    """

    rule: str
    clean_accuracy: float | None
    below_best: float | None
    attack_success: float
    attack_rule: NotRequired[str]
    confidence: float
    target: str


class SelectedClasses(TypedDict, total=False):
    """class_numbers: of the sweep's classes in the whole data set, where `data.classes` has names.
    A spec keeps the names."""

    class_numbers: list[int]


class AskedSpec(TypedDict):
    """A spec that a sweep has had.

    yaml: its text, with the probes that it had at last. since: when it was asked, ISO 8601 in UTC.
    command: as it was typed. planned: trials in all. digest: as `spec_digest`. thresholds: that
    certain verdicts of trials were about, as rows name them; None where none stopped a trial.
    """

    yaml: str
    since: str
    command: str
    planned: int
    digest: str
    thresholds: str | None


class AcceptedCode(TypedDict):
    """A change of source code of users' kinds that the user accepted on resume or extension.

    kinds: `module:Class`. before, after: digests, as the column `source_digest` of trials has them.
    rows: trials of the code before. accepted: when, ISO 8601 in UTC.
    """

    kinds: list[str]
    before: str
    after: str
    rows: int
    accepted: str


class ReusedSweeps(TypedDict, total=False):
    """reuse: folders of sweeps whose trials a sweep takes over. learned: id of a verification whose
    trainings were fed back into the search, to how many these are; `planned` has them too, beyond
    what the search itself may train. accepted_code: changes of users' code that were accepted."""

    reuse: list[str]
    learned: dict[str, int]
    accepted_code: list[AcceptedCode]


class Defaults(TypedDict, total=False):
    """defaults: which settings of triggers have the defaults of today, see `sweeps.spec.former`;
    sweeps that earlier releases began lack it."""

    defaults: int


class SweepFile(SelectedClasses, ReusedSweeps, Defaults):
    """The whole file.

    sweep_id: hex digits drawn for this folder. created: ISO 8601, in UTC. class_names: by class
    number. planned: trials in all, at most where the search is adaptive. measures: measure id to
    the identity of a trigger with its target. versions: of this project and of what it builds on.
    command: as it was typed.

    The last ones say what it takes to look at the results without the spec; folders of earlier
    releases lack them. panel: the attacks, with ids and labels. planned_points: defence points in
    all, None where the search is adaptive. inactive: kind of architecture to the training settings
    that it ignores. seeds, search, prediction_confidence: as in `sweeps.records.criteria.Criteria`.
    spec_digest: of the spec that all of this is from, but for its probes, which may change.
    criteria_digest: of what is stored of the spec, so that a change by hand is noticed.
    data: what was read of the data set. specs: those that the sweep has had, the present one last:
    an extended sweep has several. user, host: who began the sweep, and on which machine.
    """

    schema_version: int
    sweep_id: str
    name: str
    created: str
    data_fingerprint: str
    class_names: list[str]
    planned: int
    measures: dict[str, dict[str, Any]]
    versions: dict[str, str]
    tracking: TrackingEntry
    command: str
    panel: NotRequired[list[PanelEntry]]
    thresholds: NotRequired[SpecThresholds]
    planned_points: NotRequired[int | None]
    inactive: NotRequired[dict[str, list[str]]]
    seeds: NotRequired[list[int]]
    search: NotRequired[str]
    prediction_confidence: NotRequired[float | None]
    spec_digest: NotRequired[str]
    criteria_digest: NotRequired[str]
    data: NotRequired[DataEntry]
    specs: NotRequired[list[AskedSpec]]
    user: NotRequired[str]
    host: NotRequired[str]


#: The types of what every entry of `specs` has.
SPEC_REQUIRED: dict[str, type] = {"yaml": str, "planned": int, "digest": str}
#: The types of what every sweep.json has, of former releases too.
REQUIRED: dict[str, type] = {
    "name": str,
    "created": str,
    "data_fingerprint": str,
    "class_names": list,
    "planned": int,
    "versions": dict,
    "tracking": dict,
    "command": str,
}
