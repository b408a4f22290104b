"""The layout: no circle among files or folders, floors with an order, doors that are no rooms."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from import_graph import PACKAGES, circle_of, read_imports, upward

ROOT = Path(__file__).parents[1]

#: Rooms by floor, lowest first: a room imports rooms of lower floors only.
FLOORS = [
    ["backdoor.memory_errors"],
    [
        "backdoor.errors",
        "backdoor.former_paths",
        "backdoor.memory_errors",
        "backdoor.streams",
        "backdoor.wording",
        "backdoor.working_on",
    ],
    ["sweeps.statistics", "sweeps.module_path", "sweeps.addresses"],
    ["backdoor", "sweeps", "backdoor.memory", "backdoor.settings"],
    ["backdoor.reading"],
    ["backdoor.datasets", "backdoor.result"],
    ["backdoor.architectures", "backdoor.triggers"],
    ["backdoor.image_store", "backdoor.regularizers"],
    ["backdoor.config"],
    ["backdoor.poison", "backdoor.trigger_users"],
    ["backdoor.checks", "backdoor.engines", "backdoor.evaluate"],
    ["backdoor.probes"],
    ["backdoor.trial"],
    ["backdoor.export"],
    ["cluster"],
    ["sweeps.space"],
    ["sweeps.records"],
    ["sweeps.storage", "sweeps.levelset"],
    ["sweeps.ledger", "sweeps.panels"],
    ["dashboards"],
    ["sweeps.spec"],
    ["sweeps.early_stopping"],
    ["sweeps.packs", "sweeps.search"],
    ["sweeps.runners", "sweeps.region"],
    ["sweeps.cost", "sweeps.pictures", "sweeps.scheduling", "sweeps.analyses", "sweeps.answer"],
    ["sweeps.results", "sweeps.verify"],
    ["sweeps.mirror", "sweeps.final_model"],
    ["sweeps.driver"],
    ["sweeps.cli"],
]

#: Offers what the `__init__.pyi` beside it names.
LAZY_DOOR = "__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The packages, to be spoiled."""
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, tmp_path / package, ignore=ignored)
    return tmp_path


def spoil(root: Path, file: str, line: str, under: str = "def _spoiled() -> None:") -> None:
    """Adds an import to a file, inside a function unless said otherwise."""
    path = root / file
    path.write_text(f"{path.read_text()}\n\n{under}\n    {line}\n")


def test_no_circle_among_files_or_folders() -> None:
    imports = read_imports(ROOT)
    assert circle_of(imports.files) is None
    assert circle_of(imports.rooms) is None


def test_imports_run_down_the_floors() -> None:
    assert upward(read_imports(ROOT).rooms, FLOORS) == []


def test_an_injected_circle_is_found(copy: Path) -> None:
    """One of files, which is none of folders, and one of folders, which is none of files."""
    spoil(copy, "sweeps/storage/shell.py", "import sweeps.storage.paths")
    spoil(copy, "sweeps/storage/paths.py", "import sweeps.storage.shell")
    imports = read_imports(copy)
    circle = circle_of(imports.files)
    assert circle is not None and set(circle) == {"sweeps.storage.shell", "sweeps.storage.paths"}
    assert circle_of(imports.rooms) is None
    spoil(copy, "sweeps/ledger/schema.py", "from sweeps.region import labels")
    rooms = circle_of(read_imports(copy).rooms)
    assert rooms is not None and {"sweeps.ledger", "sweeps.region"} <= set(rooms)


def test_an_injected_upward_import_is_found(copy: Path) -> None:
    spoil(copy, "sweeps/storage/shell.py", "from backdoor import errors")
    assert upward(read_imports(copy).rooms, FLOORS) == []
    spoil(copy, "sweeps/packs/chunk.py", "from sweeps.runners import serial")
    (found,) = upward(read_imports(copy).rooms, FLOORS)
    assert found.startswith("sweeps.packs (floor") and "→ sweeps.runners (floor" in found


def test_an_import_for_the_type_checker_does_not_count(copy: Path) -> None:
    spoil(copy, "sweeps/packs/chunk.py", "from sweeps.cli import main", under="if TYPE_CHECKING:")
    assert upward(read_imports(copy).rooms, FLOORS) == []


def test_a_new_folder_needs_a_floor(copy: Path) -> None:
    (copy / "sweeps" / "attic").mkdir()
    (copy / "sweeps" / "attic" / "__init__.py").write_text('"""Old things."""\n')
    assert upward(read_imports(copy).rooms, FLOORS) == ["sweeps.attic has no floor"]


def test_an_init_is_a_door_and_not_a_room() -> None:
    """A docstring, imports, `__all__`, and a lazy `__getattr__` or `lazy_loader` at most. The
    packages' own doors also make the import paths of before work."""
    for package in PACKAGES:
        for file in (ROOT / package).rglob("__init__.py"):
            for node in ast.parse(file.read_text()).body:
                words = ast.unparse(node)
                allowed = (
                    isinstance(node, ast.Import | ast.ImportFrom)
                    or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
                    or words.startswith(("__all__ =", "def __getattr__(", "if TYPE_CHECKING:"))
                    or words in ("former_paths.install()", LAZY_DOOR)
                )
                assert allowed, f"{file}: {words.splitlines()[0]}"


def test_no_file_of_a_package_is_ignored() -> None:
    """A rule such as `results/` in .gitignore would hide `sweeps/results/`, from ruff as well."""
    files = [
        file.relative_to(ROOT)
        for package in PACKAGES
        for file in (ROOT / package).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    ]
    assert len(files) > 200
    probe = [str(file.parent / "new_file.py") for file in files] + [str(file) for file in files]
    run = subprocess.run(
        ["git", "check-ignore", "--no-index", "--stdin"], cwd=ROOT, input="\n".join(probe),
        capture_output=True, text=True,
    )  # fmt: skip
    if run.returncode == 128:
        pytest.skip(f"git cannot tell: {run.stderr.strip()}")
    assert run.stdout.splitlines() == []
    ruff = Path(sys.executable).with_name("ruff")
    seen = subprocess.run([ruff, "check", "--show-files", *PACKAGES], cwd=ROOT, capture_output=True, text=True)  # fmt: skip
    shown = {Path(line).relative_to(ROOT) for line in seen.stdout.splitlines()}
    assert {file for file in files if file.suffix == ".py"} <= shown
