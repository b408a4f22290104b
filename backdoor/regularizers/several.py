"""Several regularizers in one trial: each acts on every step, and their penalties are added.

In a list of alternatives, a list is one alternative whose kinds act together:

    regularizer: [none, dropout, [{kind: logit_squeezing, strength: [0.01, 0.1]}, gaussian_noise]]

Their order has no meaning, and a list of one kind is that kind. The canonical form is a mapping
whose kind is the names in alphabetical order, `gaussian_noise+logit_squeezing`. The settings of
each kind are under its name, so that each setting is a factor of its own in results.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from backdoor.architectures import Architecture
from backdoor.errors import Mistake
from backdoor.regularizers.base import Regularizer
from backdoor.regularizers.none import NoRegularizer
from backdoor.settings.kind_checks import mistakes_of
from backdoor.settings.outside import TOGETHER


@dataclass(frozen=True)
class Several(Regularizer):
    """Two or more kinds that act together, in alphabetical order."""

    parts: tuple[Regularizer, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "parts", tuple(sorted(self.parts, key=_name)))

    def rules(self) -> Iterable[Mistake]:
        names = list(map(_name, self.parts))
        shown = TOGETHER.join(names)
        if any(isinstance(part, NoRegularizer) for part in self.parts):
            yield Mistake("", "must not have `none` beside others", shown, "Remove `none`.")
        for name, count in Counter(names).items():
            if count > 1 and name != NoRegularizer.kind:
                remedy = (
                    f"Keep one {name}; for alternatives, give one of its settings a list of values."
                )
                yield Mistake("", "must name each kind once", shown, remedy)

    @property
    def terms(self) -> tuple[Regularizer, ...]:
        return tuple(sorted(self.parts, key=lambda part: (part.turn, _name(part))))

    @property
    def on_answers_alone(self) -> bool:
        return all(part.on_answers_alone for part in self.parts)

    def identity(self) -> dict[str, Any]:
        return self._written([part.identity() for part in self.parts])

    def pack_identity(self) -> dict[str, Any]:
        return self._written([part.pack_identity() for part in self.parts])

    def _written(self, parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
        settings = {p["kind"]: {k: v for k, v in p.items() if k != "kind"} for p in parts}
        return {"kind": TOGETHER.join(settings), **settings}

    def fits(
        self, architecture: Architecture, shape: tuple[int, int, int], classes: int
    ) -> Iterable[Mistake]:
        for part in self.parts:
            for mistake in mistakes_of(part, "fits", architecture, shape, classes):
                yield mistake.inside(_name(part))


def together(parts: Sequence[Regularizer]) -> Regularizer:
    """One regularizer of several that act together; of a single one, itself."""
    return parts[0] if len(parts) == 1 else Several(tuple(parts))


def _name(part: Regularizer) -> str:
    return part.kind_name()
