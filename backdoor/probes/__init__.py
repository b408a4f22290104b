"""Probes: further studies of a trained model. One file, one kind.

A probe is no part of a trial's identity: it looks at a model after training, may train copies of
it further or refit it, and never changes it. What it finds are columns of equal length, one row a
point of its study: β and losses of a learning curve, steps and accuracies of a fine-tuning.
"""

from backdoor.probes.base import Probe, ProbedModel, ProbeResult, Studied, Study

__all__ = ["Probe", "ProbeResult", "ProbedModel", "Studied", "Study"]
