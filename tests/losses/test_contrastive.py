"""The contrastive loss: published numbers, the chunked form, repeated captions. Several ranks: tests/test_distributed.py."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from ivcore.losses.contrastive import clamp_, contrastive, retrieval_accuracy


def pairs(size, width=6, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(size, width, generator=generator, dtype=dtype).requires_grad_() for _ in range(2)]


def with_gradients(size, seed=0, **options):
    videos, texts = pairs(size, seed=seed)
    scale = torch.tensor(1.7, dtype=torch.float64, requires_grad=True)
    loss = contrastive(videos, texts, scale, **options)
    return [loss, *torch.autograd.grad(loss, (videos, texts, scale))]


def test_equals_the_published_loss(golden, close):
    g = golden("cotrain_losses")
    scale = g.weights["clip.logit_scale"]
    for chunk in (None, 2):
        loss = contrastive(g.outputs["video_feats"], g.outputs["text_feats"], scale, chunk=chunk)
        close(loss, g.outputs["contrastive_loss"], 1e-6)


def test_is_the_mean_of_two_cross_entropies():
    videos, texts = pairs(5)
    logits = 7 * F.normalize(videos, dim=1) @ F.normalize(texts, dim=1).T
    expected = (F.cross_entropy(logits, torch.arange(5)) + F.cross_entropy(logits.T, torch.arange(5))) / 2
    assert torch.allclose(contrastive(videos, texts, torch.tensor(7.0).double().log()), expected)


@settings(max_examples=40)
@given(st.integers(1, 9), st.integers(1, 10), st.integers(0, 99), st.booleans())
def test_the_chunked_form_is_the_same_with_its_gradients(size, chunk, seed, repeated):
    same = torch.randint(0, 4, (size,), generator=torch.Generator().manual_seed(seed)) if repeated else None
    plain = with_gradients(size, seed, positive_ids=same)
    for one, other in zip(plain, with_gradients(size, seed, positive_ids=same, chunk=chunk), strict=True):
        assert torch.allclose(one, other, rtol=1e-9, atol=1e-12)


def test_the_chunked_form_keeps_no_scores():
    def kept(chunk, size):
        videos, texts = pairs(size)
        bytes_ = []
        with torch.autograd.graph.saved_tensors_hooks(lambda x: bytes_.append(x.nbytes), lambda x: x):
            contrastive(videos, texts, torch.zeros(()).double(), chunk=chunk)
        return sum(bytes_)

    assert kept(8, 512) < 2.1 * kept(8, 256)
    assert kept(None, 512) > 3.5 * kept(None, 256) > 20 * kept(8, 256)


def test_repeated_captions_share_the_target():
    """UniCL's formula, written out."""
    videos, texts = pairs(4)
    same = torch.tensor([7, 2, 7, 3])
    logits = F.normalize(videos, dim=1) @ F.normalize(texts, dim=1).T

    def one_way(scores):
        logs = scores.log_softmax(1)
        return -((logs[0, 0] + logs[0, 2]) / 2 + logs[1, 1] + (logs[2, 0] + logs[2, 2]) / 2 + logs[3, 3]) / 4

    expected = (one_way(logits) + one_way(logits.T)) / 2
    assert torch.allclose(contrastive(videos, texts, torch.zeros(()).double(), same), expected)
    assert torch.allclose(
        contrastive(videos, texts, torch.zeros(()).double(), torch.arange(4)),
        contrastive(videos, texts, torch.zeros(()).double()),
    )


def test_half_precision_embeddings_are_scored_in_float32():
    videos, texts = (x.detach().bfloat16() for x in pairs(8))
    with torch.autocast("cpu", torch.bfloat16):
        loss = contrastive(videos, texts, torch.tensor(math.log(100.0)))
    expected = contrastive(videos.double(), texts.double(), torch.tensor(math.log(100.0)).double())
    assert loss.dtype == torch.float32
    assert torch.allclose(loss.double(), expected, rtol=1e-5)


def test_the_temperature_is_kept_between_a_hundredth_and_one():
    for given_, kept in ((9.0, math.log(100)), (-1.0, 0.0), (2.5, 2.5)):
        scale = torch.nn.Parameter(torch.tensor(given_))
        clamp_(scale)
        assert scale.item() == pytest.approx(kept) and scale.requires_grad


def test_accuracy_counts_right_answers_above_all_wrong_ones():
    texts = torch.eye(4)
    videos = texts[[0, 1, 3, 2]]
    assert [x.item() for x in retrieval_accuracy(videos, texts)] == [0.5, 0.5]
    same = torch.tensor([0, 1, 5, 5])
    for chunk in (None, 1, 3):
        assert [x.item() for x in retrieval_accuracy(videos, texts, same, chunk)] == [1.0, 1.0]
    collapsed = torch.ones(4, 4)
    assert [x.item() for x in retrieval_accuracy(collapsed, collapsed)] == [0.0, 0.0]
    one_way = torch.stack((texts[0], texts[0], texts[0]))  # all clips look like the first text
    to_video, to_text = retrieval_accuracy(one_way, texts[:3])
    assert (to_video.item(), to_text.item()) == (0.0, pytest.approx(1 / 3))
