"""Datasets: where images come from. One file, one kind.

A dataset is a frozen dataclass derived from `Dataset`. It writes `fingerprint` (a hash of the
content, cheap) and `read` (everything decoded); narrowing to classes, splitting and caching are
common to all and live in `backdoor.datasets.source`. A field that says where the data lie is named
`root` (the one that travels to workers) and declared with `location`.
"""

from backdoor.datasets.base import Dataset, Raw

__all__ = ["Dataset", "Raw"]
