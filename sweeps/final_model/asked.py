"""What the spec asks of a model, as numbers, and what a region search's model expects of one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sweeps.records.answer_entry import LimitsEntry, SettingEntry
from sweeps.records.model_answer import RateEntry
from sweeps.records.region_file import PanelEntry, RegionFile
from sweeps.records.thresholds import MEDIAN, Thresholds


@dataclass(frozen=True)
class Asked:
    """The thresholds of a sweep, fractions. clean: None where it depends on a best accuracy that is
    not known. attack: counted from the success of clean models where `above_baseline`. about: what
    of a point's seeds the region speaks of, in words."""

    clean_rule: str
    clean: float | None
    attack_rule: str
    attack: float
    above_baseline: bool
    about: str

    @classmethod
    def of(cls, thresholds: Thresholds, region: RegionFile) -> Asked:
        """Those of a spec, with the best accuracy that its region found."""
        model, clean = region.get("model"), region["thresholds"]["clean_accuracy"]["value"]
        if model is not None:  # of a region search, whose points are seldom complete
            clean = model["clean_accuracy"]
        searched = "model" in region
        return cls(
            clean_rule=thresholds.rule,
            clean=clean,
            attack_rule=thresholds.attack_rule,
            attack=thresholds.attack_success,
            above_baseline=thresholds.above_baseline,
            about=_about(thresholds.target) if searched else "the mean over seeds",
        )


def _about(target: str) -> str:
    return "the median seed" if target == MEDIAN else "90 % of the seeds"


@dataclass(frozen=True)
class ModelLimits:
    """What the model of a region search expects of one new poisoned seed at a point. success: by
    attack id, of those attacks that it says it of."""

    clean: RateEntry
    success: Mapping[str, RateEntry] = field(default_factory=dict)

    @classmethod
    def of_setting(cls, setting: SettingEntry) -> ModelLimits | None:
        """Those of the recommended setting; None where its limits are by seeds."""
        if (clean := _rate(setting["clean_accuracy"])) is None:
            return None
        found = {a["attack_id"]: _rate(a["attack_success"]) for a in setting["attacks"]}
        return cls(clean, {name: rate for name, rate in found.items() if rate is not None})

    @classmethod
    def of_worst(
        cls, clean: RateEntry, success: RateEntry, label: str, panel: Iterable[PanelEntry]
    ) -> ModelLimits:
        """Of the attack with this label alone."""
        own = {attack["attack_id"]: success for attack in panel if attack["label"] == label}
        return cls(clean, own)


def _rate(limits: LimitsEntry) -> RateEntry | None:
    if limits["by"] != "model" or limits["lower"] is None or limits["upper"] is None:
        return None
    return {"expected": limits["value"], "lower": limits["lower"], "upper": limits["upper"]}
