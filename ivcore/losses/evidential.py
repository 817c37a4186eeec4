"""Evidential deep learning: the outputs of a network are evidence for classes, and little evidence means high
uncertainty (DEAR; paper 4.3.3).

    loss, parts = evidential(logits, labels, kind="log")
    uncertainty(logits)              # 1 without evidence, near 0 with much evidence

Logits (B, K) become evidence e >= 0 and the parameters alpha = e + 1 of a Dirichlet distribution over the classes'
probabilities, whose mean is alpha / S with S = sum(alpha) and whose uncertainty is K / S. The published recipe is exp
evidence and the "log" loss without other terms.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from ivcore.errors import ParameterError

TINY = 1e-10
# exp is clamped, so that one logit cannot overflow.
EVIDENCE = {"relu": F.relu, "exp": lambda logits: logits.clamp(-10, 10).exp(), "softplus": F.softplus}
LOSSES = ("log", "digamma", "mse", "cross_entropy")


def dirichlet(logits: Tensor, evidence: str = "exp") -> Tensor:
    """alpha = evidence + 1 of logits (..., K). ParameterError for an unknown kind of evidence."""
    if evidence not in EVIDENCE:
        raise ParameterError(f"evidence {evidence!r}: expected one of {', '.join(EVIDENCE)}")
    return EVIDENCE[evidence](logits) + 1


def uncertainty(logits: Tensor, evidence: str = "exp") -> Tensor:
    """K / S of logits (..., K), in (0, 1]."""
    alpha = dirichlet(logits, evidence)
    return alpha.shape[-1] / alpha.sum(-1)


def annealing(epoch: int, *, kind: str = "exp", start: float = 0.01, steps: int = 10, epochs: int = 50) -> float:
    """The regulariser's weight at an epoch (from 0): "step" is min(1, epoch / steps), "exp" grows from start to 1 over
    the epochs.
    """
    if kind == "step":
        return min(1.0, epoch / steps)
    if kind == "exp":
        return start * math.exp(-math.log(start) / epochs * epoch)
    raise ParameterError(f"annealing {kind!r}: expected step or exp")


def evidential(logits: Tensor, labels: Tensor, *, kind: str = "log", evidence: str = "exp", weight: float = 0.0,
               divergence: bool = False, calibration: bool = False, disentangle: bool = False) -> tuple[Tensor, dict[str, Tensor]]:  # fmt: skip
    """Sum of the terms' means over logits (B, K) and labels (B,), and each term for each clip (B,).

    weight: the value of `annealing` at this epoch. divergence: pulls evidence for wrong classes towards 0, times
    weight; always on for "cross_entropy". calibration: makes correctly classified clips certain, times weight, and
    others uncertain, times 1 - weight (DEAR's accuracy against uncertainty), for "log" and "digamma". disentangle: puts
    both factors of it into the logarithm. ParameterError for an unknown kind.
    """
    if kind not in LOSSES:
        raise ParameterError(f"kind {kind!r}: expected one of {', '.join(LOSSES)}")
    alpha = dirichlet(logits, evidence)
    target = F.one_hot(labels, alpha.shape[1]).to(alpha)
    total = alpha.sum(1, keepdim=True)
    mean = alpha / total
    if kind == "mse":
        terms = {"loss_cls": (target - mean).square().sum(1)}
    else:
        scale = torch.digamma if kind == "digamma" else torch.log
        terms = {"loss_cls": (target * (scale(total) - scale(alpha))).sum(1)}
    if kind in ("mse", "cross_entropy"):
        terms["loss_var"] = (mean * (1 - mean) / (total + 1)).sum(1)
    if divergence or kind == "cross_entropy":
        terms["loss_kl"] = weight * divergence_from_uniform((alpha - 1) * (1 - target) + 1)
    if calibration and kind in ("log", "digamma"):
        terms["loss_avu"] = _accuracy_against_uncertainty(mean, total, labels, weight, disentangle)
    return sum(term.mean() for term in terms.values()), terms


def divergence_from_uniform(alpha: Tensor) -> Tensor:
    """(B,): Kullback-Leibler divergence of the Dirichlet distributions alpha (B, K) from the uniform one."""
    total = alpha.sum(1, keepdim=True)
    constant = torch.lgamma(total[:, 0]) - torch.lgamma(alpha).sum(1) - math.lgamma(alpha.shape[1])
    return constant + ((alpha - 1) * (torch.digamma(alpha) - torch.digamma(total))).sum(1)


def _accuracy_against_uncertainty(mean: Tensor, total: Tensor, labels: Tensor, weight: float, disentangle: bool):
    sure, best = mean.max(1)
    unknown = mean.shape[1] / total[:, 0]
    right = (best == labels).to(mean)
    if disentangle:
        uncertain, certain = -(sure * (1 - unknown) + TINY).log(), -((1 - sure) * unknown + TINY).log()
    else:
        uncertain, certain = -sure * (1 - unknown + TINY).log(), -(1 - sure) * (unknown + TINY).log()
    return weight * right * uncertain + (1 - weight) * (1 - right) * certain
