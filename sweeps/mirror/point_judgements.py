"""What region.json says of a sweep's points, for their MLflow runs: verdicts by all of them, and,
of a region search, what its model expects where too few trials say more."""

from __future__ import annotations

from collections.abc import Iterator

from sweeps.records.region_file import PointEntry, RegionFile
from sweeps.region.point_table import UNDECIDED

#: Tags of a run: the verdict by the model, P(inside) with three decimals, the surest verdict.
BY_MODEL, INSIDE, VERDICT = "by_model", "inside", "verdict"
#: What expected figures rest on, and the attack that `expected_attack_success` is of.
EXPECTED_BY, EXPECTED_WORST = "expected_by", "expected_worst_attack"
EXPECTED_FROM = "model of the region search, one new seed, 95 %"
#: Tags that a point may lose again.
TRANSIENT_TAGS = (INSIDE, VERDICT, EXPECTED_BY, EXPECTED_WORST)
#: Metrics that a model says, and that it may say no more when there are more trials.
MODEL_METRICS = (
    "p_inside",
    "expected_clean_accuracy",
    "expected_clean_accuracy_lower",
    "expected_clean_accuracy_upper",
    "expected_attack_success",
    "expected_attack_success_lower",
    "expected_attack_success_upper",
)


def judgement_tags(entry: PointEntry | None) -> dict[str, str | None]:
    """The tags of a point; UNDECIDED while the model has not judged it, and then no P(inside)."""
    if entry is None:
        return {BY_MODEL: UNDECIDED}
    chance, expected = entry.get("inside"), entry.get("expected")
    return {
        BY_MODEL: entry.get("by_model", UNDECIDED),
        INSIDE: None if chance is None else f"{chance:.3f}",
        VERDICT: entry.get("verdict"),
        EXPECTED_BY: None if expected is None else EXPECTED_FROM,
        EXPECTED_WORST: None if expected is None else expected["worst_attack"],
    }


def judgement_metrics(entry: PointEntry | None) -> Iterator[tuple[str, float]]:
    """`MODEL_METRICS` as far as they are known."""
    if entry is None:
        return
    if (chance := entry.get("inside")) is not None:
        yield "p_inside", chance
    if (expected := entry.get("expected")) is None:
        return
    for name, rate in (
        ("clean_accuracy", expected["clean_accuracy"]),
        ("attack_success", expected["attack_success"]),
    ):
        yield f"expected_{name}", rate["expected"]
        yield f"expected_{name}_lower", rate["lower"]
        yield f"expected_{name}_upper", rate["upper"]


def recommended_point(region: RegionFile) -> str | None:
    """The `defence_id` of the recommended setting, which a region search need not have tried."""
    chosen = region["setting"] if "setting" in region else region["recommended"]
    return None if chosen is None else chosen["defence_id"]


def no_more_trials(region: RegionFile) -> bool:
    """Whether the sweep has ended, so that no point waits for a trial."""
    state = region.get("state")
    return state is not None and state["state"] == "finished"
