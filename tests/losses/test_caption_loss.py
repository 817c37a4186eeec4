"""The caption loss: published numbers, what counts as a word, precision and memory."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from ivcore.losses import captioning as module
from ivcore.losses.captioning import captioning, word_accuracy, word_losses, words

IDS = torch.tensor([[8, 3, 4, 9, 0, 0], [8, 9, 0, 0, 0, 0], [8, 1, 1, 1, 1, 9]])


def scores(*shape, dtype=torch.float64, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype).requires_grad_()


def test_equals_the_published_loss(golden, close):
    g = golden("cotrain_losses")
    ids = g.inputs["text"].long()
    assert torch.equal(words(ids), ~g.inputs["special_tokens_mask"][:, 1:])
    close(captioning(g.outputs["cap_logits"], ids), g.outputs["cap_loss"], 1e-6)


def test_the_end_is_predicted_and_padding_is_not():
    logits = scores(3, 5, 10)
    captioning(logits, IDS).backward()
    counted = torch.tensor([[1, 1, 1, 0, 0], [1, 0, 0, 0, 0], [1, 1, 1, 1, 1]]).bool()
    assert torch.equal(words(IDS), counted)
    assert torch.equal(logits.grad.abs().sum(-1) > 0, counted)


@settings(max_examples=30)
@given(st.integers(1, 7), st.integers(1, 12), st.sampled_from([0.0, 0.1, 0.9]), st.integers(0, 99))
def test_each_word_costs_its_cross_entropy(count, vocabulary, smoothing, seed):
    logits = scores(count, vocabulary, seed=seed)
    labels = torch.randint(0, vocabulary, (count,), generator=torch.Generator().manual_seed(seed))
    ours = word_losses(logits, labels, smoothing)
    theirs = F.cross_entropy(logits, labels, reduction="none", label_smoothing=smoothing)
    slope = torch.linspace(-1, 2, count, dtype=torch.float64)
    gradients = (torch.autograd.grad((each * slope).sum(), logits)[0] for each in (ours, theirs))
    assert torch.allclose(ours, theirs) and torch.allclose(*gradients)


def test_many_words_are_scored_some_at_a_time(monkeypatch):
    logits, labels = scores(3, 5, 10), IDS[:, 1:]
    whole = word_losses(logits, labels, 0.1)
    slope = torch.autograd.grad(whole.square().sum(), logits)[0]
    monkeypatch.setattr(module, "_ROWS", 4)
    parts = word_losses(logits, labels, 0.1)
    assert torch.equal(whole, parts)
    assert torch.allclose(torch.autograd.grad(parts.square().sum(), logits)[0], slope)


def test_half_precision_scores_are_summed_in_float32_and_never_copied_whole():
    logits = (20 * scores(3, 5, 1000, dtype=torch.float32)).detach().bfloat16().requires_grad_()
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x) or x, lambda x: x):
        loss = captioning(logits, IDS)
    assert sum(x.nbytes for x in kept) < 1.1 * logits.nbytes
    loss.backward()
    exact = logits.detach().double().requires_grad_()
    expected = captioning(exact, IDS)
    expected.backward()
    assert loss.dtype == torch.float32 and logits.grad.dtype == torch.bfloat16
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    assert (logits.grad.double() - exact.grad).abs().max() < 0.004 * exact.grad.abs().max()


def test_a_given_count_makes_pieces_add_up():
    logits = scores(3, 5, 10)
    pieces = [captioning(x, ids, 0.1, torch.tensor(9)) for x, ids in ((logits[:1], IDS[:1]), (logits[1:], IDS[1:]))]
    assert torch.allclose(sum(pieces), captioning(logits, IDS, 0.1))
    hits = [word_accuracy(x, i, torch.tensor(9)) for x, i in ((logits[:1], IDS[:1]), (logits[1:], IDS[1:]))]
    assert torch.allclose(sum(hits), word_accuracy(logits, IDS))


def test_accuracy_counts_words():
    logits = F.one_hot(IDS[:, 1:], 10).double()
    assert word_accuracy(logits, IDS) == 1
    logits[0, 0] = logits[2, 4] = 0  # two of nine; the argmax of zeros is 0
    logits[1, 3] = F.one_hot(torch.tensor(5), 10)  # padding
    assert word_accuracy(logits, IDS).item() == pytest.approx(7 / 9)
