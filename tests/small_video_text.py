"""A video-text model of a few thousand weights, none of them zero, and batches for it."""

import torch

from ivcore.encoders.caption_decoder import PlainCaptionDecoder
from ivcore.encoders.clip import TextEncoder
from ivcore.encoders.uniformerv2 import UniFormerV2
from ivcore.encoders.video_text import VideoTextModel

VOCABULARY, LENGTH = 30, 10
END = VOCABULARY - 1


def model(dropout=0.0, dtype=torch.float64, decoder=None, seed=0):
    torch.manual_seed(seed)
    tower = UniFormerV2(16, 2, 2, 8, 16, 0, (0, 1), mlp_dropout=dropout)
    text = TextEncoder(12, 8, 2, 2, LENGTH, VOCABULARY, mask_embedding=True)
    decoder = decoder or PlainCaptionDecoder(8, 16, 8, 1, 2, VOCABULARY, dropout)
    built = VideoTextModel(tower, text, 12, decoder)
    for parameter in built.parameters():
        parameter.data = parameter.data + 0.1 * torch.randn_like(parameter)
    built.logit_scale.data.fill_(2.0)
    return built.to(dtype)


def batch(size, seed=1, frames=2):
    """Texts of one to seven words; two in three clips have a caption that another one has too."""
    generator = torch.Generator().manual_seed(seed)
    video = torch.randint(0, 256, (size, frames, 16, 16, 3), dtype=torch.uint8, generator=generator)
    ids = torch.randint(1, END - 1, (size, LENGTH), generator=generator)
    ends = torch.randint(2, LENGTH - 1, (size, 1), generator=generator)
    columns = torch.arange(LENGTH)
    ids = torch.where(columns < ends, ids, torch.where(columns == ends, END, 0))
    ids[:, 0] = END - 1
    same = torch.randint(0, max(1, size // 2), (size,), generator=generator)
    return {"video": video, "ids": ids, "caption_id": same}


def gradients(built):
    return {name: p.grad.clone() for name, p in built.named_parameters() if p.grad is not None}


def difference(one, other):
    """Largest difference of two dicts of tensors, in shares of each one's largest value."""
    assert one.keys() == other.keys() and one
    return max(float((one[k] - other[k]).abs().max() / other[k].abs().max().clamp_min(1e-12)) for k in one)
