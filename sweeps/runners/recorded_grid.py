"""A recorded grid as a CSV file, one training a row, that answers for trials as a ledger does.

RecordedGrid(
    Path("grid.csv"),
    CsvColumns(
        clean="acc", success="asr", images=500, seed="seed",
        factors={"wd": "defence.weight_decay", "rate": "attack.poison_rate"},
    ),
)
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backdoor.config import Attack, TrialConfig, measure_id
from backdoor.errors import Mistake, UserError
from backdoor.result import Measurement, TrialResult
from backdoor.settings.schema import round_significant, suggest
from backdoor.streams import stream
from sweeps.ledger import Rows, finished_rows
from sweeps.packs.pack import Pack

#: What the ledger says of the engine of such trials.
ENGINE = "recorded"
Key = tuple[Any, ...]


@dataclass(frozen=True)
class CsvColumns:
    """The meaning of the columns of a CSV file.

    clean: accuracy on clean test images; success: the fraction of triggered images that are
    answered as the attacker wants; both in [0, 1], as measured on `images` images. An empty success
    is unknown, as that of a clean baseline. factors: column → where a trial has its value, such as
    `defence.weight_decay`, `defence.architecture.kind` or `attack.poison_rate`; factors without a
    column count as equal. seed, seconds: columns of the seed and of the seconds that a training
    took; None where there is none.
    """

    clean: str
    success: str
    images: int
    factors: Mapping[str, str] = field(default_factory=dict)
    seed: str | None = None
    seconds: str | None = None

    def __post_init__(self) -> None:
        images: object = self.images
        if isinstance(images, bool) or not isinstance(images, int) or images < 1:
            rule = "must be a whole number from 1 on: fractions are of so many test images"
            raise UserError(Mistake("images", rule, images, "Say how many images were tested."))

    @property
    def names(self) -> list[str]:
        given = (self.clean, self.success, self.seed, self.seconds, *self.factors)
        return [name for name in given if name is not None]


@dataclass(frozen=True)
class _Training:
    """One row of the file. success: None where it is unknown."""

    seed: Any
    clean: float
    success: float | None
    seconds: float


class RecordedGrid:
    """The trainings of a CSV file, found by the factors of a trial.

    A trial with a recorded seed gets that row. Any other seed gets one of the rows of its point at
    random, always the same one for the same trial, so that a search sees the noise between seeds.

    Raises:
        UserError: the file cannot be read as `columns` says.
    """

    def __init__(self, file: Path | str, columns: CsvColumns) -> None:
        self._columns, file = columns, Path(file)
        self._found: dict[Key, list[_Training]] = {}
        for number, row in enumerate(_read(file, columns), start=2):
            cells = _Cells(file, number, row)
            key = tuple(_plain(row[name]) for name in columns.factors)
            self._found.setdefault(key, []).append(_training(cells, columns))

    def has(self, trial: TrialConfig) -> bool:
        return self._key(trial) in self._found

    def seconds(self, trial: TrialConfig) -> float:
        return self._training(trial).seconds

    def rows(self, pack: Pack) -> Rows:
        """Rows for a ledger. Their counts are of all images together, not by class."""
        return finished_rows(
            [self._result(trial, pack.settings.measures) for trial in pack.trials], pack.pack_id
        )

    def _key(self, trial: TrialConfig) -> Key:
        return tuple(_value_at(trial, path) for path in self._columns.factors.values())

    def _training(self, trial: TrialConfig) -> _Training:
        known = self._found[self._key(trial)]
        same = [one for one in known if one.seed == trial.seed]
        return same[0] if same else known[stream("replay", trial.trial_id).integers(len(known))]

    def _result(self, trial: TrialConfig, measures: Sequence[Attack]) -> TrialResult:
        found, images = self._training(trial), self._columns.images
        attacks = list(measures) if trial.attack is None else [trial.attack]
        total = 0 if found.success is None else images
        success = round((found.success or 0.0) * images)
        return TrialResult(
            trial.trial_id,
            trial.defence_id,
            trial.attack_id,
            trial.seed,
            trial.canonical,
            engine=ENGINE,
            engine_version=1,
            data_fingerprint=ENGINE,
            train_images=0,
            poisoned=0,
            relabelled=0,
            validation_correct=0,
            validation_total=0,
            class_correct=(round(found.clean * images),),
            class_total=(images,),
            collapsed=False,
            diverged=False,
            measurements=tuple(Measurement(measure_id(a), success, 0, total) for a in attacks),
            curve=(),
            seconds=found.seconds,
            device="-",
            host="-",
        )


# --- the file ----------------------------------------------------------------------------------


def _read(file: Path, columns: CsvColumns) -> list[dict[str, str]]:
    try:
        with open(file, newline="", encoding="utf-8") as opened:
            rows = list(csv.DictReader(opened))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        rule = "must be a CSV file that can be read"
        raise UserError(Mistake(str(file), rule, str(error), "Name another file.")) from None
    if not rows:
        remedy = "Write the names of columns in its first line, and one training in each other."
        raise UserError(Mistake(str(file), "must have a line for each training", "none", remedy))
    for name in columns.names:
        if name not in rows[0]:
            rule = "must name every column that is asked for"
            raise UserError(Mistake(f"{file}, line 1", rule, name, suggest(name, rows[0])))
    return rows


@dataclass(frozen=True)
class _Cells:
    """A line of the file; its mistakes say where they are."""

    file: Path
    line: int
    row: Mapping[str, str | None]

    def number(self, name: str, most: float = float("inf")) -> float:
        text = self.row[name]
        try:
            value = float(text or "")
        except ValueError:
            value = float("nan")
        if 0 <= value <= most and value != float("inf"):
            return value
        rule = "must be a fraction in [0, 1]" if most == 1 else "must be a number from 0 on"
        place = f"{self.file}, line {self.line}, column {name}"
        raise UserError(Mistake(place, rule, text, "Fix the line, or leave it out."))


def _training(cells: _Cells, columns: CsvColumns) -> _Training:
    return _Training(
        None if columns.seed is None else _plain(cells.row[columns.seed]),
        cells.number(columns.clean, most=1),
        cells.number(columns.success, most=1) if cells.row[columns.success] else None,
        0.0 if columns.seconds is None else cells.number(columns.seconds),
    )


def _plain(value: Any) -> Any:
    """Numbers, also written as text, at twelve significant digits; anything else as text, but None
    as None: so that equal values compare equal."""
    if value is None or isinstance(value, bool):
        return None if value is None else str(value).lower()
    try:
        return round_significant(float(value))
    except (TypeError, ValueError):
        return str(value).strip()


def _value_at(trial: TrialConfig, path: str) -> Any:
    """What the canonical form of a trial has at `path`; None where it has nothing there."""
    if path == "attack.poison_rate" and trial.attack is None:
        return 0.0
    value: Any = trial.canonical
    for step in path.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    return _plain(value)
