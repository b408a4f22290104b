"""The spec: one YAML file states the question. Its sections, checked all at once.

`load_spec` reads a file, applies `--set`, and either returns a frozen `SweepSpec` or raises one
`UserError` with every mistake in it. Before it returns, real configurations have been built at
every end of the space and held against the real data.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib.resources
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
from pydantic import BaseModel, ConfigDict, Field

from backdoor.config import (
    Attack,
    Defence,
    Training,
    TrialConfig,
    build_attack,
    build_data,
    build_defence,
)
from backdoor.data import load_source
from backdoor.datasets import Dataset
from backdoor.errors import Mistake, UserError
from backdoor.registry import ARCHITECTURES, REGULARIZERS, TRIGGERS
from backdoor.schema import build_fields, suggest
from backdoor.trial import check_trial
from sweeps.loader import dump_yaml, load_yaml
from sweeps.space import Space, SpaceParser

Warn = Callable[[Mistake], None]

DEFENCE_FACTORS = {
    name: "It is the defender's: move it to `defence`. The region is sought in the defence space, "
    "and the panel of attacks is taken at its worst."
    for name in (
        "architecture",
        "regularizer",
        "weight_decay",
        "learning_rate",
        "momentum",
        "epochs",
    )
}
ATTACK_FACTORS = {
    name: "It is the attacker's choice, which no defender controls: move it to `attack`."
    for name in ("trigger", "poison_rate", "target", "label_mode")
}


# --- sections that are plain settings --------------------------------------------------------


class Section(BaseModel):
    """Settings that are no factors: unknown keys and loose types are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Seeds(Section):
    """`count` seeds from `base` on."""

    count: Annotated[int, Field(ge=1, le=10_000)] = 3
    base: Annotated[int, Field(ge=0)] = 0


class SearchSettings(Section):
    """grid: every combination. random: `points` defence points, drawn by `seed`; each meets the
    whole panel with every seed."""

    kind: Literal["grid", "random"] = "grid"
    points: Annotated[int, Field(ge=1)] | None = None
    seed: Annotated[int, Field(ge=0)] = 0


class RegionSettings(Section):
    """clean_accuracy: a fraction, or `best - x`. attack_success: the largest that still counts as
    a failed attack. confidence: of the one-sided bounds."""

    clean_accuracy: Any = ("best", 0.05)
    attack_success: Annotated[float, Field(ge=0, le=1)] = 0.2
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95

    @pydantic.field_validator("clean_accuracy")
    @classmethod
    def _readable(cls, value: Any) -> Any:
        match = re.fullmatch(r"\s*best\s*-\s*([0-9]*\.?[0-9]+)\s*", str(value))
        number = float(match[1]) if match else value
        fine = isinstance(number, (int, float)) and not isinstance(number, bool)
        if not fine or not 0 <= number <= 1:
            raise ValueError("must be a fraction in [0, 1] or `best - x`")
        return ("best", float(number)) if match else float(number)


class Resources(Section):
    """What one pack gets: CPU cores (and as many threads), and GPUs, which may be fractions."""

    cpu: Annotated[int, Field(ge=1)] = 1
    gpu: Annotated[float, Field(ge=0)] = 0


class Tracking(Section):
    """uri: of MLflow's tracking store; by default $MLFLOW_TRACKING_URI, else a sqlite file in the
    results folder. `tracking: none` switches the mirror off."""

    uri: str | None = None


class Document(Section):
    """The spec as a file has it."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    data: Any
    defence: Any
    attack: Any
    training: Any = None
    seeds: Any = None
    search: Any = None
    region: Any = None
    resources: Any = None
    tracking: Any = None
    curve_every: Annotated[int, Field(ge=0)] = 0


@dataclass(frozen=True)
class Thresholds:
    """When a point is inside: clean accuracy at least `clean_accuracy` (or the best minus
    `below_best`), and every attack's success at most `attack_success`. Fractions in [0, 1]."""

    clean_accuracy: float | None
    below_best: float | None
    attack_success: float
    confidence: float

    @property
    def rule(self) -> str:
        """The clean accuracy asked for, as the spec writes it."""
        return (
            f"best - {self.below_best:g}"
            if self.clean_accuracy is None
            else f"{self.clean_accuracy:g}"
        )


@dataclass(frozen=True)
class SweepSpec:
    """A checked spec. `document` holds the plain values it was made from."""

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

    @property
    def attacks(self) -> tuple[Attack | None, ...]:
        """What each defence point is trained against; None is the clean baseline."""
        return (*((None,) if self.baseline else ()), *self.panel)

    @property
    def measures(self) -> tuple[Attack, ...]:
        """The panel's distinct triggers and targets, whatever the poison rate."""
        return tuple(dict.fromkeys(attack.measure() for attack in self.panel))

    @property
    def data_root(self) -> str | None:
        """Where the data lie on this machine; no part of any trial's identity."""
        return getattr(self.data, "root", None)

    def trial(self, defence: Defence, attack: Attack | None, seed: int) -> TrialConfig:
        return TrialConfig(self.data, defence, attack, self.training, seed)

    def to_yaml(self) -> str:
        return dump_yaml(self.document)


# --- loading -----------------------------------------------------------------------------------


def bundled_specs() -> dict[str, Path]:
    """Name → file of the specs that come with the package."""
    folder = Path(str(importlib.resources.files("sweeps") / "specs"))
    return {file.stem: file for file in sorted(folder.glob("*.yaml"))}


def find_spec(name: str) -> Path:
    """The file of a path or of a bundled spec's name."""
    path = Path(name)
    if path.is_file():
        return path
    known = bundled_specs()
    if name in known:
        return known[name]
    raise UserError(
        Mistake("SPEC", "must be a file, or the name of a bundled spec", name, suggest(name, known))
    )


def load_spec(source: Path | str, changes: Sequence[str] = ()) -> SweepSpec:
    """The spec in a file (or of a bundled name), with `key=value` changes applied.

    Relative data paths are taken from the working directory.
    """
    path = find_spec(str(source))
    mistakes: list[Mistake] = []
    document = load_yaml(path.read_text(), mistakes.append, str(path))
    if not isinstance(document, dict):
        raise UserError(
            Mistake(
                str(path),
                "must be a mapping of sections",
                document,
                "Begin from `sweeps init FILE`.",
            )
        )
    for change in changes:
        _apply(document, change, mistakes.append)
    return parse_spec(document, mistakes)


def parse_spec(document: dict[str, Any], mistakes: list[Mistake] | None = None) -> SweepSpec:
    """A spec from plain values; raises every mistake found, those given among them."""
    found = list(mistakes or ())
    spec = _Parser(document, found.append).parse()
    if found or spec is None:
        raise UserError(found)
    return spec


def _apply(document: dict[str, Any], change: str, warn: Warn) -> None:
    """Sets a dotted key, as in `data.root=FOLDER`; the value is read as YAML."""
    key, separator, text = change.partition("=")
    steps = [step for step in key.strip().split(".") if step]
    if not separator or not steps:
        warn(Mistake("--set", "must be written key=value", change, "For example: --set seeds=5."))
        return
    target: Any = document
    for index, step in enumerate(steps[:-1]):
        inner = target.get(step)
        if isinstance(inner, str) and steps[index + 1] != "kind":
            inner = {"kind": inner}  # `data: digits` and `data: {kind: digits}` are the same
        if inner is None:
            inner = {}
        if not isinstance(inner, dict):
            at = ".".join(steps[: index + 1])
            warn(
                Mistake(
                    f"--set {key}",
                    f"must lead through mappings, and `{at}` is none",
                    inner,
                    f"Set `{at}` as a whole.",
                )
            )
            return
        target[step] = inner
        target = inner
    target[steps[-1]] = load_yaml(text, warn, f"--set {key}")


class _Parser:
    """Parses one document; every mistake goes to `warn`, and what can be built is built."""

    def __init__(self, document: dict[str, Any], warn: Warn) -> None:
        self.document, self.warn = document, warn

    def parse(self) -> SweepSpec | None:
        document = self._document()
        data, training = self._data(), self._training()
        defence = self._space("defence", Defence)
        attack = self._space("attack", Attack)
        panel, baseline = self._panel(attack)
        defences = self._build_ends(defence, "defence", build_defence)
        seeds, search = self._seeds(), self._section("search", SearchSettings)
        region, resources = self._thresholds(), self._section("resources", Resources)
        tracking = self._tracking()
        if search is not None:
            self._search(search, defence)
        if data is not None and training is not None:
            self._against_data(data, training, defences, panel, (seeds or (0,))[0])
        if document is None or data is None or training is None or not seeds:
            return None
        if search is None or region is None or resources is None:
            return None
        if not panel or not defence.branches:
            return None
        return SweepSpec(
            document.name,
            data,
            defence,
            panel,
            baseline,
            training,
            seeds,
            search,
            region,
            resources,
            tracking,
            document.curve_every,
            self.document,
        )

    def _document(self) -> Document | None:
        document: Document | None = _validate(Document, self.document, "", self.warn)
        return document

    def _section(self, name: str, model: type[Any]) -> Any:
        given = self.document.get(name)
        if isinstance(given, str) and "kind" in model.model_fields:
            given = {"kind": given}
        return _validate(model, {} if given is None else given, name, self.warn)

    def _guarded(self, section: str, build: Callable[[], Any]) -> Any:
        try:
            return build()
        except UserError as error:
            for mistake in error.mistakes:
                self.warn(mistake.inside(section))
            return None

    def _data(self) -> Dataset | None:
        given = self.document.get("data")
        if given is None:
            return None  # the document's own check names the missing section
        if isinstance(given, dict) and isinstance(given.get("root"), str):
            given["root"] = str(Path(given["root"]).expanduser().resolve())
        made: Dataset | None = self._guarded("data", lambda: build_data(given))
        if made is None and isinstance(given, dict) and "kind" in given:
            # The rest of the spec is still held against the data, as far as they can be told.
            with contextlib.suppress(UserError):
                made = build_data({k: given[k] for k in ("kind", "root") if k in given})
        return made

    def _training(self) -> Training | None:
        given = self.document.get("training")
        if not isinstance(given, (dict, type(None))):
            self.warn(Mistake("training", "must be a mapping", given, "Known: batch_size, ..."))
            return None
        made: Training | None = self._guarded(
            "training", lambda: build_fields(Training, given or {})
        )
        return made

    def _space(self, section: str, cls: type) -> Space:
        if self.document.get(section) is None:
            return Space(())
        families: dict[str, Any] = {"trigger": TRIGGERS}
        foreign = DEFENCE_FACTORS
        if section == "defence":
            families = {"architecture": ARCHITECTURES, "regularizer": REGULARIZERS}
            foreign = ATTACK_FACTORS
        space = SpaceParser(section, cls, families, foreign, self.warn).parse(
            self.document[section]
        )
        for slot in ("architecture", "trigger"):
            if slot in families and slot not in self.document[section]:
                self.warn(
                    Mistake(
                        f"{section}.{slot}",
                        "must be given",
                        None,
                        suggest("", families[slot].kinds()),
                    )
                )
                return Space(())
        return space

    def _panel(self, space: Space) -> tuple[tuple[Attack, ...], bool]:
        """The declared attacks, finite and distinct; and whether rate 0 was asked for."""
        for leaf in space.unbounded():
            self.warn(
                Mistake(
                    leaf.place,
                    "must be finite: a panel is a list of attacks",
                    "a range without `steps`",
                    "List the values, or add `steps`.",
                )
            )
        if space.unbounded():
            return (), False
        built = [self._built(values, "attack", build_attack) for values in space.grid()]
        attacks = [attack for attack in built if attack is not None]
        panel = tuple(dict.fromkeys(a for a in attacks if a.poison_rate > 0))
        if attacks and not panel:
            self.warn(
                Mistake(
                    "attack.poison_rate",
                    "must have a rate above 0 in the panel",
                    0,
                    "Add one; rate 0 is the clean baseline and no attack.",
                )
            )
        return panel, len(panel) < len(attacks) and any(a.poison_rate == 0 for a in attacks)

    def _built(self, values: dict[str, Any], section: str, build: Callable[[Any], Any]) -> Any:
        return self._guarded(section, lambda: build(values))

    def _build_ends(self, space: Space, section: str, build: Callable[[Any], Any]) -> list[Any]:
        built = [self._built(values, section, build) for values, _ in space.ends()]
        return list(dict.fromkeys(one for one in built if one is not None))

    def _against_data(
        self, data: Dataset, training: Training, defences: Sequence[Defence],
        panel: Sequence[Attack], seed: int,
    ) -> None:  # fmt: skip
        """Every defence end and every attack meets the real images."""
        source = self._guarded("data", lambda: load_source(data))
        if source is None:
            return
        defence = (defences or [build_defence({"architecture": "linear"})])[0]
        trials = [TrialConfig(data, d, None, training, seed) for d in defences]
        trials += [TrialConfig(data, defence, attack, training, seed) for attack in panel]
        for trial in trials or [TrialConfig(data, defence, None, training, seed)]:
            try:
                check_trial(trial, source)
            except UserError as error:
                for mistake in error.mistakes:
                    self.warn(mistake)

    def _seeds(self) -> tuple[int, ...] | None:
        given = self.document.get("seeds")
        if isinstance(given, int) and not isinstance(given, bool):
            given = {"count": given}
        if isinstance(given, list):
            wrong = [s for s in given if isinstance(s, bool) or not isinstance(s, int) or s < 0]
            if wrong or not given or len(set(given)) != len(given):
                self.warn(
                    Mistake(
                        "seeds",
                        "must be distinct whole numbers >= 0",
                        given,
                        "For example [0, 1, 2], or 3 for three of them.",
                    )
                )
                return None
            return tuple(given)
        model = _validate(Seeds, {} if given is None else given, "seeds", self.warn)
        return None if model is None else tuple(range(model.base, model.base + model.count))

    def _thresholds(self) -> Thresholds | None:
        model: RegionSettings | None = self._section("region", RegionSettings)
        if model is None:
            return None
        asked = model.clean_accuracy
        below = asked[1] if isinstance(asked, tuple) else None
        absolute = None if isinstance(asked, tuple) else asked
        return Thresholds(absolute, below, model.attack_success, model.confidence)

    def _tracking(self) -> Tracking | None:
        given = self.document.get("tracking", {})
        if given in (None, False, "none", "None"):
            return None
        if isinstance(given, str):
            given = {"uri": given}
        tracking: Tracking | None = _validate(Tracking, given, "tracking", self.warn)
        return tracking

    def _search(self, search: SearchSettings, defence: Space) -> None:
        if search.kind == "random" and search.points is None:
            self.warn(
                Mistake(
                    "search.points",
                    "must be given for `random`",
                    None,
                    "Say how many defence points to draw.",
                )
            )
        if search.kind == "grid":
            if search.points is not None:
                self.warn(
                    Mistake(
                        "search.points",
                        "has no meaning for `grid`",
                        search.points,
                        "Remove it, or use {kind: random, points: ...}.",
                    )
                )
            for leaf in defence.unbounded():
                self.warn(
                    Mistake(
                        leaf.place,
                        "must have `steps` for a grid search",
                        "a range without `steps`",
                        "Add `steps`, or use search: random.",
                    )
                )


def _validate(model: type[Any], given: Any, place: str, warn: Warn) -> Any:
    """A pydantic model of `given`; its errors as our mistakes, with the near miss of a key."""
    if not isinstance(given, Mapping):
        known = ", ".join(model.model_fields)
        warn(Mistake(place, "must be a mapping", given, f"Known: {known}."))
        return None
    try:
        return model.model_validate(dict(given))
    except pydantic.ValidationError as error:
        for mistake in _mistakes(model, error.errors(), place):
            warn(mistake)
        return None


def _mistakes(model: type[Any], errors: Iterable[Any], place: str) -> list[Mistake]:
    known = list(model.model_fields)
    found: dict[str, Mistake] = {}
    for error in errors:
        name = str(error["loc"][0]) if error["loc"] else ""
        at = f"{place}.{name}" if place and name else place or name
        rule, remedy, value = error["msg"].lower(), "Change the value.", error.get("input")
        if error["type"] == "extra_forbidden":
            rule, remedy = "is not a known key", suggest(name, known)
        elif error["type"] == "missing":
            rule, remedy, value = "must be given", f"Add `{name}:`.", None
        elif error["type"] == "literal_error":
            options = error["ctx"]["expected"].replace("'", "").replace(" or ", ", ").split(", ")
            near = difflib.get_close_matches(str(value), options, n=1)
            rule = f"must be one of {', '.join(options)}"
            remedy = f"Did you mean {near[0]!r}?" if near else remedy
        elif error["type"] == "string_pattern_mismatch":
            rule = "must begin with a letter or digit and hold only those, '.', '_' and '-'"
        elif error["type"] == "value_error":
            rule = str(error["ctx"]["error"])
        elif rule.startswith("input should"):
            rule = rule.replace("input should", "must")
        found.setdefault(at, Mistake(at, rule, value, remedy))
    return list(found.values())
