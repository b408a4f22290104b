"""The contract of a regularizer in a training: every kind, alone and beside others."""

import pytest
import torch
from stepping import batch, penalty, small_network, stepped
from trials import FEW, trial

from backdoor.architectures.networks import Network, on_meta_device
from backdoor.datasets.source import load_source
from backdoor.engines import engine_of, init_state, threads
from backdoor.engines.serial import Serial
from backdoor.export import answers_of, program_of, train_model
from backdoor.settings.registry import ARCHITECTURES, REGULARIZERS
from backdoor.trial import prepare

EVERY = [name for name in REGULARIZERS.kinds() if name != "none"]
#: Kinds that draw by chance.
DRAWING = ["cutmix", "dropout", "gaussian_noise", "input_mixup", "manifold_mixup"]
NETWORKS = ["linear", {"kind": "mlp", "depth": 2}, {"kind": "convnet", "width": 4, "norm": "batch"}]


def answers(given, **key):
    """Logits and mixed labels of a step, and what is added to its loss."""
    regularizer, step = stepped(given, **key)
    mixed = [torch.cat([torch.full((1,), share), labels]) for share, labels in step.targets]
    return [step.logits.detach(), *mixed, penalty(regularizer, step).detach()]


def equal(one, other) -> bool:
    return len(one) == len(other) and all(map(torch.equal, one, other))


def states(configs):
    """Weights of trials that are handed to the serial engine together."""
    members, store = prepare(configs, (), load_source(FEW))
    with threads(1), torch.enable_grad():
        fitted = Serial().train(members, store, 10, None)
    return [list(fitted.state(member).values()) for member in range(len(configs))]


def few(architecture, regularizer, **given):
    return trial(architecture, data=FEW, epochs=1, regularizer=regularizer, **given)


@pytest.mark.parametrize("kind", EVERY)
class TestOneStep:
    def test_it_does_something(self, kind) -> None:
        assert not equal(answers(kind), answers("none"))

    def test_the_same_step_draws_the_same_and_another_one_does_not(self, kind) -> None:
        first = answers(kind)
        torch.manual_seed(99)  # nothing depends on torch's own generator
        assert equal(first, answers(kind))
        for key in ({"step": 1}, {"epoch": 1}, {"seed": 1}):
            assert equal(first, answers(kind, **key)) == (kind not in DRAWING), key

    def test_it_leaves_the_batch_and_the_network_as_they_were(self, kind) -> None:
        network, (inputs, labels) = small_network(), batch()
        before = [(name, type(layer)) for name, layer in network.module.named_modules()]
        stepped(kind, inputs, labels, network)
        assert equal([inputs, labels], batch()) and not inputs.requires_grad
        assert [(name, type(layer)) for name, layer in network.module.named_modules()] == before
        for layer in network.module.modules():
            assert not layer._forward_hooks and not layer._forward_pre_hooks

    def test_its_penalty_reaches_the_weights(self, kind) -> None:
        regularizer, step = stepped(kind)
        added = penalty(regularizer, step)
        assert added.shape == () and added.isfinite()
        assert added.requires_grad == bool(regularizer.weight)
        if regularizer.weight:
            added.backward()
            slopes = [p.grad for p in step.network.module.parameters() if p.grad is not None]
            assert slopes and all(slope.isfinite().all() for slope in slopes)
            assert any(slope.any() for slope in slopes)

    def test_its_draws_do_not_hang_on_who_is_beside_it(self, kind) -> None:
        for other in ("label_smoothing", "logit_squeezing"):
            if other != kind:
                alone, both = stepped(kind)[1], stepped([other, kind])[1]
                assert torch.equal(alone.logits, both.logits)

    def test_batches_of_one(self, kind) -> None:
        inputs, labels = batch(1)
        regularizer, step = stepped(kind, inputs, labels)
        (step.cross_entropy() + penalty(regularizer, step)).backward()
        assert all(p.grad.isfinite().all() for p in step.network.module.parameters())


PENALISING = [name for name in EVERY if REGULARIZERS.build(name).weight]


@pytest.mark.parametrize("one", PENALISING)
@pytest.mark.parametrize("mixing", [[], ["input_mixup"], ["cutmix", "manifold_mixup"]])
def test_penalties_add_up(one, mixing) -> None:
    """Also on mixed images, which count as each of their labels in proportion."""
    other = "logit_squeezing" if one == "label_smoothing" else "label_smoothing"
    alone = [penalty(*stepped([kind, *mixing])).item() for kind in (one, other)]
    both = penalty(*stepped([one, other, *mixing])).item()
    assert both == pytest.approx(sum(alone), rel=1e-12)
    shares = [share for share, _ in stepped([one, *mixing])[1].targets]
    assert sum(shares) == pytest.approx(1) and len(shares) == 2 ** len(mixing)


def test_a_penalty_on_mixed_labels_is_the_mixture() -> None:
    given = [{"kind": "label_smoothing", "strength": 0.2}, "input_mixup"]
    regularizer, step = stepped(given)
    target_labels = sum(share * torch.eye(4)[labels] for share, labels in step.targets).double()
    loss = step.cross_entropy() + penalty(regularizer, step)
    theirs = torch.nn.functional.cross_entropy(step.logits, target_labels, label_smoothing=0.2)
    assert loss.item() == pytest.approx(theirs.item(), rel=1e-6)


def test_noise_is_added_after_mixing_whatever_the_names() -> None:
    noisy = stepped(["gaussian_noise", "input_mixup"])[1].inputs
    plain, noise = stepped("input_mixup")[1].inputs, stepped("gaussian_noise")[1].inputs
    assert torch.allclose(noisy - plain, noise - batch()[0], atol=1e-12)


# --- training ------------------------------------------------------------------------------------


@pytest.mark.parametrize("network", NETWORKS, ids=["linear", "mlp", "convnet"])
def test_every_kind_trains_every_network_apart_from_its_mates(network) -> None:
    configs = [few(network, kind) for kind in EVERY]
    together = states([few(network, "none"), *configs])
    plain = together.pop(0)
    alone = states(configs[::-1])[::-1]
    for kind, one, other in zip(EVERY, together, alone, strict=True):
        assert equal(one, other), kind
        assert not equal(one, plain) and all(t.isfinite().all() for t in one), kind


def test_at_0_a_kind_is_switched_off() -> None:
    off = [
        {"kind": kind, cls.dial: 0}
        for kind, cls in REGULARIZERS.kinds().items()
        if kind not in ("none", "logit_squeezing")  # whose strength is above 0
    ]
    plain, *others = states([few("mlp", each) for each in ("none", *off, off)])
    assert all(equal(plain, other) for other in others) and len(others) == 10


def test_what_the_model_answers_is_what_its_weights_answer() -> None:
    """Without noise, masks or mixtures, also between epochs, where curves are measured."""
    given = ["dropout", {"kind": "gaussian_noise", "sigma": 2}, "manifold_mixup", "input_gradient"]
    config = trial({"kind": "mlp", "depth": 2}, data=FEW, epochs=2, regularizer=given)
    members, store = prepare([config], (), load_source(FEW))
    seen = []

    def on_epoch(epoch, fitted):
        again = init_state(config, store.shape, 10).eval()
        again.load_state_dict(fitted.state(0))
        theirs = again(store.batch(torch.from_numpy(members[0].test))).argmax(1).numpy()
        seen.append((fitted.predict(0, members[0].test) == theirs).all())

    with torch.enable_grad():
        engine_of(config).train(members, store, 10, on_epoch)
    assert seen == [True, True]


def test_a_saved_model_knows_nothing_of_them() -> None:
    config = few("mlp", ["dropout", "contrastive", "gaussian_noise"])
    model = train_model(config)
    plain = init_state(config, (1, 8, 8), 10)
    assert list(model.classifier.network.state_dict()) == list(plain.state_dict())
    assert repr(model.classifier.network) == repr(plain)
    program = program_of(model.classifier, (1, 8, 8))
    assert (answers_of(program, model.images) == model.answers).all()


def test_packs_take_several_that_look_at_answers_alone() -> None:
    """Bitwise alone as together, and as torch's own autograd within rounding."""
    for network in ("mlp", {"kind": "convnet", "width": 2}):
        configs = [
            few(network, [{"kind": "label_smoothing", "strength": s},
                          {"kind": "logit_squeezing", "strength": 0.2 - s, "form": "squared"}], seed=i)
            for i, s in enumerate((0.0, 0.05, 0.1))
        ]  # fmt: skip
        engine = engine_of(configs[0])
        assert engine.name != "serial"
        found = []
        for some in (configs, *([config] for config in configs)):
            members, store = prepare(some, (), load_source(FEW))
            with torch.no_grad():
                fitted = engine.train(members, store, 10, None)
            found += [list(fitted.state(member).values()) for member in range(len(some))]
        for packed, alone, serial in zip(found[:3], found[3:], states(configs), strict=True):
            assert equal(packed, alone)
            for one, other in zip(packed, serial, strict=True):
                assert torch.allclose(one, other, rtol=1e-3, atol=1e-4)


# --- hidden layers ---------------------------------------------------------------------------------


TRAINED = [
    "torchvision/densenet121" if kind == "torchvision/NAME" else kind
    for kind, cls in ARCHITECTURES.kinds().items()
    if "regularizer" not in cls.inactive and kind != "timm/NAME"
]


@pytest.mark.parametrize("kind", TRAINED)
def test_hidden_layers_are_met_in_order_and_the_head_comes_last(kind) -> None:
    architecture, met = ARCHITECTURES.build(kind), []
    if isinstance(architecture, Network):
        module = on_meta_device(architecture, (3, 32, 32), 10)
    else:
        with torch.device("meta"):
            module = architecture.build((3, 32, 32), 10)
    hidden, head = architecture.hidden_layers(module), architecture.head(module)
    for name in (*hidden, head):
        layer = module.get_submodule(name)
        layer.register_forward_hook(lambda _, __, out, name=name: met.append((name, out.shape)))
    module(torch.zeros(2, 3, 32, 32, device="meta"))
    assert [name for name, _ in met] == [*hidden, head]
    assert met[-1][1] == (2, 10)
    assert architecture.count_hidden((3, 32, 32), 10) == len(hidden)


@pytest.mark.parametrize(
    ("kind", "hidden", "head"),
    [
        ("linear", (), "1"),
        ({"kind": "mlp", "depth": 3}, ("2", "4", "6"), "7"),
        ("convnet", ("1", "4", "8"), "10"),
        ({"kind": "convnet", "norm": "batch"}, ("2", "6", "11"), "13"),
        ("resnet18", ("layer1", "layer2", "layer3", "layer4"), "fc"),
        ("preact_resnet18", ("stage1", "stage2", "stage3", "stage4"), "fc"),
    ],
)
def test_which_layers_are_hidden(kind, hidden, head) -> None:
    architecture = ARCHITECTURES.build(kind)
    module = architecture.build((3, 32, 32), 10)
    assert architecture.hidden_layers(module) == hidden and architecture.head(module) == head


def test_by_default_hidden_layers_are_children_with_weights_before_the_head() -> None:
    from torch import nn

    from backdoor.architectures import Architecture

    module = nn.Sequential()
    module.features, module.pool = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), nn.MaxPool2d(2)
    module.more, module.flat = nn.Conv2d(4, 4, 3), nn.Flatten()
    module.classifier = nn.Sequential(nn.Linear(9, 8), nn.ReLU(), nn.Linear(8, 2))
    assert Architecture().hidden_layers(module) == ("features",)
    module.features = nn.Conv2d(3, 4, 3)  # no stages
    assert Architecture().hidden_layers(module) == ("features", "more")
    assert Architecture().head(module) == "classifier.2"
    assert Architecture().head(nn.Sequential(nn.Conv2d(3, 2, 1), nn.Flatten())) == "0"
