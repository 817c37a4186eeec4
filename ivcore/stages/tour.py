"""Computations of the tour: errors of the masked encoder, sentences, attention and class names, all for a handful of
clips.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ivcore import masking, weights
from ivcore.data.examples import Example
from ivcore.data.video_answers import VideoModel
from ivcore.encoders.videomae import MaskedAutoencoder, MaskedVideoEncoder
from ivcore.metrics.rollout import rollout
from ivcore.stages.attention_maps import most_moving
from ivcore.stages.cross_model import modules_of, prepared
from ivcore.stages.embed import embed_texts
from ivcore.stages.explorers import BEAMS, query_of
from ivcore.stages.masked import masked_loss, reconstruct
from ivcore.stages.turned_gates import turned

MASKS = 8  # number of masks that an error is averaged over
KINDS = 2  # clips of each kind on the overview


def load(run, parameter: str):
    """The model at the run's parameter of this name, in eval mode."""
    return weights.load(run.upstream(parameter)).eval()


def one_of_each(clips: Sequence[Example]) -> list[Example]:
    """The first and the third clip of each kind, since neighbours are one scene forwards and backwards; every film; and
    the reader's own clips.
    """
    kinds: dict[str, list[Example]] = {}
    for clip in clips:
        kinds.setdefault(clip.name if clip.filmed else clip.name.rpartition(" ")[0], []).append(clip)
    return [clip for group in kinds.values() for clip in group[: 2 * KINDS : 2]]


@torch.inference_mode()
def errors(model: MaskedAutoencoder, clips: Sequence[Example], ratio: float, seed: int) -> dict[str, float]:
    """Clip -> mean squared error on hidden, normalised patches, averaged over a few tube masks; predicting 0 gives an
    error of 1.
    """
    loss = masked_loss(lambda count, grid, generator: masking.tube(count, grid, ratio, generator))
    found = {}
    for clip in clips:
        video = _dense(model, clip).expand(MASKS, -1, -1, -1, -1)
        found[clip.name] = loss(model, {"video": video}, torch.Generator().manual_seed(seed))[0].item()
    return found


def painted(model: MaskedAutoencoder, clips: Sequence[Example], ratio: float, seed: int) -> tuple[list, list[str]]:
    """Three rows of frames for each clip, and their names: the clip, the visible part, and the reconstruction."""
    rows, names = [], []
    for clip in clips:
        mask = masking.tube(1, model.encoder.grid, ratio, torch.Generator().manual_seed(seed))
        frames = _dense(model, clip)
        rows += [frames[0], *(part[0] for part in reconstruct(model, frames, mask))]
        names += [clip.name, f"{ratio:.0%} hidden", "reconstruction"]
    return [row.numpy() for row in rows], names


def _dense(model: MaskedAutoencoder, clip: Example) -> Tensor:
    return torch.from_numpy(clip.dense(model.size.frames, model.size.image))[None]


@torch.inference_mode()
def spoken(model: VideoModel, clips: Sequence[Example]) -> dict[str, tuple[str, str, int]]:
    """Clip -> (the written caption, a true sentence, the rank at which that sentence finds the clip); "" and 0 if no
    sentence is known.
    """
    ids, tokenizer = model.captions(BEAMS)
    video = torch.stack(
        [torch.from_numpy(clip.sparse(model.usage.num_frames, model.usage.image_size)) for clip in clips]
    )
    written = [tokenizer.caption(row) for row in ids(video)]
    similar = (
        embed_texts(model.model, [clip.sentence for clip in clips], tokenizer)
        @ F.normalize(model.features(video), dim=-1).T
    )
    places = [int((row >= row[n]).sum()) if clip.sentence else 0 for n, (clip, row) in enumerate(zip(clips, similar))]
    return {clip.name: (says, clip.sentence, place) for clip, says, place in zip(clips, written, places)}


@torch.inference_mode()
def masked_looks(encoder: MaskedVideoEncoder, clip: Example):
    """(frames, the token (t, h, w) with most motion, its attention through all blocks (t, h, w))."""
    frames = torch.from_numpy(clip.dense(*encoder.clip[:2]))
    _, found = encoder(encoder.prepare(frames[None]), return_intermediates=("attention",))
    place, (_, rows, columns) = most_moving(frames, encoder.grid), encoder.grid
    token = (place[0] * rows + place[1]) * columns + place[2]
    return (
        frames.numpy(),
        place,
        rollout([layer[0].mean(0) for layer in found["attention"]])[token].reshape(encoder.grid),
    )


def query_looks(model: VideoModel, clip: Example):
    """(frames, attention of the query token in the last global block (t, h, w), averaged over heads)."""
    visual, frames = model.model.visual, clip.sparse(model.usage.num_frames, model.usage.image_size)
    last, (height, width) = query_of(visual, frames)[-1].mean(0), visual.grid
    return frames, last[:, 1:].unflatten(1, (height, width))


@torch.inference_mode()
def guesses(
    model: VideoModel, clips: Sequence[Example]
) -> tuple[dict[str, dict[str, str]], dict[str, dict[str, Tensor]]]:
    """Predictions of each encoder alone, with gates closed, and of both together: model -> clip -> class, and clip ->
    model -> probabilities (K,).
    """
    joined, side = model.model, model.usage.image_size
    shut = dict.fromkeys(modules_of(joined), 0.0)
    both = [
        (clip.dense(model.usage.num_frames, side), clip.sparse(model.usage.multimodal_frames, side)) for clip in clips
    ]
    video = torch.stack([torch.cat([torch.from_numpy(part) for part in pair]) for pair in both])
    frozen = joined.encode_frozen(prepared(joined, video))
    with turned(joined, shut):
        alone = joined.fuse(frozen)
    together = joined.fuse(frozen).fused
    scores = {
        "masked encoder alone": alone.masked,
        "multimodal encoder alone": alone.multimodal,
        "together, gates open": together,
    }
    names = {
        name: {clip.name: model.classes[row] for clip, row in zip(clips, each.argmax(1).tolist())}
        for name, each in scores.items()
    }
    return names, {
        clip.name: {name: each[n].softmax(-1) for name, each in scores.items()} for n, clip in enumerate(clips)
    }


def most_different(probabilities: Mapping[str, Mapping[str, Tensor]]) -> str:
    """The clip on which the two encoders' probabilities overlap least."""

    def shared(models) -> float:
        masked, multimodal, _ = models.values()
        return float(torch.minimum(masked, multimodal).sum())

    return min(probabilities, key=lambda name: shared(probabilities[name]))
