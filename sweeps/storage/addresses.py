"""Addresses without their secrets: what `sweeps.addresses` offers, beside files and commands."""

from sweeps.addresses import (
    MASK,
    addresses_in,
    hidden,
    lacks_secret,
    same_store,
    scrubbed,
    scrubbed_value,
    secrets_of,
)

__all__ = [
    "MASK",
    "addresses_in",
    "hidden",
    "lacks_secret",
    "same_store",
    "scrubbed",
    "scrubbed_value",
    "secrets_of",
]
