"""Multiple choice: which questions are asked of which videos, how options are scored, and both datasets' files to a score."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
import video_models as zoo

from ivcore.data.formats import Choice
from ivcore.errors import FormatError, ParameterError
from ivcore.run import execute as run
from ivcore.stages import choice, search

RELEASED = ("msrvtt", "lsmdc")


@pytest.fixture
def questions(tmp_path):
    paths = [str(zoo.video(tmp_path / f"{number}.mp4", seed=number)) for number in range(3)]
    asked = [
        Choice(path, path, ("a dog jumps", "a red square", "slides left")[: 3 - n % 2], n % 2)
        for n, path in enumerate(paths)
    ]
    return choice.Questions(asked, "own")  # fmt: skip


def found(model, questions):
    return search.embed(model, search.views(questions.videos, model, in_memory=True, max_bad=1.0))


def test_options_are_scored_by_scaled_cosines(model, questions):
    features = found(model, questions)
    answered = choice.answer(model, questions, features)
    with torch.no_grad():
        text = F.normalize(model.model.encode_text(zoo.TOKENIZER(["a red square"])), dim=-1)[0]
    expected = (features[0][0] @ text * model.model.logit_scale.exp()).item()
    assert answered.scores[0, 1].item() == pytest.approx(expected, rel=1e-4)
    assert answered.options.tolist() == [3, 2, 3] and answered.answers.tolist() == [0, 1, 0]
    best = answered.scores.argmax(1)
    assert answered.accuracy == pytest.approx((best == answered.answers).double().mean().item())


def test_a_video_that_cannot_be_read_takes_its_question_along(model, questions, tmp_path):
    (tmp_path / "1.mp4").write_bytes(b"x")
    answered = choice.answer(model, questions, found(model, questions))
    assert answered.rows.tolist() == [0, 2] and answered.options.tolist() == [3, 3]


def test_questions_between_the_same_sentences_count_as_one_for_the_error():
    scores, answers = torch.eye(2).repeat(4, 1), torch.tensor([0, 1, 0, 1, 1, 0, 1, 0])  # four right, four wrong
    alone, pairs = (
        choice.Answered(scores, answers, torch.arange(8), groups) for groups in (torch.arange(8), torch.arange(8) // 2)
    )
    assert alone.accuracy == pairs.accuracy == 0.5
    assert alone.error == pytest.approx((0.25 / 7) ** 0.5) and pairs.error == pytest.approx((4 / 3 * 4) ** 0.5 / 8)


def test_the_same_sentences_in_another_order_are_one_group(model, questions):
    first, second, third = questions.asked
    turned = replace(third, options=third.options[::-1], answer=len(third.options) - 1 - third.answer)
    found_ = found(model, questions)
    assert choice.answer(model, questions, found_).groups.tolist() == [0, 1, 0]
    assert choice.answer(model, replace(questions, asked=[first, second, turned]), found_).groups.tolist() == [0, 1, 0]


def test_videos_are_exchanged_or_left_out(model, questions):
    features = found(model, questions)
    other = choice.exchanged(features, torch.tensor([1, 2, 0]))
    assert torch.equal(other[0][0], features[0][1]) and torch.equal(other[1], features[1])
    blind, _ = choice.unseen(features)
    assert torch.equal(blind[0], blind[2]) and blind[0].norm() == pytest.approx(1)


@pytest.mark.parametrize("layout", RELEASED)
def test_released_questions_have_their_videos(written, layout):
    sets = choice.sets({"val": "", "test": ""}, data=str(written(layout)), release=layout)
    (test,) = sets.values()
    assert len(test) == 8 and len(test.first(3)) == 3 and {len(each.options) for each in test.asked} == {5}
    assert all(Path(each.path).is_file() for each in test.asked)


def test_bad_files_and_other_sets_are_refused(written, tmp_path):
    folder = shutil.copytree(written("lsmdc"), tmp_path / "lsmdc")
    file = folder / "LSMDC16_multiple_choice_test_randomized.csv"
    file.write_text(file.read_text().replace("\t1\n", "\t6\n", 1))
    with pytest.raises(FormatError, match=r"randomized\.csv:1: .*answer from 1 to 5"):
        choice.sets({"test": ""}, data=str(folder), release="lsmdc")
    with pytest.raises(ParameterError, match=r"has no msrvtt_mc_test\.jsonl"):
        choice.sets({"test": ""}, data=str(folder), release="msrvtt")
    with pytest.raises(ParameterError, match="data = 'creatures': asks no such questions"):
        choice.sets({"test": ""}, data="creatures")


def test_the_embedded_questions_are_of_the_videos_of_their_split():
    sets = choice.sets({"val": "", "test": ""}, num_clips=60)
    clips = [{each.clip for each in some.asked} for some in sets.values()]
    assert all(clips) and not clips[0] & clips[1]
    assert replace(sets["test"], source="x").videos.source == "x" and sets["test"].source == "moving shapes"


@pytest.mark.slow
@pytest.mark.parametrize("layout", RELEASED)
def test_a_dataset_goes_from_its_files_to_a_score(layout, written, tmp_path, monkeypatch):
    monkeypatch.setenv("IVCORE_OUTPUTS", str(tmp_path / "outputs"))
    given = {"data": str(written(layout)), "multimodal_encoder": str(zoo.saved(tmp_path, "video_text"))}
    given |= {"start_model": given["multimodal_encoder"], "num_workers": "0"}
    folder = run.execute(run.jobs("38", layout, given)[0], timeout=300)
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["test_scored"] == metrics["test_videos"] == 8
    assert metrics["chance"] == pytest.approx(0.2) and metrics["alpha"] == 0.5
