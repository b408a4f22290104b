"""What a worker is handed at once: packs that it trains one after the other.

An engine trains a pack of small models in a third of a second, and Tune takes a tenth to hand one
out. A chunk therefore lasts for seconds. Its packs need not have the same shape.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from backdoor.config import (
    Attack,
    TrialConfig,
    build_attack,
    build_data,
    build_defence,
    build_training,
)
from backdoor.settings.digest import digest
from backdoor.settings.registry import PROBES
from backdoor.settings.user_file import files_of
from sweeps.early_stopping.limits import from_plain, plain
from sweeps.packs.pack import Pack, PackSettings


@dataclass(frozen=True)
class Chunk:
    """Packs of one sweep, at least one."""

    packs: tuple[Pack, ...]

    @property
    def chunk_id(self) -> str:
        """Twelve hex digits that follow from the packs."""
        return digest("stint", [pack.pack_id for pack in self.packs])[:12]

    def to_json(self) -> str:
        """Plain JSON: no pickle is sent, and any process can read it.

        Trials share most of their parts. Each part is written once and built once by the reader; a
        trial is written as the numbers of its parts and its seed.
        """
        settings, parts = self.packs[0].settings, _Parts()
        packs = [[parts.of(trial) for trial in pack.trials] for pack in self.packs]
        files = parts.files.copy()
        for measure in settings.measures:
            files |= files_of(measure)
        content = {
            "parts": parts.written,
            "packs": packs,
            "measures": [measure.identity() for measure in settings.measures],
            "curve_every": settings.curve_every,
            "data_root": settings.data_root,
            "files": files,
            "cpu": settings.cpu,
            "gpu": settings.gpu,
            "stopping": settings.stopping,
            "probes": [probe.identity() for probe in settings.probes],
            "predicting": settings.predicting,
            "time_limit": settings.time_limit,
            "limits": plain([pack.limits for pack in self.packs]),
            "without": [pack.without for pack in self.packs],
        }
        return json.dumps(content, separators=(",", ":"))

    @staticmethod
    def from_json(text: str) -> Chunk:
        content: dict[str, Any] = json.loads(text)
        root, files = content["data_root"], content["files"]
        settings = PackSettings(
            measures=tuple(_attack(measure, files) for measure in content["measures"]),
            curve_every=content["curve_every"],
            data_root=root,
            cpu=content["cpu"],
            gpu=content["gpu"],
            stopping=content["stopping"],
            probes=tuple(PROBES.build(probe) for probe in content["probes"]),
            predicting=content["predicting"],
            time_limit=content.get("time_limit"),
        )
        parts = _built(content["parts"], root, files)

        def trial(data: int, defence: int, attack: int, training: int, seed: int) -> TrialConfig:
            return TrialConfig(parts[data], parts[defence], parts[attack], parts[training], seed)

        packs = (tuple(trial(*numbers) for numbers in pack) for pack in content["packs"])
        limits = from_plain(content["limits"])
        without = (tuple((name, why) for name, why in each) for each in content["without"])
        of_packs = zip(packs, limits, without, strict=True)
        return Chunk(tuple(Pack(own, settings, limit, less) for own, limit, less in of_packs))


class _Parts:
    """The distinct parts of trials, as (name of the part, plain values).

    Parts are distinguished as objects: equal ones may be written twice, which only costs bytes.
    """

    def __init__(self) -> None:
        self.written: list[tuple[str, Any]] = []
        self.files: dict[str, str] = {}  # digest → path, of all parts
        self._number: dict[int, int] = {}

    def of(self, trial: TrialConfig) -> list[int]:
        """The numbers of its data, defence, attack and training, and its seed."""
        parts = [trial.data, trial.defence, trial.attack, trial.training]
        numbers = [self._number.get(id(part), -1) for part in parts]
        if -1 in numbers:
            numbers = [self._add(*pair) for pair in zip(_BUILDERS, parts, strict=True)]
        return [*numbers, trial.seed]

    def _add(self, name: str, part: Any) -> int:
        number = self._number.setdefault(id(part), len(self.written))
        if number == len(self.written):
            self.written.append((name, None if part is None else part.identity()))
            self.files |= files_of(part)
        return number


def _attack(identity: Any, files: Mapping[str, str]) -> Attack:
    return build_attack(identity, files, former=True)


#: How each part of a trial is built, in the order of the arguments of `TrialConfig`.
_BUILDERS: dict[str, Callable[[Any, Mapping[str, str]], Any]] = {
    "data": lambda values, _: build_data(values),
    "defence": build_defence,
    "attack": _attack,
    "training": build_training,
}


def _built(written: list[Any], root: str | None, files: Mapping[str, str]) -> list[Any]:
    """root, files: where the data and other files lie on this machine."""
    built = []
    for name, values in written:
        if name == "data" and root is not None:
            values = values | {"root": root}
        built.append(None if values is None else _BUILDERS[name](values, files))
    return built
