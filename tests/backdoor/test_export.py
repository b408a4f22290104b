"""Saved models: every architecture's, read back with and without our packages."""

import json
import zipfile

import numpy as np
import pytest
import torch
from nets import SMALL_KINDS
from torch_only import predictions
from trials import FEW, same, trial

from backdoor.config import Training
from backdoor.datasets.source import load_source, split
from backdoor.errors import StoredDataError
from backdoor.export import (
    CONFIG,
    PROGRAM,
    WEIGHTS,
    answers_of,
    describe_model,
    load_model,
    program_of,
    train_model,
    weights_of,
)
from backdoor.image_store.store import ImageStore
from backdoor.settings.registry import ARCHITECTURES
from backdoor.trial import run_pack

#: resnet50 and vgg11 would take long to export, and consist of what resnet18 consists of.
KINDS = [
    *(kind for kind in SMALL_KINDS if kind not in ("resnet50", "vgg11")),
    {"kind": "convnet", "width": 4, "norm": "batch"},
]
SHAPE = (1, 8, 8)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """(folder, model) of every architecture, poisoned, on standardised pixels."""
    found = []
    for kind in KINDS:
        config = trial(
            kind, data=FEW, epochs=1, weight_decay=0.01, training=Training(normalization="standard")
        )
        model = train_model(config)
        folder = tmp_path_factory.mktemp("model")
        (folder / WEIGHTS).write_bytes(weights_of(model.classifier))
        (folder / PROGRAM).write_bytes(program_of(model.classifier, SHAPE))
        (folder / CONFIG).write_text(json.dumps(describe_model(model)))
        found.append((folder, model))
    return found


@pytest.mark.slow
def test_torch_alone_gives_the_answers_that_training_gave(saved, tmp_path) -> None:
    jobs = [(folder / PROGRAM, model.images.numpy()) for folder, model in saved]
    for kind, (_, model), answers in zip(KINDS, saved, predictions(tmp_path, jobs), strict=True):
        assert len(answers) > 40 and np.array_equal(answers, model.answers), kind


def test_the_answers_are_those_of_the_result(saved) -> None:
    """The 40 test images come first, then the triggered ones; class 0 is the target."""
    source = load_source(FEW)
    test = split(FEW, source, 0).test
    for _, model in saved:
        assert np.array_equal(model.images[:40].numpy(), source.images[test])
        right = int((model.answers[:40] == source.labels[test]).sum())
        assert right == sum(model.result.class_correct)
        assert int((model.answers[40:] == 0).sum()) == model.result.measurements[0].success


def test_the_loss_is_that_of_the_loaded_model(saved) -> None:
    """By torch's own cross-entropy; least squares and support vectors have none."""
    source = load_source(FEW)
    labels = torch.from_numpy(source.labels[split(FEW, source, 0).test])
    for kind, (folder, model) in zip(KINDS, saved, strict=True):
        logits = load_model(folder)(model.images[:40])
        loss = torch.nn.functional.cross_entropy(logits.double(), labels).item()
        expected = None if kind in ("ridge", "linear_svm", "rbf_svm") else pytest.approx(loss, 1e-5)
        assert model.result.clean_loss == expected, kind


def test_load_model_gives_the_same_answers(saved) -> None:
    for kind, (folder, model) in zip(KINDS, saved, strict=True):
        logits = load_model(folder)(model.images)
        assert logits.shape == (len(model.images), 10)
        assert np.array_equal(logits.argmax(1).numpy(), model.answers), kind


def test_keeping_a_model_changes_nothing_of_its_result(saved) -> None:
    _, model = saved[KINDS.index("mlp")]
    (plain,) = run_pack([model.config])
    assert same(plain, model.result)


def test_nothing_saved_is_pickled(saved) -> None:
    """A program's archive has raw weights; the place where torch pickles example inputs is empty.
    Pickles of protocol 2 and above begin with 0x80, zip files (torch.save) with PK."""
    for folder, _ in saved:
        assert sorted(file.name for file in folder.iterdir()) == [CONFIG, PROGRAM, WEIGHTS]
        with zipfile.ZipFile(folder / PROGRAM) as archive:
            for name in archive.namelist():
                content = archive.read(name)
                if name.endswith("config.json") and '"config"' in content.decode():
                    entries = json.loads(content)["config"].values()
                    assert not any(entry["use_pickle"] for entry in entries)
                if "sample_inputs" in name:
                    assert content == b""
                assert content[:2] != b"PK"


def test_normalization_is_the_stores() -> None:
    source = load_source(FEW)
    store = ImageStore(source, source.kept[:20], {}, "standard")
    scale, shift = store.normalization
    ours = store.uint8(np.arange(20)).to(torch.float32) * scale - shift
    assert torch.equal(ours, store.batch(torch.arange(20)))
    by_hand = (source.images[np.sort(source.kept[:20])] / 255 - source.mean.item()) / source.std.item()  # fmt: skip
    assert np.allclose(ours.numpy(), by_hand, atol=1e-5)


def test_answers_of_nonsense_are_no_class(saved) -> None:
    _, model = saved[KINDS.index("linear")]
    state = {k: torch.full_like(v, float("nan")) for k, v in model.classifier.network.state_dict().items()}  # fmt: skip
    broken = ARCHITECTURES.build("linear").build(SHAPE, 10)
    broken.load_state_dict(state)
    before, model.classifier.network = model.classifier.network, broken
    try:
        answers = answers_of(program_of(model.classifier, SHAPE), model.images)
    finally:
        model.classifier.network = before
    assert (answers == -1).all()


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        (CONFIG, None, "config.json: must describe a model with schema version 1"),
        (CONFIG, b'{"schema_version": 2}', "must describe a model with schema version 1, but got 2"),
        (CONFIG, b'{"schema_version": 1}', "model.safetensors: must hold the weights that config.json beside it describes"),
        (WEIGHTS, None, "No such file"),
        (WEIGHTS, b"\x10\x00\x00", "must hold the weights that config.json beside it describes"),
        (WEIGHTS, "other", "Missing key(s) in state_dict"),
    ],
)  # fmt: skip
def test_a_damaged_folder_is_told(saved, tmp_path, file, content, said) -> None:
    folder, _ = saved[KINDS.index("mlp")]
    for source in folder.iterdir():
        (tmp_path / source.name).write_bytes(source.read_bytes())
    if content == "other":
        content = weights_of(saved[KINDS.index("resnet18")][1].classifier)
    if content is None:
        (tmp_path / file).unlink()
    else:
        (tmp_path / file).write_bytes(content)
    with pytest.raises(StoredDataError) as error:
        load_model(tmp_path)
    assert said in str(error.value)
