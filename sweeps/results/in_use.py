"""A sweep begins in a folder of its own; what to do instead where the folder is in use."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from backdoor.errors import Mistake, UserError
from backdoor.settings.outside import guarded
from sweeps.storage.paths import SweepPaths, read_sweep
from sweeps.storage.shell import command

if TYPE_CHECKING:
    from sweeps.spec import SweepSpec


def holds_sweep(folder: Path) -> bool:
    """Whether it is the results folder of a sweep."""
    return SweepPaths(folder).sweep.is_file()


def refuse_folder_in_use(
    folder: Path,
    place: str = "--out",
    spec: SweepSpec | None = None,
    again: tuple[str, ...] | None = None,
) -> None:
    """`UserError` where the folder is not empty.

    place: what the caller gave it as. spec: what was to be run there; a message about a sweep that
    is there already then says what differs. again: the arguments of `sweeps extend` after the
    folder that give this spec, None where they are not known.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    remedy = f"Choose another {place}."
    mistakes: list[Mistake] = []
    if holds_sweep(folder):
        resume = f"`{command('sweeps', 'resume', folder)}`"
        remedy = f"Go on with {resume}, or choose another {place}."
        if spec is not None:
            remedy, mistakes = _instead(SweepPaths(folder), spec, place, again)
    rule = "must be a new or empty folder"
    raise UserError([Mistake(place, rule, str(folder), remedy), *mistakes])


def _only_loaded(kind: str, place: str) -> None:
    """Lets no code be imported that only the folder names."""
    if kind.partition(":")[0] not in sys.modules:
        raise UserError(
            Mistake(place, "must be loaded to be compared", kind, "Use `sweeps extend`.")
        )


def _instead(
    paths: SweepPaths, spec: SweepSpec, place: str, again: tuple[str, ...] | None
) -> tuple[str, list[Mistake]]:
    """What to do where a sweep has begun in the folder, and what keeps this spec from extending
    it."""
    from sweeps.ledger import Ledger
    from sweeps.results.asked import asked_text, plain
    from sweeps.results.extension import extension_of
    from sweeps.spec import RecordedClasses, parse_spec

    other = f"or choose another {place}."
    try:
        sweep = read_sweep(paths)
        with guarded(_only_loaded):
            begun = RecordedClasses.of(sweep)
            before = parse_spec(plain(asked_text(paths, sweep)), [], False, begun)
            found = extension_of(before, spec, lambda: Ledger(paths.ledger).trials())
    except UserError:  # what it asks cannot be read here, so that it cannot be compared
        resume = command("sweeps", "resume", paths.root)
        return f"It holds another sweep. Go on with that by `{resume}`, {other}", []
    if found.refused:
        reuse = f"--reuse {paths.root}"
        return (
            f"It holds a sweep that asks something else. Choose another {place}; with "
            f"`{reuse}` it takes over the trials that agree.",
            list(found.refused),
        )
    if found.added:
        extend = command("sweeps", "extend", paths.root, *(again or ("SPEC",)))
        more = "; ".join(found.added)
        return f"It holds a sweep that asks less ({more}): use `{extend}`, {other}", []
    resume = command("sweeps", "resume", paths.root)
    return f"It holds a sweep that asks the same: go on with `{resume}`, {other}", []
