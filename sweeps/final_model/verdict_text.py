"""The verdict on a final model in one line, and on the point that it was trained at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sweeps.final_model.held_to_text import IMAGES, SEED, SHORT
from sweeps.records.final_model_file import HeldToEntry


def verdict_line(
    entries: Sequence[HeldToEntry], clean: bool, broken: str | None, exit_code: int
) -> str:
    """`Meets what the spec asks for: accuracy. Not judged: attack success (this model is clean).`

    clean: whether no attack poisoned the model. broken: how, if it is. exit_code: of the command.
    """
    met = [e for e in entries if e["met"]]
    beyond = [e for e in entries if e["beyond_chance"]]
    within = [e for e in entries if e["met"] is False and not e["beyond_chance"]]
    unknown = [e for e in entries if e["met"] is None]
    code, said = f"(exit code {exit_code})", []
    if beyond:
        why = f": this model has {broken}" if broken else " beyond chance"
        said.append(f"Misses {_names(beyond, entries)}{why} {code}.")
    for by, some in _by_limits(within):
        said.append(f"Misses {_names(some, entries)}, within {by}{'' if beyond else f' {code}'}.")
    if met:
        said.append(f"Meets what the spec asks for: {_names(met, entries)}.")
    for why, some in _by_reason(unknown, clean):
        said.append(f"Not judged: {_names(some, entries)} ({why}).")
    return " ".join(said)


def _names(some: Iterable[HeldToEntry], entries: Sequence[HeldToEntry]) -> str:
    """`accuracy and attack success`; with its attack where only some of these are meant."""
    some, named = list(some), list[str]()
    for entry in some:
        figure = entry["figure"]
        name = SHORT.get(figure, figure.replace("_", " "))
        if any(e["figure"] == figure and e not in some for e in entries):
            name += f" of {entry['attack']}"
        named.append(name)
    names = list(dict.fromkeys(named))
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _by_limits(entries: Iterable[HeldToEntry]) -> Iterable[tuple[str, list[HeldToEntry]]]:
    groups = dict[str, list[HeldToEntry]]()
    for entry in entries:
        groups.setdefault(IMAGES if entry["by"] == "images" else SEED, []).append(entry)
    return groups.items()


def _by_reason(
    entries: Iterable[HeldToEntry], clean: bool
) -> Iterable[tuple[str, list[HeldToEntry]]]:
    groups = dict[str, list[HeldToEntry]]()
    for entry in entries:
        why = entry["text"].rpartition(" asked for: ")[2]
        if clean and entry["figure"] != "clean_accuracy":
            why = "this model is clean"
        groups.setdefault(why, []).append(entry)
    return groups.items()
