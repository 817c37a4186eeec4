"""Embeddings of many clips and many sentences, for retrieval in both directions (paper 4.3.5)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ivcore import distributed_evaluation
from ivcore.data.batches import each_batch
from ivcore.precision import autocast


@torch.inference_mode()
def embed_clips(
    model, source, batch_size: int = 64, num_workers: int = 0, shuffled: int | None = None, precision: str = "fp32"
) -> Tensor:  # fmt: skip
    """Unit-length embeddings (N, E) on the CPU of every clip of a source of captioned clips, in its order; ranks share
    the work, see `ivcore.distributed_evaluation`.

    shuffled: a seed to shuffle the frames of each clip separately. precision: as in training. Puts the model into eval
    mode.
    """
    model.eval()
    device = next(model.parameters()).device

    def embedded(batch: dict) -> Tensor:
        video = batch["video"] if shuffled is None else shuffle_frames(batch["video"])
        with autocast(device, precision):
            values = model.encode_video(model.prepare(video.to(device)))
        return F.normalize(values.float(), dim=-1).cpu()

    return torch.cat([*each_batch(embedded, source, batch_size, num_workers, shuffled or 0)]).clone()


def shuffle_frames(video: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """(B, T, H, W, 3) with the frames of each clip shuffled separately, by the generator or by torch's global one."""
    order = torch.rand(video.shape[:2], generator=generator).argsort(1)
    return video[torch.arange(len(video))[:, None], order]


@torch.inference_mode()
def embed_texts(model, texts: Sequence[str], tokenizer, batch_size: int = 256, precision: str = "fp32") -> Tensor:
    """Unit-length embeddings (M, E) on the CPU; ranks share the work. Puts the model into eval mode."""
    model.eval()
    device = next(model.parameters()).device
    parts = [list(texts[i : i + batch_size]) for i in range(0, len(texts), batch_size)]

    def embedded(part: list[str]) -> Tensor:
        with autocast(device, precision):
            values = model.encode_text(tokenizer(part).to(device))
        return F.normalize(values.float(), dim=-1).cpu()

    mine = (parts[number] for number in distributed_evaluation.own(len(parts)))
    return torch.cat([*distributed_evaluation.in_turns(embedded, mine, len(parts))]).clone()
