"""Embeddings of a set of clips: in its order, of unit length, with frames shuffled on demand."""

import torch

from ivcore.data.batches import InMemory
from ivcore.encoders.build import video_text_model
from ivcore.encoders.sizes import video_text_size
from ivcore.encoders.tokenizer import Tokenizer
from ivcore.stages.embed import embed_clips, embed_texts, shuffle_frames


def test_clips_come_in_order_and_order_inside_them_can_be_destroyed():
    torch.manual_seed(0)
    model = video_text_model(video_text_size("tiny", vocabulary=99))
    video = torch.randint(0, 256, (7, 4, 32, 32, 3), dtype=torch.uint8)
    source = InMemory(video=video)
    whole, parts = embed_clips(model, source), embed_clips(model, source, batch_size=3)
    assert torch.allclose(whole, parts, atol=1e-5) and torch.allclose(whole.norm(dim=1), torch.ones(7))
    model.eval()
    with torch.no_grad():
        third = model.encode_video(model.prepare(video[3:4]))[0]
    assert torch.allclose(whole[3], third / third.norm(), atol=1e-5)
    shuffled = embed_clips(model, source, shuffled=1)
    assert torch.equal(shuffled, embed_clips(model, source, shuffled=1))
    assert not torch.allclose(shuffled, whole, atol=1e-3)


def test_shuffling_keeps_each_clips_frames():
    video = torch.arange(5 * 6).view(5, 6, 1, 1, 1)
    mixed = shuffle_frames(video, torch.Generator().manual_seed(0))
    assert torch.equal(mixed.flatten(1).sort(1).values, video.flatten(1))
    assert len({tuple((row - row.min()).tolist()) for row in mixed.flatten(1)}) > 2


def test_texts_are_embedded_in_pieces():
    tokenizer = Tokenizer.for_texts(["a red square", "a blue ring"], 8)
    model = video_text_model(video_text_size("tiny", vocabulary=tokenizer.vocabulary, context=8))
    texts = ["a red square", "a blue ring", "a red ring"]
    assert torch.allclose(embed_texts(model, texts, tokenizer, 2), embed_texts(model, texts, tokenizer), atol=1e-5)
