"""The `ray up` recipe: Ray's own checks, and what Ray does not check: who gets in."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "cluster" / "aws.yaml").read_text()
NODES = ("head", "worker")


@pytest.fixture
def recipe() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(TEXT)
    return loaded


def ray_checks(recipe: dict[str, Any]) -> dict[str, Any]:
    """What `ray up` does before it speaks to the provider: defaults, then the schema."""
    pytest.importorskip("jsonschema", reason="Ray's check of a cluster file needs jsonschema")
    from ray.autoscaler._private.util import prepare_config, validate_config

    prepared: dict[str, Any] = prepare_config(recipe)
    validate_config(prepared)
    return prepared


def test_ray_accepts_it(recipe) -> None:
    prepared = ray_checks(recipe)
    assert prepared["available_node_types"]["worker"]["max_workers"] == recipe["max_workers"]


def test_rays_check_can_fail(recipe) -> None:
    recipe["idle_minutes"] = 5
    with pytest.raises(Exception, match="idle_minutes"):
        ray_checks(recipe)


def test_nothing_of_rays_defaults_slips_in(recipe) -> None:
    """Ray's defaults install a nightly wheel and bind the dashboard to every address."""
    prepared = str(ray_checks(recipe))
    assert "ray-wheels" not in prepared and "0.0.0.0" not in prepared


@pytest.mark.parametrize("name", NODES)
def test_a_group_is_named_since_rays_own_opens_ssh_to_everybody(recipe, name: str) -> None:
    node = recipe["available_node_types"][name]["node_config"]
    assert len(node["SecurityGroupIds"]) == 1
    assert "security_group" not in recipe["provider"]
    assert node["MetadataOptions"] == {"HttpTokens": "required"}
    for disk in node["BlockDeviceMappings"]:
        assert disk["Ebs"]["Encrypted"] is True


def test_the_group_in_the_comment_lets_one_address_in() -> None:
    assert "0.0.0.0/0" not in TEXT
    assert re.findall(r"--cidr (\S+)", TEXT) == ["YOUR.ADDRESS/32"]


def test_workers_are_spot_and_come_and_go(recipe) -> None:
    worker = recipe["available_node_types"]["worker"]
    assert worker["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
    assert worker["min_workers"] == 0 < worker["max_workers"]
    assert "InstanceMarketOptions" not in recipe["available_node_types"]["head"]["node_config"]


def test_every_start_of_ray_has_token_authentication_and_the_token_is_there(recipe) -> None:
    starts = [
        command
        for part in ("head_start_ray_commands", "worker_start_ray_commands")
        for command in recipe[part]
        if "ray start" in command
    ]
    assert len(starts) == 2
    for command in starts:
        assert re.search(r"RAY_AUTH_MODE=token \S+/ray start ", command)
    assert "--dashboard-host=127.0.0.1" in starts[0]
    assert recipe["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"
    assert recipe["setup_commands"][0] == "chmod 600 ~/.ray/auth_token"


def test_the_options_exist_in_the_installed_ray(recipe) -> None:
    from ray.scripts.scripts import cli

    known = {o for p in cli.commands["start"].params for o in (*p.opts, *p.secondary_opts)}
    commands = recipe["head_start_ray_commands"] + recipe["worker_start_ray_commands"]
    used = set(re.findall(r"(--[a-z-]+)", " ".join(commands)))
    assert used and used <= known


def test_what_is_copied_is_what_an_installation_takes(recipe) -> None:
    """And no more: no results, no history, no environment file."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = set(project["tool"]["importlinter"]["root_packages"])
    mounts = {k: v for k, v in recipe["file_mounts"].items() if v != "~/.ray/auth_token"}
    assert set(mounts.values()) == packages | {".ci", "Makefile", "pyproject.toml", "README.md", "LICENSE"}  # fmt: skip
    for remote, local in mounts.items():
        assert remote == f"~/software/{local}" and (ROOT / local).exists()


def test_nodes_are_set_up_as_the_readme_says(recipe) -> None:
    setup = recipe["setup_commands"]
    assert "make -C ~/software setup" in setup
    extras = re.search(r"--constraint \.ci/constraints\.txt --editable '\.\[(.+)\]'", " ".join(setup))  # fmt: skip
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert extras and set(extras[1].split(",")) <= set(known)


def test_commands_are_shell(recipe) -> None:
    for part in ("setup_commands", "head_start_ray_commands", "worker_start_ray_commands"):
        for command in recipe[part]:
            run = subprocess.run(["bash", "-n", "-c", command], capture_output=True, text=True)
            assert run.returncode == 0, (command, run.stderr)


def test_it_opens_with_the_three_commands_and_what_to_change() -> None:
    head = TEXT.split("\ncluster_name:")[0].splitlines()
    assert [line.split()[1] for line in head if re.match(r"#   ray ", line)] == ["ray"] * 3
    assert [line.split()[2] for line in head if re.match(r"#   ray ", line)] == ["get-auth-token", "up", "dashboard"]  # fmt: skip
    for key in re.findall(r"(\w+): \[?\S*CHANGE", TEXT):
        assert f"# {key}:" in TEXT, f"{key} is to be changed, and nothing says to what"
