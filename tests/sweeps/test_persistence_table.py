"""The table of what the probe persistence recorded, against rows made by hand and a sweep."""

import json

import pytest
import scipy.stats
from made_rows import made
from small import begin, small_spec, sweep

from sweeps.analyses.findings_text import persistence_text
from sweeps.analyses.persistence import persistence
from sweeps.cli.main import main
from sweeps.ledger import load_results
from sweeps.runners.serial import SerialRunner

ATTACK = {"trigger": {"kind": "patch"}, "poison_rate": 0.1, "label_mode": "all_to_one", "target": 0}


def trial(seed, **changes):
    config = {"attack": ATTACK, "defence": {"architecture": {"kind": "mlp"}}}
    return made(trial_id=f"t{seed}", seed=seed, config=config, **changes)


def result(seed, *success, accuracy=(0.9, 0.88, 0.91), baseline=0.02, **changes):
    """Figures at step 0, 3 and 6 of fine-tuning on 30 images, 10 a step."""
    return [
        {
            "trial_id": f"t{seed}", "defence_id": "d", "attack_id": "p", "seed": seed,
            "probe": "persistence", "probe_id": "q", "probe.epochs": 2, "step": 3 * i,
            "images_seen": 30 * i, "clean_images": 30, "success": k, "total": 100,
            "clean_accuracy": accuracy[i], "baseline_attack_success": baseline,
        } | changes
        for i, k in enumerate(success)
    ]  # fmt: skip


def test_means_intervals_and_epochs() -> None:
    rows = result(0, 90, 40, 10) + result(1, 80, 60, 30, accuracy=(0.8, 0.8, 0.79), baseline=0.04)
    (entry,) = persistence([trial(0), trial(1)], rows)["studies"]
    assert [look["epochs"] for look in entry["course"]] == [0, 1, 2]
    assert [look["attack_success"]["mean"] for look in entry["course"]] == pytest.approx(
        [0.85, 0.5, 0.2]
    )
    interval = scipy.stats.ttest_1samp([0.9, 0.8], 0).confidence_interval(0.95)
    first, _, last = entry["course"]
    assert first["attack_success"]["lower"] == pytest.approx(interval.low)
    assert first["attack_success"]["upper"] == 1 < interval.high, "a fraction is at most 1"
    assert last["clean_change"]["mean"] == pytest.approx((0.01 - 0.01) / 2)
    assert last["clean_accuracy"] == pytest.approx(0.85)
    assert last["baseline_success"] == pytest.approx(0.03)
    assert (entry["clean_images"], entry["seeds"], entry["probe"]) == (30, [0, 1], {"epochs": 2})
    assert entry["took"] and entry["gone_after"] == 2, "0.5 still counts as taken"
    assert entry["attack"] == "patch to class 0 at 10 %" and entry["broken"] == 0


def test_gone_for_good_back_again_and_never_there() -> None:
    def gone(*success, threshold=0.5):
        (entry,) = persistence([trial(0)], result(0, *success), threshold)["studies"]
        return entry["took"], entry["gone_after"]

    assert gone(90, 20, 10) == (True, 1)
    assert gone(90, 20, 60) == (True, None), "it came back"
    assert gone(90, 80, 70) == (True, None)
    assert gone(30, 20, 10) == (False, None), "nothing to lose"
    assert gone(30, 20, 10, threshold=0.25) == (True, 1)


def test_one_seed_baselines_broken_and_foreign_results() -> None:
    clean = result(5, 3, 3, 3, attack_id="clean")
    rows = [*result(0, 90, 40, 10, baseline=None), *clean, *result(9, 90, 90, 90)]
    (entry,) = persistence([trial(0, collapsed=True), trial(5, attack_id="clean")], rows)["studies"]
    assert entry["seeds"] == [0] and entry["course"][0]["attack_success"]["lower"] is None
    assert entry["course"][0]["baseline_success"] is None and entry["broken"] == 1
    text = persistence_text(persistence([trial(0, collapsed=True)], rows))
    assert "1 model had collapsed or diverged and is in the means." in text
    none = [{**row, "total": 0, "success": 0} for row in result(0, 1, 1)]
    (entry,) = persistence([trial(0)], none)["studies"]
    assert entry["course"][0]["attack_success"]["mean"] is None and not entry["took"]
    assert persistence_text(persistence([trial(0)], [])).startswith("No study of persistence")


def test_the_command(tmp_path, capsys) -> None:
    probes = [{"kind": "persistence", "clean_fraction": part, "epochs": 1, "every": 50} for part in (0.02, 0.05)]  # fmt: skip
    spec = small_spec(
        probes=probes, defence={"architecture": "linear", "epochs": 3},
        attack={"trigger": [{"kind": "patch", "size": 1}], "poison_rate": [0, 0.05]},
    )  # fmt: skip
    paths = begin(tmp_path / "r", spec)
    sweep(paths, spec, SerialRunner())
    assert main(["probe", "persistence", str(paths.root), "--json", "--success", "0.1"]) == 0
    answer = json.loads(capsys.readouterr().out)
    few, more = answer["studies"]
    assert (few["probe"]["clean_fraction"], more["probe"]["clean_fraction"]) == (0.02, 0.05)
    assert few["clean_images"] < more["clean_images"] and answer["success"] == 0.1
    rows = load_results(paths.root, "persistence").to_pylist()
    mine = [r for r in rows if r["attack_id"] != "clean" and r["probe.clean_fraction"] == 0.05]
    before = [r["attack_success"] for r in mine if r["step"] == 0]
    assert more["course"][0]["attack_success"]["mean"] == pytest.approx(sum(before) / 2)
    assert more["course"][-1]["epochs"] == 1 and more["course"][0]["baseline_success"] is not None
    assert main(["probe", "persistence", str(paths.root)]) == 0
    assert "patch(size=1) to class 0 at 5 %" in capsys.readouterr().out
    assert main(["probe", "persistence", str(paths.root), "--success", "1"]) == 2
    assert "--success: must be a fraction between 0 and 1" in capsys.readouterr().err
