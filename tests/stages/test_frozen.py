"""What frozen features tell: everything where the class is in them, and never by changing the encoder."""

import numpy as np
import pytest
import torch
from torch import nn

from ivcore.data.memory import DecodedVideo
from ivcore.data.views import Views
from ivcore.errors import UserError
from ivcore.stages import frozen


def plain(colours, labels):
    """Videos of one colour each: uint8 (4, 16, 16, 3)."""
    films = (np.broadcast_to(np.uint8(colour), (4, 16, 16, 3)) for colour in colours)
    return [DecodedVideo("", film, label) for film, label in zip(films, labels)]


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
    known = Views(plain(colours, labels), **views)
    asked = Views(plain(colours, [1 - label for label in labels] if swapped else labels), **views)
    found = frozen.frozen_scores(Colour(), known, asked, [(0, 1)])
    assert found["probe"] == found["order"] == (0 if swapped else 1)
    assert set(frozen.frozen_scores(Colour(), known, asked)) == {"knn", "probe"}


def test_labels_that_are_all_the_same_tell_nothing():
    views = Views(plain([[0, 0, 0], [9, 9, 9]], [3, 3]), num_frames=2, stride=1, size=16)
    assert frozen.what_features_tell(Colour(), views, views) == {}
    with pytest.raises(UserError, match="fewer than two classes"):
        frozen.frozen_scores(Colour(), views, views)
