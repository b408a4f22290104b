"""NASNet-A (4 @ 1056): Zoph, Vasudevan, Shlens, Le 2018, arXiv 1707.07012."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from backdoor.architectures.nasnet import NasNetA
from backdoor.settings.schema import Count


@dataclass(frozen=True)
class NasNetMobile(NasNetA):
    """NASNet-Mobile, cells found by architecture search, 5.3 million weights at 1,000 classes.

    cells, filters: the N and P of the paper's N @ P. drop_path: see `NasNetA`. The number of
    weights is that of the stem for images of more than 64 pixels a side.
    """

    kind: ClassVar[str] = "nasnet_mobile"
    stem_channels: ClassVar[int] = 32
    skips_reductions: ClassVar[bool] = False

    cells: Count = 4
    filters: Count = 1056
