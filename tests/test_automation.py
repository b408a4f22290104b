"""The workflow, the hooks, the changelog and the top level agree with the rest."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WORKFLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
STEPS = WORKFLOW["jobs"]["check"]["steps"]
WHEELS = WORKFLOW["jobs"]["wheels"]["steps"]


def test_top_level_is_the_agreed_one() -> None:
    """All that git tracks there, besides hidden files."""
    run = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if run.returncode:
        pytest.skip("not a git checkout")
    names = {line.split("/")[0] for line in run.stdout.splitlines()}
    assert {name for name in names if not name.startswith(".")} == {
        "backdoor", "cluster", "dashboards", "docker", "sweeps", "tests",
        "CHANGELOG.md", "CITATION.cff", "LICENSE", "Makefile", "README.md", "pyproject.toml",
    }  # fmt: skip


def test_workflow_runs_the_gate_on_every_supported_python() -> None:
    named = [c.rsplit(" ", 1)[1] for c in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", c)]
    assert WORKFLOW["jobs"]["check"]["strategy"]["matrix"]["python"] == named
    assert STEPS[-1]["run"] == ".ci/run"


def test_workflow_asks_for_wheels_for_every_supported_python() -> None:
    """In one job; `.ci/wheels` reads the versions where this test does."""
    assert WHEELS[-1] == {"run": ".ci/wheels"}
    assert os.access(ROOT / ".ci" / "wheels", os.X_OK)


def test_workflow_has_few_rights_and_ends() -> None:
    assert WORKFLOW["permissions"] == {"contents": "read"}
    for job in WORKFLOW["jobs"].values():
        assert job["timeout-minutes"] <= 90 and "permissions" not in job
        assert job["steps"][0]["with"]["persist-credentials"] is False
    assert "pull_request_target" not in WORKFLOW[True]  # YAML 1.1 reads `on` as true


def test_actions_are_pinned_to_commits() -> None:
    used = [step["uses"] for step in [*STEPS, *WHEELS] if "uses" in step]
    assert len(used) == 4
    for action in used:
        assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", action), action


def test_workflow_installs_with_the_constraints() -> None:
    for step in STEPS:
        if "pip install" in step.get("run", ""):
            assert "--constraint .ci/constraints.txt" in step["run"]


def test_hooks_are_the_commands_of_make_lint() -> None:
    """Local ones, so that their versions are those of the constraints."""
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    assert [repo["repo"] for repo in config["repos"]] == ["local"]
    hooks = [hook["entry"].split() for hook in config["repos"][0]["hooks"]]
    assert all(words[0].startswith(".venv/bin/") for words in hooks)
    lint = re.search(r"^lint:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.M)
    assert lint
    made = [line.split() for line in lint[1].splitlines()]
    assert [words[0].removeprefix("$(BIN)/") for words in made] == [
        words[0].removeprefix(".venv/bin/") for words in hooks
    ]
    assert [words[1] for words in made if "ruff" in words[0]] == [
        words[1] for words in hooks if "ruff" in words[0]
    ]


def test_changelog_and_citation_know_the_version() -> None:
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert headings[0] == "Unreleased" and len(headings) == len(set(headings))
    released = headings[1:]
    assert not released or released[0] == PROJECT["version"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["version"]
