"""Source code of users' kinds that changes between run and resume, extension or verification."""

import json
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small import small_spec

from backdoor.errors import UserError
from backdoor.settings import source_digest as source
from backdoor.settings.source_files import user_code
from sweeps import extend_sweep, resume_sweep, run_sweep
from sweeps.cli import FINE, WRONG, running
from sweeps.cli.main import main
from sweeps.ledger import FAILED, Ledger, failed_rows
from sweeps.results.changed_code import check_code
from sweeps.search import make_search
from sweeps.storage.paths import SweepPaths

KIND = (
    "from dataclasses import dataclass\n"
    "from backdoor.triggers.patch import Patch\n"
    "import changing_help\n"
    "@dataclass(frozen=True)\nclass Mine(Patch):\n    pass\n"
)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with a trigger, and a module beside it that it imports."""
    home = tmp_path / "code"
    (home / "changing_pack" / "deep").mkdir(parents=True)
    for name, text in {
        "changing_pack/__init__.py": "",
        "changing_pack/stamps.py": KIND,
        "changing_pack/deep/other.py": "X = 1\n",
        "changing_pack/notes.txt": "not code",
        "changing_help.py": "SIZE = 2\n",
    }.items():
        (home / name).write_text(text)
    monkeypatch.syspath_prepend(str(home))
    source._digest.cache_clear()
    yield home
    for name in [name for name in sys.modules if name.startswith("changing_")]:
        del sys.modules[name]
    source._digest.cache_clear()


def ran(folder: Path) -> SweepPaths:
    trigger = "changing_pack.stamps:Mine"
    spec = small_spec(attack={"trigger": trigger, "poison_rate": [0, 0.03]}, seeds=1)
    run_sweep(spec, folder, runner="serial", quiet=True)
    return SweepPaths(folder)


def with_digests(paths: SweepPaths, change) -> None:
    """Replaces the digests of the ledger by a function of those that are there."""
    for file in paths.ledger.glob("*.parquet"):
        table = pq.read_table(file)
        place = table.schema.get_field_index("source_digest")
        new = pa.array(map(change, table["source_digest"].to_pylist()), pa.string())
        changed = table.set_column(place, table.schema.field(place), new)
        pq.write_table(changed.replace_schema_metadata(table.schema.metadata), file)


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        str(p): p.read_bytes() for p in folder.rglob("*") if p.is_file() and "lock" not in p.name
    }


def test_a_digest_is_of_all_files_of_the_package_and_of_what_it_imports(package) -> None:
    kinds = ("changing_pack.stamps:Mine",)
    before = source.present_digest(kinds)
    assert before is not None and before.startswith("2:") and len(before) == 18
    assert "changing_pack" not in sys.modules, "nothing is imported for it"
    for name, other in (
        ("changing_pack/stamps.py", True),
        ("changing_pack/deep/other.py", True),
        ("changing_help.py", True),
        ("changing_pack/notes.txt", False),
    ):
        text = (package / name).read_text()
        (package / name).write_text(text + "\n# changed\n")
        assert (source.present_digest(kinds) != before) is other, name
        (package / name).write_text(text)
    assert source.present_digest(kinds) == before
    assert sorted(user_code(kinds)) == ["changing_help", "changing_pack"]
    assert user_code(["numpy.linalg:norm"])["numpy"].installed
    assert source.source_digest({"trigger": {"kind": "backdoor.triggers.patch:Patch"}}) is None


def test_where_the_files_lie_does_not_count(package, tmp_path, monkeypatch) -> None:
    kinds = ("changing_pack.stamps:Mine",)
    before = source.present_digest(kinds)
    package.rename(tmp_path / "moved")
    monkeypatch.syspath_prepend(str(tmp_path / "moved"))
    assert source.present_digest(kinds) == before


def test_refused_then_accepted_and_recorded(package, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(running, "_execute", lambda *others: FINE)  # it takes long
    paths = ran(tmp_path / "a")
    (package / "changing_pack" / "deep" / "other.py").write_text("X = 2\n")
    before = files_of(paths.root)
    for arguments in (["resume"], ["extend", "--set", "seeds=2"], ["verify"]):
        command = [arguments[0], str(paths.root), *arguments[1:], "--runner", "serial"]
        assert main(command) == WRONG
        err = capsys.readouterr().err
        assert "changing_pack.stamps:Mine: must have the code that trained 4 recorded trials since 20" in err  # fmt: skip
        assert f"but got 'other code in {package}/changing_pack (3 .py files) and {package}/changing_help.py; written since then: changing_pack/deep/other.py'" in err  # fmt: skip
        assert "add --accept-changed-code: sweep.json then records it" in err
    assert files_of(paths.root) == before

    line = ["resume", str(paths.root), "--runner", "serial", "--accept-changed-code"]
    assert main(line) == FINE
    note = "recorded trials since 20"
    assert (err := capsys.readouterr().err).count(note) == 1 and "which is accepted now" in err
    (entry,) = json.loads(paths.sweep.read_text())["accepted_code"]
    digests = {row.source_digest for row in Ledger(paths.ledger).trials() if not row.is_clean}
    assert {entry["before"]} == digests and entry["rows"] == 4
    assert entry["after"] == source.present_digest(entry["kinds"]) != entry["before"]

    assert main(line[:-1]) == FINE  # not asked again
    assert f"which was accepted {entry['accepted']}" in capsys.readouterr().err
    assert len(json.loads(paths.sweep.read_text())["accepted_code"]) == 1
    (package / "changing_help.py").write_text("SIZE = 3\n")
    assert main(line[:-1]) == WRONG  # another change is


def test_python_says_how_it_accepts(package, tmp_path) -> None:
    paths = ran(tmp_path / "a")
    (package / "changing_help.py").write_text("SIZE = 3\n")
    options = {"runner": "serial", "quiet": True}
    for go_on in (resume_sweep, lambda *a, **k: extend_sweep(*a, changes=["seeds=2"], **k)):
        with pytest.raises(UserError, match=r"add accept_changed_code=True: sweep\.json"):
            go_on(paths.root, **options)
    extend_sweep(paths.root, changes=["seeds=2"], accept_changed_code=True, **options)
    sweep = json.loads(paths.sweep.read_text())
    assert len(sweep["accepted_code"]) == 1 and len(sweep["specs"]) == 2


@pytest.mark.parametrize(
    ("former", "why"),
    [
        (lambda value: None, "they have no digest of its source code"),
        (lambda value: value and "0" * 16, "an earlier release recorded its source code by another rule"),
    ],
)  # fmt: skip
def test_rows_of_earlier_releases_go_on(package, tmp_path, former, why) -> None:
    paths = ran(tmp_path / "a")
    with_digests(paths, former)
    (package / "changing_help.py").write_text("SIZE = 3\n")
    (note,) = [n for n in check_code(paths).notes if why in n]
    assert (
        "whether changing_pack.stamps:Mine has changed is not known for 4 recorded trials" in note
    )
    assert resume_sweep(paths.root, runner="serial", quiet=True).finished == 8


def test_failed_trials_do_not_count_and_name_the_code(package, tmp_path) -> None:
    paths = ran(tmp_path / "a")
    trials = small_spec(
        attack={"trigger": "changing_pack.stamps:Mine", "poison_rate": [0, 0.03]}, seeds=[7]
    )
    asked = make_search(trials).ask(100)
    rows = failed_rows([t for t in asked if t.attack is not None], "pack", "no")
    assert set(rows["source_digest"].to_pylist()) == {
        source.present_digest(("changing_pack.stamps:Mine",))
    }
    ledger = Ledger(paths.ledger)
    ledger.append(rows)
    assert FAILED in ledger.table()["status"].to_pylist()
    (package / "changing_help.py").write_text("SIZE = 3\n")
    with pytest.raises(UserError, match="4 recorded trials"):
        check_code(paths)
