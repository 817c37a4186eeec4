"""`iv ask`: answers that a model has learned, answers that are given, and models that know none."""

import json
from pathlib import Path

import pytest
import torch
import video_models as zoo

from ivcore.data.video_answers import VideoModel
from ivcore.run.cli import main
from ivcore.stages import question_answering as qa

ANSWERS = ("red", "two", "left")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ask")
    plain = zoo.saved(folder, "video_text")
    found = VideoModel.load(str(plain))
    made = {"features": ("video", "text"), "layers": 2, "dropout": 0.0, "seed": 0}
    model, tokenizer = qa.build(found, ["what colour"], ANSWERS, **made)

    class Run:
        checkpoints = folder / "asked"

    Run.checkpoints.mkdir()
    qa.save(Run, model, found, ANSWERS, tokenizer)
    return str(plain), str(Run.checkpoints / "model.safetensors"), model.eval(), tokenizer


@pytest.fixture
def clip(tmp_path):
    return str(zoo.video(tmp_path / "a.mp4", seed=1))


def test_learned_answers_have_probabilities(models, clip, capsys):
    assert main(["ask", clip, "what colour", "--model", models[1], "--top", "3", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["answers"]
    assert {each["answer"] for each in listed} == {*ANSWERS}
    shares = [each["probability"] for each in listed]
    assert shares == sorted(shares, reverse=True) and sum(shares) == pytest.approx(1, abs=1e-3)
    model = VideoModel.load(models[1])
    function, answers, _ = model.answering("what colour", None)
    shape = (1, model.usage.num_frames, model.usage.image_size, model.usage.image_size, 3)
    clips = torch.zeros(shape, dtype=torch.uint8)
    with torch.no_grad():
        expected = models[2](models[2].prepare(clips), models[3](["what colour"]))
        assert torch.allclose(function(clips), expected, atol=1e-5) and answers == list(ANSWERS)


def test_given_answers_are_ranked_by_any_video_text_model(models, clip, capsys):
    assert main(["ask", clip, "what colour", "--model", models[0], "--answers", "red, blue"]) == 0
    assert {"red", "blue"} <= {*capsys.readouterr().out.split()}


@pytest.mark.parametrize(
    "model, more, said",
    [
        (0, [], "knows no answers"),
        (1, ["--answers", "a,b"], "knows answers of its own"),
        (0, ["--answers", "a"], "two or more different answers"),
        (0, ["--answers", "red, Red"], "two or more different answers"),
        (1, ["--top", "0"], "--top 0: must be at least 1"),
    ],
)
def test_mistakes_are_one_line(models, clip, capsys, model, more, said):
    assert main(["ask", clip, "what colour", "--model", models[model], *more]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


@pytest.mark.parametrize(
    "question, said", [(" ", "QUESTION: is empty"), ("what colour", "needs --model, a run of notebook 34")]
)
def test_a_question_that_nothing_can_answer_is_refused_before_a_model_is_read(clip, capsys, question, said):
    assert main(["ask", clip, question]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


@pytest.mark.parametrize("command", [("caption",), ("index",), ("classify",), ("classify", "--labels", "red", "blue")])
def test_commands_that_need_another_model_say_so(models, clip, capsys, command):
    name, *more = command
    assert main([name, clip if name != "index" else str(Path(clip).parent), "--model", models[1], *more]) == 2
    error = capsys.readouterr().err
    assert "a model of answers" in error and "give a model of notebook 11" in error and error.count("\n") == 1
