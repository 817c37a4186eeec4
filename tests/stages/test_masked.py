"""Masked pretraining as a stage: a cell of a study is read back when finished, and a reconstruction keeps what was seen."""

import pytest
import torch

from ivcore import masking, rng
from ivcore.data.memory import DecodedVideo
from ivcore.data.sources import training_clips
from ivcore.encoders.videomae import MaskedAutoencoder
from ivcore.errors import ParameterError
from ivcore.stages import masked as masked_stage
from ivcore.train import Batches, save_weights
from ivcore.train.recipe import Recipe

SIZE = {"width": 32, "depth": 1, "heads": 1, "decoder_width": 16, "decoder_depth": 1, "frames": 4, "image": 16}


def cell(folder, steps=3, **how):
    rng.seed_all(0)
    model = MaskedAutoencoder("tiny", **SIZE)
    drawn = []

    def draw(count, grid, generator):
        drawn.append((count, grid))
        return masking.tube(count, grid, 0.5, generator)

    noise = torch.randint(256, (8, 4, 16, 16, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    records = [DecodedVideo("", video) for video in noise.numpy()]
    source = training_clips(records, num_frames=4, stride=1, size=16, seed=0, scales=[1.0])
    history = masked_stage.pretrain(
        model, draw, Batches(source, 4, 0), Recipe(batch_size=4, lr=1e-2, steps=steps), folder, **how
    )
    return model, history, drawn


def test_training_goes_on_with_an_autoencoder_that_is_there(tmp_path):
    """Its weights and its size; its positions are interpolated to the clips that are asked for."""
    before = MaskedAutoencoder("tiny", frames=8, image=16, patch=8, width=32, heads=1)
    save_weights(before, tmp_path / "model.safetensors", before.config)
    shape = {"frames": 4, "image": 32, "patch": 4, "decoder_depth": 1}
    model = masked_stage.autoencoder(tmp_path / "model.safetensors", "base", **shape)
    assert (model.size.width, model.size.patch, model.encoder.clip) == (32, 8, (4, 32, 32))
    assert torch.equal(model.decoder.blocks[0].attn.qkv.weight, before.decoder.blocks[0].attn.qkv.weight)
    assert masked_stage.autoencoder(None, "tiny", **shape).size.patch == 4
    fetched = masked_stage.autoencoder("ivcore/small-masked", "tiny", **shape)
    assert fetched.encoder.clip == (4, 32, 32)


def test_an_encoder_without_a_decoder_is_refused_in_one_line(tmp_path):
    alone = MaskedAutoencoder("tiny", frames=4, image=16).encoder
    save_weights(alone, tmp_path / "model.safetensors", alone.config)
    with pytest.raises(ParameterError, match=r"^masked_encoder = .*: has no decoder, must be .*$"):
        masked_stage.autoencoder(tmp_path / "model.safetensors", "tiny", frames=4, image=16)


def test_a_finished_cell_is_read_back(tmp_path):
    model, _, drawn = cell(tmp_path / "a")
    again, history, not_drawn = cell(tmp_path / "a")
    assert drawn == [(4, (2, 2, 2))] * 3 and not not_drawn and history.resumed_from == 3
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), again.state_dict().values()))
    fresh = MaskedAutoencoder("tiny", **SIZE)
    assert not torch.equal(fresh.encoder.blocks[0].mlp.fc1.weight, model.encoder.blocks[0].mlp.fc1.weight)


def test_a_cell_may_predict_a_share_of_what_is_hidden(tmp_path, monkeypatch):
    shares = []
    draw = masked_stage.some_of
    monkeypatch.setattr(
        masked_stage, "some_of", lambda hidden, share, g: shares.append(share) or draw(hidden, share, g)
    )
    whole, part = (cell(tmp_path / f"{share}", predicted=share)[1] for share in (1.0, 0.5))
    assert shares == [0.5] * 3 and whole.records[-1]["loss"] != part.records[-1]["loss"]


def test_a_crop_of_a_repeated_sample_has_a_mask_of_its_own():
    rng.seed_all(0)
    model, masks = MaskedAutoencoder("tiny", **SIZE), []

    def draw(count, grid, generator):
        masks.append(masking.tube(count, grid, 0.5, generator))
        return masks[-1]

    batch = {"video": torch.randint(256, (2, 3, 4, 16, 16, 3), dtype=torch.uint8)}
    value, _ = masked_stage.masked_loss(draw)(model, batch, torch.Generator().manual_seed(0))
    assert value.ndim == 0 and len(masks[0]) == 6 and len(masks[0].unique(dim=0)) > 1


def test_what_is_visible_comes_back_as_it_was():
    rng.seed_all(0)
    model, clip = MaskedAutoencoder("tiny", **SIZE), torch.full((1, 4, 16, 16, 3), 90, dtype=torch.uint8)
    mask = masking.tube(1, model.encoder.grid, 0.5)
    seen, rebuilt = masked_stage.reconstruct(model, clip, mask)
    assert seen.shape == rebuilt.shape == clip.shape and seen.dtype == torch.uint8
    visible = seen != 127
    assert 0 < visible.float().mean() < 1 and torch.equal(rebuilt[visible], seen[visible])
