"""Benchmarks say which revision and machine their figures belong to, and no target forgets to."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import figures
import pytest
import throughput

ROOT = Path(__file__).parents[1]
MAKEFILE = (ROOT / "Makefile").read_text()
#: Target → its recipe.
TARGETS = {
    name: re.search(rf"(?m)^{name}:.*\n((?:\t.*\n)+)", MAKEFILE)[1]
    for name in re.findall(r"(?m)^(bench[\w-]*|reproduce):", MAKEFILE)
}
ROWS = [{"what": "ask", "seconds": 0.12345}, {"what": "tell | told", "seconds": 123456.7}]


@pytest.fixture
def file(tmp_path, monkeypatch) -> Path:
    """The file that a make target would name."""
    monkeypatch.setenv("FIGURES", str(tmp_path / "FIGURES.md"))
    return tmp_path / "FIGURES.md"


def test_a_section_says_what_it_holds_for(file, monkeypatch) -> None:
    monkeypatch.setattr(figures, "STARTED_AT", "abc1234 with uncommitted changes")
    figures.record("speed", "make bench-x", ROWS, "Two rows.")
    introduction, sections = figures.split(file.read_text())
    assert introduction.rstrip() == figures.INTRODUCTION.rstrip()
    heading, origin, table, note = sections["speed"].rstrip().split("\n\n")
    assert (heading, note) == ("## speed", "Two rows.")
    assert table.splitlines() == [
        "| what | seconds |", "| --- | --- |", "| ask | 0.1235 |", r"| tell \| told | 123457 |",
    ]  # fmt: skip
    assert origin.splitlines()[:2] == [
        "- command: `make bench-x`", "- revision: abc1234 with uncommitted changes",
    ]  # fmt: skip
    assert re.search(r"^- date: \d{4}-\d\d-\d\d \d\d:\d\d UTC$", origin, re.M)
    assert re.search(r"^- hardware: .+, \d+ cores, \d+ GiB of memory, .+, .+ on .+$", origin, re.M)
    assert re.search(r"^- versions: Python 3\S+, torch \S+, ray \S+, mlflow \S+, ", origin, re.M)


def test_other_sections_stay_and_all_are_sorted(file) -> None:
    for name in ("region", "commands", "tracking"):
        figures.record(name, "make bench", ROWS)
    before = figures.split(file.read_text())[1]
    assert list(before) == ["commands", "region", "tracking"]
    figures.record("region", "make bench", "| a |\n| --- |\n| measured again |")
    after = figures.split(file.read_text())[1]
    assert list(after) == list(before)
    assert "measured again" in after["region"] and "| ask |" not in after["region"]
    assert all(after[name] == before[name] for name in ("commands", "tracking"))
    assert [path.name for path in file.parent.iterdir()] == [file.name]  # no scratch file is left


def test_a_benchmark_started_by_hand_writes_nothing(tmp_path, monkeypatch) -> None:
    monkeypatch.delenv("FIGURES", raising=False)
    monkeypatch.chdir(tmp_path)
    figures.record("speed", "make bench-x", ROWS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("asked, written", [([], True), (["--only", "ask"], False)])
def test_a_part_of_the_throughput_table_does_not_replace_it(
    file, tmp_path, monkeypatch, asked, written
) -> None:
    row = throughput.Row("ask of a region", 2.0, 3.0, (2.0, 2.5))
    monkeypatch.setattr(throughput, "all_rows", lambda: iter([row]))
    monkeypatch.setattr(throughput, "_asked", [])
    assert throughput.main([*asked, "--json", str(tmp_path / "rows.json")]) == 1
    assert file.exists() == written
    if written:
        assert "| ask of a region | 2 | 3 | MISSED | 2.00 to 2.50 |" in file.read_text()


def test_places_of_this_machine_are_not_written_down(monkeypatch) -> None:
    monkeypatch.setenv("CIFAR10", "/somewhere/else")
    monkeypatch.delenv("DIGITS_MAP", raising=False)
    assert figures.make_command("bench", "CIFAR10", "DIGITS_MAP") == "make bench CIFAR10=DIR"


def test_a_changed_tree_is_said_but_for_the_figures_themselves(tmp_path) -> None:
    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
        run = subprocess.run(["git", *identity, *arguments], cwd=tmp_path, capture_output=True, text=True, check=True)  # fmt: skip
        return run.stdout.strip()

    assert figures.revision(tmp_path) == "unknown, since this is no git checkout"
    git("init", "--quiet")
    kept = tmp_path / figures.FILE.relative_to(ROOT)
    kept.parent.mkdir(parents=True)
    for path in (kept, tmp_path / "code.py"):
        path.write_text("1\n")
    git("add", ".")
    git("commit", "--quiet", "--message", "All")
    commit = git("rev-parse", "--short", "HEAD")
    assert figures.revision(tmp_path) == commit
    kept.write_text("2\n")
    assert figures.revision(tmp_path) == commit
    (tmp_path / "new.py").write_text("2\n")
    assert figures.revision(tmp_path) == f"{commit} with uncommitted changes"


# --- the figures of this repository ------------------------------------------------------------


def test_every_section_carries_revision_date_hardware_and_a_command_of_today() -> None:
    introduction, sections = figures.split(figures.FILE.read_text())
    assert introduction.rstrip() == figures.INTRODUCTION.rstrip()
    assert list(sections) == sorted(sections)
    for name, text in sections.items():
        told = dict(re.findall(r"(?m)^- (\w+): (.+)$", text))
        assert {"command", "revision", "date", "hardware", "versions"} <= set(told), name
        assert told["command"].strip("`").split()[1] in TARGETS, name


def test_every_benchmark_target_names_the_file_and_has_its_writer() -> None:
    assert {"bench", "bench-throughput", "bench-region", "bench-recorded", "reproduce"} <= set(
        TARGETS
    )
    for target, recipe in TARGETS.items():
        assert "\t$(RECORD) " in recipe, target
        script = ROOT / re.search(r"tests/benchmarks\S*", recipe)[0]
        for path in [script] if script.suffix else sorted(script.glob("test_*.py")):
            assert path.is_file(), f"make {target}: there is no {path.name}"
            assert records(path), f"make {target}: {path.name} never calls figures.record()"


def records(path: Path) -> bool:
    calls = [
        node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)
    ]
    return any(ast.unparse(call) in ("record", "figures.record") for call in calls)
