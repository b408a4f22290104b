"""`stamped`: the one way in which images get their triggers. It holds each call to its contract.

Type, shape and device cost nothing and are checked for every kind. Kinds of users are also asked
for some images of each call again: the same images have to get the same stamp, alone or among
others, and their arguments stay as they were.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from backdoor.errors import Missing, Mistake, UserError
from backdoor.settings.kind_checks import described
from backdoor.settings.outside import is_ours
from backdoor.settings.users_errors import naming_users_code

if TYPE_CHECKING:
    from backdoor.triggers.base import Trigger
    from backdoor.triggers.donors import DonorImages

#: Of so many images of a call one is stamped again, besides the first and the last.
ASKED_AGAIN = 128
#: Grey levels by which an image stamped among others may differ from the same one stamped among
#: fewer: networks that stamp round otherwise then.
ROUNDING = 1


def stamped(
    trigger: Trigger, images: torch.Tensor, ids: torch.Tensor, labels: torch.Tensor
) -> torch.Tensor:
    """What `trigger.stamp` returns, checked: (n, c, h, w) uint8.

    Raises:
        UserError: the trigger does not keep what `Trigger.stamp` promises, or a kind of users
            raised something. It says which images were stamped.
    """
    if is_ours(trigger):
        return _right(trigger, images, ids, trigger.stamp(images, ids, labels))
    _refuse_no_stamp(trigger)
    given = tuple(part.clone() for part in (images, ids, labels))
    with naming_users_code():
        result = _right(trigger, images, ids, trigger.stamp(images, ids, labels))
        _refuse_writes(trigger, ids, (images, *given[1:]), given)
        if len(images):
            _refuse_chance(trigger, given, result)
    return result


def _refuse_no_stamp(trigger: Trigger) -> None:
    from backdoor.triggers.base import Trigger

    if type(trigger).stamp is Trigger.stamp:
        name = f"{type(trigger).__module__}:{type(trigger).__qualname__}"
        rule, remedy = "must have a method `stamp`", "Write `def stamp(self, images, ids, labels)`."
        raise UserError(Mistake(name, rule, Missing.VALUE, remedy))


def derived(method: Callable[..., Trigger], *arguments: Any) -> Trigger:
    """What `for_seed`, `lent`, `for_test` or `cover` of a trigger returns, which is a trigger."""
    from backdoor.triggers.base import Trigger

    trigger = getattr(method, "__self__", None)
    if is_ours(trigger):
        return method(*arguments)
    with naming_users_code():
        given: object = method(*arguments)
    if isinstance(given, Trigger):
        return given
    name = trigger.kind_name() if isinstance(trigger, Trigger) else "of a user"
    rule, remedy = (
        "must return a trigger",
        "Return `self`, or a copy (dataclasses.replace).",
    )
    place = f"trigger {name}.{getattr(method, '__name__', 'method')}"
    raise UserError(Mistake(place, rule, repr(given), remedy))


def measured_form(trigger: Trigger, seed: int, donors: DonorImages) -> Trigger:
    """The trigger as the test images of a trial get it. donors: the trial's training images."""
    return derived(derived(derived(trigger.for_seed, seed).lent, donors).for_test)


def _wrong(trigger: Trigger, rule: str, value: object, remedy: str) -> UserError:
    return UserError(Mistake(f"trigger {trigger.kind_name()}.stamp", rule, value, remedy))


def _right(
    trigger: Trigger, images: torch.Tensor, ids: torch.Tensor, result: object
) -> torch.Tensor:
    """The result, if it has the type, the shape, the device and the range of the images."""
    rule = f"must return {described(images)}, for {_which(ids)}"
    if not isinstance(result, torch.Tensor):
        remedy = "Return the stamped copies as a torch tensor."
        raise _wrong(trigger, rule, described(result), remedy)
    if result.dtype != torch.uint8:
        remedy = "Round and convert them: values.round().clamp(0, 255).to(torch.uint8)."
        if result.is_floating_point() and result.numel() and float(result.max()) <= 1:
            remedy = "Convert them: (255 * values).round().clamp(0, 255).to(torch.uint8)."
        raise _wrong(trigger, rule, f"{described(result)}{_range(result)}", remedy)
    if result.shape != images.shape or result.device != images.device:
        remedy = "Return one image for each, of the same size, on the same device."
        raise _wrong(trigger, rule, described(result), remedy)
    return result


def _refuse_writes(
    trigger: Trigger,
    ids: torch.Tensor,
    now: tuple[torch.Tensor, ...],
    before: tuple[torch.Tensor, ...],
) -> None:
    for name, after, kept in zip(("images", "ids", "labels"), now, before, strict=True):
        if not torch.equal(after, kept):
            rule = f"must not write to its {name}, for {_which(before[1])}"
            raise _wrong(trigger, rule, "changed in place", f"Begin with {name}.clone().")


def _refuse_chance(trigger: Trigger, given: tuple[torch.Tensor, ...], result: torch.Tensor) -> None:
    """Stamps some images twice more: twice the same, and as they were stamped among all."""
    images, ids, labels = given
    _refuse_unscaled(trigger, images, ids, result)
    some = _some(len(images), images.device)
    asked = images[some], ids[some], labels[some]
    first, second = (
        _right(trigger, asked[0], asked[1], trigger.stamp(*(part.clone() for part in asked)))
        for _ in range(2)
    )
    rule = f"must return the same stamp for the same image, its id and its label, for {_which(ids)}"
    remedy = "Draw random numbers from a generator that is seeded by the ids."
    if not torch.equal(first, second):
        value = f"{_unequal(first, second)} of {len(first)} images differ"
        raise _wrong(trigger, rule, f"{value} when stamped again", remedy)
    among = result[some].to(torch.int16)
    if bool(((among - first.to(torch.int16)).abs() > ROUNDING).any()):
        value = f"{_unequal(among, first.to(torch.int16))} of {len(first)} images differ"
        raise _wrong(trigger, rule, f"{value} when stamped among others", remedy)


def _refuse_unscaled(
    trigger: Trigger, images: torch.Tensor, ids: torch.Tensor, result: torch.Tensor
) -> None:
    """Images of 0 and 1 only are floats in [0, 1] that were cast to uint8."""
    if int(result.max()) == 1 and int(images.max()) > 1:
        rule = f"must return grey levels from 0 to 255, for {_which(ids)}"
        remedy = "Scale before the cast: (255 * values).round().clamp(0, 255).to(torch.uint8)."
        raise _wrong(trigger, rule, "only 0 and 1", remedy)


def _some(count: int, device: torch.device) -> torch.Tensor:
    """Places of the first, the last and some images between them, (m,) int64."""
    asked = min(count, 2 + count // ASKED_AGAIN)
    return torch.linspace(0, count - 1, asked, device=device).round().long()


def _unequal(a: torch.Tensor, b: torch.Tensor) -> int:
    return int((a != b).flatten(1).any(1).sum())


def _which(ids: torch.Tensor) -> str:
    """`images 3 to 97`, by their ids."""
    if not len(ids):
        return "no images"
    low, high = int(ids.min()), int(ids.max())
    return f"image {low}" if len(ids) == 1 else f"{len(ids)} images with ids {low} to {high}"


def _range(values: torch.Tensor) -> str:
    if not values.numel() or values.is_complex():
        return ""
    if values.is_floating_point() and bool(values.isnan().any()):
        return " with NaN"
    return f" from {float(values.min()):.4g} to {float(values.max()):.4g}"
