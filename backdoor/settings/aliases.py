"""Other words for the names of a spec, as papers and other tools have them.

They are never accepted, since two names for one thing make two specs that differ in nothing; a
message about an unknown name suggests the one that is meant.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

#: Name → other words for it. A word may stand for several names: the first that is known is meant.
OTHER_WORDS = {
    # Sections
    "data": "dataset datasets",
    "defence": "defense defences defenses defender",
    "attack": "attacks attacker attackers",
    "training": "train trainer optimizer",
    "seeds": "seed num_seeds n_seeds nseeds random_seed random_seeds random_state",
    "search": "searcher search_alg search_algorithm search_space sampler tuner",
    "region": "threshold thresholds criteria",
    "resources": "resource resources_per_trial",
    "stopping": "early_stopping earlystopping stop stopper pruner",
    "tracking": "mlflow logging logger tracker tracking_uri",
    "probes": "probe analyses",
    "name": "title experiment experiment_name",
    # Factors
    "architecture": "arch model models network net backbone classifier architectures",
    "regularizer": "reg regulariser regularization regularisation regularizers",
    "weight_decay": "wd decay l2 l2_penalty l2_reg l2_regularization weight_penalty",
    "learning_rate": "lr base_lr initial_lr init_lr max_lr eta learn_rate learningrate",
    "momentum": "mom",
    "epochs": "epoch n_epochs num_epochs nb_epochs max_epochs nepochs iterations",
    "trigger": "triggers backdoor",
    "poison_rate": "poison_ratio poisoning_rate poisoning_ratio poison_fraction poisoned_fraction "
    "poisoned_rate poison_percentage injection_rate injection_ratio pratio rate",
    "cover_rate": "cover_ratio cover noise_rate",
    "target": "target_class target_label attack_target y_target label",
    "source": "source_class source_classes source_label victim",
    "label_mode": "mode attack_mode label_type",
    # Settings of training and of other sections
    "batch_size": "bs batch batchsize minibatch minibatch_size mini_batch_size train_batch_size",
    "schedule": "scheduler lr_schedule lr_scheduler learning_rate_schedule",
    "normalization": "normalisation normalize normalise",
    "augmentation": "aug augment augmentations transform transforms",
    "points": "num_samples n_samples samples n_points num_points n_trials num_trials trials",
    "budget": "n_trials num_trials max_trials trials",
    "trials": "n_trials num_trials max_trials",
    "clean_accuracy": "accuracy acc ca clean_acc benign_accuracy min_accuracy",
    "attack_success": "asr attack_success_rate success_rate success",
    "confidence": "level confidence_level",
    "cpu": "cpus num_cpus n_cpus cores threads",
    "gpu": "gpus num_gpus n_gpus",
    "time_limit": "timeout time_out timelimit max_time max_runtime walltime deadline time_budget_s",
    "uri": "url tracking_uri address",
    "count": "num_seeds n_seeds n number",
    "base": "start first",
    # Settings of kinds
    "kind": "type name",
    "root": "path dir directory folder file data_dir data_path root_dir",
    "train": "n_train num_train train_size training",
    "validation": "val valid n_val n_validation num_validation val_size",
    "test": "n_test num_test test_size testing",
    "image_size": "size img_size input_size resolution",
    "classes": "labels class_names",
    "size": "patch_size trigger_size",
    "position": "location loc place corner",
    "value": "color colour grey gray intensity",
    "opacity": "alpha blend_alpha blend_ratio transparency",
    "amplitude": "delta",
    "frequency": "freq",
    "strength": "weight lambda coefficient coef",
    "sigma": "std noise_std",
    "rate": "p prob probability",
    "width": "hidden hidden_size hidden_units hidden_dim channels",
    "depth": "num_layers n_layers layers hidden_layers",
    # Kinds
    "patch": "badnet badnets square",
    "blend": "blended",
    "sine": "sig sinusoidal",
    "warp": "wanet",
    "reflection": "refool",
    "convnet": "cnn",
    "resnet18": "resnet resnet_18",
    "resnet50": "resnet_50",
    "vgg11": "vgg",
    "linear_svm": "svm",
    "rbf_svm": "svm kernel_svm",
    "logistic": "logreg logistic_regression softmax",
    "input_mixup": "mixup",
    "gaussian_noise": "noise",
    "fashion_mnist": "fmnist",
    "cifar10": "cifar",
    "image_folder": "images folder imagefolder",
    "arrays": "npz numpy array",
}
#: Word → the names that it may stand for.
MEANINGS: dict[str, list[str]] = {}
for _name, _words in OTHER_WORDS.items():
    for _word in _words.split():
        MEANINGS.setdefault(_word, []).append(_name)


def same_name(name: str, options: Iterable[str]) -> str | None:
    """The option that is meant for certain: the name in other letters, or another word for it."""
    known, plain = sorted(options), _plain(name)
    spelt = {_plain(option): option for option in reversed(known)}
    for meant in [plain, *MEANINGS.get(plain, ())]:
        if meant in spelt:
            return spelt[meant]
    return None


def nearest(name: str, options: Iterable[str]) -> str | None:
    """The option that is probably meant: by `same_name`, else the most similar one, else None."""
    known = sorted(options)
    if found := same_name(name, known):
        return found
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return near[0] if near else None


def _plain(name: str) -> str:
    """`learningRate`, `learning-rate` and `Learning_Rate` as `learning_rate`."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip())
    return re.sub(r"[\s-]+", "_", words).lower()
