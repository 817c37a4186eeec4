"""Mixup (arXiv 1710.09412) and cutmix (arXiv 1905.04899) of the clips of a batch, by timm (paper 3.2).

video, targets = mix(video, labels, seeds, num_classes=400)
loss = F.cross_entropy(model(video), targets)
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
from torch import Tensor

from ivcore.errors import ParameterError
from ivcore.rng import python_and_numpy_seeded


def mix(
    video: Tensor, labels: Tensor, seeds: Sequence[int], num_classes: int, *, mixup=0.8, cutmix=1.0, p=1.0,
    switch=0.5, smoothing=0.1,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Clips float (B, C, T, H, W), of any strides, and labels int (B,) -> mixed clips, soft targets (B, num_classes).

    seeds: one for each group of B / len(seeds) consecutive clips. A group is mixed with its reversed order, with random
    numbers from its seed alone, so other groups have no effect. A cutmix box spans all frames. mixup, cutmix: alpha of
    their Beta distributions, 0 turns one off. `video` may be changed in place. ParameterError for groups of unequal or
    odd size.
    """
    group, rest = divmod(len(video), max(len(seeds), 1))
    if group % 2 or rest or not group:
        raise ParameterError(
            f"batch of {len(video)} clips in {len(seeds)} groups: mixup pairs clips, so groups must be even"
        )
    mixer = _mixer(mixup_alpha=mixup, cutmix_alpha=cutmix, prob=p, switch_prob=switch, label_smoothing=smoothing,
                   num_classes=num_classes)  # fmt: skip
    frames = video.flatten(1, 2)  # timm cuts along the last two of four axes; channels and time go together
    clips, targets = [], []
    for seed, group_frames, group_labels in zip(seeds, frames.split(group), labels.split(group)):
        with python_and_numpy_seeded(int(seed)):
            mixed, soft = mixer(group_frames, group_labels)
        clips.append(mixed), targets.append(soft)
    return torch.cat(clips).view(video.shape), torch.cat(targets)


@functools.cache
def _mixer(**settings):
    from timm.data import Mixup  # slow to import

    return Mixup(**settings)
