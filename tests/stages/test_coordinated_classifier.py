"""The coordinated model is fine-tuned as one classifier: it answers as before, learns in every part, and is saved as what it was."""

import pytest
import torch

from ivcore import weights
from ivcore.cma import Coordinated
from ivcore.encoders.uniformerv2 import UniFormerV2
from ivcore.encoders.videomae import VideoClassifier
from ivcore.losses.classification import classification
from ivcore.run import contradictions
from ivcore.stages import recognition
from ivcore.stages.coordinated_classifier import joined
from ivcore.train import save_weights
from ivcore.train.optim import parameter_groups
from ivcore.weights.usage import Usage

CLIPS = torch.randint(0, 256, (2, 8 + 4, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def pretrained():
    torch.manual_seed(0)
    masked = VideoClassifier("tiny", 5, depth=2, init_scale=1.0)
    model = Coordinated(masked, UniFormerV2(32, 2, 1, 8, 32, 5, (1,)), stages=2, gate=0.5, frames=4)
    return model.eval()


def test_it_answers_as_the_model_that_it_was(pretrained):
    model = joined(pretrained, frames=8, image=32, sparse=4).eval()
    expected = pretrained(pretrained.prepare(CLIPS[:, :8], CLIPS[:, 8:]))
    torch.testing.assert_close(model(model.prepare(CLIPS)), expected.fused)
    assert model.features(model.prepare(CLIPS)).shape == (2, pretrained.masked.width + 32)


def test_all_of_it_learns_other_classes_and_it_is_saved_as_a_coordinated_model(pretrained, tmp_path):
    before = {name: value.clone() for name, value in pretrained.state_dict().items()}
    place = save_weights(pretrained, tmp_path / "13.safetensors", pretrained.config | Usage(32, 8).saved(pretrained))
    encoder = recognition.encoder_at(place, 4)
    model = recognition.classifier_of(encoder, place, ["a", "b", "c"], False, frames=8, image=32)
    assert recognition.taught(encoder, place) == "coordinated" and model.grid == (4, 4, 4)
    loss, _ = classification(model.train(), {"video": CLIPS, "label": torch.tensor([0, 2])}, num_classes=3)
    loss.backward()
    torch.optim.SGD(model.parameters(), lr=0.1).step()  # storage that is shared would change below
    parts = ("masked.blocks.0.mlp.fc1.weight", "multimodal.conv1.weight", "cma.0.v.weight", "masked.head.weight")
    assert all(model.get_parameter(name).grad.any() for name in parts)
    assert not torch.equal(model.cma.state_dict()["0.v.weight"], before["cma.0.v.weight"])
    assert all(torch.equal(value, before[name]) for name, value in pretrained.state_dict().items())
    saved = save_weights(model, tmp_path / "30.safetensors", model.config | Usage(32, 8, multimodal_frames=4).saved(model))  # fmt: skip
    again = weights.load(saved)
    assert type(again) is Coordinated
    scores = again(again.prepare(CLIPS[:, :8], CLIPS[:, 8:])).fused
    torch.testing.assert_close(scores, model.eval()(model.prepare(CLIPS)))


def test_blocks_of_both_encoders_learn_slower_than_what_joins_them(pretrained):
    model = joined(pretrained, 3, frames=8, image=32, sparse=4)
    names = {id(p): name for name, p in model.named_parameters()}
    rate = {names[id(p)]: group["lr_scale"] for group in parameter_groups(model, 0.05, 0.5) for p in group["params"]}
    assert rate["masked.blocks.0.attn.qkv.weight"] == rate["multimodal.transformer.resblocks.0.mlp.c_fc.weight"] == 0.25
    assert rate["masked.patch_embed.proj.weight"] == rate["multimodal.conv1.weight"] == 0.125
    assert {rate[name] for name in rate if name.startswith(("cma.", "fusion.", "masked.head"))} == {1.0}


def test_a_shallower_encoder_has_the_rates_that_it_would_have_alone():
    masked = VideoClassifier("tiny", 5, depth=4)
    model = joined(Coordinated(masked, UniFormerV2(32, 2, 1, 8, 32, 5, (1,)), stages=2, frames=4), frames=8, image=32, sparse=4)  # fmt: skip
    names = {id(p): name for name, p in model.named_parameters()}
    rate = {names[id(p)]: group["lr_scale"] for group in parameter_groups(model, 0.05, 0.5) for p in group["params"]}
    last = {
        "masked": "masked.blocks.3.attn.qkv.weight",
        "multimodal": "multimodal.transformer.resblocks.1.mlp.c_fc.weight",
    }
    assert rate[last["masked"]] == rate[last["multimodal"]] == 0.5
    assert rate["multimodal.conv1.weight"] == 0.5**3 and rate["masked.patch_embed.proj.weight"] == 0.5**5


@pytest.mark.parametrize(
    "changed, said",
    [
        ({"multimodal_frames": 0}, "multimodal_frames = 0: must be at least 1"),
        ({"coordinated_model": ""}, "multimodal_frames = 4: must be 0 without a coordinated_model"),
        ({"frame_order": "shuffled"}, "frame_order = 'shuffled': must be 'ordered'"),
        ({}, None),
    ],
)
def test_what_does_not_go_with_it_is_refused(changed, said):
    given = {"coordinated_model": "13/tiny", "multimodal_frames": 4, "frame_sampling": "dense", "frame_order": "ordered", "keep_head": False}  # fmt: skip
    wrong = contradictions.a_joined_model_to_tune(**given | changed)
    assert wrong is None if said is None else wrong.startswith(said)
