"""Several regularizers in one trial: their names, their mistakes, and that they add up."""

import itertools
import json

import pytest
from trials import trial

from backdoor.config import build_defence, build_trial
from backdoor.engines import engine_of, pack_key
from backdoor.errors import UserError
from backdoor.settings.registry import REGULARIZERS
from sweeps.ledger import flatten_factors
from sweeps.region.labels import kind_label

SQUEEZE = {"kind": "logit_squeezing", "strength": 0.2}
DROP = {"kind": "dropout", "rate": 0.25}
NOISE = "gaussian_noise"


def test_their_order_says_nothing() -> None:
    names = {
        trial(regularizer=list(each)).trial_id
        for each in itertools.permutations([SQUEEZE, DROP, NOISE])
    }
    assert len(names) == 1
    assert names != {trial(regularizer=[SQUEEZE, DROP]).trial_id}
    assert names != {trial(regularizer=[SQUEEZE, {**DROP, "rate": 0.5}, NOISE]).trial_id}


def test_a_list_of_one_is_that_kind() -> None:
    assert build_defence({"architecture": "mlp", "regularizer": [DROP]}) == build_defence(
        {"architecture": "mlp", "regularizer": DROP}
    )
    assert trial(regularizer=["none"]).trial_id == trial().trial_id


def test_the_canonical_form_keeps_each_factor_apart() -> None:
    config = trial(regularizer=[SQUEEZE, DROP])
    assert config.canonical["defence"]["regularizer"] == {
        "kind": "dropout+logit_squeezing",
        "dropout": {"rate": 0.25, "units": "head"},
        "logit_squeezing": {"strength": 0.2, "form": "norm"},
    }
    again = build_trial(json.loads(json.dumps(config.canonical)))
    assert again == config and again.trial_id == config.trial_id
    assert config.trial_id == "dbd447652107dc5f"
    flat = flatten_factors(config.canonical)
    assert flat["defence.regularizer"] == "dropout+logit_squeezing"
    assert flat["defence.regularizer.logit_squeezing.strength"] == 0.2
    label = kind_label(config.canonical["defence"]["regularizer"])
    assert label == "dropout(rate=0.25)+logit_squeezing(strength=0.2)"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([DROP, SQUEEZE, "dropout"],
         "must name each kind once, but got 'dropout+logit_squeezing+dropout'. "
         "Keep one dropout; for alternatives, give one of its settings a list of values."),
        (["none", DROP], "must not have `none` beside others, but got 'none+dropout'. Remove `none`."),
        ([], "must not be an empty list of kinds of regularizer, but got []. Name at least one."),
        ([DROP, [SQUEEZE]], "must be the name of one regularizer, or a mapping with `kind`"),
        ([DROP, {"kind": NOISE, "sigma": -1}], "gaussian_noise.sigma: must be >= 0, but got -1."),
        ([DROP, "gausian_noise"], "must be a known regularizer, but got 'gausian_noise'. Did you mean 'gaussian_noise'?"),
        ({"kind": "dropout+gaussian_noise", "rate": 0.5},
         "rate: must be a mapping of settings of one of those that act together, but got 0.5. "
         "Known: dropout, gaussian_noise."),
    ],
)  # fmt: skip
def test_mistakes(given, message) -> None:
    with pytest.raises(UserError) as caught:
        REGULARIZERS.build(given)
    assert message in str(caught.value)


def test_other_families_do_not_compose() -> None:
    with pytest.raises(UserError, match="must be the name of one architecture, or a mapping"):
        build_defence({"architecture": ["mlp", "linear"]})


def test_the_engine_follows_from_the_kinds() -> None:
    both = ["label_smoothing", SQUEEZE]
    assert engine_of(trial(regularizer=both)).name == "packed"
    assert engine_of(trial({"kind": "convnet", "width": 4}, regularizer=both)).name == "grouped"
    assert engine_of(trial(regularizer=[*both, DROP])).name == "serial"
    for strength in (0, 0.1):
        some = {"kind": "input_gradient", "strength": strength}
        assert engine_of(trial(regularizer=some)).name == "serial"
    assert engine_of(trial("ridge", regularizer=DROP)).name == "convex"
    assert trial("ridge", regularizer=DROP).trial_id == trial("ridge").trial_id


def test_strengths_share_a_pack_and_kinds_do_not() -> None:
    def key(*terms):
        return pack_key(trial(regularizer=list(terms)))

    assert key("label_smoothing", SQUEEZE) == key(
        {"kind": "label_smoothing", "strength": 0.3}, "logit_squeezing"
    )
    assert key("label_smoothing", SQUEEZE) != key("label_smoothing")
    assert key("label_smoothing", SQUEEZE) != key("label_smoothing", {**SQUEEZE, "form": "squared"})
