"""The doctor finds what is really wrong: each case is real, none is mocked."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from small import SMALL, begin, small_spec

import cluster.doctor
from cluster.doctor import FAILURE, OK, WARNING, judge, judge_token, judge_versions
from cluster.facts import gather
from cluster.ports import reachable_ports
from sweeps.cli.main import main

ROOT = Path(__file__).parents[2]
REQUEST = {"packages": ["ray", "no-such-package"], "paths": [], "storage": "."}


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)


def doctor(capsys, *arguments):
    """Exit code, and subject → findings."""
    code = main(["doctor", *arguments, "--json"])
    found: dict[str, list[dict[str, str]]] = {}
    for finding in json.loads(capsys.readouterr().out):
        found.setdefault(finding["subject"], []).append(finding)
    return code, found


def test_a_spec_whose_data_are_there(capsys, tmp_path) -> None:
    (tmp_path / "spec.yaml").write_text(
        yaml.safe_dump({**SMALL, "tracking": {"uri": "sqlite:///m.db"}})
    )
    code, found = doctor(capsys, "spec.yaml")
    assert found["data"][0]["says"] == "digits, read"
    assert found["mlflow"][0]["says"] == f"sqlite store sqlite:///{tmp_path}/m.db"
    assert not (tmp_path / "m.db").exists() and not (tmp_path / "results").exists()
    assert code == (1 if FAILURE in {f["level"] for fs in found.values() for f in fs} else 0)


def test_a_spec_whose_data_are_missing_and_a_store_that_is_down(capsys, tmp_path) -> None:
    (tmp_path / "spec.yaml").write_text(
        yaml.safe_dump({**SMALL, "data": {"kind": "mnist", "root": "/gone"}})
    )
    code, found = doctor(capsys, "spec.yaml")
    (said,) = [f for fs in found.values() for f in fs if "/gone" in f["says"]]
    assert code == 1 and said["level"] == FAILURE
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        uri = f"http://user:hidden@127.0.0.1:{bound.getsockname()[1]}"
        (tmp_path / "spec.yaml").write_text(yaml.safe_dump({**SMALL, "tracking": {"uri": uri}}))
        code, found = doctor(capsys, "spec.yaml")
    assert code == 1 and "Connection refused" in found["mlflow"][0]["says"]
    assert "hidden" not in json.dumps(found)


def test_a_gpu_that_is_asked_for_and_not_there(capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # no nvidia-smi
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump({**SMALL, "resources": {"gpu": 0.5}}))
    code, found = doctor(capsys, "spec.yaml")
    assert code == 1 and [f["says"] for f in found["gpu"]] == [
        "none; trainings run on the CPU",
        "the spec asks for 0.5 a pack, and there is none",
    ]


def test_a_gpu_that_torch_cannot_use(tmp_path, monkeypatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'GPU 0, 1024 MiB'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(cluster.facts, "_TORCH", "print(None, False)")
    found = [f for f in judge(gather(REQUEST), "here", ".") if f.subject == "gpu"]
    assert [f.level for f in found] == [OK, FAILURE]
    assert found[0].says == "GPU 0, 1024 MiB" and "torch cannot use it" in found[1].says


def test_a_results_folder_is_a_subject_too(capsys, tmp_path) -> None:
    paths = begin(tmp_path / "r", small_spec())
    _, found = doctor(capsys, "r")
    assert (
        found["data"][0]["says"] == "digits, read"
        and found["mlflow"][0]["says"] == "tracking is off"
    )
    assert "disk at r" in found
    paths.sweep.write_text("{")
    code, found = doctor(capsys, "r")
    assert code == 1 and "must be valid JSON" in next(iter(found["r/sweep.json"]))["says"]


def test_what_cannot_be_written_or_is_not_installed() -> None:
    facts = gather({**REQUEST, "storage": "/dev/null/results", "paths": ["/gone", "."]})
    found = {(f.subject, f.level): f.says for f in judge(facts, "here", "x")}
    assert "/dev/null: Not a directory" in found["storage", FAILURE]
    assert found["packages", FAILURE] == "not installed: no-such-package"
    assert found["data", FAILURE] == "/gone does not exist"
    assert "no-such-package" not in found["packages", OK]


def test_amounts_that_run_low() -> None:
    facts = gather(REQUEST)
    for free, level in ((2**29, FAILURE), (2**31, WARNING), (2**40, OK)):
        low = {**facts, "disk": free, "memory": free, "shared_memory": 2**26}
        found = {f.subject: f for f in judge(low, "here", "x")}
        assert (found["disk at x"].level, found["memory"].level) == (level, level)
        assert found["shared memory"].says.startswith("only 64 MiB free in /dev/shm")


def test_who_can_read_the_token(tmp_path) -> None:
    assert judge_token().level == WARNING and "umask 077" in judge_token().remedy
    file = tmp_path / ".ray" / "auth_token"
    file.parent.mkdir()
    file.write_text("x" * 64)
    file.chmod(0o644)
    assert judge_token().level == WARNING and judge_token().remedy == f"chmod 600 {file}"
    subprocess.run(["sh", "-c", judge_token().remedy], check=True)
    assert judge_token().level == OK


def test_versions_that_differ_are_both_named() -> None:
    here = {"python": "3.11.7", "packages": {"torch": "2.15.0", "ray": "2.60.0"}}
    there = {"python": "3.11.7", "packages": {"torch": "2.14.0", "ray": "2.60.0"}}
    (found,) = judge_versions(there, here, "10.0.0.2")
    assert str(found).startswith("warning 10.0.0.2: versions: torch 2.15.0 here, 2.14.0 there")
    assert list(judge_versions(here, here, "n")) == []


# --- names ---------------------------------------------------------------------------------------


def names_found(folder, *path):
    """What the doctor of a new Python process says of names, with these folders on its path."""
    code = (
        "import json\nfrom sweeps.cli.job_payload import PACKAGES, ROOT\n"
        "from cluster.doctor import judge_names\n"
        "print(json.dumps([[f.level, f.says, f.remedy] for f in judge_names(PACKAGES, ROOT)]))"
    )
    environ = {"PYTHONPATH": os.pathsep.join(map(str, path)), "PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, "-P", "-c", code], cwd=folder, env=environ, capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_other_packages_of_our_names(tmp_path) -> None:
    (tmp_path / "sweeps").mkdir()  # no package: it hides nothing
    assert names_found(tmp_path, ROOT, tmp_path)[0][0] == OK
    (tmp_path / "dashboards").mkdir()
    (tmp_path / "dashboards" / "__init__.py").touch()
    ((level, says, _),) = names_found(tmp_path, ROOT, tmp_path)
    assert level == WARNING and str(tmp_path / "dashboards" / "__init__.py") in says
    first = names_found(tmp_path, tmp_path, ROOT)
    assert [level for level, _, _ in first] == [FAILURE, WARNING]
    assert "`import dashboards` loads" in first[0][1] and "another package than ours" in first[0][1]


def test_an_installed_clash_is_named_with_its_distribution(tmp_path) -> None:
    (tmp_path / "backdoor.py").touch()
    about = tmp_path / "someones_backdoor-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: someones-backdoor\nVersion: 1.0\n"
    )
    (about / "top_level.txt").write_text("backdoor\n")
    ((level, says, remedy),) = names_found(tmp_path, ROOT, tmp_path)
    assert level == WARNING and "backdoor.py" in says
    assert remedy.startswith("pip uninstall someones-backdoor")


# --- ports ---------------------------------------------------------------------------------------

LISTENER = """
import socket, sys
sockets = [socket.create_server((address, 0), family=family) for family, address in (
    (socket.AF_INET, "0.0.0.0"), (socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::"),
    (socket.AF_INET6, "::1"))]
print(*(s.getsockname()[1] for s in sockets), flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("mode, level", [("token", WARNING), ("disabled", FAILURE)])
def test_ports_reachable_ports(mode, level, monkeypatch) -> None:
    """A process that is called as Ray's is, with four listening sockets."""
    line = [sys.executable, "-c", LISTENER, "a-test-of-ours"]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                          env={"RAY_AUTH_MODE": mode}) as process:  # fmt: skip
        numbers = [int(n) for n in process.stdout.readline().split()]
        everywhere = sorted([numbers[0], numbers[2]])
        assert [found.port for found in reachable_ports("a-test-of-ours")] == everywhere
        monkeypatch.setattr(cluster.facts, "RAY_PROCESSES", "a-test-of-ours")
        monkeypatch.setattr(cluster.facts, "RAY_CORE", ("a-test-of-ours",))
        (found,) = [f for f in judge(gather(REQUEST), "here", ".") if f.subject == "ports"]
        process.stdin.close()
    assert found.level == level
    assert f"a-test-of-ours {everywhere[0]} {everywhere[1]}" in found.says
    assert ("asks for no token" in found.says) == (mode == "disabled")
