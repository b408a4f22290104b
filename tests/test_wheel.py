"""What an installation gets: the wheel and the source archive hold what git tracks, by one rule."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = PYPROJECT["tool"]["importlinter"]["root_packages"]
#: What is read on the repository's pages and from a checkout, never by the packages.
STAYS = ("*.md", "dashboards/pictures/*", "cluster/aws.yaml")
#: What only developers' checkouts use.
HOSTED = (".pre-commit-config.yaml",)
#: Beside what is packed: an old build, results, caches, a folder of the user's.
STRAYS = (
    "build/lib/sweeps/removed.py", "results/digits/spec.yaml", "mine/spec.yaml",
    "sweeps/specs/__pycache__/load.cpython-311.pyc", "mine/py.typed", "mine/made.pyi",
)  # fmt: skip
#: In the midst of it, so that only a wheel can leave it out.
NOTES = (
    "sweeps/notes.yaml", "sweeps/specs/notes.txt", "tests/sweeps/made.pyi",
    "dashboards/templates/answer.html~", "dashboards/templates/.answer.html.kept",
)  # fmt: skip


@pytest.fixture(scope="module")
def tracked() -> set[str]:
    """All files that git tracks or would track."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--deduplicate"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if run.returncode:
        pytest.skip("not a git checkout")
    return {line for line in run.stdout.splitlines() if (ROOT / line).is_file()}


@pytest.fixture(scope="module")
def built(tracked: set[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source archive of a copy that is not clean."""
    copy = tmp_path_factory.mktemp("copy")
    for name in tracked:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, copy / name)
    for stray in (*STRAYS, *NOTES):
        (copy / stray).parent.mkdir(parents=True, exist_ok=True)
        (copy / stray).write_text("left behind\n")
    out = tmp_path_factory.mktemp("built")
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(out)]
    run = subprocess.run(command, cwd=copy, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return out


def only(folder: Path, pattern: str) -> Path:
    (found,) = folder.glob(pattern)
    return found


def test_the_wheel_holds_modules_and_the_data_that_they_read(tracked, built) -> None:
    """All that git tracks in the packages except `STAYS`, and its own record."""
    ours = {name for name in tracked if name.split("/")[0] in PACKAGES}
    expected = {name for name in ours if not any(PurePosixPath(name).match(p) for p in STAYS)}
    with zipfile.ZipFile(only(built, "*.whl")) as wheel:
        held = {name for name in wheel.namelist() if ".dist-info/" not in name}
        record = {n.split(".dist-info/")[1] for n in wheel.namelist() if ".dist-info/" in n}
    assert held == expected
    assert record == {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"}
    assert {f"{package}/py.typed" for package in PACKAGES} <= held
    kinds = {PurePosixPath(name).suffix for name in held}
    assert kinds <= {".py", ".pyi", ".yaml", ".typed", ".html", ".css", ".json"}, kinds


def test_the_source_archive_holds_what_git_tracks(tracked, built) -> None:
    with tarfile.open(only(built, "*.tar.gz")) as archive:
        held = {name.split("/", 1)[1] for name in archive.getnames()}
    expected = {name for name in tracked if not name.startswith(HOSTED)}
    assert held == {*expected, *NOTES, "PKG-INFO"}


def test_every_package_is_named_in_the_wheel() -> None:
    include = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["include"]
    assert [f"/{package}/**/*.py" for package in sorted(PACKAGES)] == include[: len(PACKAGES)]


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`bin` of an environment with the wheel and this environment's packages, but no checkout."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, symlinks=True)
    own = sysconfig.get_path("purelib", "venv", {"base": str(folder), "platbase": str(folder)})
    # A folder on the path, whose own .pth files, like that of an editable install, are not read.
    others = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    Path(own, "others.pth").write_text("\n".join(others))
    python = str(folder / "bin" / "python")
    wheel = only(built, "*.whl")
    command = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "--no-index",
        "--no-deps",
    ]
    # Another folder: in the checkout, pip would find what an editable install left there.
    run = subprocess.run([*command, wheel], cwd=folder, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return folder / "bin"


def outside(command: list[str | Path], folder: Path) -> str:
    """What a command prints that runs in a folder without the checkout on its path."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "MLFLOW_"))}
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=env)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


@pytest.mark.slow
def test_the_installed_wheel_answers_from_an_empty_folder(installed, tmp_path) -> None:
    """All that reads a data file, and a whole small sweep, without the repository."""

    def sweeps(*words: str) -> str:
        return outside([installed / "sweeps", *words], tmp_path)

    code = f"import {', '.join(PACKAGES)}; print({', '.join(f'{p}.__file__' for p in PACKAGES)})"
    assert outside([installed / "python", "-c", code], tmp_path).count(str(installed.parent)) == 4
    bundled = {path.stem for path in (ROOT / "sweeps" / "specs").glob("*.yaml")}
    listed = sweeps("list", "specs")
    assert all(name in listed for name in bundled), listed
    assert "standard-1" in sweeps("list", "panels")
    sweeps("init", "mine.yaml")
    assert "mine.yaml" in {path.name for path in tmp_path.iterdir()}
    sweeps("check", "mine.yaml")
    few = ["--set", "tracking=none", "--set", "seeds.count=1", "--set", "defence.epochs=1"]
    assert " defence points are IN" in sweeps(
        "run", "digits", "--runner", "serial", "--out", "answer", *few
    )
    sweeps("report", "answer")
    assert "<svg" in (tmp_path / "answer" / "report.html").read_text()


@pytest.mark.slow
def test_a_type_checker_sees_the_types_of_the_installed_wheel(installed, tmp_path) -> None:
    (tmp_path / "mine.py").write_text(
        "from backdoor.errors import UserError\nreveal_type(UserError)\n"
    )
    mypy = [sys.executable, "-m", "mypy", "--strict", "--follow-imports", "silent"]
    mypy += ["--python-executable", installed / "python", "--cache-dir", tmp_path / "cache"]
    said = outside([*mypy, "mine.py"], tmp_path)
    assert 'Revealed type is "def (' in said and "Success" in said, said
