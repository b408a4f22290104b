"""Files on disk: the paths of a results folder, files written whole, and commands to copy."""

from sweeps.addresses import scrubbed
from sweeps.storage.files import (
    locked,
    new_folder,
    read_text,
    sync_folder,
    write_atomic,
    write_json,
)
from sweeps.storage.paths import (
    SWEEP_VERSION,
    SweepPaths,
    VerificationPaths,
    open_results,
    read_region,
    read_sweep,
)

__all__ = [
    "SWEEP_VERSION",
    "SweepPaths",
    "VerificationPaths",
    "locked",
    "new_folder",
    "open_results",
    "read_region",
    "read_sweep",
    "read_text",
    "scrubbed",
    "sync_folder",
    "write_atomic",
    "write_json",
]
