"""Folders of before say what they lack."""

from __future__ import annotations

import json

import pytest
from small import begin, of_before, small_spec, sweep

from sweeps import read_region
from sweeps.answer.lacks import LATER, folder_lacks
from sweeps.cli.main import main
from sweeps.runners.serial import SerialRunner
from sweeps.storage.paths import read_sweep


def test_a_folder_of_this_release_lacks_nothing(tmp_path) -> None:
    paths = begin(tmp_path / "s", small_spec())
    assert folder_lacks(read_sweep(paths)) == []
    main(["region", str(paths.root)])
    assert read_region(paths.root)["lacks"] == []


def test_a_folder_of_before_is_opened_and_says_what_it_lacks(tmp_path, capsys) -> None:
    spec = small_spec(seeds=1)
    paths = begin(tmp_path / "s", spec)
    sweep(paths, spec, SerialRunner())
    of_before(paths)
    first = {k: v for k, v in json.loads(paths.sweep.read_text()).items() if k not in LATER}
    paths.sweep.write_text(json.dumps(first))
    assert main(["region", str(paths.root)]) == 0
    said = capsys.readouterr().out.rstrip().splitlines()
    assert said[-1] == (
        "An earlier release began this sweep; its folder does not say what was read of the data, how "
        "many points the search was to try, which specs it has had and who began it."
    )
    assert read_region(paths.root)["lacks"] == [said[-1]]
    assert main(["report", str(paths.root)]) == 0 and said[-1] in paths.report.read_text()


@pytest.mark.parametrize("key", LATER)
def test_each_key_is_named_alone(tmp_path, key) -> None:
    paths = begin(tmp_path / "s", small_spec())
    known = {k: v for k, v in read_sweep(paths).items() if k != key}
    (sentence,) = folder_lacks(known)  # type: ignore[arg-type]
    assert sentence.endswith(f"does not say {LATER[key]}.")
