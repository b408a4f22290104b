"""Keys of region.json since version 2 that repeat figures of the record: they must be those.

Rule: what every search answers follows from keys that were there before: of points, for a grid, Sobol
points and TPE; of `model`, for a region search. Figures that are new (limits for one new seed of a
grid, the box of its points) are not of the record, and are tested elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from golden_compare import differences

Region = dict[str, Any]


def answer_differences(recorded: Region, region: Region) -> Iterator[str]:
    """recorded: as the rules of today have it, with the figures from which the answer follows."""
    asked = recorded["thresholds"]
    yield from differences(
        len(recorded["panel"]), region["question"]["attacks"], "question.attacks"
    )
    yield from differences(asked["confidence"], region["verdicts"]["confidence"], "confidence")
    yield from differences(_counts(recorded), _counted(region), "verdicts.points")
    if recorded.get("model"):
        yield from _of_a_model(recorded, region)
    elif recorded["recommended"] is None:
        yield from differences(None, region["setting"], "setting")
    else:
        yield from differences(_setting(recorded), _set(region["setting"]), "setting")


def _counts(recorded: Region) -> Region:
    counts, points = recorded["counts"], recorded["points"]
    bounds = {
        "certainly_in": counts["by_bounds"]["IN"],
        "certainly_out": counts["by_bounds"]["OUT"],
    }
    means = {"in_by_means": counts["by_means"]["IN"]}
    lacking = sum(p["by_means"] == "INCOMPLETE" and p["by_bounds"] == "UNDECIDED" for p in points)
    if not recorded.get("model"):  # whose model says more of points that lack trials
        means["incomplete"] = lacking
    return {"total": len(points), **bounds, **means}


def _counted(region: Region) -> Region:
    found = dict(region["verdicts"]["points"])
    parts = ("certainly_in", "likely_in", "undecided", "likely_out", "certainly_out", "incomplete")
    assert sum(found[name] for name in parts) == found["total"]
    kept = ["total", "certainly_in", "certainly_out", "in_by_means"]
    return {name: found[name] for name in [*kept, *["incomplete"] * (not region.get("model"))]}


def _setting(recorded: Region) -> Region:
    """What the setting says of its point, by the point's own entry."""
    chosen = recorded["recommended"]
    (point,) = (p for p in recorded["points"] if p["defence_id"] == chosen["defence_id"])
    labels = {attack["attack_id"]: attack["label"] for attack in recorded["panel"]}
    best = recorded["thresholds"]["clean_accuracy"]["best"]
    return {
        **chosen,
        **{key: point[key] for key in ("label", "factors", "clean_accuracy", "attack_success")},
        "worst_attack": labels[point["worst_attack"]],
        "best_accuracy": best,
        "cost": round(best - point["clean_accuracy"], 9),
        "seeds": point["seeds"],
        "attacks": {
            labels[attack["attack_id"]]: [attack["attack_success"], attack["baseline_success"]]
            for attack in point["attacks"]
        },
    }


def _set(setting: Region) -> Region:
    keys = ("defence_id", "basis", "margin", "label", "factors", "clean_accuracy", "attack_success")
    rates = ("clean_accuracy", "attack_success")
    return {
        **{key: setting[key]["value"] if key in rates else setting[key] for key in keys},
        **{key: setting[key] for key in ("worst_attack", "best_accuracy")},
        "cost": round(setting["cost"], 9),
        "seeds": setting["clean_accuracy"]["seeds"],
        "attacks": {
            attack["label"]: [attack["attack_success"]["value"], attack["baseline_success"]]
            for attack in setting["attacks"]
        },
    }


def _of_a_model(recorded: Region, region: Region) -> Iterator[str]:
    model, setting, where = recorded["model"], region["setting"], region["where"]
    space, found = region["verdicts"]["space"], model["recommended"]
    likely = {"IN": space["likely_in"], "OUT": space["likely_out"], "UNDECIDED": space["undecided"]}
    volume = {
        "fraction": space["volume"],
        "lower": space["volume_lower"],
        "upper": space["volume_upper"],
    }
    shares = [[e["poison_rate"], e["share"], e["lower"], e["upper"]] for e in region["front"]]
    front = [[e["poison_rate"], *e["volume"].values()] for e in model["front"]]
    yield from differences(model["space"], likely, "verdicts.space")
    yield from differences(model["volume"], volume, "verdicts.space.volume")
    yield from differences(front, shares, "front")
    yield from differences(model["limits"], region["limiting"], "limiting")
    yield from differences(model["box"], where["box"], "where.box")
    yield from differences(model["rule"], where["rule"], "where.rule")
    yield from differences(model["next"], region["next"], "next")
    yield from differences(model["stopped_by"], region["state"]["why"], "state.why")
    for key in ("label", "factors", "defence", "worst_attack"):
        yield from differences(found[key], setting[key], f"setting.{key}")
    yield from differences(found["probability"], setting["inside"], "setting.inside")
    yield from differences(recorded["recommended"]["margin"], setting["margin"], "setting.margin")
    for key in ("clean_accuracy", "attack_success"):
        limits = {"expected": setting[key]["value"]}
        limits |= {side: setting[key][side] for side in ("lower", "upper")}
        yield from differences(found[key], limits, f"setting.{key}")
    most = model["most_accurate"]["clean_accuracy"]["expected"]
    yield from differences(most, setting["best_accuracy"], "setting.best_accuracy")
    cost = most - found["clean_accuracy"]["expected"]
    yield from differences(cost, setting["cost"], "setting.cost")
