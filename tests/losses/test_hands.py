"""Hands in batches that are moved and mirrored: places go where the pixels go."""

import torch

from ivcore.losses.hands import moved

SIZE = 20


def test_places_go_where_the_pixels_go_and_in_a_mirror_hands_change_sides():
    video = torch.zeros(1, 2, SIZE, SIZE, 3, dtype=torch.uint8)
    video[0, :, 8, 5], video[0, :, 12, 14] = 100, 200  # the left hand, and the right one
    places = torch.tensor([5.5 / SIZE, 8.5 / SIZE, 14.5 / SIZE, 12.5 / SIZE]).repeat(5)[None]
    sides, shifts = set(), set()
    for seed in range(12):
        seen, found, known = moved(video, places, torch.ones(1, 20), torch.Generator().manual_seed(seed))
        (down, right), (down_2, right_2) = (
            (seen[0, 1, :, :, 0] == value).nonzero()[0].tolist() for value in (100, 200)
        )
        hands = [[(right + 0.5) / SIZE, (down + 0.5) / SIZE], [(right_2 + 0.5) / SIZE, (down_2 + 0.5) / SIZE]]
        mirrored = right > right_2
        wanted = torch.tensor(hands[::-1] if mirrored else hands).flatten().repeat(5)
        assert torch.allclose(found[0], wanted, atol=1e-6) and known.all()
        sides.add(mirrored)
        shifts.add((down, right))
    assert sides == {True, False} and len(shifts) > 4


def test_a_hand_that_leaves_the_picture_counts_no_more():
    video, places = torch.zeros(1, 1, SIZE, SIZE, 3, dtype=torch.uint8), torch.full((1, 20), 0.99)
    counts = {
        int(moved(video, places, torch.ones(1, 20), torch.Generator().manual_seed(s))[2].sum()) for s in range(12)
    }
    assert counts == {0, 20}
    unknown = moved(video, places * 0, torch.zeros(1, 20), torch.Generator().manual_seed(0))[2]
    assert not unknown.any()
