"""Crops and flips against loops over single images, and what they do to a trial's name."""

import numpy as np
import pytest
import torch
from synthetic import synthetic_source
from trials import DIGITS, FEW, same, trial

from backdoor.config import Training, build_trial
from backdoor.datasets.source import load_source
from backdoor.engines import threads
from backdoor.engines.packed import Packed
from backdoor.engines.serial import Serial
from backdoor.errors import UserError
from backdoor.image_store.augment import PAD, crop_flip, draw_views
from backdoor.image_store.store import channels_last
from backdoor.trial import prepare, run_pack

NOISE = {"kind": "patch", "size": 2, "pattern": "noise_per_class"}


def seen(image, view):
    """One (c, h, w) image by numpy: pad, cut out, turn round."""
    top, left, mirrored = (int(number) for number in view)
    _, h, w = image.shape
    framed = np.pad(image, ((0, 0), (4, 4), (4, 4)))
    cut = framed[:, top : top + h, left : left + w]
    return cut[:, :, ::-1] if mirrored else cut


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 8, 8), (2, 9, 5)])
def test_crop_flip_is_pad_cut_and_mirror(shape) -> None:
    images = synthetic_source(50, shape, classes=5).images
    views = draw_views(3, 50, 1)
    views[:3] = torch.tensor([[0, 0, 0], [2 * PAD, 2 * PAD, 1], [PAD, PAD, 0]])
    ours = crop_flip(channels_last(images), views).permute(0, 3, 1, 2).numpy()
    assert ours.dtype == np.uint8
    for mine, image, view in zip(ours, images, views, strict=True):
        assert np.array_equal(mine, seen(image, view))
    assert np.array_equal(ours[2], images[2])


def test_views_cover_all_crops_and_mirror_half() -> None:
    views = draw_views(0, 20000, 0).numpy()
    for column in (0, 1):
        counts = np.bincount(views[:, column], minlength=9)
        assert len(counts) == 9 and abs(counts - 20000 / 9).max() < 5 * np.sqrt(20000 / 9)
    assert abs(views[:, 2].mean() - 0.5) < 0.02
    assert not torch.equal(draw_views(0, 10, 0), draw_views(0, 10, 1))
    assert not torch.equal(draw_views(0, 10, 0), draw_views(1, 10, 0))


def test_golden_views() -> None:
    assert draw_views(0, 1100, 2)[:3].tolist() == [[0, 2, 1], [6, 4, 0], [2, 0, 1]]


# --- names ---------------------------------------------------------------------------------------


def training(**given):
    return Training(augmentation="crop_flip", **given)


def test_without_augmentation_a_trial_has_its_old_name() -> None:
    assert Training(stamp="after").identity() == Training().identity()
    assert "augmentation" not in trial().canonical["training"]
    assert "stamp" not in trial().canonical["training"]


def test_augmentation_and_order_of_stamping_are_part_of_a_name() -> None:
    names = {trial(training=t).trial_id for t in (Training(), training(), training(stamp="after"))}
    assert len(names) == 3
    again = trial(training=training(stamp="after"))
    assert build_trial(again.canonical) == again


def test_closed_forms_have_none() -> None:
    assert trial("ridge", training=training()).trial_id == trial("ridge").trial_id


def test_other_words_are_refused() -> None:
    with pytest.raises(UserError, match="augmentation: must be one of none, crop_flip"):
        Training(augmentation="cutout")
    with pytest.raises(UserError, match="stamp: must be one of before, after"):
        Training(augmentation="crop_flip", stamp="while")


# --- stamps before and after ---------------------------------------------------------------------


@pytest.mark.parametrize("trigger", [{"kind": "patch", "size": 2}, "blend", NOISE])
@pytest.mark.parametrize("stamp", ["before", "after"])
def test_stamped_images_are_augmented_as_asked(trigger, stamp) -> None:
    config = trial(trigger=trigger, rate=0.3, data=FEW)
    source = load_source(FEW)
    (member,), store = prepare([config], (), source)
    views = draw_views(0, len(member.train), 0)
    ours = store.augmented(torch.from_numpy(member.train), views, stamp)
    from backdoor.datasets.source import split

    ids, trigger_of_seed = split(FEW, source, 0).train, config.attack.trigger.for_seed(0)
    poisoned = set(member.poison.positions.tolist())
    assert 0 < len(poisoned) < len(ids)
    for place, number in enumerate(ids):

        def stamped(image, number=number):
            label = torch.tensor([source.labels[number]])
            batch = torch.from_numpy(np.ascontiguousarray(image))[None]
            return trigger_of_seed.stamp(batch, torch.tensor([number]), label)[0].numpy()

        image = source.images[number]
        if place not in poisoned:
            expected = seen(image, views[place])
        elif stamp == "before":
            expected = seen(stamped(image), views[place])
        else:
            expected = stamped(seen(image, views[place]))
        assert np.allclose(ours[place].numpy(), expected / 255, atol=1e-6), place


@pytest.mark.parametrize("stamp", ["before", "after"])
@pytest.mark.parametrize("architecture", ["linear", "mlp"])
def test_packs_train_on_the_views_that_single_trials_see(architecture, stamp) -> None:
    configs = [
        trial(architecture, seed=s, rate=0.1, epochs=2, training=training(stamp=stamp))
        for s in (0, 3, 0)
    ]
    configs[2] = trial(architecture, rate=0.2, epochs=2, training=training(stamp=stamp))
    members, store = prepare(configs, (), load_source(DIGITS))
    with threads(1):
        with torch.no_grad():
            ours = Packed().train(members, store, 10, None)
        theirs = Serial().train(members, store, 10, None)
    for member in range(3):
        for name, weight in theirs.state(member).items():
            assert torch.allclose(ours.state(member)[name], weight, rtol=1e-3, atol=1e-4), name
    together = run_pack(configs)
    assert all(same(run_pack([c])[0], row) for c, row in zip(configs, together, strict=True))


def test_augmentation_changes_what_is_learnt_and_repeats_itself() -> None:
    def accuracy(**given):
        config = trial("convnet", data=FEW, epochs=4, training=Training(**given))
        first, second = run_pack([config])[0], run_pack([config])[0]
        assert same(first, second)
        return first.class_correct, first.measurements[0].success

    figures = [accuracy(), accuracy(augmentation="crop_flip"),
               accuracy(augmentation="crop_flip", stamp="after")]  # fmt: skip
    assert len(set(figures)) >= 2
