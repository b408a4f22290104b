"""The answer alone, sent to an experiment that is there: for commands that change the answer but
train no trial of the sweep, such as `sweeps verify`."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable

from sweeps.addresses import scrubbed
from sweeps.mirror.current_answer import current_answer
from sweeps.mirror.experiment import Experiment, NoExperimentError, mlflow_settings
from sweeps.mirror.panel_tags import experiment_tags
from sweeps.mirror.run_record import data_tags
from sweeps.mirror.sync import only_mirror
from sweeps.mirror.tracking_store import one_line, preflight, refuse_linked_store, tracking_uri
from sweeps.storage.paths import SweepPaths, read_sweep
from sweeps.storage.shell import command
from sweeps.storage.sqlite_address import sqlite_file

#: What is said where MLflow could not be told: the reason, and the command that sends it.
NOT_TOLD = "note: MLflow does not show this answer yet ({}); send it with: {}"


def mirror_answer(paths: SweepPaths, say: Callable[[str], None] = lambda text: None) -> bool:
    """Brings the tags and the description of the sweep's experiment up to date: whether it did.

    Nothing is made: no store, and no experiment where the sweep has none yet. A store that cannot
    be used is no error of the command that calls this: `say` is told, and how to send it later.
    """
    try:
        return _sent(paths)
    except NoExperimentError:
        return False
    except Exception as error:
        say(not_told(paths, error))
        return False


def not_told(paths: SweepPaths, error: Exception) -> str:
    """What is said where a store could not be used: why, and how to send it later."""
    reason = one_line(scrubbed(str(error) or type(error).__name__)).rstrip(".")
    return NOT_TOLD.format(reason, command("sweeps", "mirror", paths.root))


def _sent(paths: SweepPaths) -> bool:
    sweep = read_sweep(paths)
    tracking = sweep.get("tracking")
    if not tracking or not tracking.get("uri"):
        return False
    uri = tracking_uri(sweep, paths)
    refuse_linked_store(uri, paths)
    preflight(uri)
    if not _may_have(uri, sweep["sweep_id"]):
        return False
    tags = experiment_tags(current_answer(paths, trust_file=True))
    with mlflow_settings(), only_mirror(paths):
        made_with = data_tags(sweep)
        Experiment(uri, sweep["name"], sweep["sweep_id"], made_with, make=False).set_tags(tags)
    return True


def _may_have(uri: str, sweep_id: str) -> bool:
    """Whether a store can have the experiment: MLflow would make a sqlite file that is missing, and
    its tables in one that has none."""
    if (file := sqlite_file(uri)) is None:
        return True
    if not file.is_file():
        return False
    address = f"{file.resolve().as_uri()}?mode=ro"
    with contextlib.closing(sqlite3.connect(address, uri=True)) as store:
        tables = "SELECT 1 FROM sqlite_master WHERE name = 'experiment_tags'"
        if store.execute(tables).fetchone() is None:
            return False
        found = "SELECT 1 FROM experiment_tags WHERE key = 'sweep_id' AND value = ?"
        return store.execute(found, [sweep_id]).fetchone() is not None
