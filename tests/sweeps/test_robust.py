"""What goes wrong around a sweep: damaged folders, full disks, foreign code, broken models."""

import errno
import json
from dataclasses import replace

import pytest
import yaml
from small import SMALL, begin, of_before, results, small_spec, sweep
from trials import fake_result, fake_rows, trial

import sweeps.ledger.files
from backdoor.errors import StoredDataError
from sweeps.cli import FINE, WRONG
from sweeps.cli.main import main
from sweeps.ledger import Ledger, finished_rows
from sweeps.region.panel import criteria_of
from sweeps.region.point_table import region_of
from sweeps.runners.serial import SerialRunner
from sweeps.storage.paths import read_sweep


@pytest.mark.parametrize("section", ["name", "data", "defence", "attack"])
def test_a_section_without_a_value_is_missing(section, tmp_path, capsys) -> None:
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(SMALL))
    assert main(["check", str(tmp_path / "s.yaml"), "--set", f"{section}=null"]) == WRONG
    assert f"  {section}: must be given" in capsys.readouterr().err


@pytest.mark.parametrize(
    "value",
    [
        '!!int "abc"',
        "!!bool maybe",
        "!!timestamp foo",
        "[" * 3000,
        "a\0b",
        "1" * 5000,
        "1" + "0" * 400,
    ],
)
def test_values_that_break_yaml_or_numbers(value, tmp_path, capsys) -> None:
    (tmp_path / "s.yaml").write_text(
        yaml.safe_dump(SMALL).replace("epochs: 3", f"momentum: {value}")
    )
    assert main(["check", str(tmp_path / "s.yaml")]) == WRONG
    said = capsys.readouterr().err
    assert said.startswith("error: ") and len(said) < 1000


def test_broken_yaml_names_its_line(tmp_path, capsys) -> None:
    (tmp_path / "s.yaml").write_text("name: x\ndata: digits\nseeds: a: 3\nattack: x\n")
    assert main(["check", str(tmp_path / "s.yaml")]) == WRONG
    assert "s.yaml, line 3: must be valid YAML" in capsys.readouterr().err


@pytest.mark.parametrize("kind", [".x:Y", "no_such:X", "backdoor.triggers:Trigger", "crashes:X"])
def test_foreign_kinds_that_cannot_be_used(kind, tmp_path, monkeypatch, capsys) -> None:
    (tmp_path / "crashes.py").write_text("raise RuntimeError('on import')")
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "s.yaml").write_text(
        yaml.safe_dump(SMALL | {"attack": {"trigger": kind, "poison_rate": 0.1}})
    )
    assert main(["check", str(tmp_path / "s.yaml")]) == WRONG
    assert "attack.trigger" in capsys.readouterr().err


@pytest.mark.parametrize(
    "body", ["raise RuntimeError('boom')", "return images.float()", "return images[:1]"]
)
def test_a_trigger_that_breaks_its_promise_leaves_no_half_made_folder(
    body, tmp_path, monkeypatch, capsys
) -> None:
    (tmp_path / "their_broken.py").write_text(
        "from dataclasses import dataclass\nfrom typing import ClassVar\n"
        "from backdoor.triggers import Trigger\n@dataclass(frozen=True)\nclass Broken(Trigger):\n"
        f"    kind: ClassVar[str] = 'broken'\n    def stamp(self, images, ids, labels):\n        {body}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import sys

    sys.modules.pop("their_broken", None)
    document = SMALL | {"attack": {"trigger": "their_broken:Broken", "poison_rate": 0.1}}
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(document))
    arguments = [
        "run",
        str(tmp_path / "s.yaml"),
        "--out",
        str(tmp_path / "r"),
        "--runner",
        "serial",
    ]
    assert main(arguments) == WRONG
    text = capsys.readouterr().err
    assert "their_broken:Broken.stamp: must " in text and "but got" in text
    assert not (tmp_path / "r").exists()


def test_rows_that_could_not_be_written_are_not_remembered(tmp_path, monkeypatch) -> None:
    ledger = Ledger(tmp_path)
    rows = finished_rows([fake_result(trial())], "pack")

    def full(*args, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(sweeps.ledger.files, "write_atomic", full)
        with pytest.raises(OSError, match="No space left"):
            ledger.append(rows)
    assert not ledger.finished
    assert ledger.append(rows).num_rows == 1
    assert Ledger(tmp_path).finished == {trial().trial_id}


def test_results_are_read_where_the_data_are_not(tmp_path, capsys) -> None:
    spec = small_spec()
    paths = begin(tmp_path / "r", spec)
    sweep(paths, spec, SerialRunner(fake_rows))
    document = yaml.safe_load(paths.spec.read_text())
    document["data"] = {"kind": "parquet", "root": "/moved/away"}
    of_before(paths)
    paths.spec.write_text(yaml.safe_dump(document))
    assert main(["region", str(tmp_path / "r"), "--json"]) == FINE
    assert json.loads(capsys.readouterr().out)["class_names"] == [str(i) for i in range(10)]
    assert main(["report", str(tmp_path / "r")]) == FINE
    assert main(["resume", str(tmp_path / "r"), "--runner", "serial"]) == WRONG
    assert (
        "data.root: must be a folder that exists, but got '/moved/away'" in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ('{"schema', "must be valid JSON, but got 'Unterminated string"),
        ("[]", "must describe a sweep with schema version 1, but got []"),
        ('{"schema_version": 99}', "must describe a sweep with schema version 1, but got 99"),
    ],
)
def test_a_damaged_description_is_named(content, text, tmp_path, capsys) -> None:
    paths = begin(tmp_path / "r", small_spec())
    paths.sweep.write_text(content)
    for command in ("status", "region", "resume"):
        assert main([command, str(tmp_path / "r")]) == WRONG
        assert text in capsys.readouterr().err


def test_a_lost_ledger_is_not_begun_afresh(tmp_path) -> None:
    paths = begin(tmp_path / "r", small_spec())
    paths.ledger.rmdir()
    with pytest.raises(
        StoredDataError, match="must hold the sweep's ledger, but got 'no folder `ledger`'"
    ):
        read_sweep(paths)


def region_with(tmp_path, **changes):
    """The region of a sweep in which every model has the same crafted figures."""
    spec = small_spec(defence={"architecture": "ridge", "weight_decay": 0.1}, seeds=3)
    paths = begin(tmp_path / "r", spec)

    def work(pack):
        made = []
        for config in pack.trials:
            result = fake_result(config, pack.settings.measures)
            counts = tuple(replace(m, success=90, total=450) for m in result.measurements)
            made.append(replace(result, measurements=counts, **changes))
        return finished_rows(made, "pack")

    sweep(paths, spec, SerialRunner(work))
    assert len(results(paths)) == 9
    return region_of(criteria_of(spec), Ledger(paths.ledger), 9)


def test_equality_with_a_threshold_is_inside(tmp_path) -> None:
    """The mean of three times 90 / 450 is 0.20000000000000004 in floating point."""
    (point,) = region_with(tmp_path, class_correct=(45,) * 10)["points"]
    assert point["attack_success"] == pytest.approx(0.2)
    assert point["by_means"] == "IN" and point["seeds_passing"] == 3 and point["margin"] == 0


@pytest.mark.parametrize("flag", ["collapsed", "diverged"])
def test_a_broken_model_is_never_inside(tmp_path, flag) -> None:
    region = region_with(tmp_path, **{flag: True})
    assert region["points"][0]["by_means"] == "OUT" and region["recommended"] is None


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"train": 100, "validation": 0, "test": 50}, "data.validation: must be >= 1, but got 0"),
        (
            {"train": None, "validation": 1297, "test": 500},
            "data.train: must be at least 1 image, but got 0",
        ),
        (
            {"classes": [0, 1], "train": 50, "validation": 9, "test": 1},
            "data.test: must leave test images",
        ),
    ],
)
def test_splits_on_which_nothing_can_be_measured(data, text, tmp_path, capsys) -> None:
    (tmp_path / "s.yaml").write_text(
        yaml.safe_dump(SMALL | {"seeds": 8, "data": {"kind": "digits", **data}})
    )
    assert main(["check", str(tmp_path / "s.yaml")]) == WRONG
    assert text in capsys.readouterr().err


def test_a_pack_given_back_is_the_next_one_unless_the_sweep_stops(tmp_path) -> None:
    from sweeps.packs.pack import PackSettings
    from sweeps.scheduling.loop import SweepFeed
    from sweeps.search import make_search

    spec = small_spec()
    feed = SweepFeed(make_search(spec), Ledger(tmp_path), PackSettings(spec.measures))
    first = feed.next_pack()
    feed.requeue(first)
    assert feed.next_pack() is first
    feed.requeue(first)
    feed.stopping.set()
    assert feed.next_pack() is None and feed.done
