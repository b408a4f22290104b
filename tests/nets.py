"""Every architecture in a form that is quick to train: small where its default is large."""

from __future__ import annotations

import importlib.util
from typing import Any

from backdoor.settings.registry import ARCHITECTURES

SMALL: dict[str, Any] = {
    "nasnet_mobile": {"kind": "nasnet_mobile", "cells": 1, "filters": 48},
    "nasnet_large": {"kind": "nasnet_large", "cells": 1, "filters": 48},
    "preact_resnet18": {"kind": "preact_resnet18", "width": 8},
    "torchvision/NAME": "torchvision/shufflenet_v2_x0_5",
    "timm/NAME": "timm/test_resnet" if importlib.util.find_spec("timm") else None,
}
#: As `kind` in a spec. What is not installed here is left out.
SMALL_KINDS = [
    small for kind in ARCHITECTURES.kinds() if (small := SMALL.get(kind, kind)) is not None
]


def name_of(kind: Any) -> str:
    """The name of a kind in a spec's form."""
    return kind if isinstance(kind, str) else kind["kind"]
