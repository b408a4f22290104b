"""The contract of data sets (`backdoor/datasets/README.md`), tried with hostile ones."""

from __future__ import annotations

import tracemalloc
from collections import defaultdict
from pathlib import Path

import hostile_arrays
import hostile_csv
import hostile_folders
import hostile_labels
import hostile_parquet
import hostile_pixels
import hostile_published
import pytest
import yaml
from fabricated import without_checksums
from hostile import Case, Read, Refused, disagreement, outcome_of, smallest_splits
from small import SMALL

from backdoor import load_data
from sweeps.cli import FINE, WRONG
from sweeps.cli.main import main

MODULES = (hostile_labels, hostile_pixels, hostile_folders, hostile_parquet, hostile_csv, hostile_arrays, hostile_published)  # fmt: skip
CASES = [case for module in MODULES for case in module.cases()]
MEGABYTE = 2**20


def idea_of(case: Case) -> str:
    return case.name.rpartition(" [")[0]


def by_idea() -> dict[str, list[Case]]:
    """Idea → its cases, one for each reader."""
    found = defaultdict(list)
    for case in CASES:
        found[idea_of(case)].append(case)
    return found


IDEAS = by_idea()


def below(folder: Path) -> list[tuple[str, int]]:
    """Everything in a folder, with sizes."""
    return sorted((str(f.relative_to(folder)), f.lstat().st_size) for f in folder.rglob("*"))


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "cache"
    folder.mkdir()
    monkeypatch.setenv("BACKDOOR_CACHE", str(folder))
    monkeypatch.setattr("os.fsync", lambda number: None)  # hundreds of them take seconds
    return folder


def root_of(tmp_path: Path, number: int) -> Path:
    root = tmp_path / f"set{number}"
    root.mkdir()
    return root


def test_there_are_many_and_each_has_a_name_of_its_own() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
    assert len(IDEAS) > 200


def one_reader(idea: str) -> list[Case]:
    """One of them by turns."""
    return [IDEAS[idea][list(IDEAS).index(idea) % len(IDEAS[idea])]]


def other_readers(idea: str) -> list[Case]:
    return [case for case in IDEAS[idea] if case.name != one_reader(idea)[0].name]


@pytest.mark.parametrize("idea", list(IDEAS))
def test_a_reader_reads_or_refuses_what_the_contract_says(idea, tmp_path, cache, monkeypatch) -> None:  # fmt: skip
    run(one_reader(idea), tmp_path, cache, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("idea", [idea for idea in IDEAS if other_readers(idea)])
def test_every_other_reader_does_so_too(idea, tmp_path, cache, monkeypatch) -> None:
    run(other_readers(idea), tmp_path, cache, monkeypatch)


def run(cases: list[Case], tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disagreements = []
    for number, case in enumerate(cases):
        with monkeypatch.context() as patch:
            if case.unpublished:
                without_checksums(patch)
            reason = reason_against(case, root_of(tmp_path, number), cache)
        disagreements += [f"{case.name}: {reason}"] if reason else []
    assert not disagreements, "\n".join(disagreements)


def reason_against(case: Case, root: Path, cache: Path) -> str:
    """What is wrong with how a set is read; "" if all is right."""
    settings = case.write(root)
    before, kept = below(root), below(cache)
    try:
        found = outcome_of(settings)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    reason = disagreement(settings, found, case.outcomes)
    if isinstance(found, Exception) and below(cache) != kept:
        return f"{reason} A refused set is in the cache: {below(cache)}"
    return reason or ("" if below(root) == before else "The set itself was changed.")


WIDE = ("milliard", "ten millions", "65,536", "claims")
LARGE = [case for case in CASES if any(word in case.name for word in WIDE) and "pixels" not in case.name]  # fmt: skip


@pytest.mark.parametrize("case", LARGE, ids=lambda case: case.name)
def test_large_labels_take_no_memory(case, tmp_path, cache) -> None:
    settings = case.write(root_of(tmp_path, 0))
    tracemalloc.start()
    try:
        outcome_of(settings)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100 * MEGABYTE


#: Those that are read from files, a few images of each class in every part.
SPLITTABLE = [case for case in CASES if isinstance(case.outcomes[0], Read) and len(case.outcomes) == 1]  # fmt: skip


@pytest.mark.parametrize("case", SPLITTABLE[::25], ids=lambda case: case.name)
def test_what_is_read_is_split(case, tmp_path, cache, monkeypatch) -> None:
    if case.unpublished:
        without_checksums(monkeypatch)
    (read,) = case.outcomes
    data = load_data({**case.write(root_of(tmp_path, 0)), **smallest_splits(read)})
    assert len(data.validation) == 1 and data.class_names == read.names
    assert len(data.test) == (3 if read.test is None else len(read.test))
    assert len(data.train) + 1 == len(read.train) - (3 if read.test is None else 0)
    assert not set(data.train.ids) & {*data.validation.ids, *data.test.ids}


#: From every tenth or so, and all that are read from files of one kind.
COMMANDS = [case for case in CASES if not case.unpublished and len(case.outcomes) == 1]
REFUSALS = [case for case in COMMANDS if isinstance(case.outcomes[0], Refused) and "65,536" not in case.name]  # fmt: skip


@pytest.mark.parametrize("case", REFUSALS[::16], ids=lambda case: case.name)
def test_the_command_refuses_with_exit_code_2_and_writes_nothing(case, tmp_path, cache, capsys, monkeypatch) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    settings = case.write(root_of(tmp_path, 0))
    spec = written_spec(tmp_path, settings)
    before = below(tmp_path)
    for command in (["check"], ["run", "--runner", "serial", "--out", str(tmp_path / "results")]):
        line = [command[0], str(spec), "--set", f"data.root={settings['root']}", *command[1:]]
        assert main(line) == WRONG
        said = capsys.readouterr().err
        assert "data" in said and "must" in said and "Traceback" not in said
        assert below(tmp_path) == before


@pytest.mark.parametrize("case", SPLITTABLE[::40], ids=lambda case: case.name)
def test_the_command_says_what_was_read(case, tmp_path, cache, capsys, monkeypatch) -> None:
    if case.unpublished:
        without_checksums(monkeypatch)
    settings = case.write(root_of(tmp_path, 0))
    (read,) = case.outcomes
    spec = written_spec(tmp_path, {**settings, **smallest_splits(read)})
    assert main(["check", str(spec), "--set", f"data.root={settings['root']}"]) == FINE
    said = capsys.readouterr().out
    assert f"{len(read.names)} classes" in said


def written_spec(folder: Path, settings: dict) -> Path:
    """A small sweep with these data, apart from the root."""
    attack = {"trigger": [{"kind": "patch", "size": 1}], "poison_rate": [0, 0.5]}
    data = {**settings, "root": None}
    file = folder / "spec.yaml"
    file.write_text(yaml.safe_dump({**SMALL, "data": data, "attack": attack}))
    return file
