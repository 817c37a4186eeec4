"""Matching: which pairs are shown, and what is learnt from them."""

import small_video_text as small
import torch

from ivcore.losses.matching import hard_negatives
from ivcore.losses.video_text import VideoTextLoss, add_heads


def test_negatives_are_wrong_and_the_closest_come_most_often():
    texts = torch.eye(4, 6)
    videos = texts.clone()
    videos[0, 1] = 0.9  # the first clip is close to the second text as well
    counts = torch.zeros(4, 4)
    generator = torch.Generator().manual_seed(0)
    for _ in range(300):
        drawn = hard_negatives(videos, texts, torch.tensor(1.0), generator=generator)
        counts[torch.arange(4), drawn.texts] += 1
        assert drawn.has_text.all() and drawn.has_clip.all()
        assert (drawn.clips != torch.arange(4)).all()
    assert (counts.diagonal() == 0).all()
    chances = (torch.e * torch.nn.functional.normalize(videos, dim=1) @ texts.T)[0, 1:].softmax(0)
    assert (counts[0, 1:] / 300 - chances).abs().max() < 0.15
    assert chances[0] > 2 * chances[1]


def test_where_all_say_the_same_there_is_no_negative():
    drawn = hard_negatives(*torch.randn(2, 3, 4), torch.zeros(()), torch.tensor([1, 1, 1]))
    assert not drawn.has_text.any() and not drawn.has_clip.any()
    drawn = hard_negatives(*torch.randn(2, 3, 4), torch.zeros(()), torch.tensor([1, 1, 2]))
    assert drawn.texts[:2].tolist() == [2, 2]


def test_it_is_learnt():
    """Eight pairs: after some steps right and wrong pairs are told apart, by the matching term alone."""
    loss = VideoTextLoss(contrastive=0, captioning=0, matching=1)
    model, batch = add_heads(small.model(dtype=torch.float32), loss), small.batch(8)
    del batch["same"]
    optimizer = torch.optim.AdamW(model.parameters(), 5e-3)
    generator, seen = torch.Generator().manual_seed(0), []
    for _ in range(60):
        value, numbers = loss(model, batch, generator)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        seen.append(float(numbers["matching_accuracy"]))
    assert sum(seen[-10:]) / 10 > 0.9  # "never" alone is right for two in three pairs
