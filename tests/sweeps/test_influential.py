"""The probe `influence` in words and pictures: counts by loops, images drawn again independently."""

import io
import json

import numpy as np
import pytest
from PIL import Image
from small import begin, small_spec, sweep

from backdoor.config import build_attack
from backdoor.datasets.source import load_source, split
from backdoor.errors import UserError
from backdoor.poison import draw_poison
from sweeps.analyses.influential import influential, influential_text
from sweeps.cli.main import main
from sweeps.ledger import Ledger
from sweeps.pictures.influence_pictures import SHOWN, influenced_images, one_probe_result
from sweeps.runners.serial import SerialRunner

PROBE = {"kind": "influence", "images": 6, "most": 4, "beta": 1}


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """(paths, spec, answer) of ridges on digits, of which the probe looked at the poisoned ones."""
    spec = small_spec(probes=[PROBE])
    paths = begin(tmp_path_factory.mktemp("influence") / "r", spec)
    sweep(paths, spec, SerialRunner())
    ledger = Ledger(paths.ledger)
    return paths, spec, influential(ledger.trials(), ledger.probe_results.rows())


def test_counts_are_those_of_the_results(swept) -> None:
    paths, _, answer = swept
    ledger = Ledger(paths.ledger)
    rows = {row.trial_id: row for row in ledger.trials()}
    found = {result.trial_id: result.columns for result in ledger.probe_results.rows()}
    poisoned = [name for name, row in rows.items() if not row.is_clean]
    assert sorted(entry["trial_id"] for entry in answer["studies"]) == sorted(poisoned)
    for entry in answer["studies"]:
        columns, row = found[entry["trial_id"]], rows[entry["trial_id"]]
        helping = 0
        for value, poison in zip(columns["influence"], columns["poisoned"], strict=True):
            helping += poison == 1 and value < 0
        assert (entry["images"], entry["tested"], entry["without"]) == (24, 6, 0)
        assert (entry["poisoned"], entry["helping"]) == (sum(columns["poisoned"]), helping)
        assert entry["expected"] == row.poisoned / row.train_images
    some = max(answer["studies"], key=lambda entry: entry["poisoned"])
    text = influential_text(answer)
    assert f"{some['poisoned']} of 24, {some['helping']} helping" in text
    assert some["trial_id"][:8] in text and "Of the training images of largest" in text


def test_the_images_are_those_of_the_trial(swept) -> None:
    """Patches stamped here by hand, poisoned positions from the poison's own draw."""
    paths, spec, answer = swept
    entry = max(answer["studies"], key=lambda entry: entry["poisoned"])
    ledger = Ledger(paths.ledger)
    (row,) = [r for r in ledger.trials() if r.trial_id == entry["trial_id"]]
    shown = influenced_images(paths, spec, entry, 3)
    assert len(shown) == 3 and all(len(own.by) == 4 for own in shown)
    source = load_source(spec.data)
    parts = split(spec.data, source, row.seed)
    attack = build_attack(row.config["attack"])
    poison = draw_poison(source.labels[parts.train], attack, row.seed, 10)
    positions = set(poison.positions.tolist())
    (result,) = ledger.probe_results.rows(row.trial_id)
    columns = result.columns
    trigger = attack.trigger.for_seed(row.seed)
    others = [i for i in parts.test if source.labels[i] != attack.target]
    for number, own in enumerate(shown):
        assert own.truth == source.class_names[source.labels[others[number]]]
        assert own.target == source.class_names[attack.target]
        stamped = _stamp(trigger, source, others[number])
        assert np.array_equal(own.image, stamped)
        for rank, by in enumerate(own.by):
            place = columns["train"][4 * number + rank]
            assert by.poisoned == (place in positions)
            assert by.label == source.class_names[poison.labels[place]]
            image = source.images[parts.train[place]]
            expected = _stamp(trigger, source, parts.train[place]) if by.poisoned else image
            assert np.array_equal(by.image, expected)
    assert any(by.poisoned for own in shown for by in own.by)


def _stamp(trigger, source, number):
    import torch

    image = torch.from_numpy(source.images[number : number + 1])
    label = torch.from_numpy(source.labels[number : number + 1])
    return trigger.stamp(image, torch.tensor([number]), label).numpy()[0]


def test_the_command(swept, tmp_path, monkeypatch, capsys) -> None:
    paths, _, answer = swept
    monkeypatch.chdir(tmp_path)
    assert main(["probe", "influence", str(paths.root), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(answer))
    assert not list(tmp_path.iterdir())
    last = answer["studies"][-1]["trial_id"]
    command = ["probe", "influence", str(paths.root), "--trial", last, "--images"]
    assert main([*command, "2"]) == 0
    captured = capsys.readouterr()
    assert "most influential" in captured.out and "influence.png" in captured.err
    with Image.open(io.BytesIO((tmp_path / "influence.png").read_bytes())) as picture:
        width, height = picture.size
    assert main([*command, "5", "--out", "more.png"]) == 0
    with Image.open(tmp_path / "more.png") as picture:
        assert picture.size[0] == width and picture.size[1] > height
    assert main([*command, "0"]) == 2
    assert "--images: must be >= 1, but got 0" in capsys.readouterr().err
    assert main(["probe", "influence", str(paths.root), "--trial", "zz"]) == 2
    assert "--trial: must be the beginning of exactly one poisoned trial" in capsys.readouterr().err


def test_a_picture_has_few_columns_and_shows_what_has_influences(tmp_path) -> None:
    spec = small_spec(
        defence={"architecture": ["linear_svm", "ridge"], "weight_decay": 1, "epochs": 1},
        attack={"trigger": {"kind": "patch", "size": 1}, "poison_rate": 0.03},
        probes=[{"kind": "influence", "images": 2, "most": 900}], seeds=1,
    )  # fmt: skip
    paths = begin(tmp_path / "r", spec)
    sweep(paths, spec, SerialRunner())
    ledger = Ledger(paths.ledger)
    results = influential(ledger.trials(), ledger.probe_results.rows())["studies"]
    assert sorted(entry["images"] for entry in results) == [0, 1800]
    entry = one_probe_result(sorted(results, key=lambda entry: entry["images"]), None)
    assert entry["images"] == 1800
    assert [len(one.by) for one in influenced_images(paths, spec, entry, 5)] == [SHOWN, SHOWN]


def test_no_result(tmp_path) -> None:
    answer = influential([], [])
    assert answer["studies"] == []
    assert "sweeps resume DIR --probes '[influence]'" in influential_text(answer)
    said = r"DIR .*needs influences of a poisoned trial.*sweeps resume DIR --probes '\[influence\]'"
    for trial in (None, "3fa9"):
        with pytest.raises(UserError, match=said):
            one_probe_result([], trial)
