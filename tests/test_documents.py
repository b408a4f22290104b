"""Every block, command, option, link and path of the documents is run, parsed or looked up.

A block says in its first line what it is: `sh`, `text`, `python`, `python slow` for what takes more
than a second, `yaml` for a spec, and `yaml FILE.yaml` for a spec that commands of its page read.
"""

from __future__ import annotations

import copy
import os
import re
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import yaml
from document_checks import OPTIONS, OTHERS, PARSERS, SECTIONS, flags, wrong_command, wrong_sentence
from documents import ROOT, Block, Document, commands, documents

from sweeps.spec import parse_spec
from sweeps.spec import sections as spec_sections

DOCUMENTS = {document.path: document for document in documents()}
BLOCKS = [block for document in DOCUMENTS.values() for block in document.blocks]
EXAMPLE = "sweeps/specs/own-images.md"
#: Options of other programs that sentences name.
FOREIGN_OPTIONS = {"--help", "--scale", "--profile", "--volumes"}

every_document = pytest.mark.parametrize("path", DOCUMENTS)


def of(language: str) -> Any:
    """Parametrises a test by the blocks of a language."""
    found = [pytest.param(b, id=b.place) for b in BLOCKS if b.language == language]
    return pytest.mark.parametrize("block", found)


# --- what there is -------------------------------------------------------------------------------


def test_documents_are_where_readers_look() -> None:
    homes = ("backdoor", "sweeps", "sweeps/cli", "sweeps/search", "cluster", "dashboards", "docker")
    expected = {"README.md", ".github/CONTRIBUTING.md", ".github/SECURITY.md", EXAMPLE}
    assert expected | {f"{home}/README.md" for home in homes} <= set(DOCUMENTS)


def test_pages_are_short() -> None:
    lengths = {path: len(d.text.splitlines()) for path, d in DOCUMENTS.items()}
    free = ("CHANGELOG.md", "tests/benchmarks/FIGURES.md")  # figures are written by commands
    limits = {path: 200 for path in lengths if path not in free} | {"README.md": 130}
    assert not {path: n for path, n in lengths.items() if n > limits.get(path, n)}


def test_blocks_say_what_they_are() -> None:
    known = r"sh|text|python( slow)?|yaml( [a-z-]+\.yaml)?"
    assert not [b.place for b in BLOCKS if not re.fullmatch(known, " ".join(b.words))]
    for path, document in DOCUMENTS.items():  # none is indented or left open, which hides it
        assert document.text.count("```") == 2 * len(document.blocks), path


@every_document
def test_links_and_anchors_lead_somewhere(path: str) -> None:
    for link in DOCUMENTS[path].links:
        if re.match(r"https?://", link):
            continue
        file, _, anchor = link.partition("#")
        target = (ROOT / path).parent / file if file else ROOT / path
        assert target.exists(), f"{path}: {link}"
        if anchor:
            found = Document(os.path.relpath(target.resolve(), ROOT))
            assert anchor in found.anchors, f"{path}: {link}"


# --- commands ------------------------------------------------------------------------------------


@of("sh")
def test_commands_parse(block: Block) -> None:
    for line in block.lines:
        for words in commands(line):
            assert not (wrong := wrong_command(words)), f"{block.place}: {line}: {wrong}"


@pytest.mark.parametrize(
    "line, wrong",
    [
        ("sweeps run digits --oout x", "does not accept"),
        ("sweeps probe nothing results/mine", "does not accept"),
        ("sweeps run digit", "bundled spec"),
        ("sweeps run digits --set sedes=5", "--set of no section"),
        ("(cd x; make tests)", "not a command that we know: cd"),
        ("X=1 make tests", "make has not all"),
        ("docker compose -f docker/composed.yaml up > out", "no such file"),
        ("pip install '.[clusters]'", "no such extras"),
    ],
)
def test_wrong_commands_are_seen(line: str, wrong: str) -> None:
    found = [text for words in commands(line) if (text := wrong_command(words))]
    assert found and wrong in found[0]


# --- sentences -----------------------------------------------------------------------------------


@every_document
def test_sentences_name_what_there_is(path: str) -> None:
    """The changelog also names what there was."""
    if path == "CHANGELOG.md":
        return
    for code in DOCUMENTS[path].inline:
        assert not (wrong := wrong_sentence(code)), f"{path}: `{code}`: {wrong}"
        unknown = flags(code) - OPTIONS - FOREIGN_OPTIONS
        known = code.split()[0] in OTHERS or not unknown
        assert known, f"{path}: `{code}`: no such option: {unknown}"


@pytest.mark.parametrize(
    "code, wrong",
    [
        ("sweeps regions", "no such command"),
        ("sweeps region DIR --jsn", "no such option"),
        ("make tset", "make has not"),
        ("sweeps.ledger.load.load_result", "no such module or name"),
        ("sweeps/specs/own-image.md", "no such file"),
    ],
)
def test_wrong_sentences_are_seen(code: str, wrong: str) -> None:
    assert wrong in (wrong_sentence(code) or "")


def kinds(family: str) -> set[str]:
    """Names of a family's kinds, read from its files: importing all of them takes seconds."""
    texts = [file.read_text() for file in (ROOT / "backdoor" / family).glob("*.py")]
    return {
        name for text in texts for name in re.findall(r'    kind: ClassVar\[str\] = "(.+)"', text)
    }


def test_tables_are_complete() -> None:
    """Every kind has its place in the page of `backdoor`, every setting and command in that of
    `sweeps`."""
    named = set(DOCUMENTS["backdoor/README.md"].inline)
    for family in ("triggers", "regularizers", "architectures", "datasets"):
        assert kinds(family) and not kinds(family) - named, family
    page = DOCUMENTS["sweeps/README.md"]
    models = {"region": "RegionSettings", "search": "SearchSettings", "resources": "Resources",
              "tracking": "Tracking", "seeds": "Seeds"}  # fmt: skip
    keys = [k for name in models.values() for k in getattr(spec_sections, name).model_fields]
    assert not {*SECTIONS, *keys} - {"name"} - set(page.inline)
    assert not kinds("probes") - set(page.inline)
    others = [DOCUMENTS[f"{home}/README.md"].text for home in ("sweeps/cli", "cluster")]
    told = " ".join([page.text, *others])
    assert not [command for command in PARSERS if command not in told]


# --- specs ---------------------------------------------------------------------------------------


@of("yaml")
def test_yaml_is_a_spec(block: Block) -> None:
    document = yaml.safe_load(block.text)
    parse_spec(document, against_data=document["data"] == "digits")


#: What fragments of specs in sentences are put into: a grid, or a search over ranges.
GRID = {
    "name": "fragment",
    "data": "digits",
    "defence": {"architecture": "mlp", "weight_decay": [0, 0.01], "epochs": 30},
    "attack": {"trigger": "patch", "poison_rate": [0, 0.01]},
}
RANGES = GRID | {
    "defence": {"architecture": "mlp", "weight_decay": {"log": [0.001, 0.1]}},
    "region": {"clean_accuracy": 0.9},
    "search": {"kind": "region", "budget": 300},
    "resources": {"gpu": 1},
}
#: Files that fragments name.
NOWHERE = re.compile(r"\b(FILE|FOLDER|DIR|NAME|JOB|module:Class|my_package)\b")


def fragments(document: Document) -> list[str]:
    """Inline code that is a part of a spec: `seeds: 100`."""
    inner = "trigger|source|regularizer|architecture"
    start = re.compile(rf"({'|'.join(SECTIONS)}|{inner}): ")
    return [c for c in document.inline if start.match(c) and not NOWHERE.search(c)]


def parse_fragment(code: str) -> None:
    given = yaml.safe_load(code)
    searched = isinstance(given.get("search"), dict) or "target" in given.get("region", ())
    whole = copy.deepcopy(RANGES if searched else GRID)
    for key, value in given.items():
        home = {"trigger": "attack", "source": "attack"}.get(key, "defence")
        target = whole if key in SECTIONS else whole[home]
        merged = key == "region" and isinstance(whole.get(key), dict)
        target[key] = whole[key] | value if merged else value
    parse_spec(whole, against_data=False, names_later=True)  # names of anybody's classes


@every_document
def test_fragments_of_specs_fit(path: str) -> None:
    """The changelog names parts of them."""
    if path == "CHANGELOG.md":
        return
    for code in fragments(DOCUMENTS[path]):
        try:
            parse_fragment(code)
        except Exception as error:
            pytest.fail(f"{path}: `{code}`: {error}")


def test_wrong_fragments_are_seen() -> None:
    with pytest.raises(Exception, match="is not a known key"):
        parse_fragment("search: {kind: sobol, point: 3}")


# --- Python --------------------------------------------------------------------------------------


def run_python(path: str, slow: bool, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Runs the blocks of a page in their order, as one module, in an empty folder."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MPLBACKEND", "agg")
    module = types.ModuleType("page_" + re.sub(r"\W", "_", path))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for block in DOCUMENTS[path].blocks:
        if block.language == "python" and (slow or "slow" not in block.words):
            line = "\n" * block.line  # so that a traceback gives the line of the page
            exec(compile(line + block.text, str(ROOT / path), "exec"), vars(module))


def pages(slow: bool) -> list[str]:
    """Pages with blocks of Python, of those that are marked slow, or of the others."""
    python = [b for b in BLOCKS if b.language == "python"]
    return sorted({b.document for b in python if ("slow" in b.words) is slow})


@pytest.mark.parametrize("path", pages(slow=False))
def test_python_runs(path: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run_python(path, False, monkeypatch, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("path", pages(slow=True))
def test_slow_python_runs(path: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run_python(path, True, monkeypatch, tmp_path)


# --- the worked example --------------------------------------------------------------------------


def shape_of(line: str) -> str:
    """A line of output without what differs between machines: numbers, ids, verdicts, blanks."""
    line = re.sub(r"\b(IN|OUT|UNDECIDED)\b", "VERDICT", line)
    return " ".join(re.sub(r"\b[0-9a-f]{8}\b|\d+(\.\d+)?", "#", line).split())


@pytest.mark.slow
def test_the_worked_example_works(tmp_path: Path) -> None:
    """Its files are written, its commands are run as they stand, and what it shows is printed."""
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "sweeps"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m sweeps.cli "$@"\n')
    command.chmod(0o755)
    search = f"{command.parent}{os.pathsep}{os.environ['PATH']}"
    environ = os.environ | {"PATH": search, "PYTHONPATH": str(ROOT)}
    printed: list[str] = []
    for block in DOCUMENTS[EXAMPLE].blocks:
        if block.language == "python":
            subprocess.run([sys.executable, "-c", block.text], cwd=tmp_path, check=True)
        elif block.language == "yaml":
            (tmp_path / block.words[1]).write_text(block.text)
        elif block.language == "sh":
            for line in block.lines:
                printed += run_line(line, tmp_path, environ)
        else:
            shown = {shape_of(line) for line in block.text.splitlines()}
            assert not shown - {shape_of(line) for line in printed}, block.place


def run_line(line: str, folder: Path, environ: dict[str, str]) -> list[str]:
    """What a command prints; its exit code must be 0, or what its comment says."""
    expected = re.search(r"# exit code (\d+)$", line)
    shell = ["sh", "-c", line]
    run = subprocess.run(shell, cwd=folder, env=environ, capture_output=True, text=True)
    assert run.returncode == (int(expected[1]) if expected else 0), run.stdout + run.stderr
    return run.stdout.splitlines()
