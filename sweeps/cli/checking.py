"""`sweeps check`: what was read of the data, what would run, and for how long."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

from backdoor.errors import UserError
from backdoor.wording import counted, in_units, noun_for
from sweeps.cli.console import FINE, say
from sweeps.records.data_entry import DataEntry

if TYPE_CHECKING:
    from sweeps.cost.estimate import Estimate
    from sweeps.cost.processes import Measurers
    from sweeps.packs.counting import PackCount
    from sweeps.packs.pack import Pack
    from sweeps.spec import SweepSpec

#: Trials asked for at once.
ASK = 4096
#: Seconds that the program took to start before `check` was called, about, and takes to end.
LOADED = 0.5
#: So many seeds are enough for a search whose trials take one seed each.
MANY = 30


class CheckAnswer(TypedDict):
    """What `sweeps check --json` prints.

    data: as in sweep.json. attacks: labels of the panel. attacked: target and
    source classes, empty where nothing names them. points, packs, engines: of a search that
    adapts None, and none; points: defence points. trials: in all, at most where the search adapts.
    engines: name to its trials and packs. stopping: the rule in words, None without one.
    time_limit: seconds of one trial, None where the spec has none. probes: by their labels.
    warnings: of attacks that change nearly nothing. notes: what a spec should better say. cost:
    with --time, seconds on `workers` workers of this machine.
    """

    name: str
    data: DataEntry
    attacks: list[str]
    attacked: str
    seeds: list[int]
    points: int | None
    trials: int
    packs: int | None
    engines: dict[str, dict[str, int]]
    stopping: str | None
    time_limit: float | None
    probes: list[str]
    warnings: list[str]
    notes: list[str]
    cost: NotRequired[dict[str, Any]]


def check(args: argparse.Namespace) -> int:
    """Check a spec and say what it would run."""
    if not args.time:
        return _check(args, None)
    # Its processes load libraries while this one reads the spec.
    from sweeps.cost.processes import Measurers

    with Measurers() as measurers:
        return _check(args, measurers)


def _check(args: argparse.Namespace, measurers: Measurers | None) -> int:
    began = time.perf_counter() - LOADED
    from sweeps.results.tracking import check_tracking
    from sweeps.spec import load_spec

    spec = load_spec(args.spec, args.set)
    check_tracking(spec)
    answer = _answer(spec, _counted(spec))
    if not args.json:
        _print(spec, answer)
    for warning in answer["data"]["warnings"]:
        say(f"warning: data: {warning}")
    for warning in answer["warnings"]:
        say(f"warning: {warning}")
    for note in answer["notes"]:
        say(f"note: {note}")
    _say_gpus(spec.resources.gpu, args.time)
    if args.time:
        from sweeps.cost.estimate import estimate

        cost = estimate(*_planned(spec), measurers, began)
        answer["cost"] = asdict(cost)
        if not args.json:
            _print_cost(cost, bool(spec.probes))
    elif not args.json:
        say("note: --time predicts how long it takes, from short trainings of each kind")
    if args.json:
        print(json.dumps(answer))
    return FINE


def _planned(spec: SweepSpec) -> tuple[list[Pack], int | None]:
    """All packs; of a search that adapts, the first ones, and how many trials it has at most."""
    from sweeps.packs.pack import PackSettings, make_packs
    from sweeps.search import make_search

    search = make_search(spec)
    trials = search.ask(ASK)
    while search.size is None and not search.finished:
        trials += search.ask(ASK)
    return make_packs(trials, PackSettings.of(spec)), search.size


def _counted(spec: SweepSpec) -> PackCount | int:
    """What is planned; of a search that adapts, how many trials it has at most."""
    from sweeps.packs.counting import count_packs
    from sweeps.search.planned import planned_points, planned_trials

    points = planned_points(spec)
    return planned_trials(spec)[0] if points is None else count_packs(spec, points)


def _answer(spec: SweepSpec, planned: PackCount | int) -> CheckAnswer:
    from sweeps.region.labels import attack_label, attacked_classes, kind_label
    from sweeps.results.data_read import data_entry

    known = None if isinstance(planned, int) else planned
    engines = {} if known is None else known.engines
    data = data_entry(spec)
    return {
        "name": spec.name,
        "data": data,
        "attacks": [attack_label(attack) for attack in spec.panel],
        "attacked": attacked_classes(spec.panel, data["class_names"], spec.document["attack"]),
        "seeds": list(spec.seeds),
        "points": None if known is None else known.points,
        "trials": planned if isinstance(planned, int) else planned.trials,
        "packs": None if known is None else known.packs,
        "engines": {name: {"trials": t, "packs": p} for name, (t, p) in engines.items()},
        "stopping": None if spec.stopping is None else spec.stopping.words,
        "time_limit": spec.resources.time_limit,
        "probes": [kind_label(probe.identity()) for probe in spec.probes],
        "warnings": list(spec.warnings),
        "notes": [*spec.notes, *_notes(spec)],
    }


def _print(spec: SweepSpec, answer: CheckAnswer) -> None:
    print(f"{answer['name']}: the spec is fine")
    from sweeps.spec.durations import in_words

    data = (f"data: {line}" for line in answer["data"]["text"])
    classes = [answer["attacked"]] if answer["attacked"] else []
    for line in (*data, *_panel_lines(spec, answer["attacks"]), *classes):
        print(f"  {line}")
    if answer["packs"] is None:
        print(f"  {_searched(spec, answer['trials'])}")
        print(f"  {counted(answer['trials'], 'trial')} at most, chosen as results come in")
    else:
        print(f"  {_nesting(answer['points'] or 0, spec)}")
        print(f"  {counted(answer['trials'], 'trial')} in {counted(answer['packs'], 'pack')}")
        for name, of in answer["engines"].items():
            print(f"    {name}: {counted(of['trials'], 'trial')} in {counted(of['packs'], 'pack')}")
    if answer["stopping"] is not None:
        print(f"  stopped early: {answer['stopping']}")
    if answer["time_limit"] is not None:
        print(f"  a trial that takes longer than {in_words(answer['time_limit'])} is ended")
    for probe in answer["probes"]:
        print(f"  probe on every trained model that it suits: {probe}")


def _print_cost(cost: Estimate, probed: bool) -> None:
    at_once = f"{counted(cost.workers, 'pack')} at once"
    lasts = f"about {in_units(cost.seconds)}{', probes included' if probed else ''}"
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


def _nesting(points: int, spec: SweepSpec) -> str:
    baseline = " and the clean baseline" if spec.baseline else ""
    attacks, seeds = counted(len(spec.panel), "attack"), counted(len(spec.seeds), "seed")
    return f"{counted(points, 'defence point')} x {attacks}{baseline} x {seeds}"


def _searched(spec: SweepSpec, trials: int) -> str:
    """What an adaptive search of so many trials at most chooses from."""
    if spec.search.kind == "region":
        return (
            f"single trials: any defence point, {counted(len(spec.panel), 'attack')}, "
            f"{counted(len(spec.seeds), 'seed')}"
        )
    return _nesting(trials // (len(spec.attacks) * len(spec.seeds)), spec)


def _notes(spec: SweepSpec) -> Iterator[str]:
    """What a spec should better say, though it is valid without."""
    if spec.search.kind == "region":  # which trains no baseline, and takes one seed a trial
        if len(spec.seeds) < MANY:
            yield (
                f"{counted(len(spec.seeds), 'seed')} to draw from "
                f"{noun_for(len(spec.seeds), 'is', 'are')} few: the effect of a seed is similar "
                "at neighbouring points and shifts the border. Each trial uses one seed, so many "
                "seeds, such as `seeds: 100`, cost no more"
            )
    elif not spec.baseline:
        yield "without poison rate 0 there is no clean baseline to compare attack success with"


def _panel_lines(spec: SweepSpec, labels: list[str]) -> list[str]:
    """The attacks of a panel that the spec names."""
    from sweeps.panels import named_panel

    use = named_panel(spec.document["attack"])
    return [] if use is None else [f"attack panel {use}:", *(f"  {label}" for label in labels)]
