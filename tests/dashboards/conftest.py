"""Results folders made by hand: a region as a sweep would write it, with a small ledger."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_answers import answered

from backdoor.config import TrialConfig, build_trial
from backdoor.result import Measurement, TrialResult
from sweeps.ledger import Ledger, failed_rows, finished_rows
from sweeps.records.region_file import REGION_VERSION
from sweeps.storage.files import write_json
from sweeps.storage.paths import SweepPaths

Region = dict[str, Any]
ATTACKS = {"a1": ("patch(size=1)", 0.01), "a2": ("patch(size=1)", 0.03), "a3": ("blend", 0.03)}
LEAST, MOST = 0.9, 0.2
#: A PNG file of one grey pixel.
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
)


def panel() -> list[dict[str, Any]]:
    return [
        {"attack_id": name, "measure_id": f"m-{trigger}", "label": f"{trigger} at {100 * rate:g} %",
         "trigger": trigger, "poison_rate": rate, "target": 0}
        for name, (trigger, rate) in ATTACKS.items()
    ]  # fmt: skip


def point(
    name: str, factors: dict[str, Any], clean: float | None, success: float, seeds: int = 3
) -> dict[str, Any]:
    """A point whose attack a2 is the worst; `clean` None leaves it incomplete."""
    full = {f"defence.{key}": value for key, value in factors.items()}
    entry: dict[str, Any] = dict.fromkeys(
        ("clean_accuracy", "validation_accuracy", "attack_success", "worst_attack", "clean_lower",
         "clean_upper", "success_lower", "success_upper", "margin", "baseline_accuracy")
    )  # fmt: skip
    entry |= {"defence_id": name, "label": f"point {name}", "factors": full, "seeds": 0,
              "seeds_passing": 0, "stopped": 0, "broken": 0, "by_means": "INCOMPLETE", "by_bounds": "UNDECIDED",
              "attacks": []}  # fmt: skip
    if clean is None:
        return entry
    inside = clean >= LEAST and success <= MOST
    bounds = None if seeds == 1 else 0.02
    sure = bounds is not None and min(abs(clean - LEAST), abs(success - MOST)) > bounds
    entry |= {
        "clean_accuracy": clean, "validation_accuracy": clean, "attack_success": success,
        "worst_attack": "a2", "seeds": seeds, "seeds_passing": seeds if inside else 0,
        "by_means": "IN" if inside else "OUT", "margin": min(clean - LEAST, MOST - success),
        "by_bounds": ("IN" if inside else "OUT") if sure else "UNDECIDED",
        "attacks": [attack(name, clean, success, seeds) for name in ATTACKS],
        "baseline_accuracy": 0.97,
    }  # fmt: skip
    if bounds is not None:
        entry |= {"clean_lower": clean - bounds, "clean_upper": min(clean + bounds, 1.0),
                  "success_lower": max(success - bounds, 0.0),
                  "success_upper": min(success + bounds, 1.0)}  # fmt: skip
    return entry


def attack(name: str, clean: float, success: float, seeds: int) -> dict[str, Any]:
    mean = success if name == "a2" else success / 2
    return {
        "attack_id": name,
        "clean_by_seed": {str(seed): clean for seed in range(seeds)},
        "success_by_seed": {str(seed): mean for seed in range(seeds)},
        "clean_accuracy": clean, "attack_success": mean, "baseline_success": 0.01, "images": 90,
    }  # fmt: skip


def region(points: list[dict[str, Any]], name: str = "made-by-hand") -> Region:
    """A region.json of these points, judged and counted as they say themselves."""
    judged = [p for p in points if p["clean_accuracy"] is not None]
    best = max(judged, key=lambda p: p["clean_accuracy"], default=None)
    inside = [p for p in judged if p["by_means"] == "IN"]
    chosen = max(inside, key=lambda p: (p["by_bounds"] == "IN", p["margin"]), default=None)
    return answered({
        "schema_version": REGION_VERSION,
        "name": name,
        "thresholds": {
            "clean_accuracy": {
                "rule": "best - 0.05",
                "value": LEAST if best else None,
                "best": best["clean_accuracy"] if best else None,
                "best_point": best["defence_id"] if best else None,
                "best_source": "panel" if best else None,
            },
            "attack_success": MOST,
            "confidence": 0.95,
        },
        "panel": panel(),
        "counts": {
            "by_means": _count(points, "by_means", ("IN", "OUT", "INCOMPLETE")),
            "by_bounds": _count(points, "by_bounds", ("IN", "OUT", "UNDECIDED")),
        },
        "trials": {"finished": 2, "failed": 0, "planned": 2},
        "recommended": chosen and {
            "defence_id": chosen["defence_id"],
            "basis": "bounds" if chosen["by_bounds"] == "IN" else "means",
            "margin": chosen["margin"],
        },
        "points": points,
    })  # fmt: skip


def _count(points: list[dict[str, Any]], key: str, words: tuple[str, ...]) -> dict[str, int]:
    return {word: sum(p[key] == word for p in points) for word in words}


def along_weight_decay() -> list[dict[str, Any]]:
    """Four points of two architectures: one surely IN, one IN, one OUT, one incomplete."""
    return [
        point("p0", {"architecture": "linear", "weight_decay": 0.0}, 0.95, 0.9),
        point("p1", {"architecture": "linear", "weight_decay": 0.01}, 0.94, 0.1),
        point("p2", {"architecture": "mlp", "architecture.width": 64, "weight_decay": 0.1}, 0.93, 0.19),
        point("p3", {"architecture": "mlp", "architecture.width": 64, "weight_decay": 1.0}, None, 0),
    ]  # fmt: skip


@pytest.fixture
def make_point() -> Callable[..., dict[str, Any]]:
    return point


@pytest.fixture
def make_region() -> Callable[..., Region]:
    return region


@pytest.fixture
def small_region() -> Region:
    return region(along_weight_decay())


# --- a folder ----------------------------------------------------------------------------------


def trial(seed: int) -> TrialConfig:
    return build_trial({
        "data": {"kind": "digits"}, "attack": None, "training": {}, "seed": seed,
        "defence": {"architecture": {"kind": "linear"}, "weight_decay": 0.0},
    })  # fmt: skip


def result(config: TrialConfig, **changes: Any) -> TrialResult:
    values: dict[str, Any] = {
        "trial_id": config.trial_id, "defence_id": "p0", "attack_id": config.attack_id,
        "seed": config.seed, "config": config.canonical, "engine": "packed", "engine_version": 1,
        "data_fingerprint": "fingerprint", "train_images": 1100, "poisoned": 0, "relabelled": 0,
        "validation_correct": 90, "validation_total": 100, "class_correct": (9, 9),
        "class_total": (10, 10), "collapsed": False, "diverged": False,
        "measurements": (Measurement("m-blend", 1, 99, 100),), "curve": (), "seconds": 75.0,
        "device": "cpu", "host": "somewhere",
    }  # fmt: skip
    return TrialResult(**{**values, **changes})


@pytest.fixture
def make_folder(tmp_path: Path) -> Callable[..., Path]:
    """Writes a results folder: region with its answer, sweep, spec, two trials in the ledger, three pictures."""

    def make(
        found: Region, spec: str = "name: made-by-hand\n", failed: int = 0, **changes: Any
    ) -> Path:
        folder = tmp_path / "sweep"
        paths = SweepPaths(folder)
        paths.ledger.mkdir(parents=True)
        known = found if "model" in found else answered(found)
        write_json(paths.region, known | changes.pop("region", {}))
        write_json(paths.sweep, SWEEP | {"name": found["name"]} | changes.pop("sweep", {}))
        paths.spec.write_text(spec)
        ledger = Ledger(paths.ledger)
        ledger.append(finished_rows([result(trial(0), **changes), result(trial(1))], "pack"))
        ledger.append(
            failed_rows(map(trial, range(2, 2 + failed)), "pack", "out of memory\nat step 3")
        )
        write_gallery(paths)
        return folder

    return make


SWEEP: dict[str, Any] = {
    "schema_version": 1, "sweep_id": "s", "name": "made-by-hand",
    "created": "2026-01-02T03:04:05+00:00", "data_fingerprint": "fingerprint",
    "class_names": ["zero", "one"], "planned": 2, "measures": {},
    "versions": {"torch": "2.15.0"}, "tracking": {"uri": None}, "command": "sweeps run digits",
}  # fmt: skip


def write_gallery(paths: SweepPaths) -> None:
    paths.pictures.mkdir()
    (paths.pictures / "clean-0.png").write_bytes(PIXEL)
    (paths.root / "secret.png").write_bytes(PIXEL)
    write_json(paths.gallery, {"images": [
        {"file": "clean-0.png", "trigger": None, "class": "zero"},
        {"file": "gone.png", "trigger": "patch(size=1)", "class": "zero"},
        {"file": "../secret.png", "trigger": "blend", "class": "zero"},
    ]})  # fmt: skip


@pytest.fixture
def folder(small_region: Region, make_folder: Callable[..., Path]) -> Path:
    return make_folder(copy.deepcopy(small_region))


def rewritten(folder: Path, **changes: Any) -> None:
    """Changes top-level entries of region.json."""
    file = SweepPaths(folder).region
    write_json(file, json.loads(file.read_text()) | changes)


@pytest.fixture
def rewrite() -> Callable[..., None]:
    return rewritten
