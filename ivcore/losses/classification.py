"""Cross-entropy over classes, with smoothed labels or with mixup and cutmix (paper 3.2; timm).

    loss, numbers = classification(model, batch, num_classes=400, mixup=0.8, cutmix=1.0, label_smoothing=0.1)

Clips 2j and 2j + 1 of a batch are mixed with each other, with random numbers that belong to the pair (`draw` of the
batch, see `data.sources`). So the result does not depend on the number of ranks and pieces, and with repeated sampling
no video is mixed with itself.
"""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from ivcore.errors import ParameterError
from ivcore.losses.mixup import mix


def classification(model: nn.Module, batch: dict, *, num_classes: int, mixup: float = 0.0, cutmix: float = 0.0,
                   label_smoothing: float = 0.0, transform: Callable[[Tensor], Tensor] | None = None) -> tuple[Tensor, dict]:  # fmt: skip
    """Mean loss over the clips of a batch dict(video uint8 (B, T, H, W, 3) or (B, repeats, T, H, W, 3), label (B,),
    draw (B,)).

    transform: applied to the normalised clips (B * repeats, 3, T, H, W) before mixing. -> (scalar, {}). ParameterError
    if an odd number of clips is to be mixed.
    """
    video = batch["video"]
    labels = batch["label"].repeat_interleave(video.shape[1] if video.dim() == 6 else 1)
    video = model.prepare(video.reshape(-1, *video.shape[-4:]))
    video = video if transform is None else transform(video)
    if not (mixup or cutmix):
        return F.cross_entropy(model(video), labels, label_smoothing=label_smoothing), {}
    if len(batch["label"]) % 2:
        raise ParameterError(
            f"mixup, cutmix: a rank has {len(batch['label'])} videos of a batch, but they are mixed two by two; "
            f"batch_size must be an even multiple of the number of ranks"
        )
    seeds = batch["draw"][::2].tolist()
    video, targets = mix(video, labels, seeds, num_classes, mixup=mixup, cutmix=cutmix, smoothing=label_smoothing)
    return F.cross_entropy(model(video), targets), {}
