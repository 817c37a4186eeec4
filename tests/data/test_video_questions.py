"""Questions about videos: the released files, the user's own, and generated ones that give nothing away."""

import shutil
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivcore.data import formats, video_questions
from ivcore.data.balanced import Candidate, balanced
from ivcore.data.shapes import Shapes, plan, questions
from ivcore.errors import FormatError, ParameterError, UserError

NONE = {"train": "", "val": "", "test": ""}
LISTS = {"msrvtt_qa": "msrvtt_qa_train.jsonl", "msvd_qa": "msvd_train_qa_encode.json", "tgif_frame": "frameqa_train.jsonl"}  # fmt: skip


@pytest.mark.parametrize("layout", video_questions.LAYOUTS)
def test_released_questions_have_their_videos_and_share_none(written, layout):
    sets, answers = video_questions.sets(NONE, data=str(written(layout)), release=layout)
    paths = [record.path for some in sets.values() for record in some.records]
    assert (
        all(map(len, sets.values())) and len(set(paths)) == len(paths) and all(Path(path).is_file() for path in paths)
    )
    told = {each.answer for name in ("train", "val") for each in sets[name].questions}
    assert {each.answer for each in sets["train"].questions} <= set(answers) and told <= set(answers)
    assert any(each.answer not in answers for each in sets["test"].questions)


def test_where_nothing_is_chosen_no_training_question_is_held_out(written):
    for layout, held_out in {"msrvtt_qa": False, "msvd_qa": False, "tgif_frame": True}.items():
        chosen, whole = (
            video_questions.sets(NONE, data=str(written(layout)), release=layout, chooses=each)[0]
            for each in (True, False)
        )
        assert list(chosen) == [*video_questions.SPLITS] and ("val" in whole) != held_out, layout
        assert len(whole["train"]) == len(chosen["train"]) + held_out * len(chosen["val"]), layout


@pytest.mark.parametrize("layout", video_questions.LAYOUTS)
def test_bad_rows_and_missing_files_are_refused(written, layout, tmp_path):
    folder = shutil.copytree(written(layout), tmp_path / "set")
    file = folder / LISTS[layout]
    file.write_text(file.read_text().replace('"answer"', '"reply"', 1))
    with pytest.raises(FormatError, match="expected the key 'answer'"):
        video_questions.sets(NONE, data=str(folder), release=layout)
    file.unlink()
    with pytest.raises(ParameterError, match=f"has no {LISTS[layout]}"):
        video_questions.sets(NONE, data=str(folder), release=layout)


def test_a_number_without_a_name_is_refused(written, tmp_path):
    folder = shutil.copytree(written("msvd_qa"), tmp_path / "set")
    names = folder / "msvd_youtube_mapping.txt"
    names.write_text("\n".join(names.read_text().splitlines()[1:]) + "\n")
    with pytest.raises(ParameterError, match=r"msvd_youtube_mapping\.txt has no vid1"):
        video_questions.sets(NONE, data=str(folder), release="msvd_qa")
    names.write_text("mini0000001_0_2 1\n")
    with pytest.raises(FormatError, match=r"mapping\.txt:1: expected a video's name and its number"):
        video_questions.sets(NONE, data=str(folder), release="msvd_qa")


def test_own_questions_are_held_out_by_video(written):
    folder = written("msrvtt_qa")
    files = NONE | {"train": str(folder / "msrvtt_qa_train.jsonl")}
    sets, answers = video_questions.sets(files, root=str(folder / "videos"))
    paths = [{record.path for record in some.records} for some in sets.values()]
    assert all(paths) and not paths[0] & paths[1] and not paths[0] & paths[2] and not answers
    with pytest.raises(UserError, match="train_questions = ''"):
        video_questions.sets(NONE | {"test": files["train"]})


def test_other_sets_ask_nothing():
    with pytest.raises(ParameterError, match="data = 'creatures': asks no questions"):
        video_questions.sets(NONE, data="creatures")


def test_the_vocabulary_is_listed_or_what_is_said_most():
    said = [formats.Question("v", "v", "q", answer) for answer in ("b", "a", "b", "c")]
    assert video_questions.vocabulary(said) == ["b", "a", "c"] and video_questions.vocabulary(said, most=1) == ["b"]
    assert video_questions.vocabulary(said, ["z"], 1) == ["z"]
    assert video_questions.kind_of(formats.Question("v", "v", "Who is it", "x")) == "who"
    assert video_questions.kind_of(formats.Question("v", "v", "Who is it", "x", "what moves")) == "what moves"


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("pq"), st.sampled_from("xyz")), max_size=40), st.integers(0, 5))  # fmt: skip
def test_every_answer_of_a_choice_is_as_frequent_as_the_others(rows, seed):
    candidates = [Candidate(kind, choice, str(n), "p", "q", answer) for n, (kind, choice, answer) in enumerate(rows)]
    kept = balanced(candidates, seed)
    assert kept == balanced(candidates, seed) and [c.video_id for c in kept] == sorted(
        (c.video_id for c in kept), key=int
    )
    counts = Counter((c.kind, c.choice, c.answer) for c in kept)
    for kind, choice in {(c.kind, c.choice) for c in candidates}:
        own = Counter(c.answer for c in candidates if (c.kind, c.choice) == (kind, choice))
        expected = min(own.values()) if len(own) > 1 else 0
        assert [counts[kind, choice, answer] for answer in own] == [expected] * len(own)


@given(st.integers(0, 10**6))
def test_what_came_first_and_last_differ_and_are_both_seen(seed):
    config = Shapes(seed=seed, train=2, val=0, test=0)
    (video,) = plan.two_action_clips(config)
    first, last = (shot.scene(config) for shot in video.shots)
    about = dict((text, answer) for _, _, text, answer in questions._about_order(first, last))
    assert about["which one moves first"] == first.objects[0].colour != last.objects[0].colour
    assert video.shots[0].seed != video.shots[1].seed and sum(shot.frames for shot in video.shots) == config.frames
    assert video.shots[0].action != video.shots[1].action


def test_a_question_about_motion_has_the_answer_of_the_scene(tmp_path):
    config = Shapes(train=60, val=30, test=30)
    questions.write_qa(config, tmp_path)
    scenes = {video.id: video.shots[0].scene(config) for video in plan.clips(config)}
    listed = formats.read_qa(tmp_path / "qa_train.jsonl")
    ways = [each for each in listed if each.kind == "which way"]
    assert ways and {each.kind for each in listed} == {
        "how many",
        "what first",
        "what moves",
        "which colour",
        "which way",
    }
    for each in ways:
        action = scenes[each.video_id].action
        named = {"rise": "up", "fall": "down", "approach": "together"}.get(action, action)
        assert each.answer in named
    splits = {
        name: {each.video_id for each in formats.read_qa(tmp_path / f"qa_{name}.jsonl")}
        for name in video_questions.SPLITS
    }
    assert all(splits.values()) and not splits["train"] & splits["test"]
