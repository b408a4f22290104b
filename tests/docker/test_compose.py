"""The compose file: what is open, what is secret, what is pinned, who waits for whom."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker" / "compose.yaml"
TEXT = FILE.read_text()
COMPOSE = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
SECRETS = {"POSTGRES_PASSWORD": "a-password", "RAY_AUTH_TOKEN": "a-token"}
services = pytest.mark.parametrize("name", SERVICES)


def test_the_services_are_these() -> None:
    assert sorted(SERVICES) == ["gpu-worker", "head", "mlflow", "postgres", "worker"]


@services
def test_published_ports_are_on_loopback(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\$\{\w+:-\d+\}:\d+", port), port
    assert "network_mode" not in SERVICES[name]


def test_only_mlflow_and_the_dashboard_are_published() -> None:
    assert {name for name in SERVICES if "ports" in SERVICES[name]} == {"mlflow", "head"}


@services
def test_secrets_come_from_the_environment_and_have_no_default(name: str) -> None:
    for key, value in SERVICES[name].get("environment", {}).items():
        if re.search("PASSWORD|TOKEN|SECRET|KEY", key):
            secret = re.fullmatch(r"\$\{(\w+):\?(.+)\}", value)
            assert secret and secret[1] in SECRETS and "docker/.env" in secret[2], key
        assert not re.search(r"://[^/@]*:[^/@]*@", str(value)), "a password in an address"


@services
def test_no_privileges(name: str) -> None:
    service = SERVICES[name]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "pid", "ipc", "user"} & set(service)
    assert not any("docker.sock" in str(volume) for volume in service["volumes"])
    if name != "postgres":  # its entry point changes its user itself
        assert service["cap_drop"] == ["ALL"]


@services
def test_memory_is_limited_and_health_is_checked(name: str) -> None:
    service = SERVICES[name]
    assert service["mem_limit"] and service["restart"] == "unless-stopped"
    check = service["healthcheck"]
    assert check["test"][0] == "CMD" and {"interval", "timeout", "retries"} <= set(check)


@services
def test_images_are_pinned(name: str) -> None:
    tag = SERVICES[name]["image"].split(":", 1)[1]
    assert re.match(r"\d+\.\d+", tag) and "latest" not in tag
    if "build" in SERVICES[name]:
        version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
        assert tag == f"{version}-${{DEVICE:-cpu}}"


@services
def test_those_waited_for_are_healthy_first(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        assert how == {"condition": "service_healthy"} and "healthcheck" in SERVICES[other]


@services
def test_volumes_and_networks_are_declared(name: str) -> None:
    for volume in SERVICES[name]["volumes"]:
        source = re.sub(r"^\$\{\w+:-(\w+)\}", r"\1", volume).split(":")[0]
        assert source in COMPOSE["volumes"], volume
    assert set(SERVICES[name]["networks"]) <= set(COMPOSE["networks"])


def test_code_that_the_cluster_runs_cannot_reach_the_database() -> None:
    assert COMPOSE["networks"]["store"] == {"internal": True}
    assert {name for name in SERVICES if "store" in SERVICES[name]["networks"]} == {"postgres", "mlflow"}  # fmt: skip


RAYS = ("head", "worker", "gpu-worker")


@pytest.mark.parametrize("name", RAYS)
def test_ray_runs_with_a_token_enough_shared_memory_and_the_same_results(name: str) -> None:
    service = SERVICES[name]
    assert service["environment"]["RAY_AUTH_MODE"] == "token"
    assert service["environment"]["MLFLOW_TRACKING_URI"] == "http://mlflow:5000"
    assert "results:/home/sweeps/backdoor-sweeps" in service["volumes"]
    (store,) = (int(w.split("=")[1]) for w in service["command"] if "object-store" in w)
    assert service["shm_size"] == "1g" and store < 2**30


def test_workers_join_the_head_where_it_listens() -> None:
    (port,) = (w.split("=")[1] for w in SERVICES["head"]["command"] if w.startswith("--port="))
    for name in ("worker", "gpu-worker"):
        assert f"--address=head:{port}" in SERVICES[name]["command"]
    assert SERVICES["head"]["ports"][0].endswith(":8265")
    assert "--dashboard-port=8265" in SERVICES["head"]["command"]


def _options(command: Any, names: set[str], group: Any) -> None:
    """`names` are options of a click command."""
    known = {o for p in group.commands[command].params for o in (*p.opts, *p.secondary_opts)}
    assert names and names <= known


def test_the_options_exist_in_the_installed_ray_and_mlflow() -> None:
    from mlflow.cli import cli as mlflow
    from ray.scripts.scripts import cli as ray

    for name in RAYS:
        words = SERVICES[name]["command"]
        assert words[0] == "ray"
        _options(words[1], {w.split("=")[0] for w in words[2:]}, ray)
    words = SERVICES["mlflow"]["command"]
    assert words[0] == "mlflow"
    _options(words[1], {w.split("=")[0] for w in words[2:]}, mlflow)


@pytest.mark.parametrize(("host", "allowed"), [
    ("mlflow:5000", True), ("localhost:5000", True), ("127.0.0.1:15000", True),
    ("attacker.example:5000", False), ("127.0.0.1.attacker.example", False), ("", False),
])  # fmt: skip
def test_mlflow_answers_to_its_names_only(host: str, allowed: bool) -> None:
    from mlflow.server.security_utils import is_allowed_host_header

    (option,) = (w for w in SERVICES["mlflow"]["command"] if w.startswith("--allowed-hosts="))
    assert is_allowed_host_header(option.split("=", 1)[1].split(","), host) is allowed


def test_mlflow_finds_the_driver_that_the_image_installs() -> None:
    from sqlalchemy.engine import make_url

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]  # fmt: skip
    url = make_url(SERVICES["mlflow"]["environment"]["MLFLOW_BACKEND_STORE_URI"])
    assert f"{url.get_driver_name()}-binary" in {re.split(r"[\[>=]", e)[0] for e in extras["server"]}  # fmt: skip
    assert url.host == "postgres" and url.database == SERVICES["postgres"]["environment"]["POSTGRES_DB"]  # fmt: skip
    assert url.username == SERVICES["postgres"]["environment"]["POSTGRES_USER"]


def test_the_three_commands_come_first_and_name_real_things() -> None:
    head = TEXT.splitlines()[:9]
    assert all(line.startswith("#") for line in head)
    commands = [line[3:].strip() for line in head if line.startswith("#   ")]
    assert len(commands) == 3
    for name in SECRETS:
        assert f"{name}=" in commands[0]
    assert "docker compose -f docker/compose.yaml up --build" in commands[1]
    assert "RAY_AUTH_MODE=token sweeps job submit digits" in commands[2]
    assert ".env" in (ROOT / ".gitignore").read_text().split()


# --- the tool itself, where it is installed --------------------------------------------------


@cache
def compose_tool() -> tuple[str, ...] | None:
    """`docker compose`, or the older `docker-compose`."""
    for words in (("docker", "compose"), ("docker-compose",)):
        if shutil.which(words[0]):
            run = subprocess.run([*words, "version"], capture_output=True)
            if run.returncode == 0:
                return words
    return None


def config(folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    tool = compose_tool()
    if tool is None:
        pytest.skip("neither `docker compose` nor `docker-compose` is installed")
    empty = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/nonexistent"}
    nothing = folder / "empty.env"  # so that somebody's docker/.env is not read
    nothing.touch()
    command = [*tool, "--env-file", nothing, "-f", FILE, "config"]
    return subprocess.run(command, capture_output=True, text=True, env=empty | environment)


def test_the_compose_tool_accepts_it(tmp_path: Path) -> None:
    run = config(tmp_path, SECRETS | {"DEVICE": "cuda", "DATA": "/somewhere"})
    assert run.returncode == 0, run.stderr
    seen = yaml.safe_load(run.stdout)["services"]
    assert seen["head"]["image"].endswith("-cuda")
    assert seen["worker"]["environment"]["RAY_AUTH_TOKEN"] == SECRETS["RAY_AUTH_TOKEN"]


@pytest.mark.parametrize("missing", SECRETS)
def test_the_compose_tool_refuses_a_missing_secret_and_says_what_to_do(
    missing: str, tmp_path: Path
) -> None:
    run = config(tmp_path, {k: v for k, v in SECRETS.items() if k != missing})
    assert run.returncode != 0
    assert missing in run.stderr and "make docker/.env as the top" in run.stderr
