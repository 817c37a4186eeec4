"""Question answering as a stage: words that are new to a model, labels, what is asked about which video, and files to a score."""

import json
from pathlib import Path

import pytest
import torch
import video_models as zoo

from ivcore import weights
from ivcore.data.captions.clip_spec import ClipSpec
from ivcore.data.formats import Question
from ivcore.data.video_questions import AskedVideo, QuestionSet
from ivcore.errors import ParameterError, UserError
from ivcore.run import execute as run
from ivcore.stages import question_answering as qa
from ivcore.weights import usage

ANSWERS = ("red", "two", "left")


@pytest.fixture
def videos(tmp_path):
    asked = [[("what colour", "red"), ("how many", "two")], [("which way", "left")], [("why", "because")]]
    paths = [str(zoo.video(tmp_path / f"{n}.mp4", seed=n)) for n in range(3)]
    return QuestionSet([AskedVideo(p, tuple(Question(p, p, *each) for each in some)) for p, some in zip(paths, asked)], "own")  # fmt: skip


def built(model, features=("video", "text")):
    how = {"features": features, "layers": 2, "dropout": 0.0, "seed": 0}
    return qa.build(model, ["what colour", "how many", "which way", "why"], ANSWERS, **how)


def test_new_words_leave_the_embeddings_of_the_old(model):
    began = {name: value.clone() for name, value in model.model.state_dict().items()}
    answerer, wider = built(model)
    before, after = zoo.TOKENIZER, answerer.video_text.text.token_embedding.weight
    old = model.model.text.token_embedding.weight
    assert wider.vocabulary == len(after) >= len(old) == before.vocabulary
    assert not wider.unknown("what colour how many which way why")
    if before.kept is not None:
        rows = [wider.kept.index(each) for each in before.kept]
        assert torch.equal(after[rows], old)
    assert all(torch.equal(value, began[name]) for name, value in model.model.state_dict().items())


def batches(model, tokenizer, videos, answers=ANSWERS):
    spec = ClipSpec(model.usage.num_frames, model.usage.image_size, random=False)
    return qa.batches(videos, answers, tokenizer, 2, spec, seed=0, in_memory=True)


def test_a_batch_has_all_questions_of_each_clip(model, videos):
    tokenizer = built(model)[1]
    stream = batches(model, tokenizer, videos)
    batch = stream.fetch(0)
    assert stream.source.left_out == 1 and batch["ids"].shape == (2, 2, tokenizer.context)
    rows = {int(index): label.tolist() for index, label in zip(batch["index"], batch["label"])}
    assert rows == {0: [0, 1], 1: [2, -100]}
    one = videos.in_groups(1)
    assert [len(each.questions) for each in one.records] == [1] * 4


def test_nothing_to_learn_is_said(model, videos):
    with pytest.raises(UserError, match="no question to learn from has one of the 1 answers"):
        batches(model, built(model)[1], videos, ["blue"])


def test_the_loss_counts_answerable_questions_alone_and_every_clip_as_one(model, videos):
    answerer, tokenizer = built(model)
    batch = batches(model, tokenizer, videos).fetch(0)
    loss, numbers = qa.question_loss(answerer.eval(), batch)
    logits, own = answerer(answerer.prepare(batch["video"]), batch["ids"]), []
    for scores, labels in zip(logits, batch["label"]):
        kept = labels >= 0
        hits = (scores.argmax(-1) == labels)[kept].double().mean()
        own.append((torch.nn.functional.cross_entropy(scores[kept], labels[kept]).item(), hits.item()))
    assert (batch["label"] >= 0).sum(1).sort()[0].tolist() == [1, 2]
    assert loss.item() == pytest.approx(sum(each for each, _ in own) / 2, rel=1e-4)
    assert numbers["accuracy"].item() == pytest.approx(sum(each for _, each in own) / 2)


def test_pieces_of_a_batch_are_the_batch_as_a_whole(model, videos):
    """One clip has two questions with an answer, the other has one. A mean over questions would differ."""
    answerer, tokenizer = built(model)
    batch = batches(model, tokenizer, videos).fetch(0)
    whole = qa.question_loss(answerer.eval(), batch)[0]
    pieces = [{name: value[row : row + 1] for name, value in batch.items()} for row in (0, 1)]
    assert whole.item() == pytest.approx(
        sum(qa.question_loss(answerer, each)[0].item() for each in pieces) / 2, rel=1e-5
    )


def test_each_question_is_asked_about_its_own_video(model, videos):
    answerer, tokenizer = built(model)
    shown = qa.views(videos, model, in_memory=True, max_bad=1.0)
    answered = qa.answer(answerer, videos, shown, ANSWERS, tokenizer)
    assert answered.rows == [0, 0, 1, 2] and answered.labels.tolist() == [0, 1, 2, -100]
    clip = torch.from_numpy(shown[1]["views"][0])[None]
    with torch.no_grad():
        alone = answerer(answerer.prepare(clip), tokenizer(["which way"]))
    assert torch.allclose(answered.scores[2], alone[0], atol=1e-4)
    other = qa.answer(answerer, videos, shown, ANSWERS, tokenizer, others=True)
    assert not torch.allclose(other.scores, answered.scores)


def test_another_video_is_another_one_whatever_the_batches(model, videos, monkeypatch):
    answerer, tokenizer = built(model)
    monkeypatch.setattr(qa, "AT_ONCE", 2)  # of three videos the last is alone in its batch
    for in_memory in (True, False):
        shown = qa.views(videos, model, in_memory=in_memory, max_bad=1.0)
        other = qa.answer(answerer, videos, shown, ANSWERS, tokenizer, others=True)
        assert other.rows == [0, 0, 1, 2] and [each.path for each in qa.of_others(shown).videos] == [
            shown.videos[n].path for n in (1, 2, 0)
        ]
        clip = torch.from_numpy(shown[0]["views"][0])[None]
        with torch.no_grad():
            alone = answerer(answerer.prepare(clip), tokenizer(["why"]))
        assert torch.allclose(other.scores[3], alone[0], atol=1e-4)
    broken = videos.records[1].path
    Path(broken).write_bytes(b"x")
    shown = qa.views(videos, model, in_memory=False, max_bad=1.0)
    own, other = (qa.answer(answerer, videos, shown, ANSWERS, tokenizer, others=each) for each in (False, True))
    assert own.rows == other.rows == [0, 0, 2] and torch.equal(own.labels, other.labels)
    with pytest.raises(ParameterError, match="1 video to ask about"):
        qa.of_others(qa.views(videos.first(1), model, in_memory=True, max_bad=1.0))


def test_the_head_of_a_model_that_sees_no_video_learns_alone_too(model, videos):
    """It trains as long as the head of the other model."""
    answerer, tokenizer = built(model, ("text",))
    before = {name: value.clone() for name, value in answerer.state_dict().items()}
    read, questions = qa.read(answerer, videos, qa.views(videos, model, in_memory=True, max_bad=1.0), tokenizer)
    labels = qa.labels_of(questions, ANSWERS)
    qa.train_own_head(answerer, read, labels, steps=100, lr=0.01, seed=0)
    moved = {
        name.split(".")[0] for name, value in answerer.state_dict().items() if not torch.equal(value, before[name])
    }
    assert moved == {"head"}
    with torch.no_grad():
        assert answerer.head(read).argmax(1)[:3].tolist() == labels[:3].tolist()


def test_heads_learn_over_each_feature_and_over_all_and_the_model_stays(model, videos):
    answerer, tokenizer = built(model)
    before = {name: value.clone() for name, value in answerer.state_dict().items()}
    read, questions = qa.read(answerer, videos, qa.views(videos, model, in_memory=True, max_bad=1.0), tokenizer)
    assert [each.question for each in questions] == ["what colour", "how many", "which way", "why"]
    labels = qa.labels_of(questions, ANSWERS)
    guesses = qa.train_heads(answerer, read, labels, read, steps=100, lr=0.01, seed=0)
    assert list(guesses) == ["video", "text", "together"]
    for name in ("text", "together"):  # the video alone cannot tell two questions about it apart
        assert guesses[name][:3].tolist() == labels[:3].tolist()
    assert guesses["video"][0] == guesses["video"][1]
    moved = {
        name.split(".")[0] for name, value in answerer.state_dict().items() if not torch.equal(value, before[name])
    }
    assert moved == {"head"}
    with torch.no_grad():
        assert torch.equal(answerer.eval().head(read).argmax(1), guesses["together"])


def test_what_is_saved_says_its_answers(model, tmp_path):
    answerer, tokenizer = built(model)

    class Run:
        checkpoints = tmp_path

    qa.save(Run, answerer, model, ANSWERS, tokenizer)
    file = tmp_path / "model.safetensors"
    loaded = weights.load(file)
    used = usage.of(file, loaded)
    assert used.answers == ANSWERS and used.tokenizer == tokenizer.config and used.num_frames == model.usage.num_frames
    assert loaded.features == ("video", "text")


def test_a_model_without_a_decoder_is_refused(model):
    assert model.model.caption_decoder is None
    with pytest.raises(ParameterError, match="leave caption out"):
        built(model, ("caption",))


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["msrvtt_qa", "msvd_qa", "tgif_frame"])
def test_a_dataset_goes_from_its_files_to_a_score(layout, written, tmp_path, monkeypatch):
    monkeypatch.setenv("IVCORE_OUTPUTS", str(tmp_path / "outputs"))
    given = {"data": str(written(layout)), "multimodal_encoder": str(zoo.saved(tmp_path, "video_text"))}
    given |= {"num_workers": "0", "steps": "2", "batch_size": "4", "micro_batch": "0", "precision": "fp32"}
    given |= {"epochs": "0", "warmup_epochs": "0", "num_frames": "4", "answer_features": "[video, text]"}
    folder = run.execute(run.jobs("34", layout, given)[0], timeout=300)
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["test_scored"] == metrics["test_videos"] == 8
    assert ("'val'" in (folder / "log.txt").read_text()) == (layout != "tgif_frame")  # which would be held out
    assert 0 < metrics["answerable"] < 1 and metrics["accuracy"] <= metrics["accuracy_answerable"]
