"""A sweep begins in a folder of its own; what to do instead where the folder is in use."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
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
    again: Sequence[str] = ("SPEC",),
    options: Sequence[str] = (),
) -> None:
    """`UserError` where the folder is not empty.

    place: what the caller gave it as. spec: what was to be run there; a message about a sweep that
    is there already then says what differs. again: the arguments of `sweeps extend` after the
    folder that give this spec. options: of the command, which its remedies repeat.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if spec is not None and holds_sweep(folder):
        remedy, mistakes = _instead(SweepPaths(folder), spec, (*again, *options), options)
        rule = "holds a sweep already"
        remedy += f" Or choose another folder with {place}."
        raise UserError([Mistake("DIR", rule, str(folder), remedy), *mistakes])
    rule = "must be a new or empty folder"
    raise UserError(Mistake(place, rule, str(folder), f"Choose another {place}."))


def _only_loaded(kind: str, place: str) -> None:
    """Lets no code be imported that only the folder names."""
    if kind.partition(":")[0] not in sys.modules:
        raise UserError(
            Mistake(place, "must be loaded to be compared", kind, "Use `sweeps extend`.")
        )


def _instead(
    paths: SweepPaths, spec: SweepSpec, again: Sequence[str], options: Sequence[str]
) -> tuple[str, list[Mistake]]:
    """What to do where a sweep has begun in the folder, and what keeps this spec from extending
    it."""
    from sweeps.ledger import Ledger
    from sweeps.results.asked import asked_text, plain
    from sweeps.results.extension import extension_of
    from sweeps.spec import RecordedClasses, parse_spec

    resume = command("sweeps", "resume", paths.root, *options)
    try:
        sweep = read_sweep(paths)
        with guarded(_only_loaded):
            begun = RecordedClasses.of(sweep)
            before = parse_spec(plain(asked_text(paths, sweep)), [], False, begun)
            if begun.former:  # as `extend` would read it
                spec = parse_spec(spec.document, [], False, begun)
            found = extension_of(before, spec, lambda: Ledger(paths.ledger).trials())
    except UserError:  # what it asks cannot be read here, so that it cannot be compared
        return f"To go on with that one: `{resume}`.", []
    if found.refused:
        reuse = f"`--reuse {shlex.quote(str(paths.root))}`"
        remedy = f"It asks something else, as said below: with {reuse} a sweep in another folder "
        return f"{remedy}takes over the trials that agree.", list(found.refused)
    if found.added:
        extend = command("sweeps", "extend", paths.root, *again)
        return f"To ask more of it ({'; '.join(found.added)}): `{extend}`.", []
    return f"It asks the same. To go on with it: `{resume}`.", []
