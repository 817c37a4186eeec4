"""Cells of an ablation: read back when finished, measured without being changed, and averaged over seeds alone."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from ivcore import masking, rng
from ivcore.data.sources import FromMemory
from ivcore.data.views import Views
from ivcore.encoders.videomae import MaskedAutoencoder
from ivcore.stages import masked as ablation
from ivcore.train import Batches
from ivcore.train.recipe import Recipe

SIZE = {
    "width": 32,
    "depth": 1,
    "heads": 1,
    "decoder_width": 16,
    "decoder_depth": 1,
    "frames": 4,
    "image": 16,
}


def columns(colours, labels):
    """Clips of one colour each: uint8 (N, 4, 16, 16, 3)."""
    video = torch.tensor(colours, dtype=torch.uint8)[:, None, None, None].expand(-1, 4, 16, 16, 3)
    return {"video": video.numpy(), "label": torch.tensor(labels).numpy(), "path": [""] * len(labels)}


def cell(folder, steps=3):
    rng.seed_all(0)
    model = MaskedAutoencoder("tiny", **SIZE)
    drawn = []

    def draw(count, grid, generator):
        drawn.append((count, grid))
        return masking.tube(count, grid, 0.5, generator)

    noise = torch.randint(
        256, (8, 4, 16, 16, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    data = columns([[0, 0, 0]] * 8, [0] * 8) | {"video": noise.numpy()}
    source = FromMemory(data, num_frames=4, stride=1, size=16, seed=0, scales=[1.0])
    history = ablation.pretrain(
        model, draw, Batches(source, 4, 0), Recipe(batch_size=4, lr=1e-2, steps=steps), folder
    )
    return model, history, drawn


def test_a_finished_cell_is_read_back(tmp_path):
    model, _, drawn = cell(tmp_path / "a")
    again, history, not_drawn = cell(tmp_path / "a")
    assert drawn == [(4, (2, 2, 2))] * 3 and not not_drawn and history.resumed_from == 3
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), again.state_dict().values()))
    fresh = MaskedAutoencoder("tiny", **SIZE)
    assert not torch.equal(fresh.encoder.blocks[0].mlp.fc1.weight, model.encoder.blocks[0].mlp.fc1.weight)


class Colour(nn.Module):
    """An encoder whose tokens are the clip's colour."""

    def __init__(self):
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def prepare(self, clips):
        return clips.float().permute(0, 4, 1, 2, 3)

    def forward(self, video):
        return video.flatten(2).transpose(1, 2)


@pytest.mark.parametrize("swapped", [False, True])
def test_scores_of_features_that_tell_everything(swapped):
    colours = [[200, 10 * i, 0] if i % 2 else [20, 10 * i, 90] for i in range(16)]
    labels = [i % 2 for i in range(16)]
    views = {"num_frames": 2, "stride": 1, "size": 16}
    known = Views(columns(colours, labels), **views)
    asked = Views(columns(colours, [1 - label for label in labels] if swapped else labels), **views)
    found = ablation.frozen_scores(Colour(), known, asked, [(0, 1)])
    assert found["probe"] == found["order"] == (0 if swapped else 1)
    assert set(ablation.frozen_scores(Colour(), known, asked)) == {"knn", "probe"}


def test_only_the_seed_may_differ(monkeypatch):
    row = lambda metrics, **params: SimpleNamespace(metrics=metrics, params=params)  # noqa: E731
    rows = [
        row({"probe": 2.0}, seed=1, steps=9),
        row({"probe": 3.0}, seed=2, steps=8),  # another length
        row({"probe": 4.0}, seed=0, steps=9),  # this run, done before
        row({"knn": 5.0}, seed=3, steps=9),  # did not measure it
    ]
    monkeypatch.setattr(ablation.board, "rows", lambda reference: rows if reference == "20_x" else [])
    run = SimpleNamespace(notebook="20_x", params={"seed": 0, "steps": 9, "run_dir": ""})
    assert ablation.over_seeds(run, {"probe": 1.0}) == {"probe": [1.0, 2.0]}
