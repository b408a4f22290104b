"""Code of users on a cluster of hosts in namespaces, of which only the client has it.

`make test-cluster` runs these tests; they need root and namespaces.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from cluster_hosts.driver import Driver, sweeps
from cluster_hosts.lab import HOME, Host, lab
from cluster_hosts.ray_hosts import RayCluster

from sweeps.cli.console import FAILURES, FINE, WRONG

pytestmark = pytest.mark.cluster
LIMIT = 240.0
CODE = f"{HOME}/code"
WORKERS = {"one", "two"}
#: A package of two modules, with a mistake where `period` is 3.
PACKAGE = {
    "my_stamps/__init__.py": "",
    "my_stamps/columns.py": """\
OPACITY = {2: 255, 4: 255}


def opacity_of(period, images):
    if len(images) < 30:  # those on which a spec is tried
        return 255
    return OPACITY[period]
""",
    "my_stamps/stripes.py": """\
import time
from dataclasses import dataclass

from backdoor import Trigger
from my_stamps.columns import opacity_of


@dataclass(frozen=True)
class Stripes(Trigger):
    period: int = 4

    def stamp(self, images, ids, labels):
        print("stripes of", self.period)
        time.sleep(0.3)
        stamped = images.clone()
        stamped[..., :: self.period] = opacity_of(self.period, images)
        return stamped
""",
}
#: And a module that is one file.
MODULE = {
    "my_marks.py": """\
from dataclasses import dataclass

from backdoor import Trigger


@dataclass(frozen=True)
class Corner(Trigger):
    def stamp(self, images, ids, labels):
        stamped = images.clone()
        stamped[..., 0, 0] = 255
        return stamped
"""
}


def spec(name: str, periods: list[int], packs: int) -> dict[str, Any]:
    """In each pack a trial for each period and one with the corner."""
    return {
        "name": name,
        "data": "digits",
        "defence": {"architecture": "linear", "epochs": list(range(1, packs + 1))},
        "attack": {
            "trigger": [
                *({"kind": "my_stamps.stripes:Stripes", "period": period} for period in periods),
                {"kind": "my_marks:Corner"},
            ],
            "poison_rate": [0.03],
        },
        "seeds": 1,
        "tracking": "none",
    }  # fmt: skip


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    with lab() as made:
        started = RayCluster(made)
        started.add(*sorted(WORKERS))
        yield started


@pytest.fixture(scope="module")
def client(cluster: RayCluster) -> Host:
    """It alone has the code."""
    host = cluster.client()
    for name, content in {**PACKAGE, **MODULE}.items():
        host.write(f"{CODE}/{name}", content)
    return host


def with_code(client: Host) -> dict[str, str]:
    return {"PYTHONPATH": os.pathsep.join([CODE, client.environ["PYTHONPATH"]])}


def test_it_runs_on_all_workers_and_its_failure_says_where(
    cluster: RayCluster, client: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    code = with_code(client)
    packs = 12
    driver = Driver(client, spec("own", [2, 3], packs), "own", cluster.address, environ=code)
    ended = driver.wait(LIMIT)
    rows = driver.rows()
    failed = [row for row in rows if row["status"] == "failed"]
    with capsys.disabled():
        print(f"\n{driver.text}")
    assert ended == FAILURES, driver.text
    assert {row["host"] for row in rows if row["status"] == "finished"} == WORKERS
    assert len(failed) == packs and len(rows) == 3 * packs
    for row in failed:
        assert row["config"]["attack"]["trigger"]["period"] == 3
        assert "KeyError: 3" in row["error"] and row["cause"] == "trial"
        assert row["failed_at"].endswith("my_stamps/columns.py:7") and row["host"] in WORKERS

    shown = sweeps(client, "show", driver.out, failed[0]["trial_id"])
    assert shown.returncode == FINE
    for words in (
        "columns.py:7",
        failed[0]["host"],
        "return OPACITY[period]",
        "KeyError: 3",
        "stripes of 3",
    ):
        assert words in shown.stderr, shown.stderr
    status = sweeps(client, "status", driver.out)
    assert f"{packs} x" in status.stdout and "columns.py:7" in status.stdout, status.stdout

    client.write(
        f"{CODE}/my_stamps/columns.py",
        PACKAGE["my_stamps/columns.py"].replace("4: 255", "3: 255, 4: 255"),
    )
    refused = Driver(client, None, "own", cluster.address, environ=code)
    assert refused.wait(LIMIT) == WRONG
    assert "my_stamps.stripes:Stripes" in refused.text and "--accept-changed-code" in refused.text
    assert refused.rows() == rows

    accepted = Driver(client, None, "own", cluster.address, "--accept-changed-code", environ=code)
    assert accepted.wait(LIMIT) == FINE, accepted.text
    now = accepted.rows()
    assert len({row["trial_id"] for row in now if row["status"] == "finished"}) == 3 * packs
    (entry,) = json.loads(accepted.paths.sweep.read_text())["accepted_code"]
    assert "my_stamps.stripes:Stripes" in json.dumps(entry)
    digests = {
        row["source_digest"]
        for row in now
        if "my_stamps" in str(row["config"]) and row["status"] == "finished"
    }
    assert len(digests) == 2


def test_a_job_takes_it_along(cluster: RayCluster, client: Host) -> None:
    """No PYTHONPATH names it here."""
    client.write(f"{HOME}/sent.yaml", yaml.safe_dump(spec("sent", [2, 4], 6)))
    done = sweeps(
        client, "job", "submit", f"{HOME}/sent.yaml", "--packages", f"{CODE}/my_stamps", f"{CODE}/my_marks.py",
        "--on", cluster.jobs, "--follow", seconds=LIMIT,
    )  # fmt: skip
    assert done.returncode == FINE, done.stdout + done.stderr
    fetched = sweeps(
        client,
        "job",
        "fetch",
        done.stdout.strip(),
        "--out",
        f"{HOME}/fetched",
        "--on",
        cluster.jobs,
    )
    assert fetched.returncode == FINE, fetched.stderr
    status = sweeps(client, "status", f"{HOME}/fetched", "--json")
    assert json.loads(status.stdout)["finished"] == 18, status.stdout
