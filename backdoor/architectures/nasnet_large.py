"""NASNet-A (6 @ 4032): Zoph, Vasudevan, Shlens, Le 2018, arXiv 1707.07012."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from backdoor.architectures.nasnet import NasNetA
from backdoor.settings.schema import Count


@dataclass(frozen=True)
class NasNetLarge(NasNetA):
    """NASNet-Large, cells found by architecture search, 88.9 million weights at 1,000 classes.

    cells, filters: the N and P of the paper's N @ P. drop_path: see `NasNetA`. The number of
    weights is that of the stem for images of more than 64 pixels a side.
    """

    kind: ClassVar[str] = "nasnet_large"
    stem_channels: ClassVar[int] = 96
    skips_reductions: ClassVar[bool] = True

    cells: Count = 6
    filters: Count = 4032
