"""Commands before a spec is written: `list init`."""

from __future__ import annotations

import argparse

from backdoor.errors import Mistake, UserError
from sweeps.cli.console import FINE, say
from sweeps.storage.shell import command


def list_kinds(args: argparse.Namespace) -> int:
    """List the kinds that a spec can name."""
    from backdoor.settings.registry import FAMILIES
    from sweeps.storage.bundled import bundled_purposes

    chosen = [args.what] if args.what else [*FAMILIES, "panels", "specs"]
    for family in chosen:
        print(f"{family}:")
        if family == "panels":
            _list_panels()
            continue
        entries = (
            bundled_purposes("specs")
            if family == "specs"
            else {name: _summary(cls) for name, cls in FAMILIES[family].kinds().items()}
        )
        width = max(18, *map(len, entries))
        for name, summary in entries.items():
            print(f"  {name:{width}} {summary}")
    return FINE


def _list_panels() -> None:
    """Each panel with its attacks."""
    from sweeps.panels import LABELS
    from sweeps.storage.bundled import bundled_purposes

    for name, purpose in bundled_purposes("panels").items():
        print(f"  {name:18} {purpose}")
        for label in LABELS[name]:
            print(f"  {'':20} {label}")


def _summary(cls: type) -> str:
    from dataclasses import fields

    settings = ", ".join(f.name for f in fields(cls))
    first = " ".join((cls.__doc__ or "").strip().partition("\n\n")[0].split())
    return f"{first} [{settings}]" if settings else first


def init(args: argparse.Namespace) -> int:
    """Write a commented spec to begin from."""
    from sweeps.storage.bundled import bundled_files
    from sweeps.storage.named_places import named_place

    target = named_place(args.file, "FILE")
    if target.exists():
        raise UserError(Mistake("FILE", "must not exist yet", args.file, "Choose another name."))
    target.write_text(bundled_files("specs")["digits"].read_text())
    say(f"{target} is a commented spec. Try: {command('sweeps', 'check', args.file)}")
    return FINE
