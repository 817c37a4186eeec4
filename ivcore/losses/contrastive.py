"""Symmetric contrastive loss between clips and texts (CLIP, arXiv 2103.00020; InternVideo 3.1.2).

Every clip of the batch is classified among all texts and every text among all clips, by exp(logit_scale) * cosine. With
several ranks, the clips and texts of all ranks take part: each rank scores its own rows against the columns of all
ranks and returns its share. The mean of the shares over ranks is the loss of the joined batch, gradients included (see
ivcore.distributed).

    loss = contrastive(model.encode_video(video), model.encode_text(ids), model.logit_scale)
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from ivcore import distributed

LARGEST = math.log(100)  # of logit_scale, as published


def contrastive(videos: Tensor, texts: Tensor, logit_scale: Tensor, positive_ids: Tensor | None = None,
                chunk: int | None = None) -> Tensor:  # fmt: skip
    """Clip embeddings (B, E) and text embeddings (B, E), row i a pair, not normalised -> scalar, in float32 or higher
    precision.

    positive_ids: int64 (B,). Rows with equal numbers have the same meaning (such as a repeated caption): they are
    positives of each other with equal shares of the target, as in UniCL (arXiv 2204.03610). By default every other row
    is a negative, as published. chunk: columns scored at a time. Memory then grows with rows * chunk instead of rows *
    ranks * rows; the result is the same.
    """
    with torch.autocast(videos.device.type, enabled=False):
        videos, texts, scale = _unit(videos), _unit(texts), logit_scale.exp()
        ids = _identities(videos, positive_ids)
        everybody = distributed.gather(ids)
        to_text = _cross_entropy(scale * videos, distributed.gather(texts), ids, everybody, chunk)
        to_video = _cross_entropy(scale * texts, distributed.gather(videos), ids, everybody, chunk)
        return (to_text.mean() + to_video.mean()) / 2


def clamp_(logit_scale: Tensor) -> None:
    """Clamps the temperature 1/exp(logit_scale) to [0.01, 1], in place; published: before each forward pass."""
    with torch.no_grad():
        logit_scale.clamp_(0, LARGEST)


@torch.no_grad()
def retrieval_accuracy(videos: Tensor, texts: Tensor, positive_ids: Tensor | None = None,
                       chunk: int | None = None) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Shares of the batch in [0, 1] for which a right answer scores above all wrong ones: (text to video, video to
    text).
    """
    with torch.autocast(videos.device.type, enabled=False):
        videos, texts = _unit(videos), _unit(texts)
        ids = _identities(videos, positive_ids)
        everybody, all_videos, all_texts = (distributed.gather(x) for x in (ids, videos, texts))
        to_video = _right(texts, all_videos, ids, everybody, chunk)
        return to_video, _right(videos, all_texts, ids, everybody, chunk)


def _unit(x: Tensor) -> Tensor:
    return F.normalize(x.to(torch.promote_types(x.dtype, torch.float32)), dim=-1)


def _identities(rows: Tensor, positive_ids: Tensor | None) -> Tensor:
    """(B,) numbers, equal for rows that are positives of each other."""
    if positive_ids is not None:
        return positive_ids
    begin = distributed.rank() * len(rows)
    return torch.arange(begin, begin + len(rows), device=rows.device)


def _cross_entropy(rows: Tensor, columns: Tensor, ids: Tensor, everybody: Tensor, chunk: int | None) -> Tensor:
    """Scaled rows (R, E), columns (C, E), their ids (R,), (C,) -> each row's cross-entropy (R,)."""
    if chunk is not None and chunk < len(columns):
        return _Chunked.apply(rows, columns, ids, everybody, chunk)
    logits = rows @ columns.T
    positive = (ids[:, None] == everybody).to(logits.dtype)
    target = positive / positive.sum(1, keepdim=True)
    return logits.logsumexp(1) - (logits * target).sum(1)


class _Chunked(torch.autograd.Function):
    """`_cross_entropy` over a few columns at a time: keeps a running log-sum-exp and recomputes the logits in the
    backward pass.
    """

    @staticmethod
    def forward(ctx, rows: Tensor, columns: Tensor, ids: Tensor, everybody: Tensor, chunk: int) -> Tensor:
        total, hits = rows.new_full((len(rows),), -torch.inf), rows.new_zeros(len(rows))
        count = torch.zeros_like(hits)
        for chunk_columns, chunk_ids in zip(columns.split(chunk), everybody.split(chunk)):
            logits, positive = rows @ chunk_columns.T, ids[:, None] == chunk_ids
            total = torch.logaddexp(total, logits.logsumexp(1))
            hits += (logits * positive).sum(1)
            count += positive.sum(1)
        ctx.save_for_backward(rows, columns, ids, everybody, total, count)
        ctx.chunk = chunk
        return total - hits / count

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient: Tensor):
        rows, columns, ids, everybody, total, count = ctx.saved_tensors
        for_rows, for_columns = torch.zeros_like(rows), torch.empty_like(columns)
        with torch.autocast(rows.device.type, enabled=False):
            for begin in range(0, len(columns), ctx.chunk):
                part = slice(begin, begin + ctx.chunk)
                target = (ids[:, None] == everybody[part]) / count[:, None]
                slope = ((rows @ columns[part].T - total[:, None]).exp() - target) * gradient[:, None]
                for_rows += slope @ columns[part]
                for_columns[part] = slope.T @ rows
        return for_rows, for_columns, None, None, None


def _right(rows: Tensor, columns: Tensor, ids: Tensor, everybody: Tensor, chunk: int | None) -> Tensor:
    """Share of the rows whose best positive column beats every negative one; a tie is not a hit."""
    best, worst = (rows.new_full((len(rows),), -torch.inf) for _ in range(2))
    for chunk_columns, chunk_ids in zip(columns.split(chunk or len(columns)), everybody.split(chunk or len(columns))):
        scores, positive = rows @ chunk_columns.T, ids[:, None] == chunk_ids
        best = torch.maximum(best, scores.masked_fill(~positive, -torch.inf).amax(1))
        worst = torch.maximum(worst, scores.masked_fill(positive, -torch.inf).amax(1))
    return (best > worst).float().mean()
