"""What every probe is given, and what it finds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from backdoor.config import TrialConfig
from backdoor.datasets.source import Source
from backdoor.engines import Fitted, Member
from backdoor.errors import Mistake
from backdoor.image_store.store import ImageStore
from backdoor.settings.registry import Kind


@dataclass(frozen=True)
class ProbedModel:
    """One trained model, with all that it was trained and measured on.

    fitted.predict(index, rows) and fitted.state(index) are the model's answers and weights; lane
    has its training, validation, test and triggered rows in `store`.
    """

    fitted: Fitted
    index: int
    member: Member
    store: ImageStore
    source: Source

    @property
    def lane(self) -> Member:
        """`member`, by its name of before."""
        return self.member

    @property
    def bank(self) -> ImageStore:
        """`store`, by its name of before."""
        return self.store

    @property
    def config(self) -> TrialConfig:
        return self.member.config

    @property
    def classes(self) -> int:
        return len(self.source.class_names)


@dataclass(frozen=True)
class ProbeResult:
    """What a probe found on one model.

    columns: name to values, all of one length, a row a point; floats may be NaN where a figure
    does not exist. A single figure is a column of length 1.
    """

    probe: Mapping[str, Any]
    columns: Mapping[str, tuple[float | int | str, ...]]


@dataclass(frozen=True)
class Probe(Kind):
    """Looks at a trained model more closely than counts on test images do."""

    def study(self, model: ProbedModel) -> ProbeResult | None:
        """What this probe finds; None for models it says nothing about, such as clean baselines.

        Never changes the model. Everything it draws comes from streams keyed by the trial's seed.
        """
        raise NotImplementedError

    def suits(self, config: TrialConfig) -> Iterable[Mistake]:
        """What is wrong with this probe on this trial; nothing by default. Models of other trials
        of the sweep are studied all the same."""
        return ()

    def found(self, **columns: Iterable[float | int | str]) -> ProbeResult:
        """A study of this probe with these columns."""
        return ProbeResult(
            self.identity(), {name: tuple(values) for name, values in columns.items()}
        )


#: The names of before, which probes of users may import.
Studied, Study = ProbedModel, ProbeResult
