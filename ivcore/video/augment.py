"""Augmentation for the masked and multimodal encoders (paper 4.2, VideoMAE's and UniFormerV2's recipes), the same for all frames of a clip.

Clips are uint8 (T, H, W, 3) arrays. Every random function takes a numpy Generator and draws only from it: timm's
augmentations draw from the global generators, which are seeded from ours before and restored afterwards.
Pretraining uses only `multi_scale_crop`; fine-tuning uses `random_resized_crop`, `flip` (not if left and right are labels),
`rand_augment`, `erase` and, per batch, losses.mixup; testing uses `centre_crop` or `spatial_crops`.
"""

import functools
import math

import numpy as np

from ivcore.errors import ParameterError
from ivcore.video.resize import as_tensor, resize, target_size

SCALES = (1.0, 0.875, 0.75, 0.66)
MAX_DISTORT = 1  # height and width come from neighbouring scales
# VideoMAE draws crops from 13 positions: corners, edge centres, centre and four points between; in quarters of the free space.
PLACES = ((0, 0), (0, 4), (4, 0), (4, 4), (2, 2), (2, 0), (2, 4), (4, 2), (0, 2), (1, 1), (1, 3), (3, 1), (3, 3))
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

Box = tuple[int, int, int, int]  # top, left, height, width


# ---------------------------------------------------------------------------------------------------- where to crop


def multi_scale_boxes(height: int, width: int, size: int, rng, count: int = 1, scales=SCALES) -> list[Box]:
    """`count` boxes whose sides are the short side times two neighbouring scales, at one of 13 fixed positions (TSN, VideoMAE)."""
    shapes = _multi_scale_shapes(height, width, size, tuple(scales))
    picks = zip(rng.integers(len(shapes), size=count).tolist(), rng.integers(len(PLACES), size=count).tolist())
    places = [(*shapes[i], *PLACES[j]) for i, j in picks]
    return [(down * ((height - h) // 4), right * ((width - w) // 4), h, w) for h, w, down, right in places]


@functools.cache
def _multi_scale_shapes(height: int, width: int, size: int, scales: tuple) -> list[tuple[int, int]]:
    sides = [int(min(height, width) * scale) for scale in scales]
    sides = [size if abs(side - size) < 3 else side for side in sides]  # resizing by 1 or 2 pixels only blurs
    pairs = [(h, w) for i, h in enumerate(sides) for j, w in enumerate(sides) if abs(i - j) <= MAX_DISTORT]
    return [(max(min(h, height), 1), max(min(w, width), 1)) for h, w in pairs]


def random_resized_box(height: int, width: int, rng, scale=(0.08, 1.0), ratio=(3 / 4, 4 / 3)) -> Box:
    """A box with a random share of the area and a random aspect (width / height); after ten failed tries, the largest central box that fits."""
    if box := _random_box(height, width, rng, scale, ratio):
        return box
    aspect = min(max(width / height, ratio[0]), ratio[1])
    h, w = min(height, round(width / aspect)), min(width, round(height * aspect))
    return (height - h) // 2, (width - w) // 2, h, w


def _random_box(height: int, width: int, rng, scale, ratio) -> Box | None:
    """A box as in `random_resized_box`, or None if none of ten tries fits."""
    low, high = math.log(ratio[0]), math.log(ratio[1])
    for _ in range(10):
        area, aspect = rng.uniform(*scale) * height * width, math.exp(rng.uniform(low, high))
        h, w = round(math.sqrt(area / aspect)), round(math.sqrt(area * aspect))
        if 0 < h <= height and 0 < w <= width:
            return int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1)), h, w
    return None


# ---------------------------------------------------------------------------------------------------- crops of a clip


def crop_resize(video: np.ndarray, box: Box, size: int) -> np.ndarray:
    """(T, H, W, 3) -> (T, size, size, 3)"""
    top, left, height, width = box
    return np.ascontiguousarray(resize(video[:, top : top + height, left : left + width], size, size))


def multi_scale_crop(video: np.ndarray, size: int, rng, scales=SCALES) -> np.ndarray:
    """(T, H, W, 3) -> (T, size, size, 3). The only augmentation of masked pretraining (paper 4.2.2)."""
    return crop_resize(video, multi_scale_boxes(*video.shape[1:3], size, rng, 1, scales)[0], size)


def random_resized_crop(video: np.ndarray, size: int, rng, scale=(0.08, 1.0), ratio=(3 / 4, 4 / 3)) -> np.ndarray:
    """(T, H, W, 3) -> (T, size, size, 3)"""
    return crop_resize(video, random_resized_box(*video.shape[1:3], rng, scale, ratio), size)


def short_side(video: np.ndarray, size: int) -> np.ndarray:
    """Resizes the short side to `size`. (T, H, W, 3) -> (T, h, w, 3)"""
    return resize(video, *target_size(*video.shape[1:3], size))


def spatial_crops(video: np.ndarray, size: int, num_crops: int = 3) -> np.ndarray:
    """Square crops, evenly spread along the long side after a short-side resize: the first at its start, the last at its end.

    Offsets are floor(i * room / (num_crops - 1)); a single crop is centred, room // 2. -> (num_crops, T, size, size, 3)
    """
    if num_crops < 1:
        raise ParameterError(f"num_crops={num_crops}: must be at least 1")
    video = short_side(video, size)
    down, right = video.shape[1] - size, video.shape[2] - size
    shares = [(1, 2)] if num_crops == 1 else [(i, num_crops - 1) for i in range(num_crops)]
    starts = [(down * i // n, right * i // n) for i, n in shares]
    return np.stack([video[:, top : top + size, left : left + size] for top, left in starts])


def centre_crop(video: np.ndarray, size: int) -> np.ndarray:
    """Short-side resize, then the middle square. (T, H, W, 3) -> (T, size, size, 3)"""
    return spatial_crops(video, size, 1)[0]


def flip(video: np.ndarray, rng, p: float = 0.5) -> np.ndarray:
    """Mirrors left and right with probability p; use p = 0 if direction is the label, as in Something-Something."""
    return as_tensor(video).flip(2).numpy() if rng.random() < p else video  # ten times as fast as numpy's flip


def repeat(video: np.ndarray, times: int, transform, rng) -> np.ndarray:
    """Repeated sampling: `times` augmented clips of one decoded video. transform(video, rng) -> clip. -> (times, *clip)

    Each copy has its own generator, so draws for one copy do not affect the next.
    """
    seeds = rng.integers(1 << 63, size=times)
    return np.stack([transform(video, np.random.default_rng(seed)) for seed in seeds])


# ---------------------------------------------------------------------------------------------------- pixels


def rand_augment(video: np.ndarray, rng, config: str = "rand-m7-n4-mstd0.5-inc1") -> np.ndarray:
    """timm's RandAugment with the same operations, magnitudes and signs for all frames. (T, H, W, 3) -> (T, H, W, 3)"""
    from PIL import Image

    from ivcore.rng import python_and_numpy_seeded  # imports torch, which processes that only decode do not need

    operations = _rand_augment(config)
    seed = int(rng.integers(1 << 32))
    out = np.empty_like(video)
    for frame, result in zip(video, out):
        with python_and_numpy_seeded(seed):  # again for each frame, because timm draws while it works
            result[:] = operations(Image.fromarray(np.ascontiguousarray(frame)))
    return out


@functools.cache
def _rand_augment(config: str):
    from PIL import Image
    from timm.data.auto_augment import rand_augment_transform

    try:
        return rand_augment_transform(config, {"interpolation": Image.BICUBIC})
    except (AssertionError, ValueError) as error:
        example = "rand-m7-n4-mstd0.5-inc1"
        raise ParameterError(f"config={config!r}: not a RandAugment string like {example}") from error


def erase(video: np.ndarray, rng, p: float = 0.25, area=(0.02, 1 / 3), ratio=(0.3, 1 / 0.3)) -> np.ndarray:
    """Random erasing: with probability p one box, the same in all frames, becomes noise. (T, H, W, 3) -> a new array or the input itself

    The noise has ImageNet's channel mean and deviation, so it is unit noise after that normalisation. If none of ten boxes fits, nothing
    is erased, as in timm.
    """
    box = _random_box(*video.shape[1:3], rng, area, ratio) if rng.random() < p else None
    if box is None:
        return video
    top, left, h, w = box
    noise = rng.standard_normal((len(video), h, w, 3), np.float32) * IMAGENET_STD + IMAGENET_MEAN
    video = video.copy()
    video[:, top : top + h, left : left + w] = np.clip(noise * 255 + 0.5, 0, 255)
    return video
