"""Bad nodes in a cluster of hosts in namespaces: left out and named, and no trial fails by them.

`make test-cluster` runs these tests; they need root and namespaces.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import pytest
from cluster_hosts.driver import Driver, sweeps
from cluster_hosts.lab import Host, lab
from cluster_hosts.ray_hosts import RayCluster
from cluster_hosts.spoiled import DATA, IMAGES, KINDS, give_images

from sweeps.records.incident import LEFT_OUT, STOPPED

pytestmark = pytest.mark.cluster
#: Seconds after which something that takes a minute has failed; those in which a bad node is named
#: after it joined, for which its worker starts; and after it was found to be bad.
LIMIT, NAMED_WITHIN, SAID_WITHIN = 480.0, 60.0, 10.0


def spec(name: str, packs: int) -> dict[str, Any]:
    """Two trials in each pack, which takes about a second."""
    return {
        "name": name,
        "data": dict(DATA),
        "defence": {"architecture": "linear", "epochs": list(range(1, packs + 1))},
        "attack": {"trigger": {"kind": "cluster_hosts.marks:Slow", "seconds": 0.8}, "poison_rate": [0, 0.1]},
        "seeds": 1,
        "tracking": "none",
    }  # fmt: skip


def add_bad(cluster: RayCluster, *names: str) -> list[Host]:
    """Hosts that are spoiled before they start Ray."""
    hosts = [cluster.bare(name) for name in names]
    give_images(*hosts)
    for host in hosts:
        KINDS[host.name][0](host)
    cluster.start(*hosts)
    return hosts


def lines_of(driver: Driver, name: str) -> list[str]:
    """What stderr says of a host."""
    return [line for _, line in driver.lines if name in line]


def wait_until_named(driver: Driver, *names: str) -> float:
    """Until the sweep says that it leaves out each of these hosts; seconds that it took."""
    begun = time.time()
    for name in names:
        driver.wait_for_line(name, NAMED_WITHIN)
    return time.time() - begun


@pytest.mark.parametrize(
    ("first", "later"), [(("nodata", "badgpu"), ("readonly", "notorch")), (("readonly", "notorch"), ("nodata", "badgpu"))]
)  # fmt: skip
def test_bad_nodes_cost_no_trial(
    first: tuple[str, str], later: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Whether they are there before the good one or come while the sweep runs."""
    with lab() as made:
        cluster = RayCluster(made)
        give_images(cluster.head)
        bad = add_bad(cluster, *first)
        good = cluster.bare("good")
        give_images(good)
        cluster.start(good)
        driver = Driver(cluster.head, spec("bad", 40), "bad", cluster.address)
        driver.wait_for_rows(1, LIMIT)
        seconds = [wait_until_named(driver, *first)]
        for host in bad:
            host.power_off()
        add_bad(cluster, *later)
        seconds.append(wait_until_named(driver, *later))
        assert driver.running, "all was over before they came"
        code = driver.wait(LIMIT)
        rows, left_out = driver.rows(), driver.incidents(LEFT_OUT)
        status = sweeps(cluster.head, "status", driver.out).stdout
    with capsys.disabled():
        print(
            f"\nleft out after the first row, and after they joined: {seconds[0]:.0f} s, {seconds[1]:.0f} s"
        )
        print("\n".join(line for name in KINDS for line in lines_of(driver, name)))
        print(
            {each.host: f"{each.at - each.found_at:.1f} s after it was found" for each in left_out}
        )
    assert code == 0, driver.text
    assert Counter((row["status"], row["host"]) for row in rows) == {("finished", "good"): 80}
    assert Counter(each.host for each in left_out) == Counter(list(KINDS))
    assert all(each.at - each.found_at < SAID_WITHIN for each in left_out)
    for name, (_, words) in KINDS.items():
        (line,) = lines_of(driver, name)
        assert words.lower() in line.lower()
        assert name in status, status


def test_where_all_nodes_are_bad_the_sweep_stops_and_a_good_one_goes_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with lab() as made:
        cluster = RayCluster(made)
        give_images(cluster.head)
        bad = [cluster.bare("badone"), cluster.bare("badtwo")]
        cluster.start(*bad)
        driver = Driver(cluster.head, spec("none", 10), "none", cluster.address)
        code = driver.wait(LIMIT)
        ended = time.time() - driver.begun
        status = sweeps(cluster.head, "status", driver.out).stdout
        good = cluster.bare("good")
        give_images(good)
        cluster.start(good)
        resumed = Driver(cluster.head, None, "none", cluster.address)
        again = resumed.wait(LIMIT)
        rows, stopped = resumed.rows(), resumed.incidents(STOPPED)
    with capsys.disabled():
        print(f"\nstopped after {ended:.0f} s, and resumed\n{driver.text}\n{status}")
    assert code == 1, driver.text
    (cause,) = [line for line in driver.text.splitlines() if "no node can train" in line]
    assert f"both failures: cannot read the data at {IMAGES}: no such file or folder" in cause
    assert len(stopped) == 1
    assert "badone" in status and "badtwo" in status and IMAGES in status
    assert again == 0, resumed.text
    assert Counter((row["status"], row["host"]) for row in rows) == {("finished", "good"): 20}
