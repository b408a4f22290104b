"""Tags of a sweep's experiment: which attacks of its panel are known to take anywhere."""

from __future__ import annotations

from sweeps.mirror.answer_tags import NONE, answer_tags, tag_text
from sweeps.records.control_entry import NOWHERE, TAKES, UNKNOWN
from sweeps.records.control_text import control_summary
from sweeps.records.region_file import RegionFile

#: State of an attack to the tag that has the labels of those attacks.
TAGS = {TAKES: "attacks_that_take", NOWHERE: "attacks_not_shown", UNKNOWN: "attacks_not_known"}


def panel_tags(region: RegionFile) -> dict[str, str]:
    """Those of a region; `none` where no attack has a state."""
    found = control_summary(region)
    return {tag: tag_text("; ".join(found.get(state, [])) or NONE) for state, tag in TAGS.items()}


def experiment_tags(region: RegionFile | None) -> dict[str, str]:
    """All tags of the experiment that follow from the answer; none without one."""
    return {} if region is None else {**panel_tags(region), **answer_tags(region)}
