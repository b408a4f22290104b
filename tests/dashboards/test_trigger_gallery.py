"""The picture of triggers, from the command to the pixels of its file."""

import io

import numpy as np
import pytest
from PIL import Image

from backdoor.datasets.source import load_source
from backdoor.settings.registry import TRIGGERS
from dashboards.trigger_gallery import amplification, difference, draw_triggers
from sweeps.cli import FINE, WRONG
from sweeps.cli.main import main
from sweeps.pictures.preview import show_triggers


def test_the_command_draws_every_kind(tmp_path, capsys) -> None:
    file = tmp_path / "gallery.png"
    assert main(["gallery", "--out", str(file), "--images", "1"]) == FINE
    assert capsys.readouterr().out.strip() == str(file)
    with Image.open(file) as picture:
        width, height = picture.size
    kinds = len(TRIGGERS.kinds())
    assert kinds >= 9 and width == pytest.approx(120 * (1.15 * kinds + 0.4), abs=1)
    assert height == pytest.approx(120 * (3 * 1.15 + 0.55), abs=1)


def test_images_are_clean_test_images_of_different_classes_and_the_triggers_named() -> None:
    given = "[{kind: blend, opacity: 0.1, test_opacity: 0.5}, reflection]"
    clean, shown = show_triggers(given, "digits", 3)
    labels = ["blend(opacity=0.1, test_opacity=0.5)", "reflection(falloff=image)"]
    assert [label for label, _ in shown] == labels and len(clean) == 3
    source = load_source(__import__("trials").DIGITS)
    rows = [np.flatnonzero((source.images == one).all((1, 2, 3)))[0] for one in clean]
    assert len({int(source.labels[row]) for row in rows}) == 3
    zeros = np.zeros(3, dtype=np.int64)
    import torch

    strong = TRIGGERS.build({"kind": "blend", "opacity": 0.5})
    expected = strong.stamp(*(torch.from_numpy(each) for each in (clean, zeros, zeros)))
    assert np.array_equal(shown[0][1], expected.numpy())  # as test images are marked


def test_kinds_that_do_not_fit_are_left_out_and_said_to_be(tmp_path) -> None:
    np.savez(tmp_path / "it.npz", images=np.zeros((60, 12, 12), dtype=np.uint8), labels=np.arange(60) % 2)  # fmt: skip
    notes: list[str] = []
    _, shown = show_triggers(
        "all", f"{{kind: arrays, root: {tmp_path / 'it.npz'}}}", 2, notes.append
    )
    assert "sine" not in [label for label, _ in shown] and len(shown) == len(TRIGGERS.kinds()) - 1
    assert len(notes) == 1 and notes[0].startswith(
        "note: without sine: frequency: must change images"
    )


def test_mistakes(capsys, tmp_path) -> None:
    mistakes = {
        ("--trigger", "[blnd, {kind: patch, size: 9}]"): [
            "--trigger[0].kind: must be a known trigger, but got 'blnd'. Did you mean 'blend'?",
            "--trigger[1].size: must not be larger than the image, which is 8 x 8 pixels, but got 9",
        ],
        ("--trigger", "[]"): ["--trigger: must name a trigger, but got []. For example --trigger all."],
        ("--data", "{kind: digits, tset: 3}", "--images", "0"): [
            "--data.tset: is not a setting of `digits`, but got 3.", "--images: must be >= 1, but got 0.",
        ],
        ("--data", "mnist"): ["--data.root: must be given for `mnist`, but got None. Say where they lie: --data '{kind: mnist, root: FOLDER}'."],
    }  # fmt: skip
    for arguments, texts in mistakes.items():
        file = tmp_path / "none.png"
        assert main(["gallery", *arguments, "--out", str(file)]) == WRONG and not file.exists()
        said = capsys.readouterr().err
        assert all(text in said for text in texts), said


def test_a_difference_fills_the_range_and_never_leaves_it() -> None:
    clean = np.full((1, 2, 2), 100, dtype=np.uint8)
    stamped = np.array([[[100, 110], [80, 100]]], dtype=np.uint8)
    assert amplification(clean, stamped) == 6
    assert difference(clean, stamped, 6).tolist() == [[[128, 188], [8, 128]]]
    assert amplification(clean, clean) == 1 and (difference(clean, clean, 1) == 128).all()
    black, white = np.zeros((1, 1, 1), dtype=np.uint8), np.full((1, 1, 1), 255, dtype=np.uint8)
    assert [difference(a, b, amplification(a, b)).item() for a, b in ((black, white), (white, black))] == [255, 0]  # fmt: skip


def test_what_is_drawn_is_what_was_given() -> None:
    """A red image under a trigger that makes it blue: three cells of one colour each."""
    clean, blue = np.zeros((1, 3, 4, 4), dtype=np.uint8), np.zeros((1, 3, 4, 4), dtype=np.uint8)
    clean[:, 0], blue[:, 2] = 255, 255
    file = draw_triggers(clean, [("blue", blue)])
    assert file == draw_triggers(clean, [("blue", blue)])  # byte for byte
    with Image.open(io.BytesIO(file)) as opened:
        pixels = np.asarray(opened.convert("RGB")).reshape(-1, 3)
    counts = [int((pixels == colour).all(1).sum()) for colour in ((255, 0, 0), (0, 0, 255), (0, 128, 255))]  # fmt: skip
    assert min(counts) > 5000 and max(counts) - min(counts) < 0.1 * max(counts)
