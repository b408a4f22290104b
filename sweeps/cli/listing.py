"""`sweeps list`: the kinds that a spec can name, and the settings of those of one family."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from sweeps.cli.console import FINE, show, terminal_width, wrapped
from sweeps.storage.bundled import bundled_purposes

#: Columns of names, and of defaults.
NAME, DEFAULT = 18, 16
#: What is said below the settings of the kinds of a family.
BELOW = (
    "Each setting: its name, its default, and what it may be; `null` leaves it out. What fits "
    "together, and fits the images, is checked by `sweeps check SPEC`."
)
ROOT = " Data sets with a `root` need it: the folder or file of the data."


def list_kinds(args: argparse.Namespace) -> int:
    """List the kinds that a spec can name."""
    from backdoor.settings.registry import FAMILIES

    width = terminal_width()
    for family in [args.what] if args.what else [*FAMILIES, "panels", "specs"]:
        print(f"{family}:")
        for line, indent in _lines(family, whole=args.what is not None):
            print(wrapped(line, width, min(indent, (width or 0) // 2)))
    if args.what in FAMILIES:
        show(f"\n{BELOW}{ROOT * (args.what == 'datasets')}")
    elif args.what is None:
        show("\n`sweeps list triggers`, and so on, also says the settings of each kind.")
    return FINE


def _lines(family: str, whole: bool) -> Iterator[tuple[str, int]]:
    """Lines, each with the column at which it goes on where it is too long.

    whole: with the settings of kinds, and the attacks of panels."""
    from backdoor.settings.registry import FAMILIES
    from sweeps.panels import LABELS

    if family in FAMILIES:
        kinds = FAMILIES[family].kinds()
        entries = {name: _summary(cls) for name, cls in kinds.items()}
    else:
        kinds, entries = {}, bundled_purposes(family)
    column = max(NAME, *map(len, entries))
    for name, summary in entries.items():
        yield f"  {name:{column}} {summary}", column + 3
        if whole and name in kinds:
            yield from _settings(kinds[name])
        if family == "panels":
            yield from ((f"  {'':20} {label}", 25) for label in LABELS[name])


def _settings(cls: type) -> Iterator[tuple[str, int]]:
    """A line for each setting of a kind: its name, its default and what it may be."""
    from backdoor.settings.described import settings_of

    found = settings_of(cls)
    names = max((len(each.name) for each in found), default=0)
    short = (len(each.default) for each in found)
    defaults = max((length for length in short if length <= DEFAULT), default=0)
    for each in found:
        line = f"      {each.name:{names}}  {each.default:{defaults}}  {each.allowed}"
        yield line, 8 + names


def _summary(cls: type) -> str:
    """The first sentence or paragraph of its docstring."""
    return " ".join((cls.__doc__ or "").strip().partition("\n\n")[0].split())
