"""What `sweeps train` says of the model that it has trained."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backdoor.wording import counted
from sweeps.cli.console import FAILURES, FINE

if TYPE_CHECKING:
    from sweeps.records.final_model_file import ExpectedEntry, FigureEntry, ProgramEntry
    from sweeps.records.model_answer import RateEntry

#: A saved program should answer at least this share of the images as the trained model did.
LEAST_ALIKE = 0.99
#: A final model's config.json.
Config = Mapping[str, Any]


def training_text(config: Config, folder: Path) -> str:
    """Lines for people. config: that of the final model; folder: where it was saved."""
    parts = (_figures(config), _held_to(config), _poisoned(config), _how(config, folder))
    return "\n".join([*_what(config, folder), "", *(line for part in parts for line in part)])


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
    by_model = any(_limits(figure, config) for figure in config["figures"])
    none = all(figure["expected"] is None for figure in config["figures"])
    of = f", from {counted(seeds, 'seed')}" if seeds and not (none and by_model) else ""
    head = ["", "this model", "", f"expected of one new seed (95 %{of})"]
    rows = [head, *(_row(figure, config) for figure in config["figures"])]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    if none and (config["point_modelled"] is not None or not by_model):
        lines.append(_why_none(config, seeds))
    by_model = by_model or config["point_modelled"] is not None
    if "region_about" in config and (seeds > 1 or by_model):
        lines.append(
            f"The region is about {config['region_about']}; these limits are of one new seed, and "
            "so wider."
        )
    return lines


def _held_to(config: Config) -> list[str]:
    """The figures beside what the spec asks for."""
    lines = [entry["text"] for entry in config["held_to"] if entry["figure"] == "clean_accuracy"]
    success = [entry["text"] for entry in config["held_to"] if entry["figure"] != "clean_accuracy"]
    if config["attack"] is None:
        which = "rate above is that" if len(success) == 1 else "rates above are those"
        success = [
            "attack success is not judged: no attack poisoned this model, and the "
            f"{which} of a clean model"
        ]
    return ["", *lines, *success, _verdict(config)]


def _verdict(config: Config) -> str:
    from sweeps.final_model.verdict_text import verdict_line

    entries = config["held_to"]
    failed = answers_otherwise(config["files"]["program"])
    code = FAILURES if failed or any(entry["beyond_chance"] for entry in entries) else FINE
    broken = next((word for word in ("diverged", "collapsed") if config[word]), None)
    return verdict_line(entries, config["attack"] is None, broken, code)


def answers_otherwise(program: ProgramEntry | None) -> bool:
    """Whether a saved program gives too many answers that the trained model does not."""
    return program is not None and program["answers_alike"] < LEAST_ALIKE * program["tried_on"]


def _row(figure: FigureEntry, config: Config) -> list[str]:
    name = "clean accuracy" if figure["attack"] is None else f"success of {figure['attack']}"
    value = "" if figure["value"] is None else f"{figure['value']:.3f}"
    counts = f"{figure['count']} of {figure['total']}"
    return [name, value, counts, _expected(figure, config)]


def _expected(figure: FigureEntry, config: Config) -> str:
    """By the point's seeds, and by the model of a region search."""
    seeds, model = figure["expected"], _limits(figure, config)
    if seeds is None and model is None and any(_limits(f, config) for f in config["figures"]):
        # The model of a search says nothing of the success at clean models.
        return "none can be given of a clean model" if config["attack"] is None else _range(None)
    of = ", of a poisoned one" if config["attack"] is None else ""
    parts = []
    if seeds is not None or model is None:
        parts.append(_range(seeds) + (_side(figure, seeds) if figure["inside"] is False else ""))
    if model is not None:
        low, high = model
        side = _side(figure, {"low": low, "high": high})
        parts.append(f"by the model{of}: {low:.3f} to {high:.3f}{side}")
    return "; ".join(parts)


def _limits(figure: FigureEntry, config: Config) -> tuple[float, float] | None:
    """What the model of a region search expects, where the figure is held to it."""
    own = (
        (entry["low"], entry["high"])
        for entry in config["held_to"]
        if (entry["figure"], entry["attack"]) == (figure["figure"], figure["attack"])
        and entry["by"] == "model"
    )
    return next(own, None)


def _side(figure: FigureEntry, limits: Mapping[str, Any] | None) -> str:
    """Whether the figure lies on the good side of the limits or on the bad one, or neither."""
    value = figure["value"]
    if value is None or limits is None or limits["low"] <= value <= limits["high"]:
        return ""
    better = (value > limits["high"]) == (figure["figure"] == "clean_accuracy")
    return f" (this one is {'better' if better else 'worse'})"


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
    lines = [f"  {entry['text']}" for entry in worst["held_to"]]
    if worst["clean_accuracy"] is None and config["point_modelled"] is not None:
        # The limits by the search's model, of poisoned models, are said already.
        return ["", "Of one new seed, poisoned by that attack:", *lines] if lines else []
    return [
        "",
        "If the worst attack of the panel had poisoned these data: prediction for one new seed "
        "(95 %):",
        f"  attack {worst['attack']['number']}: {worst['attack']['label']}",
        f"  clean accuracy {_range(worst['clean_accuracy'])}, attack success "
        f"{_range(worst['attack_success'])}",
        *lines,
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
        f"Its class is the trained model's {_alike(program)} on {tried_on(program)}.",
    ]


def _alike(program: ProgramEntry) -> str:
    others = program["tried_on"] - program["answers_alike"]
    return f"but for {counted(others, 'answer')}" if others else "everywhere"


def tried_on(program: ProgramEntry) -> str:
    """`500 test images, 464 of them triggered as well`: each image counts once, whatever the number
    of triggers. Of more images than are tried, those with triggers may be others."""
    if not (triggered := [count for count in program["triggered"] if count]):
        return counted(program["images"], "test image")
    low, high = min(triggered), max(triggered)
    few = f"{high}" if low == high else f"{low} to {high}"
    by = f" by each of {len(triggered)} triggers" if len(triggered) > 1 else ""
    joined = " and " if high >= program["images"] else ", "
    of = "" if high >= program["images"] else " of them"
    as_well = " as well" if of else " ones"
    return f"{counted(program['images'], 'test image')}{joined}{few}{of} triggered{as_well}{by}"
