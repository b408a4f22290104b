"""Which trials of a pack a failure is about: those whose images were being made."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pytest
import torch
from trials import FEW, same, trial

import backdoor.image_store.store as image_store
from backdoor.config import build_attack, measure_id
from backdoor.errors import UserError
from backdoor.image_store.store import ImageStore
from backdoor.probes import Probe
from backdoor.settings.users_errors import naming_users_code
from backdoor.trial import run_pack
from backdoor.triggers import Trigger
from backdoor.working_on import listening, measures_of, suspects_of, working_on


@dataclass(frozen=True)
class Faulty(Trigger):
    """Fails in one of the methods that a training calls, for images of one seed if asked."""

    kind: ClassVar[str] = "faulty"
    heard: ClassVar[list[Any]] = []
    fault: str = "stamp"
    only: int | None = None
    seed: int | None = None

    def _fail(self, where: str) -> None:
        if where == self.fault and self.only in (None, self.seed):
            raise LookupError(where)

    def stamp(self, images: torch.Tensor, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        Faulty.heard.append(Heard.last[-1] if Heard.last else None)
        self._fail("stamp")
        return 255 - images

    def for_seed(self, seed: int) -> Trigger:
        self._fail("for_seed")
        return replace(self, seed=seed)

    def for_test(self) -> Trigger:
        self._fail("for_test")
        return self

    def cover(self, donors: Any) -> Trigger:
        self._fail("cover")
        return self

    def __hash__(self) -> int:
        self._fail("hash")
        return hash(self.fault)


FAULTY = {"kind": f"{__name__}:Faulty"}


def ridge(trigger: Any = "patch", rate: float = 0.05, **changes: Any) -> Any:
    decay = changes.pop("weight_decay", 0.1)
    made = trial("ridge", weight_decay=decay, data=FEW, trigger=trigger, rate=rate, **changes)
    if trigger == FAULTY | {"fault": "cover"}:
        made = replace(made, attack=replace(made.attack, cover_rate=0.05))
    return made


def ids(trials: Any) -> tuple[str, ...]:
    return tuple(each.trial_id for each in trials)


def measures(*triggers: Any) -> list[Any]:
    return [build_attack({"trigger": each}).measure() for each in triggers]


# --- blocks ------------------------------------------------------------------------------------


def test_listeners_hear_each_block_and_what_is_around_it() -> None:
    heard, measured = list[Any](), list[Any]()
    with working_on(["before"]):
        pass
    with listening(heard.append, measured.append):
        with working_on(["a", "b"]), working_on(["a"], ["m"]):
            pass
        with pytest.raises(KeyError), working_on(iter("c")):
            raise KeyError
    with working_on(["after"]):
        pass
    assert heard == [("a", "b"), ("a",), ("a", "b"), (), ("c",), ()]
    assert measured == [(), ("m",), (), (), (), ()]


def test_an_error_remembers_the_innermost_block() -> None:
    with pytest.raises(ValueError) as caught, working_on(["a", "b"]), working_on(["a"], ["m"]):
        raise ValueError
    assert suspects_of(caught.value) == ("a",) and measures_of(caught.value) == ("m",)
    with pytest.raises(ValueError) as caught:
        with working_on(["a"]):
            pass
        raise ValueError
    assert suspects_of(caught.value) == () == measures_of(caught.value)


def test_errors_that_are_raised_from_another_are_about_the_same_trials() -> None:
    with pytest.raises(UserError) as caught, naming_users_code(), working_on(["a"]):
        Faulty().stamp(torch.zeros(1), torch.zeros(1), torch.zeros(1))
    assert isinstance(caught.value.__cause__, LookupError) and suspects_of(caught.value) == ("a",)
    with pytest.raises(OSError) as other:
        try:
            with working_on(["b"]):
                raise ValueError
        except ValueError:
            raise OSError from None
    assert suspects_of(other.value) == ("b",)


def test_one_error_object_that_is_raised_again_is_about_the_new_trials() -> None:
    kept = ValueError("kept by a module")
    for name in "ab":
        with pytest.raises(ValueError), working_on([name]):
            raise kept
        assert suspects_of(kept) == (name,)


def test_errors_that_refuse_changes_or_turn_in_circles_are_harmless() -> None:
    class OddError(Exception):
        def __setattr__(self, name: str, value: object) -> None:
            raise TypeError

    try:
        with working_on(["a"]):
            raise OddError
    except OddError as error:
        assert suspects_of(error) == ("a",)
    one, other = ValueError(), ValueError()
    one.__cause__, other.__cause__ = other, one
    assert suspects_of(one) == ()


# --- packs -------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["stamp", "for_seed", "for_test", "cover", "hash"])
def test_the_trials_of_a_trigger_that_fails_are_the_suspects(fault: str) -> None:
    faulty = FAULTY | {"fault": fault}
    guilty = [ridge(faulty, 0.05), ridge(faulty, 0.1), ridge(faulty, 0.05, seed=1)]
    clean = [ridge(rate=0), ridge(rate=0, seed=1)]
    pack = [clean[0], ridge(), guilty[0], ridge(seed=1), *guilty[1:], clean[1]]
    if fault == "hash":  # trials are grouped by it before
        guilty = []
    with pytest.raises(UserError, match="must not raise, but got 'LookupError") as caught:
        run_pack(pack, measures("patch", faulty))
    assert suspects_of(caught.value) == ids(guilty) and measures_of(caught.value) == ()


def test_without_them_the_clean_baselines_are_and_the_measure_is_named() -> None:
    clean = [ridge(rate=0), ridge(rate=0, weight_decay=1.0)]
    asked = measures("patch", FAULTY, "sine")
    heard, measured = list[Any](), list[Any]()
    with pytest.raises(UserError) as caught, listening(heard.append, measured.append):
        run_pack([clean[0], ridge(), clean[1]], asked)
    assert suspects_of(caught.value) == ids(clean)
    assert measures_of(caught.value) == (measure_id(asked[1]),)
    place = measured.index((measure_id(asked[1]),))
    assert heard[place] == ids(clean) and heard[-1] == () == measured[-1]
    assert len(run_pack([clean[0], ridge()], [asked[0], asked[2]])[0].measurements) == 2


def test_a_trigger_that_fails_for_one_seed_or_on_test_images_only() -> None:
    faulty = FAULTY | {"only": 1}
    pack = [ridge(faulty), ridge(faulty, seed=1), ridge()]
    with pytest.raises(UserError) as caught:
        run_pack(pack)
    assert suspects_of(caught.value) == ids(pack[:2])
    assert len(run_pack([pack[0], pack[2]])) == 2


def test_images_that_are_stamped_while_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    really = ImageStore.__init__

    def shared(self: ImageStore, *arguments: Any, **more: Any) -> None:
        really(self, *arguments, **more)
        assert not self._keeps

    monkeypatch.setattr(image_store, "shareable", lambda source, images: True)
    monkeypatch.setattr(ImageStore, "__init__", shared)
    (alone,) = [ridge(FAULTY)]
    with pytest.raises(UserError) as caught:
        run_pack([alone])
    assert suspects_of(caught.value) == (alone.trial_id,)


def test_an_attack_that_does_not_fit_the_data() -> None:
    wrong = ridge()
    attack = build_attack({"trigger": "patch", "label_mode": "clean_label", "poison_rate": 0.9})
    wrong = replace(wrong, attack=attack)
    with pytest.raises(UserError, match="poison_rate: must not exceed") as caught:
        run_pack([ridge(), wrong, ridge(rate=0)], measures("patch"))
    assert suspects_of(caught.value) == (wrong.trial_id,)


@dataclass(frozen=True)
class Heard(Probe):
    """Notes what a listener last heard."""

    kind: ClassVar[str] = "heard"
    last: ClassVar[list[Any]] = []
    seen: ClassVar[list[Any]] = []

    def study(self, model: Any) -> None:
        Heard.seen.append((model.config.trial_id, self.last[-1]))


def test_a_probe_works_for_its_own_trial() -> None:
    pack = [ridge(), ridge(weight_decay=1.0)]
    Heard.last.clear(), Heard.seen.clear()
    with listening(Heard.last.append):
        run_pack(pack, probes=[Heard()])
    assert Heard.seen == [(each.trial_id, (each.trial_id,)) for each in pack]
    assert Heard.last[-1] == ()


def test_results_are_the_same_with_a_listener() -> None:
    pack = [ridge(rate=0), ridge(), ridge("sine", seed=1)]
    heard = list[Any]()
    with listening(heard.append):
        one = run_pack(pack, measures("patch", "sine"))
    assert all(map(same, one, run_pack(pack, measures("patch", "sine"))))
    assert set(heard) >= {(), (pack[1].trial_id,), (pack[2].trial_id,)}


def test_whoever_watches_from_outside_has_heard_of_a_stamp_before_it_is_made() -> None:
    pack = [ridge(rate=0), ridge(), ridge(FAULTY | {"fault": "none"})]
    Heard.last.clear(), Faulty.heard.clear()
    with listening(Heard.last.append):
        run_pack(pack, measures("patch", FAULTY | {"fault": "none"}))
    assert set(Faulty.heard) == {(pack[2].trial_id,)}
    Heard.last.clear(), Faulty.heard.clear()
    with listening(Heard.last.append):
        run_pack(pack[:2], measures("patch", FAULTY | {"fault": "none"}))
    assert set(Faulty.heard) == {(pack[0].trial_id,)}
