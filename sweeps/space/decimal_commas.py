"""Lists whose commas look like decimal commas: `[0,5, 0,25]` is four numbers in YAML.

Who writes a space after some commas and none after others means two kinds of comma. Lists with a
space after each comma, or after none, mean what they say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

import yaml

from backdoor.errors import Mistake

_WHOLE = re.compile(r"[-+]?[0-9]+")
_DECIMALS = re.compile(r"[0-9]+(?:[eE][-+]?[0-9]+)?")
_SEMICOLON = re.compile(r"[-+.0-9eE]*[0-9] *; *[-+.]?[0-9][-+.0-9eE]*")
#: Characters of a list that a message repeats.
SHOWN = 60


def in_list(nodes: Sequence[yaml.Node], text: str) -> Mistake | None:
    """The mistake of a list in brackets that looks like numbers with decimal commas.

    nodes: of its values. text: of the document, which the nodes' marks count in. None where it
    does not look so, or where a number begins with 0: that is a mistake of its own.
    """
    if not nodes or not all(_plain(node) for node in nodes):
        return None
    runs, values = _runs(nodes, text), [node.value for node in nodes]
    if any(re.match("[-+]?0[0-9]", value) for value in values):
        return None
    written = text[nodes[0].start_mark.index : nodes[-1].end_mark.index]
    if any(_SEMICOLON.fullmatch(value) for value in values):
        meant = ", ".join(part.strip().replace(",", ".") for part in written.split(";"))
        rule, remedy = "must have commas between its values", f"Write [{_short(meant)}]."
    elif len(runs) > 1 and any(map(_decimal, runs)) and max(map(len, runs)) == 2:
        meant = ", ".join(".".join(run) if _decimal(run) else ", ".join(run) for run in runs)
        rule = "must not mix two kinds of comma: some look like the comma of a decimal number"
        remedy = f"Decimals have a point: [{_short(meant)}]. If you mean whole numbers, put a "
        remedy += f"space after each comma: [{_short(', '.join(values))}]."
    else:
        return None
    return Mistake("", rule, f"[{_short(written)}]", remedy)


def in_mapping(
    pairs: Sequence[tuple[yaml.Node, yaml.Node]], text: str
) -> Iterator[tuple[Mistake, list[yaml.Node]]]:
    """The same of a mapping in braces: `{learning_rate: 0,5}` has a key 5 without a value. With
    each mistake, the two keys."""
    for (key, before), (after, empty) in pairwise(pairs):
        if not all(map(_plain, (key, before, after, empty))) or empty.value:
            continue
        touching = text[before.end_mark.index : after.start_mark.index] == ","
        if touching and _decimal([before.value, after.value]):
            number = f"{before.value},{after.value}"
            rule = "must not have a comma in a number"
            remedy = f"Decimals have a point: {number.replace(',', '.')}."
            yield Mistake("", rule, number, remedy), [key, after]


def _plain(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.style is None


def _runs(nodes: Sequence[yaml.Node], text: str) -> list[list[str]]:
    """The values, those together that have a comma and no space between them."""
    runs = [[nodes[0].value]]
    for one, other in pairwise(nodes):
        if text[one.end_mark.index : other.start_mark.index] == ",":
            runs[-1].append(other.value)
        else:
            runs.append([other.value])
    return runs


def _decimal(run: Sequence[str]) -> bool:
    """Whether this is a whole number and what could be its decimals."""
    return len(run) == 2 and bool(_WHOLE.fullmatch(run[0]) and _DECIMALS.fullmatch(run[1]))


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
