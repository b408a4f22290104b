"""A cluster of hosts in namespaces, of which one is cut off, one loses its power and one comes new.

`make test-cluster` runs these tests; they need root and namespaces.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter
from typing import Any

import pytest
from cluster_hosts.driver import Driver
from cluster_hosts.lab import lab
from cluster_hosts.ray_hosts import RayCluster
from cluster_hosts.store import Store

pytestmark = pytest.mark.cluster
#: Seconds of the cut, and those after which a sweep that takes two minutes has failed.
CUT, LIMIT = 40.0, 300.0
SPEC: dict[str, Any] = {
    "name": "survive",
    "data": "digits",
    "defence": {"architecture": "linear", "epochs": list(range(1, 61))},
    "attack": {"trigger": {"kind": "cluster_hosts.marks:Slow", "seconds": 0.4}, "poison_rate": [0, 0.03]},
    "seeds": 1,
}  # fmt: skip
#: In 60 packs, each of about two seconds.
PLANNED = 120


def test_a_cut_a_power_cut_and_a_new_host_cost_no_trial(capsys: pytest.CaptureFixture[str]) -> None:
    with lab() as made:
        store, cluster = Store(made), RayCluster(made)
        client = cluster.client()
        one, two = cluster.add("one", "two")
        store.wait()
        spec = {**SPEC, "tracking": {"uri": store.uri}}
        driver = Driver(client, spec, "survive", cluster.address)
        driver.wait_for_rows(5, LIMIT)
        one.cut()
        cut_at = time.time()
        three = cluster.worker("three")
        time.sleep(max(0.0, cut_at + CUT - time.time()))
        one.join()
        recorded = len(driver.rows())
        assert recorded < PLANNED, "all was over before the power cut"
        two.power_off()
        code = driver.wait(LIMIT)
        rows, runs = driver.rows(), store.runs(client)
        assert code == 0, driver.text
    assert Counter(row["status"] for row in rows) == {"finished": PLANNED}
    assert len({row["trial_id"] for row in rows}) == PLANNED
    assert Counter(runs) == Counter((row["trial_id"], "FINISHED") for row in rows)
    assert three.name in {row["host"] for row in rows}
    with capsys.disabled():
        print(
            f"\n{len(rows)} rows, {len(runs)} runs on {store.kind}, {PLANNED} planned. {_figures(rows, driver)}"
        )


def _figures(rows: list[dict[str, Any]], driver: Driver) -> str:
    """The longest time without a new result, and what of the hosts' time made none."""
    times = sorted(row["finished_at"] for row in rows)
    gap = max(after - before for before, after in itertools.pairwise(times))
    spans = Counter[str]()
    for host in {row["host"] for row in rows}:
        ends = [
            (row["finished_at"] - row["seconds"], row["finished_at"])
            for row in rows
            if row["host"] == host
        ]
        spans[host] = round(max(end for _, end in ends) - min(begin for begin, _ in ends))
    used = sum(row["seconds"] for row in rows)
    return (
        f"Longest gap {gap:.0f} s. From each host's first to its last row {sum(spans.values())} s "
        f"({dict(spans)}), in rows {used:.0f} s: {sum(spans.values()) - used:.0f} s lost. "
        f"In all {times[-1] - driver.begun:.0f} s."
    )
