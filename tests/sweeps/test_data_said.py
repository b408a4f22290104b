"""What was read of the data is said by `check`, `run`, `resume`, JSON, the report and MLflow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from small import SMALL

from dashboards import write_report
from sweeps import run_sweep
from sweeps.answer.write import write_region
from sweeps.cli.main import main
from sweeps.records.data_entry import data_text, data_warnings
from sweeps.results.create import read_spec
from sweeps.storage.paths import SweepPaths, read_region, read_sweep

FIRST = "24 training, 5 validation and 9 test images (of 41, seed 0) of 4 x 4 pixels, grey, values"
WITHOUT = "class without test images: owl"


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A spec whose data have three classes, the last of which has one image, in training."""
    folder = tmp_path_factory.mktemp("said")
    images = np.random.default_rng(0).integers(0, 256, (41, 4, 4), dtype=np.uint8)
    labels, names = np.array([0, 1] * 20 + [2]), np.array(["cat", "dog", "owl"])
    file = folder / "images.npz"
    np.savez(file, images=images, labels=labels, class_names=names)
    data = {"kind": "arrays", "root": str(file), "train": 24, "validation": 5, "test": 9}
    defence = {"architecture": "ridge", "weight_decay": 0.1}
    attack = {"trigger": {"kind": "patch", "size": 1}, "poison_rate": [0, 0.2]}
    written = {**SMALL, "data": data, "defence": defence, "attack": attack, "seeds": 1}
    (folder / "spec.yaml").write_text(yaml.safe_dump(written))
    return folder / "spec.yaml"


@pytest.fixture(scope="module")
def swept(spec: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("said") / "results"
    run_sweep(spec, folder, runner="serial", quiet=True)
    return folder


def test_check_says_it_after_the_spec_is_fine(spec, capsys) -> None:
    assert main(["check", str(spec)]) == 0
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert lines[0] == "small: the spec is fine" and lines[1].startswith(f"  data: {FIRST} 0 to 25")
    assert lines[2].startswith("  data: 3 classes (cat, dog, owl), each with ")
    assert lines[3] == "  target: class 0 (cat)"
    assert lines[4] == "  1 defence point x 1 attack and the clean baseline x 1 seed"
    assert f"warning: data: 1 {WITHOUT}" in said.err


def test_check_in_json(spec, capsys) -> None:
    assert main(["check", str(spec), "--json"]) == 0
    said = capsys.readouterr()
    answer = json.loads(said.out)
    assert answer["data"]["text"][0].startswith(FIRST)
    assert answer["data"]["class_names"] == ["cat", "dog", "owl"]
    assert sum(answer["data"]["train_by_class"]) == answer["data"]["train"] == 24
    assert (answer["points"], answer["trials"], answer["packs"]) == (1, 2, 1)
    assert answer["engines"] == {"convex": {"trials": 2, "packs": 1}}
    assert answer["attacks"] == ["patch(size=1) at 20 % to class 0"] and answer["seeds"] == [0]
    assert answer["attacked"] == "target: class 0 (cat)"
    assert "the spec is fine" not in said.out and "--time" not in said.err
    assert f"warning: data: 1 {WITHOUT}" in said.err


def test_check_in_json_of_a_search_that_adapts(capsys) -> None:
    assert main(["check", "digits-tpe", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["points"], answer["packs"], answer["trials"]) == (None, None, 336)


def test_run_and_resume_say_it_before_anything_is_trained(spec, tmp_path, capsys) -> None:
    arguments = ["run", str(spec), "--out", str(tmp_path / "r"), "--runner", "serial", "--json"]
    assert main(arguments) == 0
    said = capsys.readouterr()
    before = said.err.partition("/2 trials")[0]
    assert f"data: {FIRST}" in before and f"warning: data: 1 {WITHOUT}" in before
    answer = json.loads(said.out)
    assert answer["data"] == read_sweep(SweepPaths(tmp_path / "r"))["data"]
    assert main(["resume", str(tmp_path / "r"), "--runner", "serial"]) == 0
    assert f"data: {FIRST}" in capsys.readouterr().err


def test_quiet_sweeps_still_warn(spec, tmp_path, capsys) -> None:
    run_sweep(spec, tmp_path / "r", runner="serial", quiet=True)
    err = capsys.readouterr().err
    assert f"warning: data: 1 {WITHOUT}" in err and FIRST not in err


def test_the_report_shows_lines_and_warnings(swept, tmp_path) -> None:
    page = write_report(swept, tmp_path / "page.html").read_text()
    assert FIRST in page
    assert page.index("Warnings about the data") < page.index(WITHOUT) < page.index("<section>")


@pytest.mark.parametrize("damaged", [None, 5, {}, {"text": 3, "warnings": [4]}])
def test_folders_that_do_not_say_it_are_read_as_before(swept, tmp_path, damaged: Any) -> None:
    """None is a folder of a former release."""
    paths = SweepPaths(swept)
    whole = paths.sweep.read_bytes()
    sweep = {key: value for key, value in read_sweep(paths).items() if key != "data"}
    try:
        paths.sweep.write_text(json.dumps(sweep | ({} if damaged is None else {"data": damaged})))
        write_region(paths, read_spec(paths))
        assert ("data" in read_region(swept)) is (damaged is not None)
        page = write_report(swept, tmp_path / "page.html").read_text()
        assert "<dt>Data</dt>" not in page and "Warnings about the data" not in page
        assert data_text(read_sweep(paths)) == data_warnings(read_sweep(paths)) == []
    finally:
        paths.sweep.write_bytes(whole)
        write_region(paths, read_spec(paths))
