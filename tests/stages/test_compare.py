"""A difference in words: seeds are spoken of where there are several."""

import torch

from ivcore.stages.compare import difference_in_words


def test_seeds_are_named_only_where_there_are_several():
    hits = {"a": torch.tensor([True, True, True, False]), "b": torch.tensor([True, False, False, True])}
    one = difference_in_words("a", "b", hits, torch.arange(4), {"top1_a": [0.75], "top1_b": [0.5]})
    assert one.startswith("a against b: +25.0 ± ") and "seed" not in one
    assert "better on 2 scenes, worse on 1" in one and "may be chance" in one
    several = difference_in_words("a", "b", hits, torch.arange(4), {"top1_a": [0.75, 0.5], "top1_b": [0.5, 0.5]})
    assert "+12.5 points over 2 seeds, ahead in 1; in this run +25.0" in several
