"""A small sweep whose panel holds every label mode, from its spec to its report."""

from small import begin, results, small_spec, sweep

from backdoor.config import build_attack, measure_id
from dashboards.report import write_report
from sweeps.answer.write import write_region
from sweeps.mirror.run_record import measure_labels
from sweeps.region.labels import attack_label
from sweeps.runners.serial import SerialRunner

MODES = ["all_to_one", "all_to_all", "clean_label"]
NOISE = {"kind": "patch", "pattern": "noise_per_class", "size": 2, "value": [0.5, 1]}


def test_from_the_spec_to_the_report(tmp_path) -> None:
    spec = small_spec(
        defence={"architecture": [{"kind": "ridge", "weight_decay": [0.01, 1]}, {"kind": "rbf_svm", "weight_decay": 0.01}]},
        attack={"trigger": NOISE, "label_mode": MODES, "target": 3, "poison_rate": [0, 0.05]},
    )  # fmt: skip
    assert len(spec.panel) == len(spec.measures) == 3  # the grey value of noise has no effect
    paths = begin(tmp_path / "out", spec)
    assert sweep(paths, spec, SerialRunner()).failed == 0
    for row in results(paths).values():
        attack = row["config"]["attack"]
        if attack is not None:
            kept = {"all_to_one": range(40, 55), "all_to_all": [55], "clean_label": [0]}
            assert row["poisoned"] == 55 and row["relabelled"] in kept[attack["label_mode"]]
    region = write_region(paths, spec, finished=True)
    assert region["trials"] == {"finished": 24, "stopped": 0, "failed": 0, "planned": 24}
    assert [(entry["target"], entry["goal"]) for entry in region["panel"]] == [
        (3, "to class 3"), (None, "to the next class"), (3, "to class 3, labels kept")
    ]  # fmt: skip
    page = write_report(paths.region.parent).read_text()
    assert "the next class" in page and "to class 3, labels kept" in page


def test_labels_say_what_an_attack_aims_at() -> None:
    attacks = [
        build_attack({"trigger": "patch", "poison_rate": 0.01, "label_mode": m}) for m in MODES
    ]
    assert [attack_label(attack) for attack in attacks] == [
        "patch at 1 % to class 0", "patch at 1 % to the next class", "patch at 1 % to class 0, labels kept"
    ]  # fmt: skip
    measures = {measure_id(attack): attack.measure_identity() for attack in attacks}
    assert list(measure_labels(measures).values()) == [
        "patch to class 0", "patch to the next class", "patch to class 0 labels kept"
    ]  # fmt: skip
