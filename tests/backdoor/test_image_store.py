"""An image store that reads memory-mapped images gives the same as one that copies them."""

import numpy as np
import pytest
import torch
from synthetic import synthetic_source

import backdoor.image_store.store
import backdoor.reading.cache_files
from backdoor.datasets.arrays import Arrays
from backdoor.datasets.source import forget_sources, load_source
from backdoor.image_store.augment import draw_views
from backdoor.image_store.store import ImageStore, in_memory
from backdoor.settings.registry import TRIGGERS
from backdoor.triggers.donors import DonorImages

CLEAN = np.array([5, 3, 90, 41, 77, 0])
STAMPED = np.array([90, 41, 3])


@pytest.fixture(params=["all images are kept", "some images are kept"])
def mapped(request, tmp_path, monkeypatch):
    """A data set of 100 coloured images that was decoded into the cache, and as it was."""
    monkeypatch.setenv("BACKDOOR_CACHE", str(tmp_path / "cache"))
    forget_sources()
    given = synthetic_source(100, (3, 12, 10), classes=4)
    file = tmp_path / "given.npz"
    np.savez(file, images=given.images, labels=given.labels)
    if request.param.startswith("all"):
        yield load_source(Arrays(root=str(file))), given
    else:
        monkeypatch.setattr(backdoor.reading.cache_files, "SMALL_BYTES", 0)
        source = load_source(Arrays(root=str(file), train=10, validation=1, test=1))
        for ids in (STAMPED, CLEAN, np.arange(100)):  # in this order they are in the file
            source.entry.require(ids)
        yield source, given
    forget_sources()


def stores(source, monkeypatch, normalization="standard"):
    stamped = {
        TRIGGERS.build({"kind": "patch", "size": 3}): STAMPED,
        TRIGGERS.build("blend"): CLEAN,
    }
    copied = ImageStore(source, CLEAN, stamped | {TRIGGERS.build("sine"): STAMPED}, normalization)
    monkeypatch.setattr(backdoor.image_store.store, "COPIED_BYTES", 0)
    shared = ImageStore(source, CLEAN, stamped | {TRIGGERS.build("sine"): STAMPED}, normalization)
    return copied, shared, list(stamped)


def rows_of(store, triggers):
    both = [store.stamped_rows(triggers[0], STAMPED), store.stamped_rows(triggers[1], CLEAN)]
    return torch.from_numpy(np.concatenate([store.clean_rows(CLEAN), *both])[::-1].copy())


def test_a_decoded_set_is_mapped_with_channels_last_and_is_what_it_was(mapped) -> None:
    source, given = mapped
    images, rows = in_memory(source)
    assert isinstance(images, np.memmap) and not images.flags.writeable
    assert images.transpose(0, 2, 3, 1).flags.c_contiguous
    assert np.array_equal(source.images[CLEAN], given.images[CLEAN])
    assert (rows is None) == isinstance(source.images, np.memmap)


def test_a_shared_store_answers_as_a_copied_one(mapped, monkeypatch) -> None:
    source, given = mapped
    copied, shared, triggers = stores(source, monkeypatch)
    mine, theirs = rows_of(shared, triggers), rows_of(copied, triggers)
    assert torch.equal(shared.uint8(mine.numpy()), copied.uint8(theirs.numpy()))
    assert torch.equal(shared.batch(mine.view(3, -1)), copied.batch(theirs.view(3, -1)))
    assert np.array_equal(shared.pixels(mine.numpy()), copied.pixels(theirs.numpy()))
    clean = np.concatenate([CLEAN, STAMPED, CLEAN])[::-1].copy()
    original = shared.uint8(shared.unchanged(mine.numpy())).numpy()
    expected = np.concatenate([given.images[CLEAN], given.images[STAMPED], given.images[CLEAN]])
    assert len(clean) == len(expected) and np.array_equal(original, expected[::-1])


@pytest.mark.parametrize("kind", TRIGGERS.kinds())
def test_a_store_of_a_single_trial_stamps_what_is_asked_for(mapped, monkeypatch, kind) -> None:
    """The same bits in whatever part the images are asked for, and nothing is kept."""
    source, _ = mapped
    others = DonorImages("all", 0, source.images, np.arange(100), np.arange(100))
    trigger = TRIGGERS.build(kind).for_seed(0).lent(others)
    monkeypatch.setattr(backdoor.image_store.store, "COPIED_BYTES", 0)
    kept, alone = (
        ImageStore(source, CLEAN, {trigger: STAMPED}, alone=one) for one in (False, True)
    )
    assert alone._own.numel() == 0 < kept._own.numel()
    rows = np.concatenate([kept.clean_rows(CLEAN), kept.stamped_rows(trigger, STAMPED)])[
        ::-1
    ].copy()
    assert np.array_equal(alone.stamped_rows(trigger, STAMPED), kept.stamped_rows(trigger, STAMPED))
    whole = kept.uint8(rows)
    assert torch.equal(alone.uint8(rows), whole)
    assert not torch.equal(whole, alone.uint8(alone.unchanged(rows)))
    singly = torch.cat([alone.uint8(rows[i : i + 1]) for i in range(len(rows))])
    assert torch.equal(singly, whole)
    views = draw_views(0, len(rows), 0)
    for stamp in ("before", "after"):
        seen = alone.augmented(torch.from_numpy(rows), views, stamp)
        assert torch.equal(seen, kept.augmented(torch.from_numpy(rows), views, stamp))


@pytest.mark.parametrize("stamp", ["before", "after"])
def test_both_are_augmented_alike(mapped, monkeypatch, stamp) -> None:
    copied, shared, triggers = stores(mapped[0], monkeypatch)
    mine, theirs = rows_of(shared, triggers), rows_of(copied, triggers)
    views = draw_views(0, len(mine), 0)
    seen = shared.augmented(mine, views, stamp)
    assert torch.equal(seen, copied.augmented(theirs, views, stamp))
    assert seen.is_contiguous(memory_format=torch.channels_last)


def test_clean_images_of_a_shared_store_are_the_mapped_ones(mapped, monkeypatch) -> None:
    source, _ = mapped
    copied, shared, _ = stores(source, monkeypatch)
    assert shared._shared is not None and copied._shared is None
    assert shared._shared.data_ptr() == in_memory(source)[0].ctypes.data
    assert len(shared._own) == 2 * len(STAMPED) + len(CLEAN) == len(copied._own) - len(CLEAN)
    assert shared._floats is None  # nothing as large as the data set is made of it
