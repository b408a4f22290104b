"""The cache of decoded images: what is kept, verified and made again; freshness in one process."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import backdoor.reading.cache_files
from backdoor import load_data
from backdoor.config import build_data
from backdoor.datasets.arrays import Arrays
from backdoor.datasets.source import forget_sources, load_source, split
from backdoor.errors import UserError
from backdoor.reading.cache import SomeImages
from backdoor.reading.cache_files import cache_folder
from backdoor.reading.npz_members import NpzMembers

N = 120
PIXELS = np.random.default_rng(0).integers(0, 256, (N, 6, 5, 3), dtype=np.uint8)
LABELS = np.arange(N) % 4
FEW = {"train": 20, "validation": 5, "test": 10}


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BACKDOOR_CACHE", str(tmp_path / "cache"))
    forget_sources()


@pytest.fixture
def partial(monkeypatch):
    """Only images in use are kept, even of small sources."""
    monkeypatch.setattr(backdoor.reading.cache_files, "SMALL_BYTES", 0)


def arrays(folder: Path, pixels=PIXELS, **settings) -> Arrays:
    file = folder / "set.npz"
    np.savez(file, images=pixels, labels=LABELS)
    made = build_data({"kind": "arrays", "root": str(file), **settings})
    assert isinstance(made, Arrays)
    return made


def entry() -> Path:
    (found,) = (f for f in cache_folder().iterdir() if f.is_dir())
    return found


def no_decoding(monkeypatch) -> None:
    monkeypatch.setattr(NpzMembers, "rows", lambda *_: pytest.fail("decoded again"))


def same_images(source, ids) -> bool:
    return np.array_equal(source.images[ids], PIXELS[ids].transpose(0, 3, 1, 2))


# --- what is kept --------------------------------------------------------------------------------


def test_images_of_the_splits_alone_are_kept_and_others_when_they_are_needed(
    tmp_path, partial
) -> None:
    dataset = arrays(tmp_path, **FEW)
    source = load_source(dataset, seeds=[0, 1])
    used = np.unique(np.concatenate([p for s in (0, 1) for p in draw(dataset, source, s)]))
    assert isinstance(source.images, SomeImages)
    assert (entry() / "images").stat().st_size == len(used) * 90
    assert same_images(source, used)
    third = np.concatenate(draw(dataset, source, 2))
    more = np.setdiff1d(third, used)
    assert len(more) > 0
    assert (entry() / "images").stat().st_size == (len(used) + len(more)) * 90
    assert same_images(source, third)
    absent = np.setdiff1d(np.arange(N), np.union1d(used, third))
    with pytest.raises(LookupError, match="only images of a split that was drawn"):
        source.images[absent]


def draw(dataset, source, seed):
    return split(dataset, source, seed).parts


def test_normalization_is_that_of_the_whole_pool(tmp_path, partial) -> None:
    few, whole = load_source(arrays(tmp_path, **FEW)), load_source(arrays(tmp_path))
    pool = PIXELS.reshape(-1, 3) / 255
    assert np.array_equal(few.mean, whole.mean) and np.array_equal(few.std, whole.std)
    assert few.mean == pytest.approx(pool.mean(0), abs=1e-6)
    assert few.std == pytest.approx(pool.std(0), abs=1e-6)
    assert few.fingerprint == whole.fingerprint


def test_a_small_source_is_kept_whole(tmp_path) -> None:
    source = load_source(arrays(tmp_path, **FEW))
    assert isinstance(source.images, np.memmap) and same_images(source, np.arange(N))


def test_a_trial_answers_the_same_from_few_images(tmp_path, partial, monkeypatch) -> None:
    """Splits, poison and result of a trial do not depend on what the cache keeps."""
    from dataclasses import replace

    from trials import trial

    from backdoor.trial import run_pack

    dataset = arrays(tmp_path, **FEW)
    config = replace(trial("ridge", weight_decay=0.01, rate=0.2), data=dataset)
    (some,) = run_pack([config])
    assert isinstance(load_source(dataset).images, SomeImages)
    forget_sources()
    shutil.rmtree(cache_folder())
    monkeypatch.setattr(backdoor.reading.cache_files, "SMALL_BYTES", 2**30)
    (whole,) = run_pack([config])
    assert isinstance(load_source(dataset).images, np.memmap)
    assert some.measurements == whole.measurements and some.class_correct == whole.class_correct


# --- damage --------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [{}, FEW])
def test_a_damaged_image_is_decoded_again(tmp_path, partial, settings, caplog) -> None:
    dataset = arrays(tmp_path, **settings)
    split(dataset, load_source(dataset), 0)
    forget_sources()
    file = entry() / "images"
    content = bytearray(file.read_bytes())
    content[95] ^= 0xFF  # in the second image that is kept
    file.write_bytes(content)
    source = load_source(dataset)
    used = np.concatenate(split(dataset, source, 0).parts)
    assert same_images(source, used)
    assert "1 images in" in caplog.text and "decoded again" in caplog.text


@pytest.mark.parametrize("name", ["meta", "tables", "rows", "images"])
@pytest.mark.parametrize("spoil", ["cut", "emptied", "removed", "other"])
def test_a_damaged_entry_is_made_again(tmp_path, name, spoil) -> None:
    dataset = arrays(tmp_path)
    first = load_source(dataset)
    file = entry() / name
    content = file.read_bytes()
    file.unlink()
    if spoil != "removed":
        file.write_bytes(
            {"cut": content[: len(content) // 2], "emptied": b"", "other": b"{}"}[spoil]
        )
    forget_sources()
    again = load_source(dataset)
    split(dataset, again, 0)
    assert same_images(again, np.arange(N)) and np.array_equal(again.labels, first.labels)
    assert again.mean.tolist() == first.mean.tolist()


def test_what_is_kept_is_used(tmp_path, monkeypatch) -> None:
    dataset = arrays(tmp_path)
    load_source(dataset)
    forget_sources()
    no_decoding(monkeypatch)
    assert same_images(load_source(dataset), np.arange(N))


def test_a_refused_source_leaves_nothing_behind(tmp_path) -> None:
    file = tmp_path / "set.npz"
    np.savez(file, images=PIXELS, labels=np.arange(N))
    with pytest.raises(UserError, match="fewer classes than training images"):
        load_source(build_data({"kind": "arrays", "root": str(file)}))
    assert not cache_folder().exists()


def test_no_room_is_said_beforehand_with_figures(tmp_path, monkeypatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=2**26 + 1000))
    with pytest.raises(UserError) as caught:
        load_source(arrays(tmp_path))
    assert str(caught.value) == (
        "BACKDOOR_CACHE must have room for the decoded images, 0.0 MB, and 67.1 MB more that stay free, but got '67.1 MB free for 120 "
        "images of 6 x 5 pixels, 3 channels'. Ask for fewer images (data.train, data.validation, "
        "data.test) or smaller ones (data.image_size), or choose another disk: BACKDOOR_CACHE=FOLDER."
    )
    assert not cache_folder().exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_cache_that_cannot_be_written_is_one_clear_mistake(tmp_path, monkeypatch) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    monkeypatch.setenv("BACKDOOR_CACHE", str(tmp_path / "locked" / "cache"))
    with pytest.raises(UserError, match="must be a folder for decoded images that can be written"):
        load_source(arrays(tmp_path))


def test_a_cache_that_is_a_file_is_one_clear_mistake(tmp_path, monkeypatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BACKDOOR_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match="must be a folder for decoded images that can be written"):
        load_source(arrays(tmp_path))


# --- freshness -----------------------------------------------------------------------------------


def test_changed_files_are_read_again_in_the_same_process(tmp_path) -> None:
    dataset = arrays(tmp_path)
    first = load_source(dataset)
    arrays(tmp_path, pixels=255 - PIXELS)
    again = load_source(dataset)
    assert np.array_equal(again.images, 255 - first.images)
    assert again.fingerprint != first.fingerprint


def test_unchanged_files_are_not_read_again(tmp_path, monkeypatch) -> None:
    dataset = arrays(tmp_path)
    first = load_source(dataset)
    monkeypatch.setattr(Arrays, "fingerprint", lambda self: pytest.fail("hashed again"))
    assert load_source(dataset) is first


def test_data_of_python_are_fresh_too(tmp_path) -> None:
    dataset = arrays(tmp_path)
    before = load_data(dataset, seed=1)
    arrays(tmp_path, pixels=255 - PIXELS)
    after = load_data(dataset, seed=1)
    assert np.array_equal(after.train.images, 255 - before.train.images)


# --- many processes ------------------------------------------------------------------------------

CHILD = """
import sys
import numpy as np
import backdoor.reading.cache_files
from backdoor.datasets.source import load_source, split
from backdoor.settings.registry import DATASETS

backdoor.reading.cache_files.SMALL_BYTES = 0
sizes = {"train": 20, "validation": 5, "test": 10}
dataset = DATASETS.build({"kind": "arrays", "root": sys.argv[1], **sizes})
source = load_source(dataset)
for seed in range(int(sys.argv[2]), int(sys.argv[2]) + 3):
    ids = np.concatenate(split(dataset, source, seed).parts)
    given = np.load(sys.argv[1])["images"][ids].transpose(0, 3, 1, 2)
    assert np.array_equal(source.images[ids], given)
"""


def test_processes_that_begin_together_share_one_entry(tmp_path) -> None:
    root = str(arrays(tmp_path).root)
    command = [sys.executable, "-c", CHILD, root]
    children = [
        subprocess.Popen([*command, str(3 * i)], stderr=subprocess.PIPE, text=True)
        for i in range(3)
    ]
    for child in children:
        _, text = child.communicate(timeout=120)
        assert child.returncode == 0, text
    assert entry().is_dir()


def test_a_process_that_was_killed_leaves_nothing_that_stays(tmp_path) -> None:
    dataset = arrays(tmp_path)
    name = load_source(dataset) and entry().name
    shutil.rmtree(entry())
    scratch = cache_folder() / f".writing-{name}"
    scratch.mkdir()
    (scratch / "images").write_bytes(b"half")
    forget_sources()
    assert same_images(load_source(dataset), np.arange(N)) and not scratch.exists()


def test_files_that_change_while_they_are_read_are_refused_and_leave_no_entry(
    tmp_path, monkeypatch
) -> None:
    """Its name would say the right content, and its pixels would be others."""
    dataset, opened = arrays(tmp_path), Arrays.open
    file = tmp_path / "set.npz"
    right = file.read_bytes()

    def disturbed(self):
        arrays(tmp_path, pixels=255 - PIXELS)
        return opened(self)

    monkeypatch.setattr(Arrays, "open", disturbed)
    with pytest.raises(UserError, match="root: must stay as it is while it is read"):
        load_source(dataset)
    monkeypatch.undo()
    monkeypatch.setenv("BACKDOOR_CACHE", str(tmp_path / "cache"))
    file.write_bytes(right)
    assert same_images(load_source(dataset), np.arange(N))


def test_a_home_that_is_not_there_is_one_clear_mistake(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("BACKDOOR_CACHE", "~nosuchuser/cache")
    with pytest.raises(UserError, match="BACKDOOR_CACHE must be a path on this machine"):
        load_source(arrays(tmp_path))
    with pytest.raises(
        UserError, match="root: must be a path on this machine, but got '~nosuch/x'"
    ):
        load_source(build_data({"kind": "arrays", "root": "~nosuch/x"}))


@pytest.mark.parametrize("root", ["x" * 300, "a\0b"])
@pytest.mark.parametrize("kind", ["arrays", "parquet", "csv", "image_folder", "mnist"])
def test_names_that_no_file_can_have_are_one_clear_mistake(kind, root) -> None:
    with pytest.raises(UserError, match="root: must "):
        load_source(build_data({"kind": kind, "root": root}))
