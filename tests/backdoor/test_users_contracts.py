"""Kinds of users are held to their contracts at every call, not only at the first."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import nn
from trials import trial

from backdoor.architectures import Architecture
from backdoor.config import build_attack
from backdoor.errors import UserError
from backdoor.probes import Probe
from backdoor.regularizers import Regularizer
from backdoor.settings import users_errors
from backdoor.settings.kind_checks import mistakes_of
from backdoor.settings.users_errors import naming_users_code, raised_by_users
from backdoor.trial import run_pack
from backdoor.triggers import Trigger
from backdoor.triggers.stamping import derived, stamped

FIRST = 8  # images with ids below are stamped rightly


def _state(images: torch.Tensor) -> torch.Tensor:
    Later.calls += 1
    return images.clone().fill_(2 + Later.calls % 250)


def _in_place(images: torch.Tensor) -> torch.Tensor:
    images[..., :1] = 255
    return images


def _raise(error: BaseException) -> Any:
    raise error


WRONG = {
    "floats": (lambda x: x / 255, r"must return uint8 \(\d+, 1, 8, 8\), for .* but got 'float32 .* from 0 to 1'. Convert them: \(255 \* values\)"),
    "nan": (lambda x: x.float() * np.nan, r"but got 'float32 .* with NaN'"),
    "levels": (lambda x: x.float(), r"Round and convert them"),
    "scaled": (lambda x: (x / 255).to(torch.uint8), r"must return grey levels from 0 to 255, .* but got 'only 0 and 1'"),
    "random": (lambda x: torch.randint_like(x, 256), r"must return the same stamp for the same image, .* differ when stamped again'. Draw random numbers from a generator"),
    "state": (_state, r"differ when stamped again"),
    "others": (lambda x: (x.float().mean(0, keepdim=True) + len(x)).to(torch.uint8).expand(x.shape), r"differ when stamped among others"),
    "none": (lambda x: None, r"but got 'None'. Return the stamped copies as a torch tensor"),
    "numpy": (lambda x: x.numpy(), r"but got 'uint8|ndarray"),
    "list": (lambda x: list(x), r"but got 'a value of type list'"),
    "count": (lambda x: x[:-1], r"Return one image for each"),
    "shape": (lambda x: x[..., :-1], r"Return one image for each"),
    "in place": (_in_place, r"must not write to its images, .* Begin with images.clone"),
    "exit": (lambda x: _raise(SystemExit(3)), r"must not raise, but got 'SystemExit: 3'. Correct .*test_users_contracts.py, line \d+"),
    "interrupt": (lambda x: _raise(KeyboardInterrupt()), r"must not raise, but got 'KeyboardInterrupt'"),
    "error": (lambda x: _raise(RuntimeError("boom")), r"must not raise, but got 'RuntimeError: boom'"),
}  # fmt: skip


@dataclass(frozen=True)
class Later(Trigger):
    """Right on images with small ids, wrong on later ones."""

    kind: ClassVar[str] = "later"
    calls: ClassVar[int] = 0
    fault: str = "none"
    first: int = FIRST

    def stamp(self, images: torch.Tensor, ids: torch.Tensor, labels: torch.Tensor) -> Any:
        if not len(ids) or int(ids.max()) < self.first:
            return 255 - images
        return WRONG[self.fault][0](images)


def _images(count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    drawn = np.random.default_rng(3).integers(0, 256, (count, 1, 8, 8), dtype=np.uint8)
    drawn[:, :, 0, 0] = 255
    return torch.from_numpy(drawn), torch.arange(count), torch.zeros(count, dtype=torch.long)


@pytest.mark.parametrize("fault", WRONG)
def test_a_trigger_that_is_wrong_later(fault) -> None:
    trigger = Later(fault)
    assert stamped(trigger, *_images(FIRST)).dtype == torch.uint8
    place = rf"trigger {__name__}:Later.stamp|{__name__}:"
    with pytest.raises(UserError, match=rf"({place}).*({WRONG[fault][1]})"):
        stamped(trigger, *_images(200))


@pytest.mark.parametrize("fault", ["floats", "random", "exit"])
def test_it_fails_the_trial_that_stamps_them(fault) -> None:
    """The reason names the class, whatever it raised."""
    attack = build_attack({"trigger": Later(fault, first=100), "poison_rate": 0.05})
    with pytest.raises(UserError, match=r"Later\.stamp|_raise"):
        run_pack([replace(trial(), attack=attack)])


def test_a_trigger_that_returns_no_trigger() -> None:
    @dataclass(frozen=True)
    class Gives(Later):
        def lent(self, donors: Any) -> Any:
            return None

    with pytest.raises(UserError, match=r"Gives\.lent: must return a trigger, but got 'None'"):
        derived(Gives().lent, None)


def test_a_rounding_network_is_no_chance() -> None:
    """One grey level more or less among others is how networks round."""

    @dataclass(frozen=True)
    class Rounds(Later):
        def stamp(self, images: torch.Tensor, ids: torch.Tensor, labels: torch.Tensor) -> Any:
            return (images // 2 + len(images) % 2).to(torch.uint8)

    assert len(stamped(Rounds(), *_images(200))) == 200


@dataclass(frozen=True)
class Term(Regularizer):
    """A penalty of a user that is right in the first epoch only."""

    kind: ClassVar[str] = "term"
    strength: float = 1.0
    fault: str = "nan"

    def penalty(self, step: Any) -> Any:
        right = step.logits.square().mean()
        if step.draws.epoch == 0:
            return right
        return {
            "nan": right * float("nan"),
            "shape": step.logits.square().mean(1),
            "number": 1.5,
            "none": None,
            "detached": right.detach(),
        }[self.fault]


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ("nan", r"must return finite floats, but got 'nan'"),
        ("shape", r"must return \(\) floats, but got 'float32 \(\d+,\)'"),
        ("number", r"must return \(\) floats, but got 'a value of type float'"),
        ("none", r"must return \(\) floats, but got 'None'"),
        (
            "detached",
            r"must return a penalty that depends on the network, so that it has a gradient, but got 'no gradient'",
        ),
    ],
)
def test_a_penalty_that_is_wrong_later(fault, text) -> None:
    given = trial()
    linear = given.defence.architecture
    defence = replace(given.defence, architecture=linear, regularizer=Term(fault=fault), epochs=2)
    with pytest.raises(UserError, match=rf"regularizer .*Term.penalty: {text}"):
        run_pack([replace(given, defence=defence)])


@dataclass(frozen=True)
class Wide(Architecture):
    """Gives one logit too few, or no tensor, or no module."""

    kind: ClassVar[str] = "wide"
    fault: str = "few"

    def build(self, shape: Any, classes: int) -> Any:
        if self.fault == "module":
            return lambda images: images
        return nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(shape)), classes - 1))


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ("few", r"must give logits of shape \(\d+, 10\), .* but got 'float32 \(\d+, 9\)'"),
        ("module", r"must return a torch module, but got 'a value of type function'"),
    ],
)
def test_a_network_that_gives_no_logits(fault, text) -> None:
    given = trial()
    defence = replace(given.defence, architecture=Wide(fault=fault))
    with pytest.raises(UserError, match=rf"architecture .*Wide.*{text}"):
        run_pack([replace(given, defence=defence)])


@dataclass(frozen=True)
class Watches(Probe):
    kind: ClassVar[str] = "watches"
    fault: str = "exit"

    def study(self, model: Any) -> Any:
        return {"exit": lambda: _raise(SystemExit("bye")), "dict": lambda: {"a": 1}}[self.fault]()

    def suits(self, config: Any) -> Any:
        return None if self.fault == "suits" else ()


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ("exit", "must not raise, but got 'SystemExit: bye'"),
        ("dict", "a probe returns what `found` returns, or None, not {'a': 1}"),
        ("suits", "Watches.suits: must return mistakes, but got 'None'"),
    ],
)
def test_a_probe_loses_only_its_own_result(fault, text) -> None:
    (result,) = run_pack([trial()], probes=[Watches(fault)])
    (record,) = result.studies
    assert text in str(record.error) and result.class_total


def test_fits_without_a_result() -> None:
    with pytest.raises(UserError, match=r"Write `return \(\)` where nothing is wrong"):
        mistakes_of(Watches("suits"), "suits", trial())


def test_a_signal_during_code_of_users_stays_a_signal() -> None:
    import signal

    @dataclass(frozen=True)
    class Slow(Later):
        def stamp(self, images: torch.Tensor, ids: torch.Tensor, labels: torch.Tensor) -> Any:
            signal.raise_signal(signal.SIGINT)
            return images

    # Whatever ran before in this process may have left another handler.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with pytest.raises(KeyboardInterrupt):
        stamped(Slow(), *_images(4))


def test_errors_of_others_and_lack_of_memory_stay_as_they_are(monkeypatch) -> None:
    monkeypatch.setattr(users_errors, "PACKAGES", set())  # kinds of tests are no users' here
    with pytest.raises(ValueError, match="ours"), naming_users_code():
        raise ValueError("ours")
    with pytest.raises(MemoryError), naming_users_code():
        Watches("exit")
        _lack = Lacks()
        _lack.stamp(*_images(1))
    assert raised_by_users(ValueError("never raised")) is None


@dataclass(frozen=True)
class Lacks(Later):
    def stamp(self, images: torch.Tensor, ids: torch.Tensor, labels: torch.Tensor) -> Any:
        raise MemoryError
