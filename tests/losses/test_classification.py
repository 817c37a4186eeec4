"""What is mixed with what is settled by the batch: not by ranks, not by pieces, and never a video with itself."""

import pytest
import torch
from torch import nn

from ivcore.data.microbatch import micro_batches
from ivcore.errors import ParameterError
from ivcore.losses.classification import classification


class Linear(nn.Module):
    """Remembers what it was shown."""

    def __init__(self, classes):
        super().__init__()
        self.layer, self.seen = nn.Linear(3, classes), []

    def prepare(self, video):
        return video.float().permute(0, 4, 1, 2, 3)

    def forward(self, video):
        self.seen.append(video.detach().clone())
        return self.layer(video.mean((2, 3, 4)) / 255)


def batch_of(clips, repeats=1):
    generator = torch.Generator().manual_seed(0)
    shape = (clips, 2, 4, 4, 3) if repeats == 1 else (clips, repeats, 2, 4, 4, 3)
    video = torch.arange(clips).view(-1, *[1] * (len(shape) - 1)).expand(shape).contiguous().to(torch.uint8)
    draw = torch.randint(2**31, (clips,), generator=generator)
    return {"video": video, "label": torch.arange(clips), "draw": draw}


def share_of(batch, rank, world):
    part = len(batch["label"]) // world
    return {name: value[rank * part : (rank + 1) * part] for name, value in batch.items()}


def gradient_and_clips(batch, world, accumulate, clips):
    torch.manual_seed(0)
    model = Linear(clips)
    for rank in range(world):
        for piece, share in micro_batches(share_of(batch, rank, world), accumulate):
            loss, _ = classification(model, piece, num_classes=clips, mixup=0.8, cutmix=1.0, label_smoothing=0.1)
            (loss * share / world).backward()
    return model.layer.weight.grad, torch.cat(model.seen)


@pytest.mark.parametrize("repeats", [1, 2])
@pytest.mark.parametrize(("world", "accumulate"), [(1, 16), (2, 2), (4, 32), (8, 1), (16, 32)])
def test_ranks_and_pieces_change_nothing(world, accumulate, repeats):
    clips = 32
    whole, shown = gradient_and_clips(batch_of(clips, repeats), 1, 1, clips)
    other, again = gradient_and_clips(batch_of(clips, repeats), world, accumulate, clips)
    assert torch.equal(shown, again)  # mixed alike, to the bit
    torch.testing.assert_close(whole, other)


def test_no_video_is_mixed_with_itself():
    model = Linear(64)
    classification(model, batch_of(64, repeats=2), num_classes=64, mixup=0.8, cutmix=0.0)
    shown = model.seen[0][:, 0, 0, 0, 0].view(32, 4)  # pairs of videos, two samples of each
    own = torch.arange(64).repeat_interleave(2).view(32, 4)
    assert ((shown - own).abs() > 1e-3).float().mean() > 0.9  # a draw may leave a clip nearly as it is
    assert ((shown - own).abs() <= 1).all()  # its partner is the video beside it


def test_each_pair_has_a_draw_of_its_own():
    model = Linear(64)
    classification(model, batch_of(64), num_classes=64, mixup=0.8)
    shares = (model.seen[0][::2, 0, 0, 0, 0] - torch.arange(0, 64, 2)).abs()
    assert len(shares.unique()) > 20


def test_an_odd_part_is_refused():
    with pytest.raises(ParameterError, match="a rank has 1 videos of a batch, but they are mixed two by two"):
        classification(Linear(4), share_of(batch_of(4), 0, 4), num_classes=4, mixup=0.8)


def test_without_mixing_it_is_smoothed_cross_entropy():
    model, batch = Linear(4), batch_of(4, repeats=2)
    loss, _ = classification(model, batch, num_classes=4, label_smoothing=0.1)
    logits = model.layer(model.seen[0].mean((2, 3, 4)) / 255)
    labels = batch["label"].repeat_interleave(2)
    torch.testing.assert_close(loss, nn.functional.cross_entropy(logits, labels, label_smoothing=0.1))
