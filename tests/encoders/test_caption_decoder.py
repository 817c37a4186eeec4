"""Both caption decoders, and the three ways to write with them."""

import pytest
import torch
import torch.nn.functional as F

from ivcore.encoders.caption_decoder import CaptionDecoder, PlainCaptionDecoder, flat_video_tokens
from ivcore.encoders.clip import TextEncoder
from ivcore.encoders.generate import beam, draw, greedy, nucleus
from ivcore.encoders.uniformerv2 import UniFormerV2
from ivcore.encoders.video_text import VideoTextModel
from ivcore.errors import ParameterError

VOCABULARY = 11
DECODERS = {
    "published": lambda: CaptionDecoder(24, 32, layers=2, heads=2, vocabulary=VOCABULARY, visual_queries=5),
    "paper": lambda: PlainCaptionDecoder(24, 32, 16, layers=2, heads=2, vocabulary=VOCABULARY),
}


class Words:
    start, end = VOCABULARY - 2, VOCABULARY - 1


@pytest.fixture(params=sorted(DECODERS))
def decoder(request):
    torch.manual_seed(0)
    return _scattered(DECODERS[request.param]().eval())


def _scattered(module):
    """Weights large enough for words to be told apart."""
    for parameter in module.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.4)
    return module


@pytest.fixture()
def model(decoder):
    torch.manual_seed(1)
    visual = UniFormerV2(32, 2, 2, 8, 24, 0, (1,))
    text = TextEncoder(16, 24, 2, 2, context=9, vocabulary=VOCABULARY)
    return _scattered(VideoTextModel(visual, text, 16, decoder)).eval()


@pytest.fixture()
def video():
    return torch.randn(3, 3, 2, 24, 24, generator=torch.Generator().manual_seed(0))


def test_words_do_not_see_later_words(decoder):
    text, clip = torch.randn(2, 8, 24), torch.randn(2, 20, 32)
    changed = text.clone()
    changed[:, 5:] = 0
    assert torch.equal(decoder(text, clip)[:, :5], decoder(changed, clip)[:, :5])
    assert not torch.allclose(decoder(text, clip)[:, 5:], decoder(changed, clip)[:, 5:])


def test_word_by_word_with_a_cache_is_the_same(decoder):
    text, clip = torch.randn(2, 8, 24), torch.randn(2, 20, 32)
    cache = decoder.new_cache(clip, 2)
    steps = torch.stack([decoder.step(text[:, i : i + 1], cache) for i in range(8)], dim=1)
    assert torch.allclose(steps, decoder(text, clip), atol=1e-4)


def test_order_of_clip_tokens_does_not_matter_and_both_layouts_are_read(decoder):
    text, published = torch.randn(2, 4, 24), torch.randn(10, 2, 3, 32)  # (1+hw, B, T, C)
    ours = published.permute(1, 2, 0, 3).flatten(1, 2)
    assert torch.allclose(decoder(text, published), decoder(text, ours), atol=1e-4)
    with pytest.raises(ParameterError, match=r"expected \(B, M, C\)"):
        flat_video_tokens(torch.zeros(3, 5, 32), 2)


def test_attention_by_name(decoder):
    _, seen = decoder(torch.randn(2, 4, 24), torch.randn(2, 20, 32), return_intermediates=("video_attention",))
    assert len(seen["video_attention"]) == 2
    assert torch.allclose(seen["video_attention"][0].sum(-1), torch.ones(()), atol=1e-5)


def test_published_sizes():
    with torch.device("meta"):
        counts = [sum(p.numel() for p in CaptionDecoder(768, 1024, layers, 12).parameters()) for layers in (4, 6)]
        paper = PlainCaptionDecoder()
    assert counts == [106_953_472, 140_379_904]
    assert len(paper.layers) == 6 and paper.predictor[0].in_features == 768


def log_probability(model, video, ids):
    """Scores of whole captions (B, L), in one pass."""
    scores = model.caption_logits(video, ids).log_softmax(-1).gather(2, ids[:, 1:, None])[..., 0]
    written = (ids[:, :-1] != Words.end).cumprod(1).bool()
    return (scores * written).sum(1), written.sum(1) + 1


def test_greedy_takes_the_likeliest_word_each_time(model, video):
    ids = greedy(model, video, Words, length=7)
    best = model.caption_logits(video, F.pad(ids, (0, 1)))[:, : ids.shape[1] - 1].argmax(-1)
    for row, likeliest in zip(ids, best, strict=True):
        assert row[0] == Words.start and (row == Words.end).sum() == 1
        end = int((row == Words.end).nonzero()[0])
        assert torch.equal(row[1:end], likeliest[: end - 1]) and not row[end + 1 :].any()


def test_one_beam_is_greedy(model, video):
    assert torch.equal(beam(model, video, Words, length=7, beams=1), greedy(model, video, Words, length=7))


def test_enough_beams_find_the_best_caption_of_all(model, video):
    """Two words and an end: 11 * 11 continuations can all be scored."""
    everything = torch.cartesian_prod(torch.arange(VOCABULARY), torch.arange(VOCABULARY))
    everything = everything[(everything[:, 0] != Words.end) | (everything[:, 1] == 0)]
    ids = F.pad(everything, (1, 0), value=Words.start)
    for clip, found in zip(
        video, beam(model, video, Words, length=3, beams=VOCABULARY, length_penalty=0.0), strict=True
    ):
        scores, _ = log_probability(model, clip[None].expand(len(ids), -1, -1, -1, -1), ids)
        best = ids[scores.argmax()]
        assert found[1] == best[1] or scores.topk(2).values.diff().abs() < 1e-5


def test_a_length_penalty_prefers_longer_captions(model, video):
    def ends(penalty):
        ids = beam(model, video, Words, beams=30, length_penalty=penalty)
        return (ids == Words.end).nonzero()[:, 1]

    assert (ends(3.0) >= ends(0.0)).all() and (ends(3.0) > ends(0.0)).any()


def test_nucleus_repeats_with_its_generator_and_narrows_to_greedy(model, video):
    drawn = [nucleus(model, video, Words, 7, generator=torch.Generator().manual_seed(3)) for _ in range(2)]
    assert torch.equal(*drawn)
    assert torch.equal(nucleus(model, video, Words, 7, top_p=1e-6), greedy(model, video, Words, 7))


def test_nucleus_draws_only_from_the_smallest_set():
    logits = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log().expand(4000, -1)
    drawn = draw(logits, 0.7, torch.Generator().manual_seed(0))
    assert set(drawn.tolist()) == {0, 1}
    assert abs(float((drawn == 0).float().mean()) - 0.5 / 0.8) < 0.04  # five standard deviations


def test_errors_name_the_field(model, video):
    with pytest.raises(ParameterError, match=r"length 10 is not in 2\.\.9"):
        greedy(model, video, Words, length=10)
    with pytest.raises(ParameterError, match=r"top_p must be in \(0, 1\]"):
        nucleus(model, video, Words, top_p=0)
    model.caption_decoder = None
    with pytest.raises(ParameterError, match="no caption decoder"):
        greedy(model, video, Words)
