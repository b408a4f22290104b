"""The base class of probes, what a probe gets, and what it returns."""

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
    """One trained model, with all the images that it was trained and measured on.

    fitted.predict(index, rows) and fitted.state(index) are predictions and weights of the model.
    member: its training, validation, test and triggered rows in `store`.
    """

    fitted: Fitted
    index: int
    member: Member
    store: ImageStore
    source: Source

    @property
    def lane(self) -> Member:
        """Former name of `member`."""
        return self.member

    @property
    def bank(self) -> ImageStore:
        """Former name of `store`."""
        return self.store

    @property
    def config(self) -> TrialConfig:
        """The trial of the model."""
        return self.member.config

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.source.class_names)


@dataclass(frozen=True)
class ProbeResult:
    """What a probe found on one model.

    probe: identity of the probe. columns: name → values, all of the same length; a float is NaN if
    the figure does not exist. A single figure is a column of length 1.
    """

    probe: Mapping[str, Any]
    columns: Mapping[str, tuple[float | int | str, ...]]


@dataclass(frozen=True)
class Probe(Kind):
    """Analyses a trained model beyond counts on test images."""

    def study(self, model: ProbedModel) -> ProbeResult | None:
        """The result on one model; None if the probe does not apply to it, as for clean baselines.

        It never changes the model. All its random numbers come from streams keyed by the seed of
        the trial.
        """
        raise NotImplementedError

    def suits(self, config: TrialConfig) -> Iterable[Mistake]:
        """Mistakes of this probe on this trial; none by default. The probe is still run on models
        of other trials of the sweep."""
        return ()

    def found(self, **columns: Iterable[float | int | str]) -> ProbeResult:
        """A result of this probe with these columns."""
        values = {name: tuple(column) for name, column in columns.items()}
        return ProbeResult(self.identity(), values)


#: Former names, which probes of users may import.
Studied, Study = ProbedModel, ProbeResult
