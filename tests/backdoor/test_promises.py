"""What README and the base classes offer to kinds of users still works: import paths, names, methods."""

import importlib
import inspect
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from trials import trial

import backdoor.engines
from backdoor import former_paths
from backdoor.architectures import Architecture
from backdoor.checks import check_trial
from backdoor.config import build_attack, build_data
from backdoor.datasets import Dataset, Raw
from backdoor.datasets.source import load_source
from backdoor.former_paths import FORMER_NAMES, FORMER_PATHS
from backdoor.image_store.store import ImageStore
from backdoor.probes import Probe, ProbedModel, ProbeResult, Studied, Study
from backdoor.regularizers import Regularizer
from backdoor.settings.registry import ARCHITECTURES, PROBES, REGULARIZERS, TRIGGERS
from backdoor.settings.schema import Fields
from backdoor.trial import run_pack
from backdoor.triggers import Trigger

ROOT = Path(__file__).parents[2]

#: One kind of each family in a module of a user, with all the import paths and names of before.
KINDS = '''
"""Kinds of a user, written for a former release."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import torch
from torch import nn

from backdoor.architectures import Architecture
from backdoor.bank import Bank
from backdoor.config import TrialConfig
from backdoor.data import Source
from backdoor.datasets import Dataset, Raw
from backdoor.engines import Fitted, Lane
from backdoor.errors import Mistake
from backdoor.others import Others
from backdoor.probes import Probe, Studied, Study
from backdoor.regularizers import Regularizer
from backdoor.regularizers.step import Step
from backdoor.schema import Count, Fraction, Range, location
from backdoor.triggers import Trigger


@dataclass(frozen=True)
class Mixed(Trigger):
    """Every `period`-th column is that of another training image; covers have it elsewhere."""

    kind: ClassVar[str] = "mixed"
    period: Count = 4
    shift: Annotated[int, Range(ge=0)] = 0
    seed: int | None = None
    unused: Fraction = 0.5

    def inert(self) -> frozenset[str]:
        return frozenset({"unused"})

    def for_seed(self, seed: int) -> "Mixed":
        return Mixed(self.period, self.shift, seed if self.seed is None else self.seed)

    def lent(self, others: Others) -> "Trigger":
        return _Borrowing(self.period, self.shift, self.seed, others=others)

    def fits(self, shape):
        if shape[2] < self.period:
            yield Mistake("period", "must not exceed the width", self.period, "Lower it.")


@dataclass(frozen=True)
class _Borrowing(Mixed):
    others: Others | None = None

    def stamp(self, images: torch.Tensor, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        stamped, given = images.clone(), self.others.lend(ids, "mixed-from")
        stamped[..., self.shift :: self.period] = given[..., self.shift :: self.period]
        return stamped

    def for_test(self) -> Trigger:
        return self

    def cover(self, others: Others) -> Trigger:
        return _Borrowing(self.period, self.shift + 1, self.seed, others=others)


@dataclass(frozen=True, kw_only=True)
class Noise(Dataset):
    """Two classes of noise, told apart by their brightness."""

    kind: ClassVar[str] = "noise"
    root: str | None = location(None)
    level: Count = 60

    def fingerprint(self) -> str:
        return f"{self.level:064d}"

    def read(self) -> Raw:
        labels = np.arange(120) % 2
        noise = np.random.default_rng(0).integers(0, 60, (120, 1, 8, 8))
        images = noise + self.level * labels[:, None, None, None]
        return Raw(images.astype(np.uint8), labels, ("dark", "bright"))


@dataclass(frozen=True)
class Bottleneck(Architecture):
    """A linear network with a bottleneck."""

    kind: ClassVar[str] = "bottleneck"
    width: Count = 6

    def build(self, shape: tuple[int, int, int], classes: int) -> nn.Module:
        c, h, w = shape
        hidden = nn.Linear(c * h * w, self.width)
        return nn.Sequential(nn.Flatten(), hidden, nn.ReLU(), nn.Linear(self.width, classes))


@dataclass(frozen=True)
class Solved(Architecture):
    """A ridge classifier, by the names of what has no effect on it."""

    kind: ClassVar[str] = "solved"
    engine: ClassVar[str] = "convex"
    inactive: ClassVar[frozenset[str]] = frozenset(
        {"regularizer", "learning_rate", "momentum", "epochs"}
        | {"batch_size", "schedule", "augmentation", "stamp"}
    )
    cross_entropy: ClassVar[bool] = False

    def build(self, shape: tuple[int, int, int], classes: int) -> nn.Module:
        c, h, w = shape
        return nn.Sequential(nn.Flatten(), nn.Linear(c * h * w, classes)).double()


@dataclass(frozen=True)
class Shrink(Regularizer):
    """Pulls logits towards 0, and disturbs the inputs a little."""

    kind: ClassVar[str] = "shrink"
    strength: float = 0.05

    def prepare(self, step: Step) -> None:
        noise = step.draws.numbers(self.kind_name()).normal(size=step.inputs.shape)
        step.inputs = step.inputs + 0.01 * torch.from_numpy(noise).to(step.inputs)
        step.watch([step.network.representations[-1]])

    def penalty(self, step: Step) -> torch.Tensor:
        assert len(step.outputs_of(step.network.representations[-1])) == len(step.logits)
        return step.logits.square().mean()


@dataclass(frozen=True)
class Accuracy(Probe):
    """The clean accuracy, by former names of the rows and images."""

    kind: ClassVar[str] = "accuracy"
    add: int = 0

    def study(self, model: Studied) -> Study | None:
        lane, bank, source = model.lane, model.bank, model.source
        assert isinstance(lane, Lane) and isinstance(bank, Bank) and isinstance(source, Source)
        images = bank.uint8(lane.test)
        assert bank.normalisation is not None
        assert all((t.wanted == t.target_labels).all() for t in lane.triggered)
        answers = model.fitted.predict(model.index, lane.test)
        right = float((answers == lane.test_labels).mean())
        state = model.fitted.state(model.index)
        return self.found(figure=[right + self.add], images=[len(images)], weights=[len(state)])

    def suits(self, config: TrialConfig):
        if config.seed > 5:
            yield Mistake("kind", "must have a small seed", config.seed, "Lower it.")
'''


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory):
    """The module of a user; its kinds are `their_kinds:Class`."""
    folder = tmp_path_factory.mktemp("theirs")
    (folder / "their_kinds.py").write_text(KINDS)
    sys.path.insert(0, str(folder))
    yield importlib.import_module("their_kinds")
    sys.path.remove(str(folder))
    del sys.modules["their_kinds"]


# --- paths and names -----------------------------------------------------------------------------


@pytest.mark.parametrize("former", FORMER_PATHS)
def test_a_former_path_gives_the_module_of_today(former) -> None:
    assert importlib.import_module(former) is importlib.import_module(FORMER_PATHS[former])


@pytest.mark.parametrize("former", ["backdoor.schema", "sweeps.start"])
def test_it_does_so_as_the_first_import_of_a_program(former) -> None:
    """Whatever was imported before it, such as nothing."""
    program = f"import {former} as old; import {FORMER_PATHS[former]} as new; assert old is new"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert run.returncode == 0, run.stderr


def test_paths_that_were_never_offered_are_no_modules() -> None:
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("backdoor.banks")


def test_no_former_path_hides_a_module_of_today() -> None:
    for former in FORMER_PATHS:
        place = ROOT.joinpath(*former.split("."))
        assert not place.with_suffix(".py").exists() and not place.is_dir(), former


def test_installing_twice_adds_one_finder() -> None:
    former_paths.install()
    found = [f for f in sys.meta_path if isinstance(f, former_paths.FormerPaths)]
    assert len(found) == 1


def test_former_names_are_the_classes_of_today() -> None:
    assert Studied is ProbedModel and Study is ProbeResult
    assert backdoor.engines.Lane is backdoor.engines.Member
    former = {today: path for path, today in FORMER_PATHS.items()}
    for module, names in FORMER_NAMES.items():
        old, today = importlib.import_module(former[module]), importlib.import_module(module)
        for name, present in names.items():
            assert getattr(old, name) is getattr(today, present)


def test_a_probed_model_has_its_former_attributes() -> None:
    model = ProbedModel(object(), 0, object(), object(), object())
    assert model.lane is model.member and model.bank is model.store
    assert list(inspect.signature(ProbedModel).parameters) == ["fitted", "index", "member", "store", "source"]  # fmt: skip


#: What a kind may override or call. Arguments are given by position.
METHODS = {
    Fields: {"inert": 0, "rules": 0, "identity": 0},
    Trigger: {"stamp": 3, "for_seed": 1, "lent": 1, "for_test": 0, "cover": 1, "fits": 1, "kind_name": 0},
    Regularizer: {"unit_penalty": 2, "prepare": 1, "penalty": 1, "fits": 3, "pack_identity": 0},
    Architecture: {"build": 2, "start": 1, "hidden_layers": 1, "head": 1, "count_hidden": 2, "trained_by": 0, "fits": 1},
    Dataset: {"fingerprint": 0, "read": 0},
    Probe: {"study": 1, "suits": 1, "found": 0},
    ImageStore: {"clean_rows": 1, "stamped_rows": 2, "unchanged": 1, "uint8": 1, "batch": 1, "augmented": 3, "pixels": 1, "affine": 0},
}  # fmt: skip
ATTRIBUTES = {
    Regularizer: ("dial", "turn", "weight", "switched_on", "terms", "on_answers_alone"),
    Architecture: ("engine", "inactive", "needs_weight_decay", "cross_entropy", "pack_axes", "most_images"),
    Dataset: ("cached", "classes", "train", "validation", "test", "split_seed"),
}  # fmt: skip


@pytest.mark.parametrize("base", METHODS, ids=lambda base: base.__name__)
def test_base_classes_have_the_methods_that_they_offered(base) -> None:
    for name, arguments in METHODS[base].items():
        method = inspect.signature(getattr(base, name))
        given = [p for p in method.parameters.values() if p.kind is not p.VAR_KEYWORD]
        assert len([p for p in given if p.name not in ("self", "cls")]) == arguments, name
    for name in ATTRIBUTES.get(base, ()):
        assert hasattr(base, name), name


# --- kinds that are written against them -----------------------------------------------------------


def test_a_trigger_of_before_poisons_covers_and_tests(theirs) -> None:
    mixed = {"kind": "their_kinds:Mixed", "period": 3}
    attack = build_attack({"trigger": mixed, "poison_rate": 0.1, "cover_rate": 0.05})
    config = replace(trial("ridge"), attack=attack)
    assert config.attack.trigger.identity() == {
        "kind": "their_kinds:Mixed", "period": 3, "shift": 0, "seed": None,
    }  # fmt: skip
    check_trial(config, load_source(config.data))
    (result,) = run_pack([config])
    assert result.poisoned == 110 and result.covers == 55 and result.measurements[0].total > 0


def test_an_architecture_of_before_is_trained_by_epochs_or_solved(theirs) -> None:
    trained, solved = (trial({"kind": f"their_kinds:{name}"}) for name in ("Bottleneck", "Solved"))
    assert trained.defence.architecture.trained_by_epochs
    assert not solved.defence.architecture.trained_by_epochs
    assert set(solved.canonical["defence"]) == {"architecture", "weight_decay"}
    results = [run_pack([config])[0] for config in (trained, solved)]
    assert [result.engine for result in results] == ["serial", "convex"]
    assert results[1].class_correct == run_pack([trial("ridge")])[0].class_correct


def test_a_regularizer_and_a_dataset_of_before_train(theirs) -> None:
    data = build_data({"kind": "their_kinds:Noise", "level": 90, "root": "somewhere"})
    config = trial("mlp", regularizer={"kind": "their_kinds:Shrink"}, data=data, epochs=2)
    assert "root" not in config.canonical["data"]
    (result,) = run_pack([config])
    assert result.engine == "serial" and sum(result.class_total) == 24


def test_a_probe_of_before_reads_former_attributes(theirs) -> None:
    probe = PROBES.build({"kind": "their_kinds:Accuracy", "add": 1})
    (result,) = run_pack([trial("mlp", epochs=1)], probes=[probe])
    (record,) = result.studies
    assert record.error is None and record.outcome == "found"
    share = sum(result.class_correct) / sum(result.class_total)
    assert record.columns["figure"] == pytest.approx((share + 1,))
    assert record.columns["images"] == (500,) and record.columns["weights"] == (4,)


def test_all_families_find_them_by_module_and_class(theirs) -> None:
    names = {TRIGGERS: "Mixed", ARCHITECTURES: "Bottleneck", REGULARIZERS: "Shrink", PROBES: "Accuracy"}  # fmt: skip
    for family, name in names.items():
        assert type(family.build(f"their_kinds:{name}")) is getattr(theirs, name)


def test_the_trigger_of_the_readme_imports_and_stamps(tmp_path, monkeypatch) -> None:
    text = (ROOT / "README.md").read_text()
    documents = [text, *(p.read_text() for p in sorted(ROOT.glob("*/README.md")))]
    blocks = [b for t in documents for b in t.split("```python\n")[1:] if "class Stripes" in b]
    (tmp_path / "readme_trigger.py").write_text(blocks[0].partition("```")[0])
    monkeypatch.syspath_prepend(str(tmp_path))
    trigger = TRIGGERS.build({"kind": "readme_trigger:Stripes", "period": 2})
    stamped = trigger.stamp(torch.zeros(1, 1, 2, 4, dtype=torch.uint8), torch.zeros(1), torch.zeros(1))  # fmt: skip
    assert np.array_equal(stamped[0, 0].numpy(), [[255, 0, 255, 0]] * 2)


def test_raw_takes_what_it_took() -> None:
    assert list(inspect.signature(Raw).parameters) == ["images", "labels", "class_names", "test_from", "poisoned"]  # fmt: skip
