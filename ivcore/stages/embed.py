"""Embeddings of many clips and many sentences, for retrieval in both directions (paper 4.3.5)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ivcore.data.batches import Batches
from ivcore.precision import autocast


@torch.inference_mode()
def embed_clips(
    model, source, batch_size: int = 64, num_workers: int = 0, shuffled: int | None = None, precision: str = "fp32"
) -> Tensor:  # fmt: skip
    """Unit-length embeddings (N, E) on the CPU of every clip of a source of captioned clips, in its order.

    shuffled: a seed; each clip's frames then come in a random order of their own. precision: as in training. Puts the model into eval mode.
    """
    model.eval()
    device = next(model.parameters()).device
    generator = None if shuffled is None else torch.Generator().manual_seed(shuffled)
    batches = Batches(source, min(batch_size, len(source)), shuffle=False, drop_last=False, num_workers=num_workers)
    parts = []
    for batch in batches:
        video = batch["video"] if generator is None else shuffle_frames(batch["video"], generator)
        with autocast(device, precision):
            embedded = model.encode_video(model.prepare(video.to(device)))
        parts.append(F.normalize(embedded.float(), dim=-1).cpu())
    return torch.cat(parts).clone()


def shuffle_frames(video: Tensor, generator: torch.Generator) -> Tensor:
    """(B, T, H, W, 3) with the frames of each clip in a random order of its own."""
    order = torch.rand(video.shape[:2], generator=generator).argsort(1)
    return video[torch.arange(len(video))[:, None], order]


@torch.inference_mode()
def embed_texts(model, texts: Sequence[str], tokenizer, batch_size: int = 256) -> Tensor:
    """Unit-length embeddings (M, E) on the CPU. Puts the model into eval mode."""
    model.eval()
    device = next(model.parameters()).device
    parts = [list(texts[i : i + batch_size]) for i in range(0, len(texts), batch_size)]
    encoded = [model.encode_text(tokenizer(part).to(device)) for part in parts]
    return torch.cat([F.normalize(part, dim=-1).float().cpu() for part in encoded]).clone()
