"""Settings that name hidden layers of a network by number: 1 is the first, 0 its input."""

from __future__ import annotations

from collections.abc import Iterable

from backdoor.architectures import Architecture
from backdoor.errors import Mistake


def numbers_of(layers: int | str) -> list[int] | None:
    """3 and "0,1,2" as numbers; None for any other way of writing them."""
    if isinstance(layers, int):
        return [layers] if layers >= 0 else None
    parts = layers.split(",")
    if len(parts) < 2 or not all(part.isdecimal() and part.isascii() for part in parts):
        return None
    numbers = [int(part) for part in parts]
    canonical = sorted(set(numbers)) == numbers and ",".join(map(str, numbers)) == layers
    return numbers if canonical else None


def unreadable(layers: int | str, words: tuple[str, ...] = ()) -> Iterable[Mistake]:
    """A mistake if these are no layers, and none of the words that stand for some."""
    if layers not in words and numbers_of(layers) is None:
        rule = "must be the number of a layer, or several such as 0,1,2 in increasing order"
        rule = " or ".join([rule, *words])
        yield Mistake("layers", rule, layers, "1 is the first hidden layer, 0 the input.")


def beyond(
    setting: str, layers: int | str, architecture: Architecture, shape: tuple[int, int, int],
    classes: int,
) -> Iterable[Mistake]:  # fmt: skip
    """A mistake if the network has none of these layers, named by their numbers."""
    wanted, have = numbers_of(layers), architecture.count_hidden(shape, classes)
    if wanted is not None and wanted[0] > have:
        rule = f"must name a hidden layer of {architecture.kind_name()}, which has {have}"
        remedy = f"Choose at most {have}." if have else "Leave it out, or take another network."
        yield Mistake(setting, rule, layers, remedy)
