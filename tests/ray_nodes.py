"""A Ray of several nodes on this machine, on loopback: each a raylet with an environment of its own.

It is held by a process of its own, without what another Ray of the tests has set in the environment,
such as that a token is asked for, which the homes of these nodes do not have.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from unittest import mock

#: What every node is started with.
NODE = {"node_ip_address": "127.0.0.1", "object_store_memory": 80 * 2**20}
#: Seconds that the process has to answer. Ray gives a node 30 s to start.
ANSWER_WITHIN = 90.0
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_enable_metrics_collection": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
}


@dataclass(frozen=True)
class RayNode:
    node_id: str


class Nodes:
    """Nodes of a cluster; its head has no CPUs. address: as RAY_ADDRESS has it."""

    def __init__(self, pipe: Connection, environment: Mapping[str, str]) -> None:
        self._pipe, self._environment = pipe, environment
        self.address = self._answer()

    def add(self, cpus: int = 1, **environment: str) -> RayNode:
        """A node whose workers have these variables."""
        return RayNode(self._ask("add", cpus, ENVIRONMENT | {**self._environment, **environment}))

    def remove(self, node: RayNode) -> None:
        """As where it loses its power."""
        self._ask("remove", node.node_id)

    def _ask(self, *request: Any) -> str:
        self._pipe.send(request)
        return self._answer()

    def _answer(self) -> str:
        assert self._pipe.poll(ANSWER_WITHIN), "the cluster does not answer"
        fine, text = self._pipe.recv()
        assert fine, text
        return str(text)


@contextlib.contextmanager
def ray_nodes(**environment: str) -> Iterator[Nodes]:
    """Ends with all its processes. environment: of all nodes that say nothing else."""
    spawn = multiprocessing.get_context("spawn")
    mine, its = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(its,), daemon=True)
    with mock.patch.dict(os.environ):
        for name in [each for each in os.environ if each.startswith("RAY_")]:
            del os.environ[name]
        process.start()
        try:
            yield Nodes(mine, environment)
        finally:
            with contextlib.suppress(OSError):
                mine.send(None)
            process.join(30)
            process.kill()


def _serve(pipe: Connection) -> None:
    """Holds the cluster. Answers with whether it worked, and a text."""
    from ray._private import ray_constants
    from ray.cluster_utils import Cluster

    os.environ.update(ENVIRONMENT)
    ray_constants.ENABLE_RAY_CLUSTER = False  # addresses are those of loopback
    head = {"num_cpus": 0, "include_dashboard": False, "dashboard_port": None, **NODE}
    cluster, nodes = Cluster(initialize_head=True, head_node_args=head), dict[str, Any]()
    pipe.send((True, str(cluster.address)))
    while (request := pipe.recv()) is not None:
        try:
            what, *words = request
            if what == "add":
                cpus, variables = words
                node = cluster.add_node(num_cpus=cpus, env_vars=variables, **NODE)
                nodes[node.node_id] = node
                pipe.send((True, node.node_id))
            else:
                cluster.remove_node(nodes.pop(*words), allow_graceful=False)
                pipe.send((True, ""))
        except Exception as error:
            pipe.send((False, f"{error}\n{_said(cluster)}"))
    cluster.shutdown()


def _said(cluster: Any) -> str:
    """The last lines of what the nodes' processes wrote, the latest last."""
    logs = Path(cluster.head_node.get_logs_dir_path())
    files = [each for name in ("raylet*", "*agent*", "gcs*") for each in logs.glob(name)]
    written = [(each, each.read_text(errors="replace").splitlines()[-15:]) for each in files]
    written.sort(key=lambda pair: pair[0].stat().st_mtime)
    return "\n".join(line for file, lines in written for line in [f"== {file.name}", *lines])
