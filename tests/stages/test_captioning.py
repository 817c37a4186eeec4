"""Captioning: what is written and decoded how, what is written blindly, which words are right, and every release's files to a score."""

import json
from dataclasses import replace

import pytest
import torch
import video_models as zoo
from video_models import some_videos

from ivcore import weights
from ivcore.data.video_answers import VideoModel
from ivcore.encoders.tokenizer import Tokenizer
from ivcore.run import cli
from ivcore.run import execute as run
from ivcore.stages import captioning, search
from ivcore.stages.captioning import Written

WAYS = captioning.ways([1, 3], [0.0, 1.0], 0.9)
HOW = {"seed": 0, "num_workers": 0}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    found = VideoModel.load(str(zoo.saved(tmp_path_factory.mktemp("model"), "video_text")))
    return captioning.with_decoder(found, 32, 1, seed=0)


@pytest.fixture
def tokenizer(model):
    return Tokenizer(**model.usage.tokenizer)


def test_a_new_decoder_is_given_to_a_model_without_one_alone(model, capsys):
    own = model.model.caption_decoder
    assert captioning.with_decoder(model, 32, 1, seed=0).model.caption_decoder is own and not capsys.readouterr().out
    bare = replace(model, model=zoo.video_text())
    made = captioning.with_decoder(bare, 32, 2, seed=0).model.caption_decoder
    assert len(made.layers) == 2 and "a new one, 2 layers of 32" in capsys.readouterr().out


def test_every_way_of_decoding_writes_about_the_readable_videos(model, tmp_path):
    videos = some_videos(tmp_path, 3, broken=(1,))
    shown = search.views(videos, model, in_memory=True, max_bad=1.0)
    written = {name: captioning.write(model, videos, shown, way, **HOW) for name, way in WAYS.items()}
    assert all(each.rows == [0, 2] and len(each.texts) == 2 for each in written.values())
    assert written["greedy"].references[1] == ["a red square slides left", "a dog jumps 2"]
    assert written["beam 1, penalty 0"].texts == written["greedy"].texts
    again = captioning.write(model, videos, shown, WAYS["nucleus 0.9"], **HOW)
    assert again.texts == written["nucleus 0.9"].texts


def test_frames_in_random_order_are_what_the_model_sees(model, tmp_path):
    videos, seen = some_videos(tmp_path, 2), []

    def way(_, video, words):
        seen.append(video.clone())
        return torch.tensor([[words.start, words.end]] * len(video))

    shown = search.views(videos, model, in_memory=True, max_bad=1.0)
    for order in ("ordered", "shuffled"):
        captioning.write(model, videos, shown, way, order, **HOW)
    plain, mixed = seen
    assert not torch.equal(plain, mixed) and torch.allclose(plain.sort(2)[0], mixed.sort(2)[0])


def test_what_is_drawn_differs_from_batch_to_batch(model, tmp_path, monkeypatch):
    videos = some_videos(tmp_path, 2)
    monkeypatch.setattr("ivcore.data.views.AT_ONCE", 1)  # a batch a video
    drawn = []

    def way(_, video, words):
        drawn.append(torch.rand(1).item())
        return torch.tensor([[words.start, words.end]] * len(video))

    shown = search.views(videos, model, in_memory=True, max_bad=1.0)
    for _ in range(2):
        captioning.write(model, videos, shown, way, **HOW)
    assert drawn[:2] == drawn[2:] and drawn[0] != drawn[1]
    ids = [WAYS["nucleus 0.9"](model.model, torch.zeros(1, 3, 2, 16, 16), zoo.TOKENIZER).tolist() for _ in range(8)]
    assert any(some != ids[0] for some in ids)


def test_references_are_saved_as_they_were_told(model, tmp_path):
    told = ("A red square, SLIDES left!", "a dog")
    videos = some_videos(tmp_path, 1)
    videos = replace(videos, records=[replace(videos.records[0], captions=told)])
    written = captioning.write(
        model, videos, search.views(videos, model, in_memory=True, max_bad=1.0), WAYS["greedy"], **HOW
    )
    written.save(tmp_path / "captions.jsonl")
    assert json.loads((tmp_path / "captions.jsonl").read_text())["references"] == [*told]
    assert written.references[0][0] != told[0]


def test_what_is_written_blindly(tmp_path, tokenizer):
    videos = some_videos(tmp_path, 3)
    assert captioning.by_frequency(videos, tokenizer)[0] == "a red square slides left"
    asked = Written(["", "", ""], [["a dog runs"], ["a dog runs far"], ["a cat"]], [0, 1, 2])
    tried = ["a", "a cat", "a dog runs"]
    assert captioning.best_for_all(tried, asked, seed=0) == "a dog runs"
    assert captioning.best_for_all(["a dog runs", *["a"] * 9], asked, seed=0, most=2) == "a dog runs"
    own = Written(["a", "b", "c"], [["a"], ["b"], ["c"]], [0, 1, 2])
    assert own.measures()["exact_match"] == 1
    assert own.of_others(torch.tensor([1, 2, 0])).measures()["exact_match"] == 0


def test_words_are_right_when_they_name_all_that_is_there_and_nothing_else():
    tokenizer = Tokenizer()
    kinds = captioning.word_kinds("", False, tokenizer)
    assert {"slides", "left", "counter"} <= kinds["motion"] and "the" not in kinds["motion"]
    assert {"two", "tone"} <= kinds["texture"]
    assert captioning.word_kinds("", True, tokenizer) == {} and [
        *captioning.word_kinds("metaworld", False, tokenizer)
    ] == ["colour"]
    true = [["a red square slides to the left", "a square slides to the left"], ["a blue ring falls"]]
    written = Written(["a red square slides to the right", "a blue ring and a red ring fall"], true, [0, 1])
    shares = captioning.right_by_kind(written, kinds)
    assert shares == {"colour": 0.5, "shape": 1.0, "motion": 0.0}  # no texture is true of any


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["msrvtt", "msrvtt_1ka", "msvd", "lsmdc", "vatex"])
def test_a_release_goes_from_its_files_to_a_captioner(layout, written, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("IVCORE_OUTPUTS", str(tmp_path / "outputs"))
    name = layout.removesuffix("_1ka")
    given = {
        "data": str(written(name)),
        "multimodal_encoder": str(zoo.saved(tmp_path, "video_text")),
        "release": layout,
    }
    given |= {"num_workers": "0", "num_frames": "2", "batch_size": "4", "micro_batch": "2", "precision": "fp32"}
    given |= {"epochs": "1", "warmup_epochs": "0", "beams": "[2]"}
    folder = run.execute(run.jobs("45", name, given)[0], timeout=300)
    metrics = json.loads((folder / "metrics.json").read_text())
    lines = [json.loads(line) for line in (folder / "captions.jsonl").read_text().splitlines()]
    assert metrics["test_scored"] == metrics["test_videos"] == len(lines) > 0
    assert min(len(line["references"]) for line in lines) == (
        1 if layout == "lsmdc" else 5 if layout != "vatex" else 10
    )
    start = weights.load(given["multimodal_encoder"])
    tuned = VideoModel.load(str(folder))
    assert not torch.equal(tuned.model.visual_proj, start.visual_proj)
    video = next((written(name) / "videos").rglob("*.*"))
    capsys.readouterr()
    assert cli.main(["caption", "--model", str(folder), str(video), "--json"]) == 0
    assert "caption" in json.loads(capsys.readouterr().out)
