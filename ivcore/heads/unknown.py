"""How unknown a clip is to an ordinary classifier: the baselines for evidential learning (`losses.evidential`; paper
4.3.3).

    unsure(logits)                                   # 1 - the largest probability
    OpenMax(logits, labels)(others)                  # Bendale and Boult 2016: probability of "none of these"
    entropy(passes), information(passes)             # Monte Carlo dropout: scores of several passes with dropout on

All return float (N,), higher for less known clips. Logits are (N, K), passes (N, K, T) are probabilities.
"""

import torch
from torch import Tensor

from ivcore.errors import ParameterError


def unsure(logits: Tensor) -> Tensor:
    """1 minus the largest probability of logits (N, K)."""
    return 1 - logits.softmax(-1).amax(-1)


def entropy(passes: Tensor) -> Tensor:
    """Entropy in nats of the mean over T passes (N, K, T)."""
    return _entropy(passes.mean(-1))


def information(passes: Tensor) -> Tensor:
    """Disagreement of the passes (BALD): the entropy of their mean minus the mean of their entropies."""
    return entropy(passes) - _entropy(passes).mean(-1)


class OpenMax:
    """Fits a Weibull tail to the distances of training logits (N, K) from their class's mean; a clip beyond the tail
    belongs to no class.

    Only correctly classified clips count. The `tail` farthest clips of each class form the tail; the `top` best classes
    of a clip lose score. ParameterError for a class with fewer than two correct clips.
    """

    def __init__(self, logits: Tensor, labels: Tensor, *, tail: int = 20, top: int = 10):
        logits, self.top = logits.double(), min(top, logits.shape[1])
        means, shifts, tails = [], [], []
        for label in range(logits.shape[1]):
            own = logits[(labels == label) & (logits.argmax(1) == label)]
            if len(own) < 2:
                raise ParameterError(
                    f"class {label}: {len(own)} training clips are told right, OpenMax needs two or more"
                )
            means.append(own.mean(0))
            far = (own - means[-1]).norm(dim=1).topk(min(tail, len(own))).values
            shifts.append(far.min())
            tails.append(weibull(far - far.min() + 1))
        self.means, self.shifts, self.tails = torch.stack(means), torch.stack(shifts), torch.tensor(tails)

    def __call__(self, logits: Tensor) -> Tensor:
        """Probability (N,) that a clip with logits (N, K) belongs to no class."""
        logits = logits.double()
        beyond = (torch.cdist(logits, self.means) - self.shifts + 1).clamp_min(0)
        shape, scale = self.tails.double().T
        outside = 1 - torch.exp(-((beyond / scale) ** shape))
        rank = logits.argsort(1, descending=True).argsort(1)
        lost = outside * (1 - rank / self.top).clamp_min(0)
        revised = torch.cat([logits * (1 - lost), (logits * lost).sum(1, keepdim=True)], dim=1)
        return revised.softmax(1)[:, -1]


def weibull(values: Tensor, steps: int = 50) -> tuple[float, float]:
    """Maximum-likelihood shape and scale of a Weibull distribution for positive values (N,); bisects the shape between
    0.01 and 1000.
    """
    logs = values.double().log()
    low, high = 0.01, 1000.0
    for _ in range(steps):
        shape = (low * high) ** 0.5
        weights = (shape * logs).softmax(0)
        if (weights * logs).sum() - 1 / shape - logs.mean() > 0:
            high = shape
        else:
            low = shape
    scale = ((torch.logsumexp(shape * logs, 0) - torch.tensor(float(len(logs))).log()) / shape).exp()
    return shape, scale.item()


def _entropy(probabilities: Tensor) -> Tensor:
    """Entropy over the classes, of (N, K) or (N, K, T)."""
    return torch.special.entr(probabilities).sum(1)
