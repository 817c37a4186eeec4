"""Linear centred kernel alignment: similarity of two encoders' features, whatever their widths and bases (arXiv
1905.00414).

1 for features that differ only by rotation, scale and shift, 0 for unrelated ones. Features are (N, ...) of the same N
clips, flattened. There are two estimators. The plain one counts each clip's similarity to itself, which makes unrelated
features look alike (towards 1) if there are more dimensions than clips. The unbiased one (HSIC of Song et al. 2012,
arXiv 2010.15327) leaves it out: it is about 0 for unrelated features of any width, may be slightly negative, and can be
summed over small batches.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ivcore.errors import ParameterError


def cka_matrix(xs: Sequence[Tensor], ys: Sequence[Tensor], batch: int | None = None, unbiased: bool = True) -> Tensor:
    """Every one of xs against every one of ys, such as the layers of two encoders: float64 (len(xs), len(ys)); nan if
    features do not vary.

    batch: clips in a minibatch, None for all at once. Only the unbiased estimator supports it; it needs at least 4
    clips and expects them in random order. A last batch of fewer than 4 clips is left out.
    """
    clips = len(xs[0]) if len(xs) else 0
    if not clips or any(len(features) != clips for features in (*xs, *ys)) or not len(ys):
        sizes = sorted({len(features) for features in (*xs, *ys)})
        raise ParameterError(f"features: expected the same clips in all, got {sizes} of them")
    if batch is not None and not unbiased:
        raise ParameterError("batch: only the unbiased estimator can be summed over batches")
    whole = MinibatchCKA(unbiased)
    for start in range(0, clips, batch or clips):
        if start == 0 or clips - start >= 4:
            whole.update(*([f[start : start + (batch or clips)] for f in features] for features in (xs, ys)))
    return whole.value()


class MinibatchCKA:
    """Accumulates batches, so that features of all clips need not be in memory: `update(xs, ys)` for each, then
    `value()`.

    A batch of n clips takes n * n float64 numbers for each layer.
    """

    def __init__(self, unbiased: bool = True):
        self.unbiased = unbiased
        self.cross = self.own_x = self.own_y = 0.0

    def update(self, xs: Sequence[Tensor], ys: Sequence[Tensor]) -> None:
        """Adds features (n, ...) of the same n clips, one tensor for each layer."""
        clips = len(xs[0])
        if self.unbiased and clips < 4:
            raise ParameterError(f"features: {clips} clips in a batch, the unbiased estimator needs 4")
        centre = _centred_without_diagonal if self.unbiased else _centred
        x, y = (torch.stack([centre(_gram(features)).flatten() for features in layers]) for layers in (xs, ys))
        count = clips * (clips - 3) if self.unbiased else (clips - 1) ** 2
        self.cross = self.cross + x @ y.T / count
        self.own_x = self.own_x + x.square().sum(1) / count
        self.own_y = self.own_y + y.square().sum(1) / count

    def value(self) -> Tensor:
        """float64 (layers of x, layers of y)."""
        return self.cross / (self.own_x[:, None] * self.own_y).sqrt()


def _gram(features: Tensor) -> Tensor:
    """Inner products of the clips (n, n). The mean is subtracted first, which only reduces rounding errors."""
    flat = features.flatten(1).double()
    centred = flat - flat.mean(0)
    varies = centred.norm() > 1e-12 * flat.norm()  # otherwise only rounding errors are left
    return varies * (centred @ centred.T)


def _centred(gram: Tensor) -> Tensor:
    """Gram matrix with rows and columns of mean 0."""
    return gram - gram.mean(0) - gram.mean(1)[:, None] + gram.mean()


def _centred_without_diagonal(gram: Tensor) -> Tensor:
    """As `_centred`, over pairs of different clips: inner products of such matrices, divided by n(n-3), are the
    unbiased HSIC.
    """
    clips = len(gram)
    gram = gram - torch.diag(gram.diag())
    rows = gram.sum(1) / (clips - 2)
    centred = gram - rows - rows[:, None] + rows.sum() / (clips - 1)
    return centred - torch.diag(centred.diag())
