"""Masked video modelling as a stage: the loss, reconstructions, and pretraining as one cell of a study (paper
3.1.1).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from ivcore import rng, weights
from ivcore.encoders.videomae import MaskedAutoencoder
from ivcore.errors import ParameterError, shown
from ivcore.losses.reconstruction import blank, picture, reconstruction, targets
from ivcore.masking import some_of, split
from ivcore.train import Batches, History, train
from ivcore.train.recipe import Recipe

DrawMask = Callable[[int, tuple, torch.Generator], Tensor]  # (clips, grid, generator) -> bool (clips, N), True = hidden


def autoencoder(start: Path | str | None, size: str, *, frames: int, image: int, **shape) -> MaskedAutoencoder:
    """A masked autoencoder for clips of `frames` frames of `image` pixels: the one at `start` with interpolated
    positions, or one with random weights.

    start: a run's folder, a checkpoint or a name, as in `weights.load`; it keeps its own size. size and shape (patch,
    decoder_depth) are for a new model. ParameterError if `start` has no decoder.
    """
    if start is None:
        return MaskedAutoencoder(size, frames=frames, image=image, **shape)
    model = weights.load(start, {"num_frames": frames, "img_size": image})
    if not isinstance(model, MaskedAutoencoder):
        raise ParameterError(
            f"masked_encoder = {shown(str(start))}: has no decoder, must be a masked autoencoder with its own"
        )
    return model


def masked_loss(draw_mask: DrawMask, normalise: bool = True, predicted: float = 1.0) -> Callable:
    """loss(model, batch, generator) for `train`: the mean squared error on the hidden tubelets of a MaskedAutoencoder.

    Masks come from the run's own generator, so a resumed run draws the same. normalise: predict pixels normalised in
    each tubelet. predicted: share of the hidden tubelets that the decoder predicts, drawn anew for each clip; below 1
    it is VideoMAE v2's decoder masking with random cells (arXiv 2303.16727), which saves most of the decoder's time.
    With repeated sampling every crop gets its own mask.
    """

    def loss(model, batch, generator):
        video = model.prepare(batch["video"].reshape(-1, *batch["video"].shape[-4:]))
        mask = rng.rows(lambda count: draw_mask(count, model.encoder.grid, generator), len(video), generator)
        visible, hidden = split(mask)
        if predicted < 1:
            hidden = some_of(hidden, predicted, generator)
        visible, hidden = visible.to(video.device), hidden.to(video.device)
        target = targets(video, hidden, model.size.patch, normalise=normalise)
        return reconstruction(model.predict(video, visible, hidden), target), {}

    return loss


@torch.inference_mode()
def reconstruct(model: nn.Module, clips: Tensor, mask: Tensor, normalised: bool = True) -> tuple[Tensor, Tensor]:
    """Reconstructs clips uint8 (B, T, H, W, 3) with mask bool (B, N), True = hidden -> the visible part and the
    reconstruction, both uint8 (B, T, H, W, 3).

    normalised: the model predicts normalised pixels; mean and deviation of a hidden tubelet are then taken from the
    true pixels.
    """
    video, patch = model.prepare(clips.to(next(model.parameters()).device)), model.size.patch
    visible, hidden = (tokens.to(video.device) for tokens in split(mask))
    predictions = model.predict(video, visible, hidden)
    rows = blank(video, hidden, patch), picture(predictions, video, hidden, patch, normalised=normalised)
    return tuple(row.permute(0, 2, 3, 4, 1).mul(255).byte().cpu() for row in rows)


def pretrain(
    model: nn.Module, draw_mask: DrawMask, batches: Batches, recipe: Recipe, folder: Path, predicted: float = 1.0
) -> History:
    """Trains a MaskedAutoencoder in place with `masked_loss`, or loads the finished training in `folder`. predicted: as
    in `masked_loss`.

    A study has one folder for each cell; a stopped study resumes in the cell where it stopped. Errors are those of
    `train`.
    """
    return train(model, masked_loss(draw_mask, predicted=predicted), batches, recipe, folder, label=folder.name)
