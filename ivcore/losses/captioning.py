"""Captioning: predicts each word of the text from the words before it and the clip (CoCa, arXiv 2205.01917; InternVideo
3.1.2).

Teacher forcing: the decoder gets the true words. The start token is never predicted, the end token is; padding after it
does not count. The mean is over words, not over captions, as published.

    loss = captioning(decoder(text_tokens[:, :-1], video_tokens), ids)
"""

from __future__ import annotations

import torch
from torch import Tensor

from ivcore import distributed

_ROWS = 1024  # words whose scores are in float32 at the same time


def captioning(logits: Tensor, ids: Tensor, label_smoothing: float = 0.0, count: Tensor | None = None) -> Tensor:
    """Logits (B, L-1, V) of the words after ids[:, :-1], ids (B, L) -> mean cross-entropy over words, in float32 or
    higher precision.

    count: the number of words to divide by. The default is this batch's number, averaged over ranks, so that the mean
    of the ranks' losses is that of the joined batch. Logits may be bfloat16; they are never copied to float32 as a
    whole.
    """
    kept = words(ids)
    count = distributed.mean(kept.sum()) if count is None else count
    return (word_losses(logits, ids[:, 1:], label_smoothing) * kept).sum() / count


def words(ids: Tensor) -> Tensor:
    """ids (B, L) -> bool (B, L-1): the words of ids[:, 1:] that count, up to the end token (the largest id)."""
    return torch.arange(1, ids.shape[1], device=ids.device) <= ids.argmax(-1, keepdim=True)


@torch.no_grad()
def word_accuracy(logits: Tensor, ids: Tensor, count: Tensor | None = None) -> Tensor:
    """Share of the words with the highest score, in [0, 1]: logits (B, L-1, V), ids (B, L); `count` as in
    `captioning`.
    """
    kept = words(ids)
    count = distributed.mean(kept.sum()) if count is None else count
    return ((logits.argmax(-1) == ids[:, 1:]) & kept).sum() / count


def word_losses(logits: Tensor, labels: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Logits (..., V), labels (...) -> cross-entropies (...). With smoothing every word of the vocabulary gets
    label_smoothing/V of the target.
    """
    return _WordLosses.apply(logits.flatten(0, -2), labels.flatten(), label_smoothing).view(labels.shape)


class _WordLosses(torch.autograd.Function):
    """Stores the logits in their own precision and one number for each word; the backward pass recomputes the softmax,
    some rows at a time.
    """

    @staticmethod
    def forward(ctx, logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
        finer = torch.promote_types(logits.dtype, torch.float32)
        pieces = [_forward(rows.to(finer), targets, smoothing) for rows, targets in _by_rows(logits, labels)]
        total, losses = (torch.cat(chunks) for chunks in zip(*pieces))
        ctx.save_for_backward(logits, labels, total)
        ctx.smoothing = smoothing
        return losses

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient: Tensor):
        logits, labels, total = ctx.saved_tensors
        slopes, even = torch.empty_like(logits), ctx.smoothing / logits.shape[1]
        pieces = (_by_rows(slopes, labels), logits.split(_ROWS), total.split(_ROWS), gradient.split(_ROWS))
        for (into, targets), rows, sums, slope in zip(*pieces):
            share = (rows.to(sums.dtype) - sums[:, None]).exp_()
            share -= even
            share[torch.arange(len(targets), device=targets.device), targets] -= 1 - ctx.smoothing
            into.copy_(share.mul_(slope[:, None]))
        return slopes, None, None


def _by_rows(logits: Tensor, labels: Tensor):
    return zip(logits.split(_ROWS), labels.split(_ROWS))


def _forward(logits: Tensor, labels: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
    """(log-sum-exp, loss) of each row."""
    total = logits.logsumexp(1)
    target = (1 - smoothing) * logits.gather(1, labels[:, None])[:, 0]
    return total, total - target - (smoothing * logits.mean(1) if smoothing else 0)
