"""Datasets: sources of labelled images. One file, one kind.

A dataset is a frozen dataclass derived from `Dataset`. It implements `fingerprint` (a hash of the
content, cheap) and `read` (all images, decoded). Selecting classes, splitting and caching are the
same for all datasets, see `backdoor.datasets.source`. The field that says where the data are is
named `root` (it is sent to workers) and declared with `location`.
"""

from backdoor.datasets.base import Dataset
from backdoor.datasets.raw import Raw

__all__ = ["Dataset", "Raw"]
