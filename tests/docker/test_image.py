"""The Dockerfile: what it installs, as whom it runs, what reaches it. No daemon is needed."""

from __future__ import annotations

import fnmatch
import importlib
import re
import shlex
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text()
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def instructions() -> list[tuple[str, str]]:
    """(instruction, arguments), comments removed and continued lines joined."""
    text = "\n".join(line for line in DOCKERFILE.splitlines() if not line.startswith("#"))
    lines = text.replace("\\\n", " ").splitlines()
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in lines if line.strip()]


def arguments(name: str) -> list[str]:
    return [rest for instruction, rest in instructions() if instruction == name]


def pip_installs(text: str) -> list[list[str]]:
    """The words after `pip install` of every such command."""
    found = re.findall(r"pip install((?:[^;&#\n]|\\\n)+)", text)
    return [shlex.split(words.replace("\\\n", " ")) for words in found]


def test_base_image_is_pinned_and_its_python_is_supported() -> None:
    tag = re.search(r"^ARG PYTHON=(\S+)$", DOCKERFILE, re.M)
    assert tag and arguments("FROM") == ["python:${PYTHON}"]
    version = re.fullmatch(r"(3\.\d+)\.\d+-slim-bookworm", tag[1])
    assert version
    assert f"Programming Language :: Python :: {version[1]}" in PYPROJECT["project"]["classifiers"]


def test_it_ends_as_a_user_that_is_not_root() -> None:
    order = [name for name, _ in instructions()]
    assert arguments("USER") == ["1000:1000"]
    assert "RUN" not in order[order.index("USER") :], "nothing is installed as the user"
    assert "useradd --uid 1000" in DOCKERFILE


def test_ray_needs_a_token_in_it() -> None:
    assert "RAY_AUTH_MODE=token" in " ".join(arguments("ENV")).split()


def test_installs_are_those_of_the_makefile() -> None:
    """The same constraints; nothing of the developers' extra; torch first where it is for CPUs."""
    ours = pip_installs("\n".join(arguments("RUN")))
    makers = pip_installs((ROOT / "Makefile").read_text())
    assert len(ours) == 3 and len(makers) == 2
    for words in (*ours[:2], *makers):
        assert words[words.index("--constraint") + 1] == ".ci/constraints.txt"
    torch, dependencies, code = ours
    assert torch[-2:] == ["torch", "torchvision"] and "--no-deps" in torch
    assert dependencies[-1] == ".[cluster,server]" and makers[0][-1] == ".[dev]"
    assert makers[1][-1] == ".[dev,server]"  # of the tests on hosts, for PostgreSQL
    assert code[-1] == "." and "--no-deps" in code


def test_every_extra_is_pinned() -> None:
    pinned = {
        re.sub(r"[-_.]+", "-", line.split("==")[0]).lower()
        for line in (ROOT / ".ci" / "constraints.txt").read_text().splitlines()
        if "==" in line
    }
    groups = PYPROJECT["project"]["optional-dependencies"]
    for requirement in (*groups["cluster"], *groups["server"], *groups["aws"]):
        name = re.split(r"[\[<>=~! ]", requirement)[0].lower()
        assert name in pinned, requirement


def _sent(path: str) -> bool:
    """Whether .dockerignore lets `path` through: the last pattern that fits decides."""
    sent = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        pattern = line.removeprefix("!").removeprefix("**/")
        whole = [path, *(str(parent) for parent in Path(path).parents)]
        names = Path(path).parts if line.startswith("**/") else whole
        if any(fnmatch.fnmatchcase(name, pattern) for name in names if name != "."):
            sent = line.startswith("!")
    return sent


@pytest.mark.parametrize("path", [
    "docker/.env", ".env", ".git/config", "results/digits/ledger/a.parquet", "mlflow.db", "shared/data/x",
    "sweeps/__pycache__/plan.pyc", ".venv/bin/python",
])  # fmt: skip
def test_secrets_results_and_history_stay_outside(path: str) -> None:
    assert not _sent(path)


def test_what_an_installation_takes_is_inside() -> None:
    packages = [f"{p}/__init__.py" for p in PYPROJECT["tool"]["importlinter"]["root_packages"]]
    data = ["sweeps/specs/digits.yaml"]
    for path in [*packages, *data, "pyproject.toml", "README.md", "LICENSE", ".ci/constraints.txt"]:
        assert (ROOT / path).is_file() and _sent(path), path


def test_this_folder_does_not_shadow_the_docker_sdk() -> None:
    """mlflow imports it; `tests` is on the path, and so might be the repository."""
    assert hasattr(importlib.import_module("docker"), "from_env")
