"""Multimodal models by size and around a CLIP."""

import pytest
import torch

from ivcore.encoders.build import caption_decoder, size_of, video_text_model
from ivcore.encoders.clip import Clip, ImageEncoder, TextEncoder
from ivcore.encoders.sizes import video_text_size
from ivcore.errors import ParameterError


@pytest.mark.parametrize("name, count, mask", [("base", 178_066_433, 512), ("large", 478_127_105, 768)])
def test_published_sizes_have_their_parameter_counts(name, count, mask):
    """The published ones also have an embedding for masked words."""
    with torch.device("meta"):
        model = video_text_model(video_text_size(name))
    assert sum(p.numel() for p in model.parameters()) + mask == count


def test_around_a_clip_the_model_starts_as_that_clip():
    torch.manual_seed(0)
    clip = Clip(ImageEncoder(24, 32, 3, 2, 8, 16), TextEncoder(24, 32, 2, 2, 8, 99)).eval()
    model = video_text_model(size_of(clip, global_layers=2), clip).eval()
    image, ids = torch.randn(2, 3, 16, 16), torch.tensor([[97, 5, 98], [97, 98, 0]])
    still = image[:, :, None].expand(-1, -1, 4, -1, -1)
    assert torch.allclose(model.encode_video(still), clip.encode_image(image), atol=1e-3)
    assert torch.equal(model.encode_text(ids), clip.encode_text(ids))
    assert model.visual.transformer.global_layers == (1, 2)


def test_afresh_the_order_of_frames_counts_from_the_start_and_without_global_blocks_never():
    torch.manual_seed(0)
    video = torch.randn(2, 3, 4, 32, 32)
    for layers in (0, 2):
        size = video_text_size("tiny", vocabulary=99, global_layers=layers)
        model = video_text_model(size).eval()
        forwards, backwards = model.encode_video(video), model.encode_video(video.flip(2))
        assert torch.allclose(forwards, backwards, atol=1e-4) == (layers == 0)
        assert len(model.config["return_list"]) == layers


@pytest.mark.parametrize("kind, count", [("plain", 3), ("published", 2), ("none", 0)])
def test_caption_decoders_by_kind(kind, count):
    size = video_text_size("tiny", vocabulary=99)
    decoder = caption_decoder(kind, size, 64, count)
    if kind == "none":
        assert decoder is None
        return
    model = video_text_model(size, decoder=decoder)
    logits = model.caption_logits(torch.randn(2, 3, 1, 32, 32), torch.tensor([[97, 5, 98], [97, 98, 0]]))
    assert logits.shape == (2, 2, 99)


def test_wrong_sizes_are_named():
    with pytest.raises(ParameterError, match="model size: 'huge' is not one of tiny, mini, base, large"):
        video_text_size("huge")
    with pytest.raises(ParameterError, match=r"global_layers=4: must be in \[0, 3\]"):
        video_text_model(video_text_size("tiny", global_layers=4))
    with pytest.raises(ParameterError, match="caption decoder: 'lstm' is not one of"):
        caption_decoder("lstm", video_text_size("tiny"))
