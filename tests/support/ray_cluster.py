"""A real Ray cluster of two nodes on this machine, that listens on the loopback device alone."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STORE_BYTES = 100 * 2**20  # of each node; Ray's own measure is a third of the memory
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # what makes Ray take the loopback device
    "RAY_DEDUP_LOGS": "0",
}


@dataclass
class RayCluster:
    """Two nodes: ``first``, which the driver belongs to, and ``second``.

    Attributes:
        cluster: of ``ray.cluster_utils``.
        second: the node that may be killed.
    """

    cluster: Any
    second: Any = None

    @property
    def address(self) -> str:
        """For ``--ray-address``."""
        return str(self.cluster.address)

    def add_second(self) -> None:
        """Let a second node join, if there is none."""
        if self.second is None:
            self.second = self.cluster.add_node(**_node("second"))

    def kill_second(self) -> None:
        """End the processes of the second node at once, as a loss of power does."""
        node, self.second = self.second, None
        self.cluster.remove_node(node, allow_graceful=False)


@contextlib.contextmanager
def ray_cluster(cache: Path) -> Iterator[RayCluster]:
    """A cluster for as long as the block lasts.

    Args:
        cache: folder of drawn images, of both nodes.
    """
    before = dict(os.environ)
    os.environ.update(QUIET, KDBENCH_CACHE=str(cache))
    from ray.cluster_utils import Cluster  # reads the environment

    cluster = Cluster(initialize_head=True, head_node_args=_node("first"))
    try:
        made = RayCluster(cluster)
        made.add_second()
        yield made
    finally:
        import ray

        ray.shutdown()
        cluster.shutdown()
        os.environ.clear()
        os.environ.update(before)


def _node(name: str) -> dict[str, Any]:
    return {
        "num_cpus": 1,
        "num_gpus": 1,  # Ray counts it and gives it out; that there is none is no matter for it
        "memory": 4 * 2**30,
        "object_store_memory": STORE_BYTES,
        "include_dashboard": False,
        "resources": {name: 1},
    }
