"""Which trials a probe applies to: learners that are solved, networks, or both."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from backdoor.config import TrialConfig
from backdoor.errors import Mistake

#: Engines that solve for the optimum of a convex learner.
CONVEX = ("convex", "logistic", "svm")
#: Engines that train networks step by step.
NETWORKS = ("packed", "grouped", "serial")


def is_network(config: TrialConfig) -> bool:
    """Whether the trial is trained step by step; convex learners are solved instead."""
    return config.defence.architecture.trained_by_epochs


def refuse_solved(kind: str, config: TrialConfig) -> Iterator[Mistake]:
    """The mistake of a probe that applies to networks only."""
    if not is_network(config):
        rule = f"must be asked of networks only, and {config.defence.architecture.kind_name()} "
        rule += "is solved, not trained by steps"
        remedy = "Give networks a sweep of their own, or leave this probe out."
        yield Mistake("kind", rule, kind, remedy)


def refuse_others(kind: str, config: TrialConfig, served: Collection[str]) -> Iterator[Mistake]:
    """The mistake of a probe on a trial of an engine that is not `served`, or of a convex learner
    without weight decay."""
    architecture, decay = config.defence.architecture, config.defence.weight_decay
    engine = architecture.trained_by()
    if engine not in served:
        rule = f"must be asked of convex learners, and {architecture.kind_name()} is none"
        remedy = "Ask it of ridge, logistic, linear_svm or rbf_svm, or leave this probe out."
        yield Mistake("kind", rule, kind, remedy)
    elif engine in CONVEX and not decay:
        rule = "must be asked of trials with weight decay, without which no optimum is unique"
        remedy = "Give the architecture a weight_decay above 0, or leave this probe out."
        yield Mistake("kind", rule, kind, remedy)


def refuse_regularized(config: TrialConfig) -> Iterator[Mistake]:
    """The mistake of a probe that weights single samples: a penalty on a whole batch has none."""
    regularizer = config.defence.regularizer
    if any(term.switched_on for term in regularizer.terms):
        rule = "must be asked of networks without a regularizer: it weights single samples"
        remedy = "Give regularizer none a sweep of its own, or leave this probe out."
        yield Mistake("kind", rule, regularizer.identity()["kind"], remedy)


def refuse_unweighted(kind: str, config: TrialConfig) -> Iterator[Mistake]:
    """The mistakes of a probe that weights the samples of convex learners and of networks."""
    yield from refuse_others(kind, config, (*CONVEX, *NETWORKS))
    if is_network(config):
        yield from refuse_regularized(config)
