"""A blurred reflection is as bright as the paper's across the image, and the former form stays."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from sklearn.datasets import load_sample_images

from backdoor.config import build_attack
from backdoor.settings.registry import TRIGGERS
from backdoor.streams import by_number
from backdoor.triggers.donors import DonorImages
from sweeps.panels import bundled_panels
from sweeps.panels.bundled import panel_section

OPACITY = 0.3


def photographs(side: int) -> np.ndarray:
    """Eight parts of two photographs, (8, 3, side, side) uint8."""
    found = []
    for photograph in load_sample_images().images:
        for left in (0, 70, 140, 213):
            part = Image.fromarray(photograph[:, left : left + 427]).resize((side, side))
            found.append(np.asarray(part).transpose(2, 0, 1))
    return np.stack(found)


def as_in_the_paper(image: np.ndarray, other: np.ndarray, sigma: float) -> np.ndarray:
    """Grey levels of an image, (c, side, side), with the blurred reflection of another, alpha 0.3.

    In linear light (grey levels to the power of 2.2), the image is transmitted by alpha_t = 1 - 0.3
    and the reflection by 1 - alpha_t / 2 at its brightest, times exp(-z^2 / 4) down and right.
    """
    transmitted = 1 - OPACITY
    blurred = gaussian_filter((other / 255) ** 2.2, (0, sigma, sigma), mode="mirror", truncate=2)
    z = np.linspace(-3, 3, image.shape[-1])
    spotlight = np.outer(np.exp(-(z**2) / 4), np.exp(-(z**2) / 4))
    light = transmitted * (image / 255) ** 2.2 + (1 - transmitted / 2) * spotlight * blurred
    return 255 * np.clip(light, 0, 1) ** (1 / 2.2)


def changes(falloff: str, side: int) -> tuple[np.ndarray, np.ndarray]:
    """By how many grey levels our form and the paper's change each photograph, (8, pixels)."""
    images, ids = photographs(side), np.arange(8)
    made = {"kind": "reflection", "effect": "out_of_focus", "opacity": OPACITY, "falloff": falloff}
    trigger = TRIGGERS.build(made).lent(DonorImages("test", 0, images, ids, ids))
    stamped = trigger.stamp(torch.from_numpy(images), torch.from_numpy(ids), torch.zeros(8).long())
    borrowed = trigger.pictures(torch.from_numpy(ids), np.zeros(8), images.shape)
    sigmas = 1 + 4 * by_number(ids, 9, "reflection", 0)[:, 3]
    theirs = [as_in_the_paper(*each) for each in zip(images, borrowed, sigmas, strict=True)]
    ours, theirs = (np.stack(list(a)).reshape(8, -1) - images.reshape(8, -1) * 1.0
                    for a in (stamped.numpy(), theirs))  # fmt: skip
    return ours, theirs


def correlations(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    return np.array([np.corrcoef(a, b)[0, 1] for a, b in zip(ours, theirs, strict=True)])


@pytest.mark.parametrize("side", [32, 224])
def test_out_of_focus_is_as_in_the_paper(side) -> None:
    ours, theirs = changes("image", side)
    assert correlations(ours, theirs).min() >= 0.98
    assert np.abs(ours).mean() == pytest.approx(np.abs(theirs).mean(), rel=0.1)


def test_the_form_of_earlier_releases_is_not() -> None:
    assert correlations(*changes("canvas", 32)).mean() < 0.9


def test_the_form_of_earlier_releases_stays_to_the_bit() -> None:
    """Digests of pixels that the release before `falloff` stamped."""
    images = torch.from_numpy((np.arange(6 * 3 * 20 * 26).reshape(6, 3, 20, 26) ** 2 % 251).astype(np.uint8))  # fmt: skip
    ids = torch.tensor([3, 9, 14, 15, 92, 65])
    donors = DonorImages("test", 4, images.numpy(), np.arange(6), np.arange(6))
    found = {}
    for effect in ("mixed", "out_of_focus"):
        made = {"kind": "reflection", "effect": effect, "falloff": "canvas", "pattern_seed": 7}
        stamped = TRIGGERS.build(made).lent(donors).stamp(images, ids, ids * 0)
        found[effect] = hashlib.sha256(stamped.numpy().tobytes()).hexdigest()[:16]
    assert found == {"mixed": "d7e7783c88ac59ef", "out_of_focus": "be9c8f6275a1e4b3"}


BEFORE = {"kind": "reflection", "opacity": None, "effect": "mixed", "images": None, "pattern_seed": 0}  # fmt: skip


@pytest.mark.parametrize("effect", ["mixed", "ghost", "out_of_focus", "in_focus"])
def test_ids_of_before(effect) -> None:
    """Only what may be blurred has a new identity; the former form has that of before."""
    before = BEFORE | {"effect": effect}
    new = {"falloff": "image"} if effect in ("mixed", "out_of_focus") else {}
    made = {form: TRIGGERS.build({"kind": "reflection", "effect": effect, "falloff": form})
            for form in ("image", "canvas")}  # fmt: skip
    assert made["image"].identity() == before | new
    assert made["canvas"].identity() == before
    assert (made["image"] == made["canvas"]) == (not new)


@pytest.mark.parametrize("falloff", ["image", "canvas"])
def test_an_identity_is_read_as_what_it_names(falloff) -> None:
    """An identity without the setting is of before; plain values without it have the default."""
    given = {"trigger": {"kind": "reflection", "falloff": falloff}, "poison_rate": 0.1}
    attack = build_attack(given)
    assert build_attack(attack.identity(), former=True) == attack
    assert build_attack({"trigger": "reflection"}).trigger.falloff == "image"
    assert build_attack({"trigger": "reflection"}, former=True).trigger.falloff == "canvas"


@pytest.mark.parametrize("name", bundled_panels())
def test_a_bundled_panel_means_the_same_in_every_sweep(name) -> None:
    """A panel never changes: its file states settings whose defaults have changed since."""
    for member in panel_section(name)["trigger"]:
        rates = ("poison_rate", "label_mode")
        trigger = {key: value for key, value in member.items() if key not in rates}
        assert TRIGGERS.build(trigger) == TRIGGERS.build(trigger, former=True)
