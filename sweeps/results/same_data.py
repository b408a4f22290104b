"""Whether the data are still those that a sweep began with, and what has changed if not."""

from __future__ import annotations

from backdoor.datasets.source import changed_rule, load_source
from backdoor.errors import Mistake, StoredDataError, UserError
from sweeps.spec import SweepSpec
from sweeps.storage.paths import SweepPaths, read_sweep
from sweeps.storage.shell import command

RESTORE = "Restore the data, or begin a new sweep: results of different data do not mix."


def check_same_data(spec: SweepSpec, paths: SweepPaths, remedy: str = RESTORE) -> None:
    """Compares the data with those of the sweep.

    remedy: where the data have changed. Where the same files are read by another rule than when
    the sweep began, the message names that rule.

    Raises:
        StoredDataError: they are not the same.
        UserError: they cannot be read.
    """
    try:
        source = load_source(spec.data, spec.seeds)
    except UserError as error:
        raise error.inside("data") from None
    before = read_sweep(paths)["data_fingerprint"]
    if source.fingerprint == before:
        return
    rule = f"must be the data that the sweep began with ({before})"
    changed = changed_rule(spec.data, source, before)
    if changed is not None:
        rule = f"must be read as when the sweep began ({before})"
        kept = " and ".join(f"`{command('sweeps', word, paths.root)}`" for word in LOOKING)
        remedy = f"The same files are read by a new rule: {changed.rstrip('.')}. "
        remedy += f"Begin a new sweep. {kept} still show this one."
    raise StoredDataError(Mistake("data", rule, source.fingerprint, remedy))


#: Commands that need no data.
LOOKING = ("region", "report")
