"""Checks a whole document; every mistake is reported, and what can be built is built."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from backdoor.checks import check_trial
from backdoor.config import (
    Attack,
    Defence,
    Training,
    TrialConfig,
    build_attack,
    build_data,
    build_defence,
)
from backdoor.datasets import Dataset
from backdoor.datasets.source import Source, load_source
from backdoor.errors import Mistake, UserError
from backdoor.settings.aliases import same_name
from backdoor.settings.registry import ARCHITECTURES, REGULARIZERS, TRIGGERS, Reading
from backdoor.settings.schema import build_fields, suggest
from sweeps.panels import bundled_panels, written_out
from sweeps.space.misread import without_consequences
from sweeps.space.parser import SpaceParser
from sweeps.space.space import Space
from sweeps.spec.baseline_needed import check_baseline
from sweeps.spec.class_names import NameSources, RecordedClasses, number_notes, with_names
from sweeps.spec.files import pin_section
from sweeps.spec.model import SweepSpec
from sweeps.spec.plain_sections import read_seeds, read_tracking, thresholds_of
from sweeps.spec.probes import check_probes, read_probes
from sweeps.spec.search_section import check_search
from sweeps.spec.sections import (
    Document,
    RegionSettings,
    Resources,
    SearchSettings,
    StoppingSettings,
    Warn,
    validate,
)
from sweeps.spec.size import check_panel, check_size
from sweeps.spec.stopping import check_stopping
from sweeps.spec.weak_triggers import check_triggers

DEFENCE_FACTORS = {
    name: "It is the defender's: move it to `defence`. The region is searched in the defence "
    "space, and the panel of attacks is taken at its worst."
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
    for name in ("trigger", "poison_rate", "target", "label_mode", "source", "cover_rate")
}
ATTACK_FACTORS["allow_weak"] = "It is about triggers: move it to `attack`."
TRAINING_SETTINGS = {
    f.name: "It is one for all trials of a sweep: move it to `training`." for f in fields(Training)
}


def parse_spec(
    document: dict[str, Any],
    mistakes: list[Mistake] | None = None,
    against_data: bool = True,
    begun: RecordedClasses | None = None,
    names_later: bool = False,
) -> SweepSpec:
    """A spec from plain values; raises every mistake found, those given among them.

    against_data: check it against the real images as well, which loads them. begun: the classes of
    the sweep that has begun with this spec, if one has. names_later: accept any name of a class,
    without data that know them.
    """
    found = list(mistakes or ())
    names = NameSources(against_data, begun, names_later)
    spec = _Parser(document, found.append, names).parse()
    if found or spec is None:
        wrong = UserError(without_consequences(found))
        wrong.about = "the spec"
        raise wrong
    return spec


class _Parser:
    """Parses one document; every mistake goes to `warn`, and what can be built is built."""

    def __init__(self, document: dict[str, Any], warn: Warn, names: NameSources) -> None:
        self.document, self.warn, self.names = document, warn, names
        self.notes: list[str] = []
        self.warnings: list[str] = []
        self.class_names: tuple[str, ...] = ()  # where they are known
        self.former = names.begun is not None and names.begun.former
        self.data_in_part = False  # whether settings of the data are left out as they are wrong

    def parse(self) -> SweepSpec | None:
        document = self._document()
        data, training = self._data(), self._training()
        seeds = read_seeds(self.document.get("seeds"), self.warn, self.names.begun is None)
        source, unread = self._source(data, seeds or ())
        self.class_names = self.names.known(source)
        if source is not None and not source.renumbered and self.names.begun is None:
            self.notes += number_notes(self.document.get("attack"), source.class_names)
        readings = self.names.attack(self.document.get("attack"), source)
        defence = self._space("defence", self.document.get("defence"), Defence)
        attack = self._space("attack", self._attack(), Attack, readings)
        panel, baseline = self._panel(attack)
        defences = self._build_ends(defence, "defence", build_defence)
        search = self._section("search", SearchSettings)
        region = thresholds_of(self._section("region", RegionSettings))
        resources = self._section("resources", Resources)
        tracking = read_tracking(self.document.get("tracking", {}), self.warn)
        stopping = self._section("stopping", StoppingSettings)
        stops = stopping is not None and stopping.kind != "none"
        every = self._curve_every(document, stops)
        if stopping is not None:
            for mistake in check_stopping(stopping, defences, every, baseline, region):
                self.warn(mistake)
        for mistake in check_baseline(
            region, baseline, bool(panel), search, stopping, self.document.get("attack")
        ):
            self.warn(mistake)
        if search is not None:
            for mistake in check_search(search, defence, self.document):
                self.warn(mistake)
            if self.names.begun is None:  # a sweep that has begun is read as it is
                attacks = len(panel) + baseline
                for mistake in check_size(search, defence, attacks, len(seeds or ())):
                    self.warn(mistake)
        probes = read_probes(self.document.get("probes"), self.warn)
        for mistake in unread:
            self.warn(mistake)
        if source is not None and data is not None and training is not None:
            trials = self._against_data(data, source, training, defences, panel, seeds or (0,))
            for mistake in check_probes(probes, trials):
                self.warn(mistake)
        if source is not None and data is not None:
            self._weak(data, panel, seeds or (0,))
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
            every,
            self.document,
            stopping if stops else None,
            probes,
            tuple(self.notes),
            self.former,
            tuple(self.warnings),
        )

    def _wrong(self, place: str, rule: str, value: Any, remedy: str) -> None:
        self.warn(Mistake(place, rule, value, remedy))

    def _document(self) -> Document | None:
        document: Document | None = validate(Document, self.document, "", self.warn)
        return document

    def _curve_every(self, document: Document | None, stops: bool) -> int:
        """As asked for; stopping needs a curve, so that 1 is the default there."""
        asked = document is not None and "curve_every" in document.model_fields_set
        return document.curve_every if document is not None and asked else int(stops)

    def _section(self, name: str, model: type[Any]) -> Any:
        given = self.document.get(name)
        if isinstance(given, str) and "kind" in model.model_fields:
            given = {"kind": given}
        return validate(model, {} if given is None else given, name, self.warn)

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
            with contextlib.suppress(RuntimeError, ValueError, OSError):  # said by the dataset
                given["root"] = str(Path(given["root"]).expanduser().resolve())
        try:
            made = build_data(given)
        except UserError as error:
            for mistake in error.inside("data").mistakes:
                self.warn(mistake)
            return self._as_far_as_known(given, error)
        return self._numbered(made)

    def _as_far_as_known(self, given: Any, error: UserError) -> Dataset | None:
        """The data without settings that do not exist, for checks of the rest of the spec.

        None where a setting is wrong, or may be one that is misspelt: data that are read otherwise
        than was asked show mistakes that are none.
        """
        wrong = {m.place for m in error.mistakes}
        if not isinstance(given, dict) or not all(map(_without_meaning, error.mistakes)):
            return None
        with contextlib.suppress(UserError):
            made = build_data({k: v for k, v in given.items() if str(k) not in wrong})
            self.data_in_part = True
            return self._numbered(made)
        return None

    def _numbered(self, data: Dataset) -> Dataset:
        """The data with `classes` as numbers; with all classes where that cannot be."""
        try:
            return self.names.data(data)
        except UserError as error:
            if not self.data_in_part:
                for mistake in error.inside("data").mistakes:
                    self.warn(mistake)
            return replace(data, classes=None)

    def _source(
        self, data: Dataset | None, seeds: Sequence[int]
    ) -> tuple[Source | None, list[Mistake]]:
        """The images to check against, if any, and why they cannot be read."""
        if data is None or not self.names.against_data:
            return None, []
        try:
            return load_source(data, seeds), []
        except UserError as error:
            return None, [] if self.data_in_part else list(error.inside("data").mistakes)

    def _training(self) -> Training | None:
        given = self.document.get("training")
        if not isinstance(given, (dict, type(None))):
            known = ", ".join(f.name for f in fields(Training))
            self._wrong("training", "must be a mapping", given, f"Known: {known}.")
            return None
        given, foreign = given or {}, DEFENCE_FACTORS | ATTACK_FACTORS
        for name in [key for key in given if key in foreign]:
            rule = "does not belong under `training`"
            self._wrong(f"training.{name}", rule, given[name], foreign[name])
        own = {key: value for key, value in given.items() if key not in foreign}
        for name in [key for key in own if same_name(str(key), TRAINING_SETTINGS) is None]:
            if meant := same_name(str(name), foreign):
                remedy = f"Did you mean {meant!r}? {foreign[meant]}"
                self._wrong(f"training.{name}", "is not a known setting", own.pop(name), remedy)
        pin_section(own.get("features"), {"network": ARCHITECTURES})
        made: Training | None = self._guarded("training", lambda: build_fields(Training, own))
        return made

    def _attack(self) -> Any:
        """The section, with the panel that it names written out; None where that is unknown."""
        pin_section(self.document.get("attack"), {"trigger": TRIGGERS})
        return written_out(self.document.get("attack"), self.warn)

    def _space(
        self, section: str, given: Any, cls: type, readings: Mapping[str, Reading] | None = None
    ) -> Space:
        if given is None:
            return Space(())
        families: dict[str, Any] = {"trigger": TRIGGERS}
        foreign = DEFENCE_FACTORS | TRAINING_SETTINGS
        if section == "defence":
            families = {"architecture": ARCHITECTURES, "regularizer": REGULARIZERS}
            foreign = ATTACK_FACTORS | TRAINING_SETTINGS
            pin_section(given, families)
        parser = SpaceParser(
            section, cls, families, foreign, self.warn, readings, self._repeated, self._note
        )
        space = parser.parse(given)
        for slot in ("architecture", "trigger"):
            if slot in families and isinstance(given, dict) and slot not in given:
                remedy = suggest("", families[slot].kinds())
                if slot == "trigger":
                    remedy += f" Or name a panel: `attack: {next(iter(bundled_panels()))}`."
                self._wrong(f"{section}.{slot}", "must be given", None, remedy)
                return Space(())
        return space

    def _note(self, text: str) -> None:
        if self.names.begun is None:  # who goes on with a sweep has read it
            self.notes.append(text)

    def _repeated(self, mistake: Mistake) -> None:
        """A choice that is there twice. Sweeps that began with one are still read."""
        if self.names.begun is None:
            self.warn(mistake)
        else:
            self.notes.append(str(mistake))

    def _panel(self, space: Space) -> tuple[tuple[Attack, ...], bool]:
        """The declared attacks, finite and distinct; and whether rate 0 was asked for."""
        for leaf in space.unbounded():
            self._wrong(
                leaf.place,
                "must be finite: a panel is a list of attacks",
                "a range without `steps`",
                "List the values, or add `steps`.",
            )
        too_many = list(check_panel(space)) if self.names.begun is None else []
        for mistake in too_many:
            self.warn(mistake)
        if space.unbounded() or too_many:
            return (), False
        built = [self._built_attack(values) for values in space.grid()]
        attacks = [attack for attack in built if attack is not None]
        poisoned = [attack for attack in attacks if attack.poison_rate > 0]
        panel = tuple(dict.fromkeys(poisoned))
        if again := len(poisoned) - len(panel):
            self._note(f"attack: {again} of {len(poisoned)} attacks repeat another, and count once")
        # The rate of attacks that could not be built, whose mistakes are reported, is not known.
        if attacks and len(attacks) == len(built) and not panel:
            self._wrong(
                "attack.poison_rate",
                "must have a rate above 0 in the panel",
                0,
                "Add one; rate 0 is the clean baseline and no attack.",
            )
        return panel, len(panel) < len(attacks) and any(a.poison_rate == 0 for a in attacks)

    def _weak(self, data: Dataset, attacks: Sequence[Attack], seeds: Sequence[int]) -> None:
        """Triggers that change nearly nothing: mistakes, where the sweep has not begun."""
        refused, warnings = check_triggers(data, attacks, seeds[0], self.names.begun is not None)
        self.warnings += warnings
        for mistake in refused:
            self.warn(mistake)

    def _built(self, values: dict[str, Any], section: str, build: Callable[[Any], Any]) -> Any:
        return self._guarded(section, lambda: build(values))

    def _built_attack(self, values: dict[str, Any]) -> Attack | None:
        try:
            return build_attack(values, former=self.former)
        except UserError as error:
            for mistake in error.mistakes:
                self.warn(with_names(mistake, values, self.class_names).inside("attack"))
            return None

    def _build_ends(self, space: Space, section: str, build: Callable[[Any], Any]) -> list[Any]:
        built = [self._built(values, section, build) for values, _ in space.ends()]
        return list(dict.fromkeys(one for one in built if one is not None))

    def _against_data(
        self,
        data: Dataset,
        source: Source,
        training: Training,
        defences: Sequence[Defence],
        panel: Sequence[Attack],
        seeds: Sequence[int],
    ) -> list[TrialConfig]:
        """Checks every defence end and every attack against the real images. Returns those that
        fit."""
        fits: list[TrialConfig] = []
        defence = (defences or [build_defence({"architecture": "linear"})])[0]
        trials = [TrialConfig(data, d, None, training, seeds[0]) for d in defences]
        trials += [TrialConfig(data, defence, attack, training, seeds[0]) for attack in panel]
        for trial in trials or [TrialConfig(data, defence, None, training, seeds[0])]:
            # Only attacks on images of certain classes depend on which ones a seed draws.
            by_class = trial.attack is not None and trial.attack.by_class
            try:
                check_trial(trial, source, seeds if by_class else ())
                fits.append(trial)
            except UserError as error:
                for mistake in error.mistakes:
                    self.warn(mistake)
        return fits


def _without_meaning(mistake: Mistake) -> bool:
    """Whether it is about a setting that does not exist, and is like none that does."""
    return mistake.rule.startswith("is not a") and "Did you mean" not in mistake.remedy
