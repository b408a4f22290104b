"""Files on disk: every path of a results folder, files written whole, and shell words."""

from sweeps.storage.paths import (
    SWEEP_VERSION,
    SweepPaths,
    VerificationPaths,
    locked,
    new_folder,
    open_results,
    read_sweep,
    read_text,
    sync_folder,
    write_atomic,
    write_json,
)

__all__ = [
    "SWEEP_VERSION",
    "SweepPaths",
    "VerificationPaths",
    "locked",
    "new_folder",
    "open_results",
    "read_sweep",
    "read_text",
    "sync_folder",
    "write_atomic",
    "write_json",
]
