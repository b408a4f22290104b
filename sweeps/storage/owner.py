"""Who begins a sweep, and on which machine, as sweep.json says it."""

from __future__ import annotations

import os
import platform
import pwd


def user_name() -> str:
    """Of the user that runs this process; `uid N` where the system has no name for them, as in
    containers."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def host_name() -> str:
    """Of this machine, as trials have it too."""
    return platform.node() or os.uname().nodename
