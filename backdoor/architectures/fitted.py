"""Weights that somebody else trained: which tensors of a file are those of a network.

Training scripts put a network's weights into entries such as `state_dict`, `net` or `model`, beside
others, and before their names the names of what the network was part of: `module.` (DataParallel),
`_orig_mod.` (torch.compile), `model.` (Lightning). So the weights are those tensors, in any entry
and behind any prefix, that have all names of the network, with no others behind that prefix. If two
sets of tensors fit, a running average (`ema`, `swa`) gives way to the other; else the file is
refused.

If the file is for another number of classes, the last layer of the network keeps its own, untrained
weights.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from backdoor.architectures.pretrained import State, Tables
from backdoor.reading.files import listed

#: Modules that add their name to those of the weights, anywhere, and change nothing else.
TRANSPARENT = ("_orig_mod", "module", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
#: Classifiers that are used in training only; our networks do not have them.
AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")
#: Places of running averages of the weights.
AVERAGE = re.compile(r"(^|[._ ])(ema|swa|avg|averaged|shadow)([._]|$)")


class UnfitError(ValueError):
    """No weights of the network: what the file does, and what can be done."""

    def __init__(self, does: str, remedy: str | None = None) -> None:
        super().__init__(does)
        self.remedy = (
            remedy or "Weights for ImageNet need colour images of more than 64 pixels a side."
        )


@dataclass(frozen=True)
class Fitted:
    """Weights for a network.

    state: by the network's own names. place: where in the file they were, such as
    `state_dict: model.`. left_out: the tensors that were not used.
    """

    state: State
    place: str
    left_out: tuple[str, ...]


def fitted_weights(tables: Tables, module: nn.Module, head: str) -> Fitted:
    """The weights of a module: all, or all but those of `head` if they are for other classes.

    Raises:
        UnfitError: with the differences, or with two places whose weights fit.
    """
    own = module.state_dict()
    found = [c for place, state in tables.items() for c in _candidates(place, state, own, head)]
    fitting = [candidate for candidate in found if not candidate.differences]
    fitting = [c for c in fitting if not AVERAGE.search(c.place)] or fitting
    if not fitting:
        nearest = max(found, key=lambda c: (len(c.state.keys() & own), -len(c.differences)))
        raise UnfitError(_said(nearest.differences))
    first, *others = fitting
    for other in others:
        if not _equal(first.state, other.state):
            does = f"holds two that differ, `{first.place}` and `{other.place}`"
            raise UnfitError(does, "Save the one that you mean in a file of its own.")
    used = {id(value) for value in first.state.values()}
    left_out = (
        f"{place}: {name}" if place else name
        for place, state in tables.items()
        for name, value in state.items()
        if id(value) not in used
    )
    return Fitted(first.state, first.place, tuple(left_out))


@dataclass(frozen=True)
class _Candidate:
    """Tensors behind one prefix. differences: from the network, (what it does, name)."""

    place: str
    state: State
    differences: list[tuple[str, str]]


def _candidates(place: str, state: State, own: State, head: str) -> list[_Candidate]:
    """By the names as they are, or, where none fit, by those without `TRANSPARENT`."""
    found = list(_behind_prefixes(place, state, own, head))
    if all(candidate.differences for candidate in found):
        found += _behind_prefixes(place, _without_transparent(state, own), own, head)
    return found


def _behind_prefixes(place: str, state: State, own: State, head: str) -> Iterator[_Candidate]:
    prefixes = {name[: len(name) - len(end)] for name in state for end in _ends(name) if end in own}
    copies = [p for p in prefixes if all(p + n in state for n in _required(own))]
    for prefix in sorted(prefixes) or [""]:
        inner = tuple(p for p in copies if p != prefix and p.startswith(prefix))
        given = {
            name.removeprefix(prefix): value
            for name, value in state.items()
            if name.startswith(prefix) and not name.startswith(inner)
        }
        given = {name: value for name, value in given.items() if not name.startswith(AUXILIARY)}
        new_head = _head_of_other_classes(given, own, head)
        differences = _differences(given, own, new_head)
        kept = {name: value for name, value in given.items() if name not in new_head}
        where = ": ".join(part for part in (place, prefix) if part)
        yield _Candidate(where or "the file itself", kept, differences)


def _required(own: State) -> list[str]:
    """Names that files must have; older versions of torch did not count batches."""
    return [name for name in own if not name.endswith("num_batches_tracked")]


def _equal(one: State, other: State) -> bool:
    shared = [(value, other[name]) for name, value in one.items() if name in other]
    return all(a.dtype == b.dtype and torch.equal(a, b) for a, b in shared)


def _ends(name: str) -> list[str]:
    """`a.b.c`, `b.c` and `c` of `a.b.c`."""
    parts = name.split(".")
    return [".".join(parts[i:]) for i in range(len(parts))]


def _without_transparent(state: State, own: State) -> State:
    """By names without those of `TRANSPARENT`, unless that makes two names equal."""
    of_network = {part for name in own for part in name.split(".")}
    skipped = set(TRANSPARENT) - of_network
    names = [".".join(p for p in name.split(".") if p not in skipped) for name in state]
    return dict(zip(names, state.values(), strict=True)) if len(set(names)) == len(names) else state


def _head_of_other_classes(given: State, own: State, head: str) -> set[str]:
    """The weights of the last layer, if one has another shape in the file."""
    parts = [f"{head}.{last}" for last in ("weight", "bias") if f"{head}.{last}" in own]
    other = any(name in given and given[name].shape != own[name].shape for name in parts)
    return set(parts if other else ())


def _differences(given: State, own: State, new_head: set[str]) -> list[tuple[str, str]]:
    lacking = [name for name in _required(own) if name not in given]
    shapes = [
        f"{name} is {tuple(given[name].shape)} and not {tuple(value.shape)}"
        for name, value in own.items()
        if name in given and name not in new_head and given[name].shape != value.shape
    ]
    unknown = [name for name in given if name not in own]
    words = ("lacks", lacking), ("has besides", unknown), ("differs in shape:", shapes)
    return [(word, name) for word, names in words for name in names]


def _said(differences: list[tuple[str, str]]) -> str:
    words = dict.fromkeys(word for word, _ in differences)
    texts = [f"{word} {listed([n for w, n in differences if w == word])}" for word in words]
    return "; ".join(texts)
