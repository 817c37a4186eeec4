"""Points that are read off the tokens: where attention lies, and on from there."""

import pytest
import torch

from ivcore.encoders.uniformerv2 import UniFormerV2
from ivcore.encoders.videomae import VideoClassifier
from ivcore.heads.keypoints import KeypointRegressor


def masked():
    return VideoClassifier("tiny", 2, width=32, depth=1, heads=2, image=32, frames=4)


def multimodal():
    return UniFormerV2(32, 2, 2, 8, 32, 2, (0, 1))


@pytest.mark.parametrize("encoder", [masked, multimodal])
def test_a_point_begins_where_attention_lies(encoder):
    torch.manual_seed(0)
    model = KeypointRegressor(encoder(), 3).eval()
    torch.nn.init.zeros_(model.attention.weight)
    video = torch.rand(2, 3, 4, 32, 32)
    assert torch.allclose(model(video), torch.zeros(2, 6), atol=1e-6)  # everywhere alike: the middle
    kept = model.tokens

    def marked(video):
        tokens = kept(video) * 0
        tokens[:, :, 0, 3, 0] = 1.0  # the top row of cells, the last column
        return tokens

    model.tokens, model.norm = marked, torch.nn.Identity()
    torch.nn.init.constant_(model.attention.weight, 50.0)
    assert torch.allclose(model(video).unflatten(1, (3, 2)), torch.tensor([0.375, -0.375]).expand(2, 3, 2), atol=1e-4)
    with torch.no_grad():
        model.way[1, 0, 0] = 0.25
    assert torch.allclose(model(video)[:, 2], torch.full((2,), 0.625), atol=1e-4)


def test_it_learns_where_a_square_is_and_whereto_it_goes():
    torch.manual_seed(0)
    places = torch.rand(48, 2) * 0.5 - 0.25
    ways = torch.randint(0, 2, (48,)) * 2.0 - 1
    video = torch.zeros(48, 3, 4, 32, 32)
    for clip, (x, y), way in zip(video, places, ways):
        for t in range(4):
            left, top = int(32 * (x + 0.5 + way * 0.05 * (t - 3))) - 3, int(32 * (y + 0.5)) - 3
            clip[:, t, max(top, 0) : top + 7, max(left, 0) : left + 7] = 1
    target = torch.stack([places, places + torch.stack([0.15 * ways, 0 * ways], 1)], 1).flatten(1)
    model = KeypointRegressor(masked(), 2)
    optimiser = torch.optim.AdamW(model.parameters(), 3e-3)
    for _ in range(150):
        optimiser.zero_grad()
        loss = (model(video) - target).abs().mean()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.4 * target.abs().mean().item()
