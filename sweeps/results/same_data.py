"""Whether the data are still those that a sweep began with, and what has changed if not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from backdoor.datasets.source import changed_rule, load_source
from backdoor.errors import Mistake, StoredDataError, UserError
from sweeps.spec import SweepSpec
from sweeps.storage.paths import SweepPaths, read_sweep
from sweeps.storage.shell import command

RESTORE = "Restore the data, or begin a new sweep: results of different data do not mix."


#: `resume` and `verify` take the data from where the sweep began with them.
MOVED = "Put the data back there, or a link to where they are now."


def check_same_data(spec: SweepSpec, paths: SweepPaths, remedy: str = RESTORE) -> None:
    """Compares the data with those of the sweep.

    remedy: where the data have changed. Where the same files are read by another rule than when
    the sweep began, the message names that rule.

    Raises:
        StoredDataError: they are not the same.
        UserError: they cannot be read.
    """
    before = read_sweep(paths)["data_fingerprint"]
    try:
        source = load_source(spec.data, spec.seeds)
    except UserError as error:
        raise _refused(error.inside("data"), spec, paths, before, remedy) from None
    if source.fingerprint == before:
        return
    rule = f"must be the data that the sweep began with ({before})"
    changed = changed_rule(spec.data, source, before)
    if changed is not None:
        rule = f"must be read as when the sweep began ({before})"
        remedy = (
            f"The same files are read by a new rule: {changed.rstrip('.')}. {_begin_new(paths)}"
        )
    raise StoredDataError(Mistake("data", rule, source.fingerprint, remedy))


def _refused(
    error: UserError, spec: SweepSpec, paths: SweepPaths, before: str, remedy: str
) -> UserError:
    """What to do where the data cannot be read: settings of a sweep that has begun stay."""
    if _gone(spec):
        return UserError(
            replace(m, remedy=_advice(m.remedy, _moved(remedy))) for m in error.mistakes
        )
    known = _was_read(spec, before)
    then = "" if known else "If the files are the same: "
    then += "The sweep began with data that an earlier version read; they are refused now by "
    then += f"this rule. {_begin_new(paths)}"
    return UserError(replace(m, remedy=_advice(m.remedy, then)) for m in error.mistakes)


def _gone(spec: SweepSpec) -> bool:
    """Whether the files are not where they were."""
    root = getattr(spec.data, "root", None)
    return root is not None and not Path(str(root)).exists()


def _moved(remedy: str) -> str:
    return MOVED if remedy == RESTORE else remedy


def _advice(given: str, more: str) -> str:
    """A remedy that goes on with `more`, without settings to change, which are those of the
    sweep."""
    return more if "--set" in given or given == "Check the path." else f"{given} {more}"


def _was_read(spec: SweepSpec, before: str) -> bool:
    """Whether these files surely are those that an earlier version read."""
    try:
        former = [found for found, _ in spec.data.former_fingerprints()]
        return any(found.startswith(before) for found in (spec.data.fingerprint(), *former))
    except Exception:  # files that are refused may be anything
        return False


def _begin_new(paths: SweepPaths) -> str:
    kept = " and ".join(f"`{command('sweeps', word, paths.root)}`" for word in LOOKING)
    return f"Begin a new sweep. {kept} still show this one."


#: Commands that need no data.
LOOKING = ("region", "report")
