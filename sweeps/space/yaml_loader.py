"""Reading YAML as people mean it: numbers and truth values of YAML 1.2, no key twice.

PyYAML follows YAML 1.1: it reads `1e-5` as text and `on` as true, and lets the last of two equal
keys win. This loader is a SafeLoader: no tag in a file can make it build anything but plain data.
Numbers that could mean something else are refused: `01`, which is what remains of a decimal comma,
lists with two kinds of comma (`decimal_commas`), and numbers that a computer cannot hold. Mappings
are merged by `<<`, as in YAML 1.1. `yaml_limits` says how large a document may be.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import Any, ClassVar

import yaml

from backdoor.errors import Mistake, UserError
from sweeps.space import decimal_commas
from sweeps.space.misread import Misread, paths_of, settings_at
from sweeps.space.yaml_limits import MOST_DIGITS, TooLargeError, ValueCount, check_length

_INT = re.compile(r"^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$")
_FLOAT = re.compile(
    r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
)
_BOOL = re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$")
_NULL = re.compile(r"^(?:~|null|Null|NULL|)$")
_LEADING_ZERO = re.compile(r"^[-+]?0[0-9]")
#: A colour, which YAML reads as a comment where it stands for itself.
_COLOUR = re.compile(r"#(?:[0-9a-fA-F]{3}){1,2}")
_LOST_COLOUR = re.compile(r"[\[{:,]\s*#[0-9a-fA-F]{3}")
HELD = "must be a number that a computer can hold, from 1e-300 to 1e300"
#: Characters of a number that a message shows.
SHOWN = 500
_MERGE, _MERGE_KEY = "tag:yaml.org,2002:merge", "<<"


class _Loader(yaml.SafeLoader):
    """Collects in `mistakes` what would be lost or misread: repeated keys, and some numbers."""

    yaml_implicit_resolvers: ClassVar[dict[str, list[Any]]] = {}  # type: ignore[misc]

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.mistakes: list[tuple[int, Mistake]] = []
        #: Mistakes about numbers, with their lines and the nodes that were meant otherwise.
        self.misread: list[tuple[int, Mistake, list[yaml.Node]]] = []
        self._text, self._count, self._levels = stream, ValueCount(), 0

    def wrong(self, node: yaml.Node, mistake: Mistake) -> None:
        """Notes a mistake, with the line of the node."""
        line = node.start_mark.line + 1
        self.mistakes.append((line, replace(mistake, place=f"line {line}")))

    def meant_otherwise(self, mistake: Mistake, nodes: list[yaml.Node]) -> None:
        """Notes that nodes are read otherwise than they were meant, with the line of the first."""
        line = nodes[0].start_mark.line + 1
        self.misread.append((line, replace(mistake, place=f"line {line}"), nodes))

    def found(self, root: yaml.Node | None, place: str) -> list[Mistake]:
        """All mistakes, in the order of their lines. place: of the document in a spec."""
        paths = paths_of(root) if root is not None and self.misread else {}
        found = list(self.mistakes)
        for line, m, nodes in self.misread:
            settings = settings_at([paths.get(id(node), "") for node in nodes], place)
            found.append((line, Misread(m.place, m.rule, m.value, m.remedy, settings)))
        return [mistake for _, mistake in sorted(found, key=lambda each: each[0])]

    def compose_sequence_node(self, anchor: Any) -> yaml.SequenceNode:
        """Looks for decimal commas, which are gone once the list is built."""
        node: yaml.SequenceNode = super().compose_sequence_node(anchor)
        if node.flow_style and (mistake := decimal_commas.in_list(node.value, self._text)):
            self.meant_otherwise(mistake, [node])
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Looks for repeated keys before others are merged in, over which a mapping's own win."""
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        seen: dict[Hashable, int] = {}
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                continue
            merge = key_node.tag == _MERGE
            key = _MERGE_KEY if merge else self.construct_object(key_node, deep=True)
            if (merge, key) in seen:
                rule = f"must not repeat a key (first in line {seen[merge, key]})"
                listed = "Merge several mappings as a list: <<: [*one, *other]."
                remedy = listed if merge else "Remove one of the two."
                self.wrong(key_node, Mistake("", rule, key, remedy))
            seen.setdefault((merge, key), key_node.start_mark.line + 1)
        if node.flow_style:
            for mistake, nodes in decimal_commas.in_mapping(node.value, self._text):
                self.meant_otherwise(mistake, nodes)
        return node

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Refuses what contains itself, which has no end, and what is too large."""
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if self.check_event(yaml.AliasEvent):
            node = self.anchors.get(event.anchor)
            if node is not None and node.end_mark is None:  # it is still being read
                what, mark = f"&{event.anchor} contains itself by *{event.anchor}", event.start_mark
                raise yaml.composer.ComposerError(None, None, what, mark)
            return super().compose_node(parent, index)
        self._count.check_depth(self._levels, event.start_mark)
        self._levels += 1
        composed = super().compose_node(parent, index)
        self._levels -= 1
        if composed is not None:
            self._count.add(composed)
        return composed

    def number(self, node: yaml.ScalarNode) -> str:
        """The text of a number."""
        text = str(self.construct_scalar(node))
        if _LEADING_ZERO.match(text):
            remedy = "Decimals have a point: 0.01, not 0,01. "
            remedy += f"Put text in quotes: '{_short(text)}'."
            rule = "must not be a number that begins with 0"
            self.meant_otherwise(Mistake("", rule, _short(text), remedy), [node])
        return text


def _integer(loader: _Loader, node: yaml.ScalarNode) -> int:
    text = loader.number(node)
    if len(text) > MOST_DIGITS:
        loader.wrong(node, Mistake("", HELD, _short(text), "Choose another one."))
        return 0
    base = {"0o": 8, "0x": 16}.get(text[:2], 10)
    return int(text[2:] if base != 10 else text, base)


def _float(loader: _Loader, node: yaml.ScalarNode) -> float:
    text = loader.number(node).lower()
    value = float(text.replace(".inf", "inf").replace(".nan", "nan"))
    digits = text.partition("e")[0]
    if (math.isinf(value) and "inf" not in text) or (not value and re.search("[1-9]", digits)):
        loader.wrong(node, Mistake("", HELD, _short(text), "Choose another one."))
    return value


def _short(text: str) -> str:
    """A number as a message shows it."""
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}... ({len(text):,} characters)"


for _tag, _pattern, _first in (
    ("bool", _BOOL, "tTfF"),
    ("int", _INT, "-+0123456789"),
    ("float", _FLOAT, "-+.0123456789"),
    ("null", _NULL, ["~", "n", "N", ""]),
    ("merge", re.compile(f"^{_MERGE_KEY}$"), "<"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", _pattern, list(_first))
_Loader.add_constructor("tag:yaml.org,2002:int", _integer)
_Loader.add_constructor("tag:yaml.org,2002:float", _float)


def load_yaml(text: str, warn: Callable[[Mistake], None], place: str = "spec") -> Any:
    """Plain data from YAML text, which is at `place`.

    Repeated keys, and numbers that could mean something else, go to `warn`. Broken YAML raises
    `UserError`, and so does a document that is too large, each alias counted with all that it
    stands for. A colour such as #ff0000 is text where it is the whole value of an option.
    """
    option = place.startswith("--")
    if option and _COLOUR.fullmatch(text.strip()):
        return text.strip()
    check_length(text, place)
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        value = None if root is None else loader.construct_document(root)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = place if mark is None else f"{place}, line {mark.line + 1}"
        colour = _LOST_COLOUR.search(text)
        remedy = "Put a colour in quotes: '#ff0000'." if colour else "Fix it there."
        raise UserError(_broken(at, error.problem or error.context, remedy)) from None
    except TooLargeError as error:
        at = place if option else f"{place}, line {error.line}"
        raise UserError(replace(error.mistake, place=at)) from None
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, RecursionError) as error:
        # PyYAML's constructors raise as they like for tags such as !!int that do not fit.
        raise UserError(_broken(place, f"{type(error).__name__}: {error}")) from None
    for mistake in loader.found(root, place.removeprefix("--set ").strip() if option else ""):
        # An option of the command line has one line, and there may be several of them.
        warn(replace(mistake, place=place) if option else mistake)
    return value


def _broken(place: str, what: object, remedy: str = "Fix it there.") -> Mistake:
    message = " ".join(str(what).split())
    return Mistake(place, "must be valid YAML", message, remedy)


def dump_yaml(value: Any) -> str:
    """Plain data as YAML text that `load_yaml` reads back as the same data."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


class _Dumper(yaml.SafeDumper):
    """Quotes what either version of YAML would read as something else than text."""

    yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    before = yaml.SafeDumper.yaml_implicit_resolvers.get(text[:1], [])  # of YAML 1.1: yes, 1:30
    ambiguous = any(p.match(text) for p in (_INT, _FLOAT, _BOOL, _NULL, *(p for _, p in before)))
    style = "'" if ambiguous else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _number(dumper: yaml.SafeDumper, value: float) -> yaml.ScalarNode:
    text = repr(value).replace("inf", ".inf").replace("nan", ".nan")
    return dumper.represent_scalar("tag:yaml.org,2002:float", text)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(float, _number)
