"""Variance, effects and persistence in words and tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from backdoor.wording import counted
from sweeps.storage.tables import table

if TYPE_CHECKING:
    from sweeps.analyses.effects import Effects, RegularizerEntry
    from sweeps.analyses.persistence import Persistence, PersistenceEntry
    from sweeps.analyses.variance import StratumEntry, TermEntry, Variance

NO_POISONED = "No poisoned model has finished."


def _level(confidence: float) -> str:
    return f"{100 * confidence:g} % interval"


def _between(lower: float | None, upper: float | None, form: str = ".3f") -> str:
    return "-" if lower is None or upper is None else f"{lower:{form}} to {upper:{form}}"


def _number(value: float | None, form: str = ".3f") -> str:
    return "-" if value is None else f"{value:{form}}"


def _broken(count: int, models: tuple[str, str], what: str) -> str:
    """models: what one and several of them are called."""
    name, verb = (models[0], "is") if count == 1 else (models[1], "are")
    return f"{count} {name} collapsed or diverged and {verb} {what}."


# --- variance ----------------------------------------------------------------------------------


def variance_text(answer: Variance, width: int | None = None) -> str:
    """What `sweeps probe variance` prints. width: of the terminal, None for a file."""
    if not answer["strata"]:
        return NO_POISONED
    return "\n\n".join(
        [
            *("\n".join(_stratum(entry, answer, width)) for entry in answer["strata"]),
            "eta^2: share of the variance of attack success, as swept, each level counting once. "
            "omega^2: that share without what noise alone would give. Intervals draw seeds; with "
            "three they are too narrow, and they lean upwards for small shares.",
        ]
    )


def _stratum(entry: StratumEntry, answer: Variance, width: int | None) -> Iterator[str]:
    settings = ", ".join(f"{k} {v}" for k, v in entry["settings"].items())
    if settings:
        yield f"At {settings}:"
    sizes = " x ".join(f"{len(f['levels'])} {f['name']}" for f in entry["factors"]) or "one cell"
    if not entry["seeds"]:
        yield (
            f"{sizes}: no table, for {entry['missing']} of {entry['cells']} cells have no finished "
            "model, or no seed is in all of them."
        )
        return
    yield (
        f"{sizes} x {counted(len(entry['seeds']), 'seed')}, {counted(entry['models'], 'model')}, "
        f"mean attack success "
        f"{entry['mean']:.3f}, {answer['scale']} scale."
    )
    if entry["broken"]:
        yield _broken(entry["broken"], ("of them", "of them"), "in the table as counted")
    if not entry["terms"]:
        yield "All models have the same attack success: there is no variance to explain."
        return
    head = ["source", "df", "eta^2", _level(answer["confidence"]), "omega^2"]
    yield table(head, [_term(term) for term in entry["terms"]], width)
    yield ""
    rows = [
        [e["factor"], e["level"], _number(e["mean"]), _between(e["lower"], e["upper"])]
        for e in entry["levels"]
    ]
    yield table(["factor", "level", "attack success", _level(answer["confidence"])], rows, width)


def _term(term: TermEntry) -> list[str]:
    return [
        " x ".join(term["factors"]),
        str(term["df"]),
        _number(term["eta2"]),
        _between(term["eta2_lower"], term["eta2_upper"]),
        _number(term["omega2"]),
    ]


# --- effects -----------------------------------------------------------------------------------


def effects_text(answer: Effects, width: int | None = None) -> str:
    """What `sweeps probe effects` prints. width: of the terminal, None for a file."""
    if not answer["regularizers"]:
        return "No model with a regularizer has a finished partner without one: sweep `none` too."
    level = _level(answer["confidence"])
    head = ["regularizer", "strength", "attack success", level, "clean accuracy", level]
    head += ["cells", "lower", "higher", "pairs lower/equal/higher", "seeds", "broken"]
    lines = [
        table(head, map(_effect, answer["regularizers"]), width),
        "",
        "With the regularizer minus without it, models that are equal in all else; below 0 it "
        "lowered the figure. Intervals are over seeds, for the cells (architecture, attack and "
        "other settings) that were swept. Lower and higher: cells whose own interval excludes 0, "
        "not corrected for their number.",
    ]
    broken = sum(e["overall"]["broken"] for e in answer["regularizers"])
    if broken:
        lines.append(_broken(broken, ("pair has a model that", "pairs have one that"), "left out"))
    if answer["unpaired"]:
        lines.append(
            f"{counted(answer['unpaired'], 'model')} had no partner without a regularizer yet."
        )
    return "\n".join(lines)


def _effect(entry: RegularizerEntry) -> list[str]:
    overall, strength = entry["overall"], entry["strength"]
    success, clean, pairs = overall["success_change"], overall["clean_change"], overall["pairs"]
    return [
        entry["regularizer"],
        "-" if strength is None else f"{strength['name']} {strength['value']:g}",
        _number(success["mean"], "+.3f"),
        _between(success["lower"], success["upper"], "+.3f"),
        _number(clean["mean"], "+.3f"),
        _between(clean["lower"], clean["upper"], "+.3f"),
        str(overall["cells"]),
        str(overall["cells_lower"]),
        str(overall["cells_higher"]),
        f"{pairs['lower']}/{pairs['equal']}/{pairs['higher']}",
        str(len(overall["seeds"])),
        str(overall["broken"]),
    ]


# --- persistence -------------------------------------------------------------------------------


def persistence_text(answer: Persistence, width: int | None = None) -> str:
    """What `sweeps probe persistence` prints. width: of the terminal, None for a file."""
    entries = answer["studies"]
    if not entries:
        return (
            "No study of persistence is recorded: add `probes: [persistence]` to the spec, or use "
            "`sweeps resume DIR --probes '[persistence]'`."
        )
    last, level = _last_epochs(entries), _level(answer["confidence"])
    head = ["point", "attack", "clean images", "learning rate", "before", level]
    head += [f"after {last} epochs", level, "clean models", "gone after"]
    head += ["clean accuracy", "change", level]
    took = [entry for entry in entries if entry["took"]]
    removed = [entry for entry in took if entry["gone_after"] is not None]
    lines = [
        table(head, map(_course, entries), width),
        "",
        f"Of {len(entries)} fine-tunings of a backdoor {len(took)} were of one that had taken "
        f"(attack success of "
        f"{answer['success']:g} or more) and {len(removed)} of these were below it for good within "
        f"{last} epochs.",
        "Clean models: success of the trigger on the clean model of equal point and seeds, trained "
        "further likewise. Gone after: the first epochs looked at from which on mean success "
        "stays below. Clean accuracy: before; change: by the last epoch, of the same models. "
        "--json has every epoch that was looked at.",
    ]
    broken = sum(entry["broken"] for entry in entries)
    if broken:
        lines.append(_broken(broken, ("model had", "models had"), "in the means"))
    return "\n".join(lines)


def _last_epochs(entries: Sequence[PersistenceEntry]) -> str:
    """After how many epochs the fine-tunings ended: one number, or the least and the most."""
    ends = sorted({entry["course"][-1]["epochs"] for entry in entries})
    return f"{ends[0]:g}" if len(ends) == 1 else f"{ends[0]:g} to {ends[-1]:g}"


def _course(entry: PersistenceEntry) -> list[str]:
    before, after = entry["course"][0], entry["course"][-1]
    start, success = before["attack_success"], after["attack_success"]
    change = after["clean_change"]
    return [
        entry["label"],
        entry["attack"],
        str(entry["clean_images"]),
        f"{entry['probe'].get('learning_rate', 0):g}",
        _number(start["mean"]),
        _between(start["lower"], start["upper"]),
        _number(success["mean"]),
        _between(success["lower"], success["upper"]),
        _number(after["baseline_success"]),
        _removed_after(entry),
        _number(before["clean_accuracy"]),
        _number(change["mean"], "+.3f"),
        _between(change["lower"], change["upper"], "+.3f"),
    ]


def _removed_after(entry: PersistenceEntry) -> str:
    if not entry["took"]:
        return "never took"
    return "-" if entry["gone_after"] is None else f"{entry['gone_after']:.3g}"
