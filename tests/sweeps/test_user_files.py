"""A file that a spec names: its content is part of a trial's id, its path is sent beside it."""

import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from small import begin, results, small_spec, sweep
from trials import trial

from backdoor.config import build_attack, build_trial
from backdoor.errors import UserError
from backdoor.settings.registry import TRIGGERS
from backdoor.settings.user_file import UserFile, content_digest, image_files
from backdoor.triggers import blend
from sweeps.ledger import Ledger
from sweeps.packs.chunk import Chunk
from sweeps.packs.pack import Pack
from sweeps.region.panel import criteria_of
from sweeps.region.point_table import region_of
from sweeps.results.create import read_spec, reopen
from sweeps.runners import train_pack
from sweeps.runners.serial import SerialRunner
from sweeps.search import make_search
from sweeps.storage.paths import VerificationPaths
from sweeps.verify.plan import Plan, VerificationSettings, read_plan, write_plan


@pytest.fixture
def picture(tmp_path):
    file = tmp_path / "there" / "kitty.png"
    file.parent.mkdir()
    write_picture(file, 1)
    return file


def write_picture(file, seed) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file)


def spec_with(*files, **trigger):
    entry = {"kind": "blend", "image": [str(f) for f in files], "opacity": 0.3, **trigger}
    return small_spec(attack={"trigger": [entry, "patch"], "poison_rate": [0, 0.03]}, defence={"architecture": "ridge", "weight_decay": [0.01, 1]}, seeds=1)  # fmt: skip


def ids_of(spec) -> set[str]:
    return {trial.trial_id for trial in make_search(spec).ask(1000)}


def as_another_process() -> None:
    """Clears what this process has read already."""
    blend._picture.cache_clear()


def through_json(pack: Pack):
    """A pack as a worker gets it."""
    (again,) = Chunk.from_json(Chunk((pack,)).to_json()).packs
    return train_pack(again)


def test_a_moved_file_renames_no_trial_and_a_changed_one_does(picture, tmp_path) -> None:
    before = ids_of(spec_with(picture))
    moved = tmp_path / "elsewhere.png"
    shutil.move(picture, moved)
    assert ids_of(spec_with(moved)) == before
    write_picture(moved, 2)
    assert len(ids_of(spec_with(moved)) & before) == 4  # the patch and the clean baseline


def test_an_identity_has_the_content_and_not_the_path(picture) -> None:
    attack = build_attack({"trigger": {"kind": "blend", "image": str(picture)}})
    image = attack.identity()["trigger"]["image"]
    assert image == content_digest(picture) and image.startswith("sha256:") and len(image) == 23
    assert "pattern_seed" not in attack.identity()["trigger"]
    config = replace(trial("ridge"), attack=attack)
    assert str(picture) not in str(config.canonical)
    here = build_trial(config.canonical, None, {image: "/elsewhere/it.png"})
    assert here == config and here.trial_id == config.trial_id
    assert here.attack is not None and here.attack.trigger.image.path == "/elsewhere/it.png"
    assert build_trial(config.canonical).attack.trigger.image.path is None


def test_from_the_spec_through_workers_to_the_region(picture, tmp_path) -> None:
    write_picture(other := picture.with_name("other.png"), 3)
    spec = spec_with(picture, other)
    assert len(spec.panel) == 3 and sorted(spec.files.values()) == sorted(
        map(str, (picture, other))
    )
    paths = begin(tmp_path / "out", spec)
    outcome = sweep(paths, spec, SerialRunner(through_json))
    assert outcome.failed == 0 and len(results(paths)) == 8
    again, stored = reopen(paths.sweep.parent)
    assert stored.panel == spec.panel and ids_of(stored) == ids_of(spec)
    picture.unlink()  # results can be read where the files are not; training finds out
    assert ids_of(read_spec(again)) == ids_of(spec)
    assert (
        region_of(criteria_of(read_spec(again)), Ledger(paths.ledger), 8)["trials"]["finished"] == 8
    )
    as_another_process()
    with pytest.raises(UserError) as caught:
        reopen(paths.sweep.parent)
    assert str(caught.value) == (
        f"attack.trigger.image: must be a file or folder that can be read, but got '{picture}'. "
        "Restore it (No such file or directory)."
    )


def test_a_worker_notices_a_file_that_changed(picture, tmp_path) -> None:
    spec = spec_with(picture)
    digest, paths = content_digest(picture), begin(tmp_path / "out", spec)
    write_picture(picture, 9)
    as_another_process()
    outcome = sweep(paths, spec, SerialRunner(through_json))
    assert (outcome.finished, outcome.failed) == (4, 2)
    rows = Ledger(paths.ledger).rows()
    (error,) = {row["error"] for row in rows if row["status"] == "failed"}
    lacks = [row["error"] for row in rows if row["attack_id"] == "clean"]
    assert len(lacks) == 2 and all("not measured with 1 of 2 triggers" in each for each in lacks)
    assert f"must hold what it held when the trials were named ({digest})" in error


def test_a_folder_of_reflections(tmp_path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for seed, name in enumerate(("b.png", "a.jpg", ".hidden.png")):
        write_picture(folder / name, seed)
    (folder / "notes.txt").write_text("no picture")
    made = TRIGGERS.build({"kind": "reflection", "images": str(folder)})
    assert list(made.fits((3, 16, 16))) == [] and made == TRIGGERS.build(made.identity())
    (folder / ".hidden.png").unlink()
    (folder / "notes.txt").unlink()
    assert content_digest(folder) == made.images.digest
    (folder / "b.png").rename(folder / "0.png")  # now the first: other images reflect it
    assert content_digest(folder) != made.images.digest


WRONG = {
    "missing": ("nothing.png", "image: must be a file that can be read (No such file or directory), but got '{}/nothing.png'. Change the value."),
    "number": (7, "image: must be the path of a file, but got 7. Change the value."),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_file(tmp_path, name) -> None:
    given, text = WRONG[name]
    given = f"{tmp_path}/{given}" if isinstance(given, str) else given
    with pytest.raises(UserError) as caught:
        small_spec(attack={"trigger": {"kind": "blend", "image": given}})
    assert str(caught.value) == "attack.trigger." + text.format(tmp_path)


def test_what_is_no_picture(tmp_path, picture) -> None:
    (tmp_path / "note.png").write_text("no picture")
    (tmp_path / "empty").mkdir()
    write_picture(picture.with_name("two.png"), 4)
    texts = {
        tmp_path / "note.png": "image: must be a picture, or a folder of pictures, that can be decoded, but got 'note.png'. Replace or remove what is not a picture.",
        tmp_path / "empty": "image: must be a picture, or a folder of pictures, that can be decoded, but got 'an empty folder'. Replace or remove what is not a picture.",
        picture.parent: "image: must be one picture, but got '2 in a folder'. Name a file.",
    }  # fmt: skip
    for path, text in texts.items():
        (mistake,) = TRIGGERS.build({"kind": "blend", "image": str(path)}).fits((1, 8, 8))
        assert str(mistake) == text
    (mistake,) = TRIGGERS.build({"kind": "blend", "image": str(picture)}).fits((2, 8, 8))
    assert "image: needs images of 1 or 3 channels, but got 2" in str(mistake)
    unknown = TRIGGERS.build({"kind": "blend", "image": content_digest(picture)})
    (mistake,) = unknown.fits((1, 8, 8))
    assert "image: must be given as a path on this machine, but got 'sha256:" in str(mistake)


def test_a_path_is_written_out_once(picture, monkeypatch) -> None:
    monkeypatch.chdir(picture.parent)
    spec = spec_with("kitty.png")
    written = spec.document["attack"]["trigger"][0]["image"]
    assert written == [f"{picture}#{content_digest(picture)}"]
    assert UserFile.of(written[0]) == UserFile(content_digest(picture)) and str(UserFile.of(written[0])) == written[0]  # fmt: skip


def test_attacks_of_a_verification_keep_their_files(picture, tmp_path) -> None:
    paths = VerificationPaths(tmp_path)
    attack = build_attack({"trigger": {"kind": "blend", "image": str(picture)}})
    write_plan(paths, Plan({}, VerificationSettings(draws=1, seeds=1), (attack,), (), "now"))
    (again,) = read_plan(paths).transfer
    assert again == attack and again.trigger.image.path == str(picture)


def test_a_pipe_or_a_device_is_no_picture(tmp_path) -> None:
    os.mkfifo(tmp_path / "fifo.png")
    for file in (tmp_path / "fifo.png", "/dev/zero", tmp_path):
        with pytest.raises(UserError, match=r"\w is a pipe or a device\), but got"):
            spec_with(file)


def test_links_that_go_round_are_followed_once(picture, tmp_path) -> None:
    before = content_digest(picture.parent)
    (picture.parent / "again").symlink_to(picture.parent)
    (picture.parent / "up").symlink_to(tmp_path)
    (picture.parent / "other").symlink_to(picture.parent)
    assert content_digest(picture.parent) == before
    assert image_files(tmp_path) == [picture]
