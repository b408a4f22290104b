"""A package of the user on the workers of a real head that has never seen it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ray_head import RayHead, ray_head
from small import SMALL

from sweeps.cli import FINE, WRONG
from sweeps.cli.main import main
from sweeps.ledger import Ledger

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
KIND = (
    "from dataclasses import dataclass\n"
    "from backdoor.triggers.patch import Patch\n"
    "import travel_help\n"
    "@dataclass(frozen=True)\nclass Mine(Patch):\n    size: int = travel_help.SIZE\n"
)


@pytest.fixture(scope="module")
def head():
    with ray_head(cpus=1, PYTHONPATH=str(ROOT)) as started:
        yield started


@pytest.fixture(scope="module")
def code(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("code")
    (folder / "travel_pack").mkdir()
    (folder / "travel_pack" / "__init__.py").touch()
    (folder / "travel_pack" / "stamps.py").write_text(KIND)
    (folder / "travel_help.py").write_text("SIZE = 2\n")
    attack = {"trigger": "travel_pack.stamps:Mine", "poison_rate": [0, 0.03]}
    (folder / "spec.yaml").write_text(yaml.safe_dump({**SMALL, "attack": attack, "seeds": 1}))
    return folder


def digests(folder: Path) -> set[str | None]:
    return {row.source_digest for row in Ledger(folder / "ledger").trials() if not row.is_clean}


def test_a_submitted_job_has_its_package_and_changes(
    head: RayHead, code, monkeypatch, capsys
) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(head.token))

    def submit(*words: str) -> tuple[int, str, str]:
        status = main(["job", "submit", *words, "--address", head.url, "--follow"])
        return status, *capsys.readouterr()

    send = ["--packages", str(code)]
    status, out, err = submit(str(code / "spec.yaml"), *send)
    assert status == FINE and "8/8 trials" in err, err
    job, results = out.strip(), head.home / "backdoor-sweeps" / out.strip()
    (before,) = digests(results)
    assert before is not None and before.startswith("2:")
    (code / "travel_help.py").write_text("SIZE = 2  # changed\n")
    status, _, err = submit("--resume", job, *send)
    assert status != FINE and "travel_pack.stamps:Mine: must have the code that trained 4 recorded trials" in err  # fmt: skip
    status, _, err = submit("--resume", job, *send, "--accept-changed-code")
    assert status == FINE and "which is accepted now" in err, err
    status, _, err = submit(str(code / "spec.yaml"), "--packages", str(code / "travel_pack"))
    assert status == WRONG and "travel_help: must be installed on the cluster or sent" in err


def test_run_sends_it_to_a_cluster_and_finds_it_here(head: RayHead, code, tmp_path) -> None:
    path = os.pathsep.join([".", str(ROOT)])
    for name, address in (("there", head.address), ("here", "local")):
        environ = os.environ | {
            "PYTHONPATH": path,
            "RAY_ADDRESS": address,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(head.token),
        }
        line = [sys.executable, "-m", "sweeps.cli", "run", str(code / "spec.yaml")]
        line += ["--out", str(tmp_path / name)]
        done = subprocess.run(
            line, cwd=code, env=environ, capture_output=True, text=True, timeout=180
        )
        assert done.returncode == FINE and "8/8 trials" in done.stderr, done.stderr
        sent = f"note: sends travel_pack to the cluster, from {code}/travel_pack" in done.stderr
        assert sent is (name == "there")
    assert digests(tmp_path / "there") == digests(tmp_path / "here")
