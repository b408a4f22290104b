"""The repository tests itself: import contracts that can fail, bundled specs, the README."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("backdoor", "sweeps", "cluster", "dashboards")
README = (ROOT / "README.md").read_text()


def lint(folder: Path) -> subprocess.CompletedProcess:
    linter = Path(sys.executable).with_name("lint-imports")
    return subprocess.run([linter, "--no-cache"], cwd=folder, capture_output=True, text=True,
                          env={"PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin", "COLUMNS": "300"})  # fmt: skip


@pytest.fixture
def copy(tmp_path):
    """The packages and the contracts, to be spoiled."""
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_import_contracts_hold() -> None:
    run = lint(ROOT)
    assert run.returncode == 0, run.stdout


CONTRACTS = [
    c["name"]
    for c in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
        "contracts"
    ]
]
VIOLATIONS = {
    "backdoor knows nothing of sweeps": ("backdoor/poison.py", "import sweeps.packs.pack"),
    "sweeps imports backdoor; only its command may import the dashboards and the cluster": ("sweeps/scheduling/loop.py", "import dashboards.report"),
    "dashboards read a results folder through the ledger": ("dashboards/report.py", "import sweeps.spec"),
    "cluster knows commands and addresses": ("cluster/__init__.py", "import sweeps.ledger"),
    "ray has its home in the tune runner and the cluster folder": ("sweeps/scheduling/loop.py", "import ray"),
    "mlflow has its home in the mirror": ("sweeps/scheduling/loop.py", "import mlflow"),
    "optuna has its home in the search folder": ("sweeps/scheduling/loop.py", "import optuna"),
    "pydantic and yaml stay at the border": ("sweeps/packs/pack.py", "import yaml"),
    "pyarrow has its home in the ledger, the storage and the parquet dataset": ("sweeps/packs/pack.py", "import pyarrow"),
    "safetensors has its home in the saved model and in pretrained weights": ("sweeps/final_model/train.py", "import safetensors"),
    "timm has its home in the architectures": ("backdoor/trial.py", "import timm"),
    "argcomplete has its home in the command's completion": ("sweeps/cli/main.py", "import argcomplete"),
    "pictures are drawn in the dashboards": ("sweeps/pictures/trigger_pictures.py", "import matplotlib"),
    "pages are written in the dashboards": ("sweeps/region/region_text.py", "import jinja2"),
}  # fmt: skip


def test_every_import_contract_can_fail(copy) -> None:
    """All contracts are broken at once, each by one line, and each is reported."""
    assert sorted(VIOLATIONS) == sorted(CONTRACTS)
    for file, line in VIOLATIONS.values():
        path = copy / file
        path.write_text(f"{path.read_text()}\n\ndef _spoiled() -> None:\n    {line}\n")
    run = lint(copy)
    assert run.returncode == 1
    for name in CONTRACTS:
        assert f"{name} BROKEN" in run.stdout, name


@pytest.mark.slow
def test_a_file_dropped_into_the_folder_is_a_trigger(copy) -> None:
    """In the spec, in `sweeps list`, and under the contract test."""
    (copy / "backdoor" / "triggers" / "stripes.py").write_text(
        '"""Bright columns."""\n'
        "from dataclasses import dataclass\n"
        "from typing import ClassVar\n"
        "from backdoor.schema import Count\n"
        "from backdoor.triggers import Trigger\n"
        "@dataclass(frozen=True)\n"
        "class Stripes(Trigger):\n"
        '    """Every `period`-th column is white."""\n'
        '    kind: ClassVar[str] = "stripes"\n'
        "    period: Count = 4\n"
        "    def stamp(self, images, ids, labels):\n"
        "        stamped = images.clone()\n"
        "        stamped[..., :: self.period] = 255\n"
        "        return stamped\n"
    )
    shutil.copytree(ROOT / "tests", copy / "tests", ignore=shutil.ignore_patterns("__pycache__"))

    def run(*arguments):
        return subprocess.run([sys.executable, "-m", *arguments], cwd=copy, capture_output=True, text=True,
                              env={"PYTHONPATH": str(copy), "PATH": "/usr/bin:/bin", "HOME": str(copy)})  # fmt: skip

    listed = run("sweeps.cli", "list", "triggers")
    words = r"stripes +Every `period`-th column is white\.\n +period +4 +whole number >= 1\n"
    assert re.search(words, listed.stdout), listed.stderr
    checked = run(
        "sweeps.cli",
        "check",
        "digits",
        "--set",
        "attack.trigger=[stripes, {kind: stripes, period: 2}]",
    )
    assert "x 6 attacks" in checked.stdout, checked.stderr
    wrong = run(
        "sweeps.cli", "check", "digits", "--set", "attack.trigger={kind: stripes, period: 0}"
    )
    assert (
        wrong.returncode == 2 and "attack.trigger.period: must be >= 1, but got 0" in wrong.stderr
    )
    contract = run(
        "pytest",
        "-q",
        "tests/backdoor/test_trigger_contract.py",
        "-k",
        "stripes",
        "-p",
        "no:cacheprovider",
    )
    assert "21 passed" in contract.stdout, contract.stdout + contract.stderr


# --- the README and the bundled specs --------------------------------------------------------


def test_bundled_specs_open_with_purpose_command_duration_and_hardware() -> None:
    files = sorted((ROOT / "sweeps" / "specs").glob("*.yaml"))
    assert files
    for file in files:
        head = "\n".join(line for line in file.read_text().splitlines()[:8] if line.startswith("#"))
        assert f"sweeps run {file.stem}" in head, file.name
        assert "Duration:" in head and "Hardware:" in head, file.name


def test_bundled_specs_load(tmp_path) -> None:
    import yaml

    from sweeps.spec import bundled_specs, load_spec

    for name, file in bundled_specs().items():
        data = yaml.safe_load(file.read_text())["data"]
        changes = []
        if isinstance(data, dict) and "root" in data:
            folder = tmp_path / name
            folder.mkdir()
            changes = FABRICATED[data["kind"]](folder)
        assert load_spec(name, changes).name == name


def _hub_files(folder: Path) -> list[str]:
    """CIFAR-10 as public hubs have it: one black image over and over."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    pixel = _png(np.zeros((32, 32, 3), dtype=np.uint8))
    for part, count in (("train", 12_000), ("test", 4_000)):
        columns = {
            "img": [{"bytes": pixel, "path": ""}] * count,
            "label": [i % 10 for i in range(count)],
        }
        pq.write_table(pa.table(columns), folder / f"{part}.parquet")
    return [f"data.root={folder}", "data.image_size=16"]


def _idx_files(folder: Path) -> list[str]:
    """MNIST as torchvision has it, with enough black images of each digit."""
    import numpy as np
    from fabricated import write_mnist

    parts = [(np.zeros((n, 28, 28), np.uint8), np.arange(n) % 10) for n in (12_000, 3_000)]
    write_mnist(folder, *parts)
    return [f"data.root={folder}"]


def _class_folders(folder: Path) -> list[str]:
    """Three classes of a hundred small black images each."""
    import numpy as np

    for name in ("cat", "dog", "plane"):
        (folder / name).mkdir()
        for number in range(100):
            pixels = np.zeros((8, 10, 3), dtype=np.uint8)
            (folder / name / f"{number}.png").write_bytes(_png(pixels))
    return [f"data.root={folder}"]


FABRICATED = {"parquet": _hub_files, "mnist": _idx_files, "image_folder": _class_folders}


def _png(pixels) -> bytes:
    import io

    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG")
    return stream.getvalue()


def test_the_two_commands_come_early() -> None:
    head = "\n".join(README.splitlines()[:36])
    assert "pip install ." in head and "make demo" in head and "make test" in head


def test_docker_folder_never_shadows_the_docker_sdk() -> None:
    assert not list((ROOT / "docker").rglob("*.py"))


def test_every_import_is_declared() -> None:
    """Third-party modules that our code imports stand in pyproject's dependencies."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    stated = project["dependencies"] + project["optional-dependencies"]["timm"]
    declared = {re.split(r"[\[><=~! ]", d)[0].lower() for d in stated}
    names = {"sklearn": "scikit-learn", "PIL": "pillow", "yaml": "pyyaml"}
    found = set()
    for package in PACKAGES:
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Import):
                    found |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module:
                    found.add(node.module.split(".")[0])
    third = {f for f in found if f not in sys.stdlib_module_names and f not in PACKAGES}
    missing = {f for f in third if names.get(f, f).lower() not in declared}
    assert not missing, missing
