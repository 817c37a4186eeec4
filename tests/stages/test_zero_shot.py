"""Zero-shot recognition: what classes are called, whose weights are mixed, and Kinetics' files to a score."""

import json
from types import SimpleNamespace

import pytest
import torch
import video_models as zoo

from ivcore import weights
from ivcore.data import mini
from ivcore.data.videos import VideoSet
from ivcore.errors import ParameterError, UserError
from ivcore.run import cli
from ivcore.run import execute as run
from ivcore.stages import zero_shot
from ivcore.train import save_weights

CLASSES = ["abseiling", "air drumming"]


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    return mini.write("k400_zero_shot", tmp_path_factory.mktemp("released") / "k400_zero_shot")


def test_a_list_to_test_on_alone_is_enough(released, tmp_path):
    lists = {"train": "", "val": "", "test": ""}
    found = zero_shot.sets(lists, data=str(released), release="zero_shot", learns=False, chooses=False)
    assert list(found) == ["test"] and found["test"].classes[0] == "abseiling" and len(found["test"]) == 8
    own = lists | {"test": str(released / "k400_test_tsm.list")}
    assert list(zero_shot.sets(own, learns=False, chooses=False)) == ["test"]
    assert zero_shot.generated_source("", "", "") == "" and zero_shot.generated_source("", "", own["test"]) is None
    assert zero_shot.generated_source("metaworld", "", "") == "metaworld"


def test_classes_are_called_what_is_asked_for(tmp_path, capsys):
    words = tmp_path / "words.txt"
    words.write_text("a red square slides | a dog  jumps\na dog jumps\n")
    videos = VideoSet([], CLASSES, "own")
    asked = ["names", "published", "captions"]
    saying = {"taught": None, "source": None, "num_clips": 0}
    found = zero_shot.wordings(asked, videos, zoo.TOKENIZER, class_words=str(words), **saying)
    assert [len(some) for some in found.values()] == [1, 16, 2] and found["published"][7] == CLASSES
    assert found["captions"] == [["a red square slides", "a dog jumps"], ["a dog jumps", "a dog jumps"]]
    assert "names: 1 a class, such as 'abseiling'; 100% of the words are not" in capsys.readouterr().out
    assert [*zero_shot.wordings(asked, videos, zoo.TOKENIZER, class_words="", **saying)] == asked[:2]
    with pytest.raises(ParameterError, match="needs class_words"):
        zero_shot.wordings(["captions"], videos, zoo.TOKENIZER, class_words="", **saying)
    for text, said in (("a\n", "expected 2 lines"), ("a\nb |\n", "found an empty one")):
        words.write_text(text)
        with pytest.raises(UserError, match=said):
            zero_shot.wordings(["captions"], videos, zoo.TOKENIZER, class_words=str(words), **saying)


def test_what_a_model_began_as_has_clips_weights_and_the_models_own(tmp_path):
    torch.manual_seed(0)
    model = zoo.video_text()
    clip = weights.load(zoo.clip_file(tmp_path))
    begun = zero_shot.begun_from(model, tmp_path / "clip.safetensors")
    own = model.state_dict()
    assert begun.keys() == own.keys() and torch.equal(
        begun["text.token_embedding.weight"], clip.text.token_embedding.weight
    )
    assert torch.equal(begun["visual_proj"], clip.visual.proj) and not torch.equal(own["visual_proj"], clip.visual.proj)
    temporal = [name for name in own if "dpe" in name]
    assert temporal and all(torch.equal(begun[name], own[name]) for name in temporal)


def test_fine_tuning_teaches_the_video_side_what_the_told_classes_are(tmp_path):
    torch.manual_seed(0)
    model = zoo.video_text()
    learner = zero_shot.learner(model)
    texts = torch.nn.functional.normalize(torch.randn(1, 6, 12), dim=-1)
    loss = zero_shot.naming_loss(texts, zero_shot.half_of("abcdef"))
    clips = torch.randint(0, 255, (3, 2, 16, 16, 3), dtype=torch.uint8)
    value, _ = loss(learner, {"video": clips, "label": torch.tensor([0, 4, 5])}, None)
    with torch.no_grad():
        features = torch.nn.functional.normalize(learner.encode_video(learner.prepare(clips)), dim=-1)
        logits = (learner.logit_scale.exp() * features @ texts[0].T)[:, [0, 1, 4, 5]]
    wanted = torch.nn.functional.cross_entropy(logits, torch.tensor([0, 2, 3]))
    assert torch.allclose(value, wanted, atol=1e-5)
    value.backward()
    learned = {name.split(".")[0] for name, p in learner.named_parameters() if p.grad is not None}
    assert learned == {"visual", "visual_ln_post", "visual_proj"}
    assert all(p.grad is None for p in model.parameters())


def test_a_clip_is_answered_as_iv_classify_does(tmp_path, capsys):
    place, video = zoo.saved(tmp_path, "video_text"), zoo.video(tmp_path / "a.mp4")
    named = SimpleNamespace(
        upstream=lambda name: place if name == "multimodal_encoder" else None, device="cpu", params={}
    )
    model, said = zero_shot.load(named), ["a dog jumps", "a red square"]
    clip = zero_shot.one_clip(str(video), model)
    assert clip.shape == (3, 16, 16, 3)
    assert cli.main(["classify", str(video), "--model", str(place), "--json", "--labels", *said]) == 0
    told = {each["class"]: each["probability"] for each in json.loads(capsys.readouterr().out)["answers"]}
    assert zero_shot.answer(clip, [said], model) == pytest.approx([told[text] for text in said], abs=1e-5)
    assert zero_shot.answer(clip, [said, said], model) == pytest.approx([told[text] for text in said], abs=1e-5)
    (tmp_path / "bad.mp4").write_text("no video")
    for bad in ("bad.mp4", "gone.mp4"):
        with pytest.raises(UserError, match=bad):
            zero_shot.one_clip(str(tmp_path / bad), model)


def test_a_second_checkpoint_is_averaged_with_the_first(tmp_path):
    places = {"multimodal_encoder": zoo.saved(tmp_path, "video_text")}
    other = zoo.video_text()
    places["second_model"] = save_weights(other, tmp_path / "other.safetensors", other.config)
    named = SimpleNamespace(upstream=places.get, device="cpu", params={})
    mixed = zero_shot.load(named).model.state_dict()
    first = weights.load(places["multimodal_encoder"]).state_dict()
    mean = (first["visual_proj"] + other.state_dict()["visual_proj"]) / 2
    assert torch.allclose(mixed["visual_proj"], mean, atol=1e-6)


def assert_half_way(model, given: dict) -> None:
    """The model lies in the middle between what it was trained from and what was trained."""
    start, own = (weights.load(given[name]).state_dict() for name in ("start_model", "multimodal_encoder"))
    state, both = model.state_dict(), "text.token_embedding.weight"
    assert not torch.equal(start[both], own[both])
    torch.testing.assert_close(state[both], (start[both] + own[both]) / 2)


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["k400", "one_gpu"])
def test_the_preset_of_a_dataset_goes_from_its_files_to_a_score(preset, released, tmp_path, monkeypatch):
    monkeypatch.setenv("IVCORE_OUTPUTS", str(tmp_path / "outputs"))
    data = released if preset == "k400" else mini.write("k400", tmp_path / "k400")
    given = {"data": str(data), "multimodal_encoder": str(zoo.saved(tmp_path, "video_text"))}
    given |= {"start_model": zoo.clip_file(tmp_path), "num_workers": "0", "precision": "fp32"}
    folder = run.execute(run.jobs("36", preset, given)[0], timeout=300)
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["test_scored"] == metrics["test_videos"] > 0 and metrics["chance"] == 0.25
    if preset == "k400":
        assert_half_way(weights.load(folder), given)
        assert (metrics["alpha"], metrics["wording"], metrics["join"]) == (0.5, "published", "probabilities")
