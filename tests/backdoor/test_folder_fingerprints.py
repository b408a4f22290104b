"""Names of folders by their content: as before where they were read rightly, and as they were known
where they were not."""

import hashlib
import json
import os

import pytest
from folder_files import folder, refused, write


def formerly(root, parts, how=("image_folder", None)) -> str:
    """The fingerprint of before, written plainly; parts: for each, class → the paths of its files."""
    digest = hashlib.sha256(json.dumps(list(how)).encode())
    for part in parts:
        for name, files in part.items():
            digest.update(json.dumps([name, len(files)]).encode())
            for file in files:
                digest.update(hashlib.sha256((root / file).read_bytes()).digest())
        digest.update(b"|")
    return digest.hexdigest()


def test_a_fingerprint_of_before_is_known_by_heart(tmp_path) -> None:
    write(tmp_path, "{train,val}/{cat,dog}/{1,2}.png", "train/dog/a b/3.png", "train/dog/a/4.png")
    known = "0f06842364e84837042566d1754e700d7c9b70d59fafb65cc79bb51c9cb5e5a9"
    assert folder(tmp_path).fingerprint() == known


@pytest.mark.parametrize("second", ["test", "val"])
def test_sets_that_were_read_rightly_keep_their_fingerprint(tmp_path, second) -> None:
    """Files are in the order of their folders, then of their names, as text."""
    write(tmp_path, "train/{cat,dog}/{2,10}.png", "train/cat/{a b/1,a/1,a.b/1}.png")
    write(tmp_path, f"{second}/{{cat,dog}}/x.png", "train/cat/1.txt")
    cats = ["10.png", "2.png", "a/1.png", "a b/1.png", "a.b/1.png"]
    train = {
        "cat": [f"train/cat/{name}" for name in cats],
        "dog": ["train/dog/10.png", "train/dog/2.png"],
    }
    test = {name: [f"{second}/{name}/x.png"] for name in ("cat", "dog")}
    dataset = folder(tmp_path)
    assert dataset.fingerprint() == formerly(tmp_path, [train, test])
    assert list(dataset.former_fingerprints()) == []
    cropped = folder(tmp_path, image_size=8, resize="crop").fingerprint()
    assert cropped == formerly(tmp_path, [train, test], ("image_folder", 8, "crop"))
    pool = formerly(tmp_path / "train", [{c: [f[6:] for f in files] for c, files in train.items()}])
    assert folder(tmp_path / "train").fingerprint() == pool


def test_many_files_are_hashed_in_order(tmp_path) -> None:
    write(tmp_path, *(f"{name}/{n:03}.png" for name in ("cat", "dog") for n in range(150)))
    parts = [{name: [f"{name}/{n:03}.png" for n in range(150)] for name in ("cat", "dog")}]
    assert folder(tmp_path).fingerprint() == formerly(tmp_path, parts)


def test_new_settings_name_a_source_where_they_act(tmp_path) -> None:
    write(tmp_path, "{cat,dog}/{1,2}.png")
    settings = [{}, {"layout": "classes"}, {"background": "black"}, {"bits": 12}, {"image_size": 8}]
    assert len({folder(tmp_path, **each).fingerprint() for each in settings}) == len(settings)
    assert all(not list(folder(tmp_path, **each).former_fingerprints()) for each in settings)


def test_splits_that_were_classes_had_another_fingerprint(tmp_path) -> None:
    write(tmp_path, "{Train,Test}/{cat,dog}/1.png")
    dataset = folder(tmp_path, image_size=8)
    classes = {name: [f"{name}/cat/1.png", f"{name}/dog/1.png"] for name in ("Test", "Train")}
    old = formerly(tmp_path, [classes], ("image_folder", 8))
    rule = "folders that are called like splits are no classes: Test, Train"
    assert list(dataset.former_fingerprints()) == [(old, rule)]
    assert dataset.fingerprint() != old


def test_what_is_refused_now_had_a_fingerprint(tmp_path) -> None:
    write(tmp_path, "{cats,dogs,valid}/1.png")
    assert "not both" in refused(tmp_path)
    old = formerly(tmp_path, [{name: [f"{name}/1.png"] for name in ("cats", "dogs", "valid")}])
    rule = "must hold folders of splits, or class folders, not both"
    assert list(folder(tmp_path).former_fingerprints()) == [(old, rule)]
    assert list(folder(tmp_path, layout="classes").former_fingerprints()) == []


def test_thumbnails_of_the_system_were_read(tmp_path) -> None:
    write(tmp_path, "{cat,dog}/1.png", "cat/@eaDir/1.png/thumb.jpg")
    cats = ["cat/1.png", "cat/@eaDir/1.png/thumb.jpg"]
    old = formerly(tmp_path, [{"cat": cats, "dog": ["dog/1.png"]}])
    assert list(folder(tmp_path).former_fingerprints()) == [
        (old, "folders of the system are left out")
    ]


def test_what_was_refused_before_has_no_former_fingerprint(tmp_path) -> None:
    write(tmp_path / "a", "{train,valid}/{cat,dog}/1.png")
    write(tmp_path / "b", "{train,test}/{cat,dog}/1.png", "train/owl/1.png")
    write(tmp_path / "c", "cat/1.png")
    assert not any(list(folder(tmp_path / each).former_fingerprints()) for each in "abc")


# --- signatures ----------------------------------------------------------------------------------


def rewrite(root) -> None:
    """Other content of the same size, with the old time of change."""
    file = root / "cat" / "1.png"
    before = file.stat()
    file.write_bytes(b"x" * before.st_size)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace(root) -> None:
    file, new = root / "cat" / "1.png", root / "new"
    new.write_bytes(file.read_bytes())
    os.utime(new, ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns))
    new.rename(file)


CHANGES = {
    "rewritten": rewrite,
    "replaced": replace,
    "added": lambda root: write(root, "cat/3.png"),
    "removed": lambda root: (root / "dog" / "2.png").unlink(),
    "renamed": lambda root: (root / "dog" / "2.png").rename(root / "cat" / "3.png"),
    "counted": lambda root: write(root, "cat/notes.txt"),
    "class": lambda root: (root / "dog").rename(root / "hound"),
    "linked": lambda root: write(root.parent / "elsewhere", "3.png"),
    "deep": lambda root: write(root, "dog/a/b/3.png"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_shows_in_the_signature(tmp_path, change) -> None:
    root = tmp_path / "set"
    write(root, "{cat,dog}/{1,2}.png")
    write(tmp_path / "elsewhere", "1.png")
    (root / "owl").symlink_to(tmp_path / "elsewhere")
    dataset = folder(root)
    before = dataset.signature()
    assert dataset.signature() == before == hash_free(folder(root, image_size=8))
    CHANGES[change](root)
    assert dataset.signature() != before


def hash_free(dataset) -> object:
    """The signature, which reads no file's content."""
    import builtins
    from unittest import mock

    with mock.patch.object(builtins, "open", side_effect=AssertionError):
        return dataset.signature()
