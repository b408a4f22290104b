"""`sweeps train`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeps.cli.console import FAILURES, FINE, say

if TYPE_CHECKING:
    from sweeps.records.final_model_file import ExpectedEntry, FigureEntry
    from sweeps.records.model_answer import RateEntry
    from sweeps.spec import SweepSpec

#: A final model's config.json.
Config = Mapping[str, Any]
#: A saved program should answer at least this share of the images as the trained model did.
LEAST_ALIKE = 0.99


def train(args: argparse.Namespace) -> int:
    """Train the final model at a point, save it, and say what is expected of it."""
    from sweeps.final_model.select import choose
    from sweeps.final_model.train import train_final, with_root
    from sweeps.ledger import Ledger
    from sweeps.region.control_warning import recorded_warning
    from sweeps.region.panel import criteria_of
    from sweeps.results.create import read_spec
    from sweeps.spec.former import former_notes
    from sweeps.storage.named_places import named_place
    from sweeps.storage.paths import open_results

    out = None if args.out is None else named_place(args.out, "--out")
    paths = open_results(args.dir)
    spec = read_spec(paths)
    for note in former_notes(spec):
        say(f"note: {note}")
    if args.data_root is not None:
        spec = with_root(spec, args.data_root)
    chosen = choose(spec, paths, args.point, args.attack, args.seed)
    folder = paths.models / chosen.name if out is None else out
    if chosen.known_seed:
        say(f"note: the sweep has trained seed {chosen.trial.seed} itself: this is no new model")
    if (warning := recorded_warning(criteria_of(spec), Ledger(paths.ledger))) is not None:
        say(warning)
    config = train_final(spec, paths, chosen, folder, _device(spec), say)
    print(json.dumps(config | {"folder": str(folder)}) if args.json else _text(config, folder))
    return _checked(config)


def _device(spec: SweepSpec) -> str:
    """Where the sweep trained, if this machine has one."""
    import torch

    if spec.resources.gpu <= 0:
        return "cpu"
    if torch.cuda.is_available():
        return "cuda"
    say("note: the sweep trained on GPUs and there is none here: this takes longer")
    return "cpu"


def _checked(config: Config) -> int:
    program = config["files"]["program"]
    if program and program["answers_alike"] < LEAST_ALIKE * program["tried_on"]:
        alike = f"{program['answers_alike']} of {program['tried_on']}"
        say(f"error: the saved program answers only {alike} images as the trained model did")
        return FAILURES
    return FINE


# --- in words ----------------------------------------------------------------------------------


def _text(config: Config, folder: Path) -> str:
    return "\n".join(
        [*_what(config, folder), "", *_figures(config), *_poisoned(config), *_how(config, folder)]
    )


def _what(config: Config, folder: Path) -> list[str]:
    attack, seed = config["attack"], config["trial"]["seed"]
    data = (
        "the data as they are" if attack is None else f"data poisoned by attack {attack['number']}"
    )
    lines = [
        f"{config['point']['label']} ({config['point_chosen']}), seed {seed}, on {data}: {folder}"
    ]
    if attack is not None:
        share = f"{config['poisoned']} of {config['train_images']} training images"
        lines.append(f"  {attack['label']}, {share}: do not deploy this model")
    for word in ("collapsed", "diverged"):
        if config[word]:
            lines.append(f"  warning: this model has {word}")
    return lines


def _figures(config: Config) -> list[str]:
    seeds = len(config["expected_from_seeds"])
    head = ["", "this model", "", f"expected of one new seed (95 %, from {seeds} seeds)"]
    rows = [head, *(_row(figure) for figure in config["figures"])]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    if all(figure["expected"] is None for figure in config["figures"]):
        lines.append(_why_none(config, seeds))
    return lines


def _row(figure: FigureEntry) -> list[str]:
    name = "clean accuracy" if figure["attack"] is None else f"success of {figure['attack']}"
    value = "" if figure["value"] is None else f"{figure['value']:.3f}"
    counts = f"{figure['count']} of {figure['total']}"
    outside = " (this one is outside)" if figure["inside"] is False else ""
    return [name, value, counts, _range(figure["expected"]) + outside]


def _range(expected: ExpectedEntry | None) -> str:
    return (
        "none can be given"
        if expected is None
        else f"{expected['low']:.3f} to {expected['high']:.3f}"
    )


def _why_none(config: Config, seeds: int) -> str:
    if (model := config["point_modelled"]) is not None:
        clean, success = _rate(model["clean_accuracy"]), _rate(model["attack_success"])
        return (
            "A region search completes no points. Its model expects of one new seed, poisoned "
            f"(95 %):\n  clean accuracy {clean}\n  attack success {success} by "
            f"{model['worst_attack']}, the worst"
        )
    if seeds:
        return "One seed says nothing of how seeds differ: sweep with `seeds: 3` or more."
    if config["attack"] is None:
        return "The sweep trained no clean baseline here: add poison rate 0 to `attack`."
    return "The sweep has no finished trial of this attack here."


def _rate(rate: RateEntry) -> str:
    return f"{rate['expected']:.3f} ({rate['lower']:.3f} to {rate['upper']:.3f})"


def _poisoned(config: Config) -> list[str]:
    worst = config["if_poisoned"]
    if worst is None:
        return []
    if worst["clean_accuracy"] is None and config["point_modelled"] is not None:
        return []  # the prediction of the search's model, of poisoned models, is said already
    return [
        "",
        "If the worst attack of the panel had poisoned these data: prediction for one new seed "
        "(95 %):",
        f"  attack {worst['attack']['number']}: {worst['attack']['label']}",
        f"  clean accuracy {_range(worst['clean_accuracy'])}, attack success "
        f"{_range(worst['attack_success'])}",
    ]


def _how(config: Config, folder: Path) -> list[str]:
    program = config["files"]["program"]
    if not program:
        return ["", f"Load it: backdoor.export.load_model({str(folder)!r})"]
    channels, height, width = config["input"]["shape"]
    return [
        "",
        "Load it, with torch alone:",
        f"  model = torch.export.load({str(folder / program['name'])!r}).module()",
        f"  classes = model(images).argmax(1)  # images: (n, {channels}, {height}, {width}) uint8",
        f"Its prediction equals the model's for {program['answers_alike']} of "
        f"{program['tried_on']} test images, clean and triggered.",
    ]
