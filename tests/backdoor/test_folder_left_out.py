"""Files and folders that are not read, and those that cannot be."""

import os

import pytest
from fabricated import draw_part, write_flowers102, write_gtsrb, write_tiny_imagenet
from folder_files import folder, read, refused, write

from backdoor.config import build_data
from backdoor.errors import UserError
from backdoor.reading.folders import listing
from backdoor.reading.folders.listing import extension


def test_files_that_are_not_read_are_counted_by_kind(tmp_path) -> None:
    write(tmp_path, "{cat,dog}/{1,2,3}.PNG", "{cat,dog}/deep/{4,5}.gif", "dog/x.GIF", "cat/IMG.001")
    write(tmp_path, "cat/{a,b}.txt", "README.md", "beside.png", "cat/.hidden.png", ".git/1.png")
    write(tmp_path, "__MACOSX/cat/1.png", "dog/@eaDir/1.png/thumb.jpg", "cat/.cache/2.png")
    assert read(tmp_path) == [{c: [f"{c}/{i}.PNG" for i in (1, 2, 3)] for c in ("cat", "dog")}]
    contents = folder(tmp_path).open()
    assert contents.left_out == (
        "5 files (.gif)",
        "2 files (.txt)",
        "1 file (no extension)",
        "1 file beside the class folders (.md)",
        "1 file beside the class folders (.png)",
        "folders of the system (@eaDir): 1",
        "folders of the system (__MACOSX): 1",
        "hidden files: 1",
        "hidden folders: 2",
    )
    assert contents.notes == ()
    assert contents.warnings == (
        "5 files (.gif) are images of a format that is not read: convert them to PNG",
    )


@pytest.mark.parametrize(
    "ending",
    ["gif", "jfif", "heic", "avif", "svg", "dcm", "jp2", "psd", "tga", "ico", "jxl", "dng"],
)
def test_images_of_formats_that_are_not_read_are_a_warning(tmp_path, ending) -> None:
    write(tmp_path, "{cat,dog}/1.png", f"cat/2.{ending}")
    (note,) = folder(tmp_path).open().warnings
    assert note.startswith(f"1 file (.{ending}) are images of a format") and "to PNG" in note


def test_many_kinds_are_counted_together(tmp_path) -> None:
    write(tmp_path, "{cat,dog}/1.png", "cat/1.{aa,bb,cc,dd,ee,ff,gg,hh,ii,jj,kk}")
    *kinds, rest = folder(tmp_path).open().left_out
    assert kinds[0] == "1 file (.aa)" and len(kinds) == 8
    assert rest == "3 files of 3 other kinds"


def test_extensions() -> None:
    assert [extension(name) for name in ("a.GIF", "a.tar.gz", "a.7z")] == [".gif", ".gz", ".7z"]
    none = ["a", "a.", "a.001", "Dr. Who", "a.\x1b[1m", "a.\udcff", "a." + "b" * 40]
    assert {extension(name) for name in none} == {"no extension"}


# --- links ---------------------------------------------------------------------------------------


def test_links_that_lead_back_are_followed_once(tmp_path) -> None:
    write(tmp_path, "{cat,dog}/{1,2}.png", "cat/deep/3.png")
    for place, target in {"cat/up": "..", "cat/self": ".", "dog/cat": "../cat", "cat/dog": "../dog"}.items():  # fmt: skip
        (tmp_path / place).symlink_to(target)
    (pool,) = read(tmp_path)
    cats, dogs = ["1.png", "2.png", "deep/3.png"], ["1.png", "2.png"]
    assert pool == {
        "cat": [f"cat/{n}" for n in (*cats[:2], cats[2])] + [f"cat/dog/{n}" for n in dogs],
        "dog": [f"dog/{n}" for n in dogs] + [f"dog/cat/{n}" for n in cats],
    }
    assert "links to folders that are read already: 6" in folder(tmp_path).open().left_out
    assert isinstance(folder(tmp_path).signature(), str)
    assert list(folder(tmp_path).former_fingerprints()) == []


def test_many_folders_that_all_link_to_each_other(tmp_path) -> None:
    """Paths without a loop are as many as 12 factorial."""
    write(tmp_path, "{a,b}/x.png", *(f"all/{n}/1.png" for n in range(12)))
    for n in range(12):
        for other in range(12):
            (tmp_path / "all" / str(n) / f"to{other}").symlink_to(f"../{other}")
    (tmp_path / "a" / "all").symlink_to("../all")
    (pool,) = read(tmp_path)
    assert [len(files) for files in pool.values()] == [13, 12, 1]
    assert folder(tmp_path).fingerprint() and folder(tmp_path).signature()


@pytest.mark.parametrize("what", ["pipe", "link"])
def test_what_is_no_file_is_not_opened(tmp_path, what) -> None:
    write(tmp_path, "{cat,dog}/1.png")
    place = tmp_path / "cat" / "2.png"
    os.mkfifo(place) if what == "pipe" else place.symlink_to("nowhere")
    text = refused(tmp_path)
    assert "root: must hold folders and files that can be read, but got 'cat/2.png'" in text


# --- what cannot be read, or named -----------------------------------------------------------------


@pytest.fixture
def locked(monkeypatch):
    """Folders of these names cannot be listed, whoever runs the test."""
    names, scandir = set(), os.scandir

    def guarded(place):
        if os.path.basename(place) in names:
            raise PermissionError(13, "Permission denied", str(place))
        return scandir(place)

    monkeypatch.setattr(listing.os, "scandir", guarded)
    return names


def test_folders_that_cannot_be_listed_are_all_named(tmp_path, locked) -> None:
    write(tmp_path, "{train,test}/{cat,dog,owl}/1.png", "train/owl/deep/2.png")
    locked |= {"dog", "deep"}
    text = refused(tmp_path)
    named = "'test/dog, train/dog, train/owl/deep'"
    assert f"must hold folders and files that can be read, but got {named}" in text
    assert "Permission denied" in text
    assert isinstance(folder(tmp_path).signature(), str)


def test_files_that_vanish_are_all_named(tmp_path, monkeypatch) -> None:
    write(tmp_path, "{cat,dog}/{1,2}.png")
    dataset = folder(tmp_path)
    found = dataset.found()
    for name in ("cat/1.png", "dog/2.png"):
        (tmp_path / name).unlink()
    monkeypatch.setattr(type(dataset), "found", lambda self: found)
    with pytest.raises(UserError, match="must hold files that can be read") as caught:
        dataset.fingerprint()
    (mistake,) = caught.value.mistakes
    assert all(name in str(mistake.value) for name in ("cat/1.png", "dog/2.png"))


@pytest.mark.parametrize(
    ("name", "escaped"),
    [(b"c\xff", r"c\udcff"), (b"two\nlines", r"two\nlines"), (b"\x1b[31mred", r"\x1b[31mred")],
)  # fmt: skip
def test_class_names_that_cannot_be_printed_are_refused(tmp_path, name, escaped) -> None:
    write(tmp_path, "{cat,dog}/1.png")
    os.mkdir(os.path.join(os.fsencode(tmp_path), name))
    text = refused(tmp_path)
    assert "must hold class folders whose names are UTF-8 without control characters" in text
    assert escaped.replace("\\", "\\\\") in text and text.encode("utf-8").isascii()


def test_file_names_that_cannot_be_printed_are_read(tmp_path) -> None:
    write(tmp_path, "{cat,dog}/1.png")
    with open(os.path.join(os.fsencode(tmp_path), b"cat", b"\xff\n.png"), "wb") as stream:
        stream.write(b"x")
    assert read(tmp_path)[0]["cat"] == ["cat/1.png", r"cat/\udcff\n.png"]
    assert folder(tmp_path).fingerprint() and folder(tmp_path).signature()


def test_more_class_folders_than_there_can_be(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("backdoor.reading.folders.classes.MOST_CLASSES", 3)
    write(tmp_path, "{a,b,c}/1.png")
    assert len(read(tmp_path)[0]) == 3
    write(tmp_path, "d/1.png")
    assert "root: must hold 3 class folders at most, but got '4'" in refused(tmp_path)


@pytest.mark.parametrize("root", ["x" * 5000, "a\0b", "~nobody-of-this-name/x"])
def test_roots_that_no_folder_can_have(root) -> None:
    for ask in ("open", "fingerprint", "signature"):
        with pytest.raises(UserError, match=r"root: must be a (folder that|path on this machine)"):
            getattr(folder(root), ask)()


# --- published sets ------------------------------------------------------------------------------


def test_published_sets_count_what_they_do_not_read(tmp_path) -> None:
    train, test = draw_part(9, (4, 4, 3)), draw_part(6, (4, 4, 3), seed=6)
    writers = {"tiny_imagenet": write_tiny_imagenet, "gtsrb": write_gtsrb, "flowers102": write_flowers102}  # fmt: skip
    left = {}
    for kind, writer in writers.items():
        root = tmp_path / kind
        root.mkdir()
        writer(root, train, test)
        write(root, "gtsrb/GTSRB/Training/00000/GT-00000.csv") if kind == "gtsrb" else None
        contents = build_data({"kind": kind, "root": str(root)}).open()
        assert contents.test_from == 9 and len(contents.labels) == len(contents.images) == 15
        left[kind] = contents.left_out
    assert left == {
        "tiny_imagenet": ("1 file in test/ (.png)",),
        "gtsrb": ("1 file (.csv)",),
        "flowers102": (),
    }


def test_a_published_file_that_is_no_text_is_refused(tmp_path) -> None:
    write_gtsrb(tmp_path, draw_part(9, (4, 4, 3)), draw_part(6, (4, 4, 3)))
    (tmp_path / "gtsrb" / "GT-final_test.csv").write_bytes(b"Filename;ClassId\n\xff\xfe;1\n")
    with pytest.raises(UserError, match="root: must hold files that can be read, but got"):
        build_data({"kind": "gtsrb", "root": str(tmp_path)}).open()
