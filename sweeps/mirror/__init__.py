"""From the ledger to MLflow: one experiment a sweep, one run a trial, found again by `trial_id`;
or, with `tracking.runs: point`, one run a defence point (`point_view`).

MLflow is a view. Mirroring writes what the ledger has and MLflow lacks, so that an outage, a kill
or a new server loses nothing and doubles nothing. A run counts once it is terminated, which is
the last thing written; one that is not, or has another status than the ledger, is deleted and
written again. What somebody changes in a finished run by hand is kept, and so are runs of trials
that the ledger does not have.

`sync` is the whole of it in one call. `run_record` and `point_record` say what a run shows,
`run_view` and `point_view` keep runs up to date, and only `experiment` calls MLflow.
`tracking_store` says where the store is; `process` and `follower` are the two ends of the mirror
that runs beside a sweep.
"""

from sweeps.mirror.answer import mirror_answer
from sweeps.mirror.experiment import mlflow_settings
from sweeps.mirror.process import MirrorProcess
from sweeps.mirror.sync import Mirrored, mirror, only_mirror
from sweeps.mirror.tracking_store import (
    TrackingUnreachable,
    moved_store,
    preflight,
    store_uri,
    tracking_uri,
    tracking_warnings,
    ui_command,
)

__all__ = [
    "MirrorProcess",
    "Mirrored",
    "TrackingUnreachable",
    "mirror",
    "mirror_answer",
    "mlflow_settings",
    "moved_store",
    "only_mirror",
    "preflight",
    "store_uri",
    "tracking_uri",
    "tracking_warnings",
    "ui_command",
]
