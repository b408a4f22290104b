"""Which section of a spec each key belongs to, for messages about a key in a wrong place.

A test holds this against the dataclasses that read the sections. Here it is known without them,
and so without torch.
"""

from __future__ import annotations

from backdoor.settings.aliases import nearest, same_name

#: Section → its keys; those of `data` and of other kinds depend on the kind. The first section
#: that has a key is the one that is suggested.
SECTION_KEYS = {
    "name": "",
    "data": "root classes train validation test split_seed image_size",
    "defence": "architecture regularizer weight_decay learning_rate momentum epochs",
    "attack": "trigger poison_rate target label_mode source cover_rate allow_weak panel",
    "training": "batch_size schedule normalization augmentation stamp features",
    "seeds": "count base",
    "region": "clean_accuracy attack_success confidence target",
    "search": "points seed sampler options pending budget",
    "resources": "cpu gpu time_limit",
    "stopping": "metric grace_period reduction_factor min_samples_required control verdict",
    "tracking": "uri runs",
    "probes": "",
    "curve_every": "",
}
#: Key → the same with its section in front.
PLACES: dict[str, str] = {}
for _section, _keys in SECTION_KEYS.items():
    for _key in _keys.split():
        PLACES.setdefault(_key, f"{_section}.{_key}")


def dotted_key(name: str) -> str | None:
    """`defence.learning_rate` for `lr`, `seeds` for `seed`: what is meant for certain, else None.

    name: a key without its section.
    """
    if section := same_name(name, SECTION_KEYS):
        return section
    key = same_name(name, PLACES)
    return None if key is None else PLACES[key]


def similar_key(name: str) -> str | None:
    """The most similar key with its section, by its spelling."""
    key = nearest(name, [*SECTION_KEYS, *PLACES])
    return key if key is None else PLACES.get(key, key)
