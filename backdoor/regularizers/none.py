"""No regularizer: the baseline for all others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from backdoor.regularizers.base import Regularizer


@dataclass(frozen=True)
class NoRegularizer(Regularizer):
    """Cross-entropy alone. It has no strength."""

    kind: ClassVar[str] = "none"
