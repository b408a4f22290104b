"""Commands before a sweep: `check list init`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from backdoor.errors import Mistake, UserError
from sweeps.cli import FINE, say
from sweeps.hints import command

if TYPE_CHECKING:
    from sweeps.spec import SweepSpec


def check(args: argparse.Namespace) -> int:
    """Check a spec and say what it would run."""
    from sweeps.plan import Job, count_by_engine, make_packs
    from sweeps.search import make_search
    from sweeps.spec import load_spec

    spec = load_spec(args.spec, args.set)
    search = make_search(spec)
    print(f"{spec.name}: the spec is fine")
    if search.size is None:
        trials = []
        while not search.finished:
            trials += search.ask(4096)
        packs = make_packs(trials, Job(spec.measures, stopping=spec.stopping is not None))
        distinct = {trial.trial_id: trial for pack in packs for trial in pack.trials}
        points = len({trial.defence_id for trial in distinct.values()})
        print(f"  {points} {_nesting(spec)}")
        print(f"  {len(distinct)} trials in {len(packs)} packs")
        for name, (count, members) in count_by_engine(packs).items():
            print(f"    {name}: {members} trials in {count} packs")
    else:
        points = search.size // (len(spec.attacks) * len(spec.seeds))
        print(f"  {points} {_nesting(spec)}")
        print(f"  {search.size} trials at most, chosen as results come in")
    if (rule := spec.stopping) is not None:
        print(
            f"  stopped early: by {rule.kind} on {rule.metric}, from epoch {rule.grace_period} on"
        )
    if not spec.baseline:
        say("note: without poison rate 0 there is no clean baseline to compare attack success with")
    return FINE


def _nesting(spec: SweepSpec) -> str:
    baseline = " and the clean baseline" if spec.baseline else ""
    return f"defence points x {len(spec.panel)} attacks{baseline} x {len(spec.seeds)} seeds"


def list_kinds(args: argparse.Namespace) -> int:
    """List the kinds that a spec can name."""
    from backdoor.registry import FAMILIES
    from sweeps.spec import bundled_specs

    chosen = [args.what] if args.what else [*FAMILIES, "specs"]
    for family in chosen:
        print(f"{family}:")
        entries = (
            {name: _first_comment(file) for name, file in bundled_specs().items()}
            if family == "specs"
            else {name: _summary(cls) for name, cls in FAMILIES[family].kinds().items()}
        )
        for name, summary in entries.items():
            print(f"  {name:18} {summary}")
    return FINE


def _summary(cls: type) -> str:
    from dataclasses import fields

    settings = ", ".join(f.name for f in fields(cls))
    first = (cls.__doc__ or "").strip().splitlines()[0]
    return f"{first} [{settings}]" if settings else first


def _first_comment(file: Path) -> str:
    return file.read_text().splitlines()[0].lstrip("# ")


def init(args: argparse.Namespace) -> int:
    """Write a commented spec to begin from."""
    from sweeps.spec import bundled_specs

    target = Path(args.file)
    if target.exists():
        raise UserError(Mistake("FILE", "must not exist yet", args.file, "Choose another name."))
    target.write_text(bundled_specs()["digits"].read_text())
    say(f"{target} is a commented spec. Try: {command('sweeps', 'check', args.file)}")
    return FINE
