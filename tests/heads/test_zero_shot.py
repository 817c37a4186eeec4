"""Zero-shot classification: both ways to join templates, views, and what is refused."""

import pytest
import torch
import torch.nn.functional as F

from ivcore.encoders.clip import Clip, ImageEncoder, TextEncoder
from ivcore.encoders.uniformerv2 import UniFormerV2
from ivcore.encoders.video_text import VideoTextModel
from ivcore.errors import ParameterError
from ivcore.heads.zero_shot import TEMPLATES, ZeroShotClassifier, class_embeddings, in_templates

NAMES = ["slide left", "slide right", "grow"]
END = 49


def tokenizer(texts):
    """Letters as words: a text's ids (B, 40) end in the largest."""
    rows = [[1 + ord(c) % 47 for c in text][:38] for text in texts]
    return torch.tensor([[0, *row, END] + [0] * (38 - len(row)) for row in rows])


@pytest.fixture(scope="module", params=["clip", "video-text"])
def model(request):
    torch.manual_seed(0)
    text = TextEncoder(16, 32, 2, 2, 40, 50)
    if request.param == "clip":
        return Clip(ImageEncoder(16, 32, 2, 2, 8, 16), text).eval()
    return VideoTextModel(UniFormerV2(32, 2, 2, 8, 16, 0, (0, 1)), text, 16).eval()


@pytest.fixture(scope="module")
def clips():
    return torch.randint(0, 256, (5, 4, 16, 16, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def zero_shot_scores(model, clips, names, tokenizer, *templates, **options):
    classifier = ZeroShotClassifier(model, names, tokenizer, *templates, **options)
    return classifier(classifier.prepare(clips)).softmax(-1)


def by_hand(model, clips, template):
    """Probabilities (B, K) for one template."""
    ids = tokenizer([template.replace("{}", name) for name in NAMES])
    text, video = model.encode_text(ids), model.encode_video(model.prepare(clips))
    cosine = F.cosine_similarity(video[:, None], text[None], dim=-1)
    return (model.logit_scale.exp() * cosine).softmax(-1)


@torch.no_grad()
def test_one_template_is_the_models_own_similarity(model, clips):
    scores = zero_shot_scores(model, clips, NAMES, tokenizer, ["a video of {}"])
    assert torch.allclose(scores, by_hand(model, clips, "a video of {}"), atol=1e-5)
    assert torch.allclose(scores.sum(1), torch.ones(5)) and scores.std() > 1e-4


@torch.no_grad()
def test_joined_probabilities_are_the_mean_over_templates(model, clips):
    wanted = torch.stack([by_hand(model, clips, template) for template in TEMPLATES]).mean(0)
    scores = zero_shot_scores(model, clips, NAMES, tokenizer, join="probabilities")
    assert torch.allclose(scores, wanted, atol=1e-5)


@torch.no_grad()
def test_joined_embeddings_are_clips_mean_of_unit_vectors(model, clips):
    each = class_embeddings(model, NAMES, tokenizer)
    assert each.shape == (len(TEMPLATES), 3, 16) and torch.allclose(each.norm(dim=-1), torch.ones(16, 3))
    classifier = ZeroShotClassifier(model, NAMES, tokenizer)
    mean = each.mean(0)
    assert torch.allclose(classifier.embeddings[0], mean / mean.norm(dim=-1, keepdim=True), atol=1e-6)
    joined = zero_shot_scores(model, clips, NAMES, tokenizer)
    other = zero_shot_scores(model, clips, NAMES, tokenizer, join="probabilities")
    assert not torch.allclose(joined, other, atol=1e-4)


@torch.no_grad()
def test_the_order_of_classes_only_orders_the_scores(model, clips):
    scores = zero_shot_scores(model, clips, NAMES, tokenizer)
    turned = zero_shot_scores(model, clips, NAMES[::-1], tokenizer)
    assert torch.allclose(turned.flip(1), scores, atol=1e-6)


def test_the_published_templates():
    assert len(TEMPLATES) == len({*TEMPLATES}) == 16 and "{}" in TEMPLATES
    assert in_templates(["archery"])[0] == ["a photo of action archery"]


def test_sentences_are_encoded_in_parts(model):
    whole, parts = (class_embeddings(model, NAMES, tokenizer, batch_size=n) for n in (256, 5))
    assert torch.allclose(whole, parts, atol=1e-6) and not whole.requires_grad


def test_the_models_weights_are_not_kept_twice(model):
    classifier = ZeroShotClassifier(model, NAMES, tokenizer)
    assert classifier.state_dict().keys() == {f"model.{key}" for key in model.state_dict()}


@pytest.mark.parametrize(
    "change, said",
    [
        ({"templates": ["a video"]}, r"'a video' needs one place \{\}"),
        ({"templates": "a video of {}"}, "templates: expected a list"),
        ({"class_names": []}, "class_names: expected a list"),
        ({"join": "max"}, "'max' is not one of embeddings, probabilities"),
    ],
)
def test_what_does_not_fit_is_said(model, change, said):
    arguments = {"class_names": NAMES, "tokenizer": tokenizer} | change
    with pytest.raises(ParameterError, match=said):
        ZeroShotClassifier(model, **arguments)
