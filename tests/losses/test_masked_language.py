"""Hidden words: which, how many, and that nothing gives them away."""

import math

import small_video_text as small
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from ivcore.losses.masked_language import MaskedLanguageHead, hide, masked_language


def texts(counts, length, end=99):
    ids = torch.zeros(len(counts), length, dtype=torch.long)
    for row, count in zip(ids, counts, strict=True):
        row[: count + 2] = torch.tensor([98, *[5] * count, end])
    return ids


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.integers(0, 30), min_size=1, max_size=6), st.sampled_from([0.15, 0.5, 1.0]), st.integers(0, 9)
)
def test_a_share_of_the_words_is_hidden_and_nothing_else(counts, share, seed):
    ids = texts(counts, max(counts) + 2)
    hidden = hide(ids, share, torch.Generator().manual_seed(seed))
    mask = hidden.mask(ids)
    assert (ids[mask] == 5).all()
    expected = [min(count, max(1, round(count * share))) for count in counts]
    assert mask.sum(1).tolist() == hidden.valid.sum(1).tolist() == expected
    again = hide(ids, share, torch.Generator().manual_seed(seed))
    assert torch.equal(mask, again.mask(ids))
    joined = torch.cat([part.mask(row) for part, row in zip(hidden.split([1] * len(ids)), ids.split(1))])
    assert torch.equal(mask, joined)


def test_every_word_has_the_same_chance():
    ids = texts([20] * 3000, 25)
    frequency = hide(ids, 0.15, torch.Generator().manual_seed(0)).mask(ids)[:, 1:21].float().mean(0)
    assert (frequency - 0.15).abs().max() < 5 * math.sqrt(0.15 * 0.85 / 3000)


def test_the_hidden_words_themselves_are_not_seen_the_others_and_the_clip_are():
    model, batch = small.model(), small.batch(6)
    head = MaskedLanguageHead(8, 16, 2, small.VOCABULARY).double()
    ids, hidden = batch["ids"], hide(batch["ids"], 0.3, torch.Generator().manual_seed(2))
    mask = hidden.mask(ids)
    video = torch.randn(6, 7, 16).double()

    def logits(ids, video):
        return head(model.text.tokens(ids, mask), video, ids, hidden)

    plain = logits(ids, video)
    assert torch.equal(plain, logits(ids.masked_fill(mask, 3), video))
    is_word = (ids > 0) & (ids < small.END - 1) & ~mask
    changed = (plain != logits(torch.where(is_word, ids % 20 + 1, ids), video)).any(-1)
    assert changed.any(1)[is_word.any(1)].all()
    assert not torch.allclose(plain, logits(ids, video.flip(0)))
    padded = F.pad(ids[:, : int(ids.argmax(1).max()) + 1], (0, 0))  # cut after the longest text
    mask = hidden.mask(padded)
    assert torch.allclose(plain, logits(padded, video))


def test_the_loss_is_the_mean_over_hidden_words():
    ids = texts([4, 0, 12], 14)
    hidden = hide(ids, 0.15, torch.Generator().manual_seed(0))
    logits = torch.randn(3, hidden.places.shape[1], 100)
    each = [
        F.cross_entropy(logits[i, k], ids[i, hidden.places[i, k]]) for i, k in hidden.valid.nonzero().tolist()
    ]
    assert len(each) == 1 + 2
    assert torch.allclose(masked_language(logits, ids, hidden), sum(each) / 3)
    nothing = texts([0, 0], 2)
    none = hide(nothing, 0.15)
    assert masked_language(torch.randn(2, none.places.shape[1], 100), nothing, none) == 0
