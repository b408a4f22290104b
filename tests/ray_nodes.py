"""A Ray of several nodes on this machine, on loopback: each a raylet with an environment of its own."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

from ray._private import ray_constants
from ray.cluster_utils import Cluster

#: What every node is started with.
NODE = {"node_ip_address": "127.0.0.1", "object_store_memory": 80 * 2**20}
#: How often a node is started.
TRIES = 4


class Nodes:
    """Nodes of a cluster; its head has no CPUs. address: as RAY_ADDRESS has it."""

    def __init__(self, cluster: Cluster, environment: Mapping[str, str]) -> None:
        self._cluster, self._environment = cluster, environment
        self.address = str(cluster.address)

    def add(self, cpus: int = 1, **environment: str) -> Any:
        """A node whose workers have these variables. On a busy machine Ray gives up a node that
        has not started within its own time: it is started again."""
        variables = {**self._environment, **environment}
        for left in range(TRIES - 1, -1, -1):
            try:
                return self._cluster.add_node(num_cpus=cpus, env_vars=variables, **NODE)
            except Exception as error:
                if "timed out during startup" not in str(error):
                    raise
                if not left:
                    raise AssertionError(f"no node starts:\n{self._said()}") from error
        raise AssertionError("not reached")

    def _said(self) -> str:
        """The last lines of what the nodes' processes wrote, the latest last."""
        logs = Path(self._cluster.head_node.get_logs_dir_path())
        files = [each for name in ("raylet*", "*agent*", "gcs*") for each in logs.glob(name)]
        written = [(each, each.read_text(errors="replace").splitlines()[-15:]) for each in files]
        written.sort(key=lambda pair: pair[0].stat().st_mtime)
        return "\n".join(line for file, lines in written for line in [f"== {file.name}", *lines])

    def remove(self, node: Any) -> None:
        """As where it loses its power."""
        self._cluster.remove_node(node, allow_graceful=False)


@contextlib.contextmanager
def ray_nodes(**environment: str) -> Iterator[Nodes]:
    """Ends with all its processes. environment: of all nodes that say nothing else."""
    variables = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_enable_metrics_collection": "0"}
    with (
        mock.patch.object(ray_constants, "ENABLE_RAY_CLUSTER", False),
        mock.patch.dict(os.environ, variables | {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}),
    ):
        head = {"num_cpus": 0, "include_dashboard": False, "dashboard_port": None, **NODE}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        try:
            yield Nodes(cluster, environment)
        finally:
            cluster.shutdown()
