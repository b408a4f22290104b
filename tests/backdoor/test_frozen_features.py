"""Learners on frozen features: against scikit-learn on features computed here, in any pack, saved,
and as a setting of a sweep."""

import json

import numpy as np
import pytest
import torch
import torchvision
from sklearn.linear_model import RidgeClassifier
from sklearn.svm import SVC
from small import begin, results, small_spec, sweep
from torch.nn import functional as f
from trials import trial

from backdoor.architectures.frozen_features import LARGEST_MULTIPLE, STEP, Features
from backdoor.checks import check_trial
from backdoor.config import Training, build_data, build_training, build_trial
from backdoor.datasets.source import load_source
from backdoor.engines import engine_of
from backdoor.engines.whole import products
from backdoor.errors import UserError
from backdoor.export import (
    CONFIG,
    WEIGHTS,
    answers_of,
    describe_model,
    load_model,
    program_of,
    train_model,
    weights_of,
)
from backdoor.settings.registry import ARCHITECTURES
from backdoor.trial import prepare, run_pack
from sweeps.packs.chunk import Chunk
from sweeps.packs.pack import Pack
from sweeps.runners import train_pack
from sweeps.runners.serial import SerialRunner
from sweeps.search import make_search

NET = {"kind": "preact_resnet18", "width": 8}
DATA = build_data({"kind": "digits", "train": 90, "validation": 10, "test": 60})
LEARNERS = ("ridge", "logistic", "linear_svm", "rbf_svm", "linear", "mlp")


@pytest.fixture(scope="module")
def network():
    """A network with norms that do something, as it was trained by nobody."""
    torch.manual_seed(3)
    module = ARCHITECTURES.build(NET).build((3, 16, 16), 5)
    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.1)
            part.running_var.uniform_(0.5, 2)
    return module.eval()


@pytest.fixture(scope="module")
def training(network, tmp_path_factory):
    file = tmp_path_factory.mktemp("weights") / "w.pt"
    torch.save(network.state_dict(), file)
    return build_training({"features": {"network": {**NET, "pretrained": str(file)}, "size": 16}})


def by_hand(network, images):
    """What the layer before the last gives for images (n, 1, 8, 8) uint8."""
    x = f.interpolate(torch.from_numpy(images).float() / 255, (16, 16), mode="bilinear", antialias=True)  # fmt: skip
    mean, std = (
        torch.tensor(v)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    with torch.no_grad():
        return network[:-1]((x.expand(-1, 3, -1, -1) - mean) / std).double().numpy()


def test_learners_see_the_layer_before_the_last(network, training) -> None:
    members, store = prepare([trial("ridge", training=training, data=DATA)], (), load_source(DATA))
    assert store.shape == (64, 1, 1) and store.pixels(members[0].train).dtype == np.int32
    rows = members[0].train
    theirs = by_hand(network, store.uint8(rows).contiguous().numpy())
    assert theirs.std() > 0.05
    assert np.abs(store.pixels(rows) * STEP - theirs).max() < STEP
    assert np.abs(store.batch(torch.from_numpy(rows)).flatten(1).numpy() - theirs).max() < STEP


@pytest.mark.parametrize("decay", [0.001, 0.1])
def test_ridge_and_svm_are_scikit_learns_on_features(network, training, decay) -> None:
    """The poisoned images are stamped before the network sees them."""
    for kind in ("ridge", "linear_svm", "rbf_svm"):
        config = trial(kind, training=training, data=DATA, weight_decay=decay, rate=0.1)
        members, store = prepare([config], (), load_source(DATA))
        fitted, member = engine_of(config).train(members, store, 10, None), members[0]
        x, test = (by_hand(network, store.uint8(r).contiguous().numpy()) for r in (member.train, member.test))  # fmt: skip
        n = len(x)
        theirs = {
            "ridge": RidgeClassifier(alpha=n * decay / 2),
            "linear_svm": SVC(kernel="linear", C=1 / (n * decay)),
            "rbf_svm": SVC(C=1 / (n * decay)),
        }[kind].fit(x, member.train_labels)
        differ = (theirs.predict(test) != fitted.predict(0, member.test)).sum()
        assert differ <= 1, kind  # features are rounded to steps


@pytest.mark.parametrize("kind", ["ridge", "logistic", "linear_svm", "rbf_svm"])
def test_a_trial_gets_the_same_bits_in_any_pack(training, kind) -> None:
    configs = [trial(kind, seed=s, rate=r, training=training, data=DATA, weight_decay=w)
               for s in (0, 1) for r in (0, 0.1, 0.2) for w in (0.01, 0.1)]  # fmt: skip
    engine = engine_of(configs[0])

    def states(some):
        members, store = prepare(some, (), load_source(DATA))
        fitted = engine.train(members, store, 10, None)
        return [fitted.state(i) for i in range(len(some))]

    together = states(configs)
    for index in (0, 3, 10):
        (alone,) = states([configs[index]])
        assert all(torch.equal(alone[name], together[index][name]) for name in alone)


def test_products_of_the_largest_features_are_exact() -> None:
    draw = np.random.default_rng(0)
    a = draw.integers(LARGEST_MULTIPLE - 50, LARGEST_MULTIPLE + 1, (3, 8192)).astype(np.int32)
    exact = a.astype(object) @ a.T.astype(object)
    assert products(a).astype(np.int64).tolist() == exact.tolist()
    assert products(a, a[::-1]).astype(np.int64).tolist() == exact[:, ::-1].tolist()


@pytest.mark.parametrize("kind", LEARNERS)
def test_a_saved_model_has_the_network_inside(training, kind, tmp_path) -> None:
    config = trial(kind, training=training, data=DATA, weight_decay=0.01, epochs=2, rate=0.1)
    model = train_model(config)
    assert model.images.shape[1:] == (1, 8, 8) and model.images.dtype == torch.uint8
    (tmp_path / WEIGHTS).write_bytes(weights_of(model.classifier))
    (tmp_path / CONFIG).write_text(json.dumps(describe_model(model)))
    logits = load_model(tmp_path)(model.images)
    assert np.array_equal(logits.argmax(1).numpy(), model.answers)
    if kind == "ridge":
        program = program_of(model.classifier, (1, 8, 8))
        assert np.array_equal(answers_of(program, model.images), model.answers)


def test_a_sweep_takes_the_file_to_its_workers(training, tmp_path) -> None:
    file = training.features.network.pretrained.path
    spec = small_spec(
        data={"kind": "digits", "train": 90, "validation": 10, "test": 60},
        training={"features": {"network": {**NET, "pretrained": file}, "size": 16}},
        defence={"architecture": ["ridge", "logistic"], "weight_decay": [0.01, 0.1]}, seeds=1,
        attack={"trigger": "patch", "poison_rate": [0, 0.1]},
    )  # fmt: skip
    assert spec.training == training
    trials = make_search(spec).ask(100)
    again = build_trial(trials[0].canonical)
    assert again == trials[0] and again.training.features.network.pretrained.path is None

    def through_json(pack: Pack):
        (same,) = Chunk.from_json(Chunk((pack,)).to_json()).packs
        return train_pack(same)

    paths = begin(tmp_path / "out", spec)
    assert sweep(paths, spec, SerialRunner(through_json)).failed == 0
    assert len(results(paths)) == len(trials)


def test_features_are_a_part_of_a_trials_name_and_the_place_of_the_file_is_not(training) -> None:
    on, off = trial("ridge", training=training), trial("ridge")
    assert on.trial_id != off.trial_id and "features" not in off.canonical["training"]
    said = on.canonical["training"]
    assert "normalization" not in said and said["features"]["network"]["pretrained"].startswith("sha256:")  # fmt: skip
    assert build_training({**said, "normalization": "standard"}) == training


def test_alexnet_gives_its_second_hidden_layer(tmp_path) -> None:
    """As in the paper: 4,096 numbers of torchvision's AlexNet, at its size."""
    torch.manual_seed(0)
    theirs = torchvision.models.alexnet(num_classes=3).eval()
    torch.save(theirs.state_dict(), tmp_path / "w.pt")
    kind = {"kind": "torchvision/alexnet", "pretrained": str(tmp_path / "w.pt")}
    features = Features(kind, 224, "half")
    assert features.shape == (4096, 1, 1) and not list(features.fits((1, 28, 28)))
    images = torch.randint(0, 256, (1, 3, 224, 224)).float()
    with torch.no_grad():
        x = theirs.avgpool(theirs.features((images / 255 - 0.5) / 0.5)).flatten(1)
        assert torch.allclose(features.load()(images) * STEP, theirs.classifier[:-1](x), atol=STEP)


NOTHING = {"kind": "resnet18"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"network": NOTHING}, "features.network.pretrained: must be given, but got None. Name a file"),
        ({"network": "ridge"}, "features.network: must be a deep network, such as resnet18 or torchvision/alexnet, but got 'ridge'"),
        ({"network": "resnet19"}, "features.network.kind: must be a known architecture, but got 'resnet19'"),
        ({"network": NOTHING, "size": 4}, "features.size: must be >= 8, but got 4"),
        ({"size": 64}, "features.network: must be given"),
        ("alexnet", "features: must be a features, but got 'alexnet'"),
    ],
)  # fmt: skip
def test_wrong_settings_are_said_at_their_place(given, said) -> None:
    with pytest.raises(UserError) as caught:
        build_training({"features": given})
    assert said in str(caught.value)


def test_augmentation_is_refused(training) -> None:
    with pytest.raises(UserError, match="augmentation: must be none where learners see frozen"):
        Training(features=training.features, augmentation="crop_flip")


def test_what_does_not_fit_is_said_before_anything_is_trained(training, network, tmp_path) -> None:
    source = load_source(DATA)
    with pytest.raises(UserError, match=r"defence.architecture.kind: needs images of at least 8 x 8 pixels, these have 1 x 1"):  # fmt: skip
        check_trial(trial("convnet", training=training, data=DATA), source)
    torch.save({**network.state_dict(), "extra": torch.zeros(1)}, tmp_path / "w.pt")
    other = Features({**NET, "pretrained": str(tmp_path / "w.pt")}, 16)
    with pytest.raises(UserError) as caught:
        check_trial(trial("ridge", training=Training(features=other), data=DATA), source)
    assert "training.features.network.pretrained: must hold the weights" in str(caught.value)
    small = Features({**NET, "pretrained": training.features.network.pretrained.path}, 8)
    with pytest.raises(
        UserError, match=r"training\.features\.network\.kind: needs images that leave"
    ):
        check_trial(trial("ridge", training=Training(features=small), data=DATA), source)


def test_measurements_are_those_of_the_stamped_images(training) -> None:
    """A patch that covers the image makes all triggered images alike to the network."""
    config = trial("ridge", training=training, data=DATA, rate=0.3, weight_decay=0.01, trigger={"kind": "patch", "size": 8})  # fmt: skip
    (result,) = run_pack([config])
    (measured,) = result.measurements
    assert measured.success == measured.total > 0 and measured.robust == 0
