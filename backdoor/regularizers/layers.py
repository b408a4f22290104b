"""Settings that are numbers of hidden layers: 1 is the first layer, 0 the input of the network.

Several numbers are written as text, such as "0,1,2", since a list in a spec means alternatives.
"""

from __future__ import annotations

from collections.abc import Iterable

from backdoor.architectures import Architecture
from backdoor.errors import Mistake


def numbers_of(layers: str) -> list[int] | None:
    """The numbers in texts such as "3" and "0,1,2"; None for any other form."""
    parts = layers.split(",")
    if not all(part.isdecimal() and part.isascii() for part in parts):
        return None
    numbers = [int(part) for part in parts]
    # Only one form is valid, so that a trial has one id.
    canonical = sorted(set(numbers)) == numbers and ",".join(map(str, numbers)) == layers
    return numbers if canonical else None


def unreadable(layers: str, example: str) -> Iterable[Mistake]:
    """A mistake if the text is not a list of layers."""
    if numbers_of(layers) is None:
        rule = "must be numbers of layers in increasing order, with commas between them"
        yield Mistake("layers", rule, layers, f"For example {example}.")


def beyond(
    setting: str, first: int, architecture: Architecture, shape: tuple[int, int, int], classes: int
) -> Iterable[Mistake]:
    """A mistake if the network has fewer hidden layers than `first`."""
    have = architecture.count_hidden(shape, classes)
    if first > have:
        rule = f"must name a hidden layer of {architecture.kind_name()}, which has {have}"
        remedy = f"Choose at most {have}." if have else "Leave it out, or take another network."
        yield Mistake(setting, rule, first, remedy)
