"""A checked spec, frozen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from backdoor.config import Attack, Defence, Training, TrialConfig
from backdoor.datasets import Dataset
from backdoor.probes import Probe
from backdoor.settings.user_file import files_of, pinned_in
from sweeps.records.thresholds import Thresholds
from sweeps.space.space import Space
from sweeps.space.yaml_loader import dump_yaml
from sweeps.spec.sections import Resources, SearchSettings, StoppingSettings, Tracking


@dataclass(frozen=True)
class SweepSpec:
    """A checked spec. `document` holds the plain values it was made from, in which classes may be
    named, while everything else here has their numbers; `stopping` is None where every trial runs
    to its end. `notes` say what is wrong but no error, since a sweep has begun with it; `warnings`
    name triggers that change nearly nothing and are allowed all the same. `former`: an earlier
    release began the sweep, so that settings which came later act as before them. `also_measured`
    are attacks outside the panel that clean models are measured with as well."""

    name: str
    data: Dataset
    defence: Space
    panel: tuple[Attack, ...]
    baseline: bool
    training: Training
    seeds: tuple[int, ...]
    search: SearchSettings
    region: Thresholds
    resources: Resources
    tracking: Tracking | None
    curve_every: int
    document: dict[str, Any]
    stopping: StoppingSettings | None = None
    probes: tuple[Probe, ...] = ()
    notes: tuple[str, ...] = ()
    former: bool = False
    warnings: tuple[str, ...] = ()
    also_measured: tuple[Attack, ...] = ()

    @property
    def predicting(self) -> bool:
        """Whether trials are stopped whose verdict is certain."""
        return self.stopping is not None and self.stopping.kind == "certain"

    @property
    def stopped_by_tune(self) -> bool:
        """Whether one of Tune's rules stops trials."""
        return self.stopping is not None and not self.predicting

    @property
    def attacks(self) -> tuple[Attack | None, ...]:
        """What each defence point is trained against; None is the clean baseline."""
        return (*((None,) if self.baseline else ()), *self.panel)

    @property
    def measures(self) -> tuple[Attack, ...]:
        """The distinct triggers and targets of the panel and of `also_measured`, whatever the
        poison rate."""
        attacks = (*self.panel, *self.also_measured)
        return tuple(dict.fromkeys(attack.measure() for attack in attacks))

    @property
    def data_root(self) -> str | None:
        """Where the data lie on this machine; no part of any trial's identity."""
        return getattr(self.data, "root", None)

    @property
    def files(self) -> dict[str, str]:
        """Digest → path of the files that attacks, architectures and features name."""
        of_attacks = {k: v for attack in self.panel for k, v in files_of(attack).items()}
        return pinned_in(self.document) | of_attacks

    def trial(self, defence: Defence, attack: Attack | None, seed: int) -> TrialConfig:
        return TrialConfig(self.data, defence, attack, self.training, seed)

    def to_yaml(self) -> str:
        return dump_yaml(self.document)
