"""Variables of the environment: a blank one is as good as none."""

from __future__ import annotations

import os
from collections.abc import Mapping


def variable(name: str, environ: Mapping[str, str] = os.environ) -> str | None:
    """The value of an environment variable, without space around it; None where it is blank."""
    return environ.get(name, "").strip() or None
