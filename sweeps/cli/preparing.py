"""Commands before a sweep: `check list init`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from backdoor.errors import Mistake, UserError
from sweeps.cli.console import FINE, duration, say
from sweeps.storage.shell import command

if TYPE_CHECKING:
    from sweeps.packs.pack import Pack
    from sweeps.spec import SweepSpec

#: Trials asked for at once.
ASK = 4096
#: So many seeds are enough for a search whose trials take one seed each.
MANY = 30


def check(args: argparse.Namespace) -> int:
    """Check a spec and say what it would run."""
    from sweeps.packs.pack import PackSettings, count_by_engine, make_packs
    from sweeps.region.labels import kind_label
    from sweeps.search import make_search
    from sweeps.spec import load_spec

    spec = load_spec(args.spec, args.set)
    search = make_search(spec)
    print(f"{spec.name}: the spec is fine")
    for line in [*_panel_lines(spec), *class_lines(spec)]:
        print(f"  {line}")
    trials = search.ask(ASK)
    while search.size is None and not search.finished:
        trials += search.ask(ASK)
    packs = make_packs(trials, PackSettings.of(spec))
    if search.size is None:
        distinct = {trial.trial_id: trial for pack in packs for trial in pack.trials}
        points = len({trial.defence_id for trial in distinct.values()})
        print(f"  {points} {_nesting(spec)}")
        print(f"  {len(distinct)} trials in {len(packs)} packs")
        for name, (count, members) in count_by_engine(packs).items():
            print(f"    {name}: {members} trials in {count} packs")
    else:
        print(f"  {_searched(spec, search.size)}")
        print(f"  {search.size} trials at most, chosen as results come in")
    if spec.stopping is not None:
        print(f"  stopped early: {spec.stopping.words}")
    for probe in spec.probes:
        print(f"  probe on every trained model that it suits: {kind_label(probe.identity())}")
    for note in _notes(spec):
        say(f"note: {note}")
    _say_cost(packs, search.size, args.time)
    return FINE


def _say_cost(packs: list[Pack], trials: int | None, measure: bool) -> None:
    _say_gpus(packs[0].settings.gpu, measure)
    if not measure:
        say("note: --time predicts how long it takes, from short trainings of each kind")
        return
    from sweeps.cost.estimate import estimate

    cost = estimate(packs, trials)
    at_once = f"{cost.workers} pack{'s' if cost.workers > 1 else ''} at once"
    probes = ", probes included" if packs[0].settings.probes else ""
    lasts = f"about {duration(cost.seconds)}{probes}"
    print(f"  {lasts} on this machine, {at_once}, plus the time to start Ray")
    print(f"  {cost.worker_seconds / 3600:.3g} worker-hours, {cost.gpu_hours:.3g} GPU-hours")


def _say_gpus(gpu: float, needed: bool) -> None:
    """A spec for a cluster may ask for GPUs that this machine lacks; measuring here may not."""
    from sweeps.driver.runner import check_gpus

    try:
        check_gpus(gpu)
    except UserError as error:
        if needed:
            raise
        say(f"note: not on this machine: {error}")


def _nesting(spec: SweepSpec) -> str:
    baseline = " and the clean baseline" if spec.baseline else ""
    return f"defence points x {len(spec.panel)} attacks{baseline} x {len(spec.seeds)} seeds"


def _searched(spec: SweepSpec, trials: int) -> str:
    """What an adaptive search of so many trials at most chooses from."""
    if spec.search.kind == "region":
        return (
            f"single trials: any defence point, {len(spec.panel)} attacks, {len(spec.seeds)} seeds"
        )
    return f"{trials // (len(spec.attacks) * len(spec.seeds))} {_nesting(spec)}"


def _notes(spec: SweepSpec) -> Iterator[str]:
    """What a spec should better say, though it is valid without."""
    if spec.search.kind == "region":  # which trains no baseline, and takes one seed a trial
        if len(spec.seeds) < MANY:
            yield (
                f"{len(spec.seeds)} seeds to draw from are few: the effect of a seed is similar "
                "at neighbouring points and shifts the border. Each trial uses one seed, so many "
                "seeds, such as `seeds: 100`, cost no more"
            )
    elif not spec.baseline:
        yield "without poison rate 0 there is no clean baseline to compare attack success with"


def _panel_lines(spec: SweepSpec) -> list[str]:
    """The attacks of a panel that the spec names."""
    from sweeps.panels import named_panel
    from sweeps.region.labels import attack_label

    use = named_panel(spec.document["attack"])
    if use is None:
        return []
    return [f"attack panel {use}:", *(f"  {attack_label(attack)}" for attack in spec.panel)]


def class_lines(spec: SweepSpec) -> list[str]:
    """Which classes the numbers in the labels of attacks stand for, where names say more."""
    from backdoor.datasets.source import load_source
    from sweeps.region.labels import attacked_classes

    said = attacked_classes(spec.panel, load_source(spec.data).class_names)
    return [f"attacks: {said}"] if said else []


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

    target = Path(args.file)
    if target.exists():
        raise UserError(Mistake("FILE", "must not exist yet", args.file, "Choose another name."))
    target.write_text(bundled_files("specs")["digits"].read_text())
    say(f"{target} is a commented spec. Try: {command('sweeps', 'check', args.file)}")
    return FINE
