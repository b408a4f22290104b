"""Probes: further analyses of a trained model. One file, one kind.

A probe is no part of a trial's identity. It looks at a model after training; it may train copies of
it or refit it, but never changes it. Its result is a table, as columns of equal length: for example
β and losses of a learning curve, or steps and accuracies of a fine-tuning.
"""

from backdoor.probes.base import Probe, ProbedModel, ProbeResult, Studied, Study

__all__ = ["Probe", "ProbeResult", "ProbedModel", "Studied", "Study"]
