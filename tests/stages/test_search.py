"""Retrieval: which videos are searched by which sentences, what scores are worth, and every dataset's files to a score."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
import video_models as zoo
from video_models import some_videos

from ivcore import weights
from ivcore.data.captions.releases import LAYOUTS, released_sets
from ivcore.data.formats import CaptionedSegment
from ivcore.data.video_answers import VideoModel
from ivcore.errors import ParameterError, UserError
from ivcore.metrics.retrieval import chance
from ivcore.run import contradictions
from ivcore.run import execute as run
from ivcore.stages import search

MINIS = {layout: layout for layout in LAYOUTS} | {"activitynet": "activitynet_captions"}
HOW = {"in_memory": True, "max_bad": 1.0}


def scored(model, videos, every=False, **how):
    return search.scored(model, videos, search.embed(model, search.views(videos, model, **HOW, **how)), every)


def test_all_captions_or_one_are_searched_for(tmp_path):
    videos = some_videos(tmp_path, 2)
    assert search.sentences(videos)[1].tolist() == [0, 1]
    texts, owner = search.sentences(videos, every=True)
    assert owner.tolist() == [0, 0, 1, 1] and texts[3] == "a dog jumps 1"


def test_scores_are_scaled_cosines_of_whole_videos(model, tmp_path):
    videos = some_videos(tmp_path)
    found = scored(model, videos)
    clip = torch.from_numpy(search.views(videos, model, **HOW)[1]["views"][:1])
    with torch.no_grad():
        clip = F.normalize(model.features(clip), dim=-1)
        text = F.normalize(model.model.encode_text(zoo.TOKENIZER([videos.queries[1]])), dim=-1)
    cosine = (clip * text).sum() * model.model.logit_scale.exp()
    assert found.similarity[1, 1] == pytest.approx(cosine.item(), rel=1e-4)
    assert found.similarity.shape == (4, 4)


def test_sentences_are_embedded_in_the_precision_that_videos_are(model, tmp_path):
    videos = some_videos(tmp_path)
    embedded = search.embed(model, search.views(videos, model, **HOW))
    full, half = (search.scored(model, videos, embedded, precision=each).similarity for each in ("fp32", "bf16"))
    assert not torch.equal(full, half) and torch.allclose(full, half, rtol=0.05, atol=0.05 * full.abs().max().item())


def test_a_video_that_cannot_be_read_takes_its_sentences_along(model, tmp_path):
    whole, broken = (some_videos(tmp_path / name, broken=bad) for name, bad in (("a", ()), ("b", (1,))))
    (tmp_path / "b").mkdir(exist_ok=True)
    views = search.views(broken, model, in_memory=False, max_bad=1.0)
    found = search.scored(model, broken, search.embed(model, views), every=True)
    assert found.rows.tolist() == [0, 2, 3] and found.similarity.shape == (3, 6)
    assert found.owner.tolist() == [0, 0, 1, 1, 2, 2] and found.texts[3] == "a dog jumps 2"
    assert views.coverage("test") == {"test_videos": 4, "test_scored": 3}
    kept = scored(model, whole, every=True)
    assert torch.allclose(kept.similarity[[0, 2, 3]][:, [0, 1, 4, 5, 6, 7]], found.similarity, atol=1e-5)


def test_a_video_that_nothing_is_said_about_is_not_searched(tmp_path, capsys):
    listed = [{"path": f"{n}.mp4", "caption": text} for n, text in enumerate(["a dog", "", ["\u200b", "a cat"], " "])]
    (tmp_path / "test.json").write_text(json.dumps(listed))
    files = {"train": "", "val": "", "test": str(tmp_path / "test.json")}
    test = search.sets(files)["test"]
    assert test.captions == [("a dog",), ("a cat",)] and test.queries == ["a dog", "a cat"] and len(test.backwards) == 2
    assert "test: 2 of 4 videos have no sentence, and are left out" in capsys.readouterr().out
    (tmp_path / "test.json").write_text(json.dumps(listed[1:2]))
    with pytest.raises(UserError, match=r"test.json: none of the 1 videos for test has a sentence"):
        search.sets(files)


def test_a_part_of_a_video_is_all_that_is_searched(model, tmp_path):
    videos = some_videos(tmp_path, 1)
    record = videos.records[0]
    cut = replace(videos, records=[CaptionedSegment(record.id, record.path, record.captions, None, 0.0, 0.4)])
    whole, part = (search.views(each, model, **HOW)[0]["views"] for each in (videos, cut))
    assert whole.shape == part.shape and not (whole == part).all()


def a_table(rows, owner):
    rows = torch.tensor(rows)
    return search.Scored(rows, torch.tensor(owner), [str(n) for n in range(rows.shape[1])], torch.arange(len(rows)))


def test_what_a_table_says():
    table = a_table([[9.0, 1.0, 6.0], [2.0, 4.0, 5.0], [1.0, 3.0, 5.5]], [0, 1, 2])
    assert table.both == pytest.approx((2 / 3 + 2 / 3) / 2) and table.ranks.tolist() == [1, 1, 2]
    assert table.best(2, 2) == [0, 2] and table.first(2).tolist() == [[9, 1], [2, 4]]
    assert table.with_owners(torch.tensor([1, 2, 0])).measures()["t2v_r1"] == pytest.approx(1 / 3)
    assert search.recall_curve(table) == [(1, [pytest.approx(2 / 3)]), (2, [1.0]), (3, [1.0])]


def test_models_are_joined_by_the_mean_of_their_scores():
    one, other = a_table([[1.0, 0.0], [0.0, 1.0]], [0, 1]), a_table([[0.0, 3.0], [0.0, 0.0]], [0, 1])
    assert search.together([one, other]).similarity.tolist() == [[0.5, 1.5], [0, 0.5]]
    with pytest.raises(ParameterError, match="second_model: could not read the same videos"):
        search.together([one, replace(other, rows=torch.tensor([0, 2]))])


def test_which_way_round_is_asked_where_it_is_known(model, tmp_path):
    videos = some_videos(tmp_path, 3)
    embedded = search.embed(model, search.views(videos, model, **HOW))
    assert search.order_accuracy(model, videos, embedded) in (0, 1 / 3, 2 / 3, 1)
    assert search.order_accuracy(model, replace(videos, backwards=[()] * 3), embedded) is None
    same = replace(videos, backwards=[(query,) for query in videos.queries])
    assert search.order_accuracy(model, same, embedded) == 0.5


def test_a_list_to_test_on_alone_is_enough(tmp_path):
    (tmp_path / "list.csv").write_text("path,caption\na.mp4,a dog\n")
    assert list(search.sets({"val": "", "test": str(tmp_path / "list.csv")})) == ["test"]
    assert [len(some) for some in search.sets({"val": "", "test": ""}, num_clips=60).values()] != [0, 0]


def test_own_captions_are_not_held_out_for_choices_that_nobody_makes(tmp_path):
    paths = [str(zoo.video(tmp_path / f"{n}.mp4", seed=n)) for n in range(8)]
    (tmp_path / "list.csv").write_text(
        "path,caption\n" + "".join(f"{path},a dog {n}\n" for n, path in enumerate(paths))
    )
    files = {"train": str(tmp_path / "list.csv"), "val": "", "test": ""}
    chosen, whole = (search.sets(files, chooses=each) for each in (True, False))
    assert list(chosen) == ["train", "val", "test"] and list(whole) == ["train", "test"]
    assert len(whole["train"]) == len(chosen["train"]) + len(chosen["val"]) and len(whole["test"]) == len(
        chosen["test"]
    )


def test_what_contradicts_itself_is_said():
    asked = {
        "frame_counts": [2, 4],
        "alphas": [0.0, 1.0],
        "start_model": "",
        "test_captions": "t.csv",
        "val_captions": "",
    }
    assert "frame_counts = [2, 4]" in contradictions.choices_of_a_search(**asked)
    assert "alphas" in contradictions.choices_of_a_search(**asked | {"frame_counts": [2], "start_model": "x"})
    assert contradictions.choices_of_a_search(**asked | {"val_captions": "v.csv"}) is None
    assert "leave test_captions empty" in contradictions.a_release_or_captions("data", "t.csv", "")
    assert "give test_captions" in contradictions.a_release_or_captions("", "", "v.csv")
    assert contradictions.a_release_or_captions("", "t.csv", "v.csv") is None


def test_towers_learn_slower_than_what_is_named():
    shares = search.lr_shares(["temperature"], 0.25)
    names = ("logit_scale", "visual_proj", "text.token_embedding.weight")
    assert [next(share for begin, share in shares if name.startswith(begin)) for name in names] == [1.0, 0.25, 0.25]
    own = {name for name, _ in zoo.video_text().named_parameters()}
    for begins in search.FAST.values():
        assert all(any(name.startswith(begin) for name in own) for begin in begins if not begin.endswith("proj."))


class Run:
    """The parameters of a run that name models."""

    def __init__(self, **params):
        self.params, self.device = params, "cpu"

    def upstream(self, name):
        return self.params[name] or None


def test_dropout_is_that_of_the_task_and_not_that_of_the_class(tmp_path):
    run = Run(multimodal_encoder=str(zoo.saved(tmp_path, "video_text")))
    for rate in (0.0, 0.5):
        model = search.load(run, "multimodal_encoder", rate).model.train()
        for block in model.visual.transformer.dec:
            torch.nn.init.normal_(block.mlp.c_proj.weight)  # zero at first, so that nothing would be dropped
        once, again = (model.encode_video(torch.ones(1, 3, 2, 16, 16)) for _ in range(2))
        assert torch.equal(once, again) == (rate == 0.0)


def test_training_may_begin_between_the_model_and_what_it_was_trained_from(tmp_path):
    run = Run(multimodal_encoder=str(zoo.saved(tmp_path, "video_text")), start_model=zoo.clip_file(tmp_path))
    model, clip = search.load(run, "multimodal_encoder"), weights.load(run.params["start_model"])
    own = model.model.visual_proj.detach().clone()
    search.begin_between(run, model, 0.25)
    assert torch.allclose(model.model.visual_proj, 0.75 * clip.visual.proj + 0.25 * own, atol=1e-6)
    again = search.load(run, "multimodal_encoder")
    search.begin_between(Run(**run.params | {"start_model": ""}), again, 0.25)
    assert torch.equal(again.model.visual_proj, own)


def test_the_ends_of_the_way_are_the_start_model_and_the_model(tmp_path):
    run = Run(multimodal_encoder=str(zoo.saved(tmp_path, "video_text")), start_model=zoo.clip_file(tmp_path))
    model, clip = search.load(run, "multimodal_encoder"), weights.load(run.params["start_model"])
    before, own = search.ends(run, model)
    assert torch.equal(before["visual_proj"], clip.visual.proj) and torch.equal(
        own["visual_proj"], model.model.visual_proj
    )
    before, own = search.ends(Run(start_model=""), model)
    assert before is own


@pytest.mark.parametrize(
    "start, alphas, counts, alpha, scored",
    [
        ("begun", [0.0, 0.5, 1.0], [4], 0.5, [0.0, 0.5]),  # the score of alpha 1 is known
        ("begun", [0.25], [4], 0.25, []),
        ("", [0.0, 0.5], [4], 1.0, []),
        ("", [0.25], [2, 4], 1.0, []),
    ],
)
def test_alpha_is_chosen_where_there_are_several_and_a_start_model(start, alphas, counts, alpha, scored):
    run, asked = Run(start_model=start, alphas=alphas, frame_counts=counts), []
    chosen, curve = search.choose_alpha(run, lambda share: asked.append(share) or [0.1, 0.7][share > 0], own=0.7)
    assert (chosen, asked) == (alpha, scored)
    assert list(curve) == (alphas if scored else [])
    assert search.chooses(run) == (bool(scored) or len(counts) > 1)


def test_the_sentence_that_got_ahead_most():
    before, after = a_table([[0.0, 1.0], [1.0, 0.0]], [0, 1]), a_table([[0.0, 0.0], [1.0, 1.0]], [0, 1])
    assert search.gained(before, after) == 1


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_dataset_goes_from_its_files_to_a_score(layout, written, tmp_path, monkeypatch):
    monkeypatch.setenv("IVCORE_OUTPUTS", str(tmp_path / "outputs"))
    whole = released_sets(written(MINIS[layout]), layout, ("test",))["test"]
    folder = shutil.copytree(written(MINIS[layout]), tmp_path / "set")
    kept = {Path(record.path).name for record in whole.records}
    for file in [*(folder / "videos").rglob("*.*"), *folder.glob("*train*")]:
        if file.name not in kept:
            file.unlink()  # nothing is chosen, so the test videos are enough
    given = {"data": str(folder), "multimodal_encoder": str(zoo.saved(tmp_path, "video_text"))}
    if layout != "didemo":
        given["start_model"] = zoo.clip_file(tmp_path)
    given |= {"num_workers": "0", "frame_counts": "[2]"}
    folder = run.execute(run.jobs("37", layout, given)[0], timeout=300)
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["test_scored"] == metrics["test_videos"] > 0
    assert metrics["chance_r1"] == chance(metrics["test_scored"])
    assert (metrics["sentences"] > metrics["test_scored"]) == (layout in ("msvd", "vatex"))
    assert metrics["alpha"] == {"didemo": 1.0, "msvd": 0.75}.get(layout, 0.5)


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_dataset_goes_from_its_files_to_a_fine_tuned_model(layout, written, tmp_path, monkeypatch):
    monkeypatch.setenv("IVCORE_OUTPUTS", str(tmp_path / "outputs"))
    given = {"data": str(written(MINIS[layout])), "multimodal_encoder": str(zoo.saved(tmp_path, "video_text"))}
    given |= {"num_workers": "0", "num_frames": "2", "batch_size": "4", "micro_batch": "2", "precision": "fp32"}
    given |= {"epochs": "1", "warmup_epochs": "0"} | (
        {"start_model": zoo.clip_file(tmp_path)} if layout == "lsmdc" else {}
    )
    folder = run.execute(run.jobs("33", layout, given)[0], timeout=300)
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["test_scored"] == metrics["test_videos"] > 0
    held_out = ("msrvtt", "activitynet", "vatex")  # whose validation videos would be training videos
    assert ("'val'" in (folder / "log.txt").read_text()) == (layout not in held_out)
    assert (metrics["sentences"] > metrics["test_scored"]) == (layout in ("msvd", "vatex"))
    tuned, start = VideoModel.load(str(folder)), weights.load(given["multimodal_encoder"])
    assert tuned.usage.num_frames == 2 and tuned.usage.tokenizer == zoo.TOKENIZER.config
    assert not torch.equal(tuned.model.visual_proj, start.visual_proj)
