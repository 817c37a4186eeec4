"""CLIP: equal to transformers' implementation with random weights; its tokenizer to OpenAI's."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ivcore import weights
from ivcore.encoders.tokenizer import Tokenizer
from ivcore.errors import ParameterError


@pytest.fixture(scope="module")
def theirs():
    from transformers import CLIPConfig, CLIPModel

    text = {
        "vocab_size": 60,
        "hidden_size": 64,
        "intermediate_size": 256,
        "num_hidden_layers": 2,
        "num_attention_heads": 1,
    }
    text |= {"max_position_embeddings": 12, "eos_token_id": 59}
    vision = {"hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 1}
    vision |= {"image_size": 24, "patch_size": 8}
    torch.manual_seed(0)
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=48)).eval()
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.2)
    return model


@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-4), (torch.bfloat16, 5e-2)])
def test_equals_transformers(theirs, close, dtype, tolerance):
    ours, reference = weights.from_official(theirs.state_dict()).to(dtype), theirs.to(dtype)
    images, ids = (torch.randn(3, 3, 24, 24, dtype=dtype), torch.tensor([[58, 4, 9, 59, 0, 0], [58, 7, 59, 0, 0, 0]]))
    with torch.no_grad():
        out = reference(pixel_values=images, input_ids=ids)
        close(
            torch.nn.functional.normalize(ours.encode_image(images), dim=-1).float(),
            out.image_embeds.float(),
            tolerance,
        )
        close(torch.nn.functional.normalize(ours.encode_text(ids), dim=-1).float(), out.text_embeds.float(), tolerance)
        close(ours(images, ids).float(), out.logits_per_image.float(), tolerance)
    theirs.float()


def test_tokenizer_equals_openais(golden):
    tokenizer = Tokenizer()
    cases = golden("clip_bpe.json")["cases"]
    assert len(cases) > 60
    for case in cases:
        assert tokenizer.encode(case["text"]) == case["encode"], case["text"]
        assert tokenizer.decode(case["encode"]) == case["decode"], case["text"]
        ids = tokenizer(case["text"])[0].tolist()
        assert ids == case["tokenize_truncate"] + [0] * (77 - len(case["tokenize_truncate"]))
        if case["raises_without_truncate"]:
            with pytest.raises(ParameterError, match="do not fit into 77"):
                tokenizer(case["text"], truncate=False)
        else:
            tokenizer(case["text"], truncate=False)


def test_a_caption_ends_at_the_end_token():
    tokenizer = Tokenizer(6)
    assert tokenizer.caption(tokenizer("A cat!")[0]) == "a cat !"


def test_text_is_causal(golden):
    g = golden("cotrain_losses")
    text = weights.from_official(g.weights, g.config).text
    ids = torch.randint(1, 58, (2, 12))
    other = ids.clone()
    other[:, 6:] = 3
    assert torch.equal(text.tokens(ids)[:, :6], text.tokens(other)[:, :6])
    cache = text.new_cache()
    steps = torch.cat([text.tokens(ids[:, i : i + 1], cache=cache) for i in range(12)], dim=1)
    assert torch.allclose(steps, text.tokens(ids), atol=1e-5)
    with pytest.raises(ParameterError, match=r"at most 12 tokens, got \(2, 1\) after 12"):
        text.tokens(ids[:, :1], cache=cache)


@given(st.lists(st.text(max_size=40), max_size=5), st.text(max_size=60))
@settings(max_examples=40)
def test_a_small_vocabulary_loses_no_text(texts, other):
    whole, small = Tokenizer(), Tokenizer.for_texts(texts)
    assert small.vocabulary <= 512 + 2 + sum(len(whole.encode(text)) for text in texts)
    for text in (*texts, other):
        assert small.decode(small.encode(text)) == whole.decode(whole.encode(text))
    for text in texts:  # known texts take no more pieces than before
        assert len(small.encode(text)) == len(whole.encode(text))


def test_a_small_vocabulary_keeps_the_conventions():
    small = Tokenizer.for_texts(["a red square slides to the left"], 16)
    ids = small(["a red square", "slides to the left", "an unheard of word"])
    assert small.vocabulary < 530 and ids.max() == small.end == small.vocabulary - 1
    padding = torch.arange(16) > ids.argmax(-1, keepdim=True)
    assert (ids[:, 0] == small.start).all() and not ids[padding].any()
    again = Tokenizer(**small.config)
    assert torch.equal(again(["a red square"]), ids[:1]) and small.caption(ids[0]) == "a red square"
