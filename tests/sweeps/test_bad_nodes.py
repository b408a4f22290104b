"""Nodes that lack something, or fail whatever they get, in a Ray of several nodes on this machine."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from faulty_sweeps import command, started
from ray_nodes import Nodes, ray_nodes

from sweeps.ledger import Ledger
from sweeps.records.incident import ATTEMPT, LEFT_OUT, LOST, STARTED, STOPPED, Incident
from sweeps.storage.incident_log import IncidentLog
from sweeps.storage.paths import SweepPaths

pytestmark = pytest.mark.slow
PLANNED = 120
#: Seconds after which something that takes some has failed; those in which a node is left out, and
#: named, after its check or the reference trial has failed there.
LIMIT, NAMED_WITHIN = 480.0, 10.0
#: What is wrong with a node → the environment of its workers, and what has to be said of it.
BAD = {
    "no module": ({"FAULTY_IMPORT": "1"}, "No module named 'module_that_is_not_there'"),
    "no disk": ({"TMPDIR": "/proc"}, "cannot write in /proc"),
    "errors": ({"FAULTY_NODE": "raise"}, "ValueError: too bright"),
    "deaths": ({"FAULTY_NODE": "exit"}, "exit code 7"),
}


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Nodes]:
    with ray_nodes(HOME=str(tmp_path)) as made:
        yield made


@pytest.fixture
def begin(tmp_path: Path, nodes: Nodes) -> Iterator[Callable[[], Sweep]]:
    """Starts a sweep, which ends with the test at the latest."""
    with contextlib.ExitStack() as started:
        yield lambda: started.enter_context(Sweep(tmp_path, nodes))


class Sweep:
    """`sweeps run` on these nodes: 120 trials in 60 packs, each of some tenths of a second."""

    def __init__(self, home: Path, nodes: Nodes) -> None:
        self.folder, self.variables = home / "r", {"RAY_ADDRESS": nodes.address, "HOME": str(home)}
        document = {
            "name": "nodes",
            "data": {"kind": "digits", "train": 128, "validation": 10, "test": 40},
            "defence": {"architecture": "linear", "epochs": list(range(1, 61))},
            "attack": {"trigger": {"kind": "faulty_triggers:Slow"}, "poison_rate": [0, 0.1]},
            "seeds": 1,
            "tracking": "none",
        }
        (home / "spec.yaml").write_text(yaml.safe_dump(document))
        words = "run", home / "spec.yaml", "--out", self.folder
        self.process = started(*words, **self.variables)

    def __enter__(self) -> Sweep:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.communicate()

    def rows(self) -> list[dict[str, Any]]:
        return Ledger(self.folder / "ledger").rows() if self.folder.exists() else []

    def incidents(self, what: str) -> list[Incident]:
        found = IncidentLog(SweepPaths(self.folder).incidents).read()
        return [incident for incident in found if incident.what == what]

    def wait(self, count: int, what: str | None = None) -> None:
        """Until there are so many rows, or incidents."""
        end = time.monotonic() + LIMIT
        while len(self.rows() if what is None else self.incidents(what)) < count:
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < end
            time.sleep(0.1)

    def end(self) -> tuple[int, str]:
        """Exit code, and stderr."""
        _, err = self.process.communicate(timeout=LIMIT)
        return self.process.returncode, err


@pytest.mark.parametrize(
    ("first", "later"), [("no disk", "errors"), ("errors", "no module"), ("deaths", "no disk")]
)
def test_a_bad_node_costs_no_trial(tmp_path, nodes, begin, first, later) -> None:
    """The first one is there before the good one, which waits until another one has joined."""
    wait = tmp_path / "wait"
    bad = {nodes.add(**BAD[first][0]).node_id: first}
    nodes.add()
    sweep = begin()
    sweep.wait(1)
    wait.touch()
    joined, bad = time.time(), bad | {nodes.add(**BAD[later][0]).node_id: later}
    sweep.wait(2, LEFT_OUT)
    wait.unlink()
    code, err = sweep.end()
    assert code == 0, err
    assert Counter(row["status"] for row in sweep.rows()) == {"finished": PLANNED}
    assert not {row["node_id"] for row in sweep.rows()} & set(bad)
    left_out = {each.node_id: each for each in sweep.incidents(LEFT_OUT)}
    assert len(left_out) == len(sweep.incidents(LEFT_OUT)) == 2 and set(left_out) == set(bad)
    for node, kind in bad.items():
        (line,) = [line for line in err.splitlines() if node[:8] in line]
        assert BAD[kind][1] in line and "is left out" in line
        failed = [i.at for i in sweep.incidents(ATTEMPT) if i.node_id == node]
        there = joined if kind == later else sweep.incidents(STARTED)[0].at
        found_at, named_at = left_out[node].found_at, left_out[node].at
        print(f"{kind}: named {named_at - found_at:.1f} s after that was found, and "
              f"{named_at - max(failed, default=there):.1f} s after its last failure or its start")  # fmt: skip
        assert named_at - found_at < NAMED_WITHIN


@pytest.mark.parametrize("kind", ["no module", "errors"])
def test_where_all_nodes_are_bad_nothing_fails_and_a_good_one_goes_on(nodes, begin, kind) -> None:
    environment, words = BAD[kind]
    for _ in range(2):
        nodes.add(**environment)
    sweep = begin()
    code, err = sweep.end()
    assert code == 1 and "Traceback" not in err, err
    assert words in err.splitlines()[-1] and "None of these is recorded as failed" in err
    assert sweep.rows() == [] and len(sweep.incidents(STOPPED)) == 1
    assert words in command("status", sweep.folder).stdout
    nodes.add()
    done = command("resume", sweep.folder, **sweep.variables)
    assert done.returncode == 0, done.stderr
    assert Counter(row["status"] for row in sweep.rows()) == {"finished": PLANNED}


def test_a_node_that_is_lost_while_it_trains_costs_no_trial(tmp_path, nodes, begin) -> None:
    lost, _ = nodes.add(), nodes.add()
    sweep, wait = begin(), tmp_path / "wait"
    sweep.wait(4)
    wait.touch()
    nodes.remove(lost)
    nodes.add()
    wait.unlink()
    code, err = sweep.end()
    assert code == 0, err
    assert Counter(row["status"] for row in sweep.rows()) == {"finished": PLANNED}
    assert len(sweep.incidents(LOST)) <= 2 and "Traceback" not in err, err
