"""Datasets with segments in miniature, from the files of their releases to mAP, and what a head finds as events in seconds."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from ivcore.data import mini
from ivcore.data.untrimmed import FeatureSequence, UntrimmedSet, untrimmed_splits
from ivcore.encoders.videomae import VideoClassifier
from ivcore.errors import ParameterError
from ivcore.metrics import detection
from ivcore.run import contradictions
from ivcore.run import execute as run
from ivcore.run.features import features
from ivcore.run.spec import Spec
from ivcore.stages import temporal_localization as stage
from ivcore.train import save_weights
from ivcore.weights.usage import Usage

DATASETS = ["thumos14", "activitynet13", "hacs_segments", "fineaction"]
SMALL = {"image_size": "32", "num_frames": "8", "embd_dim": "16", "max_seq_len": "64", "batch_size": "2", "steps": "2"}


def tiny_encoder(folder: Path) -> str:
    torch.manual_seed(0)
    model = VideoClassifier("tiny", 4, depth=1)
    path = folder / "encoder.safetensors"
    save_weights(model, path, model.config | Usage(32, 8, sampling_rate=2).saved(model))
    return str(path)


def params(**changed) -> dict:
    return Spec.of("31").defaults | {"max_bad": 0.0} | changed


@pytest.mark.parametrize("name", DATASETS)
def test_a_release_has_its_parts_and_its_scores(written, name):
    sets, scores = untrimmed_splits(params(data=str(written(name)), release=name, class_agnostic=name != "thumos14"))
    assert sum(len(each) for each in sets) == mini.untrimmed.VIDEOS and all(len(each) for each in sets)
    assert all(Path(video.path).is_file() for each in sets for video in each.videos) and sets[0].source == name
    assert bool(scores) == (name != "thumos14")
    assert all(len(scores[video.id]) == len(sets[0].classes) for video in sets[2].videos if scores)


def test_a_folder_of_another_release_is_named(written):
    with pytest.raises(ParameterError, match=r"has no annotations/annotations_gt_af\.json; `iv data mini --list`"):
        untrimmed_splits(params(data=str(written("thumos14")), release="fineaction"))


def test_features_are_computed_once_and_shuffled_ones_are_others(written, tmp_path, monkeypatch):
    monkeypatch.setenv("IVCORE_CACHE", str(tmp_path))
    given = params(data=str(written("thumos14")), feature_stride=8)
    sets, _ = untrimmed_splits(given)
    model = stage.encoder_at(tiny_encoder(tmp_path), given)
    ordered, other = (stage.sequences(sets[:1], given, model, order)[0] for order in ("ordered", "shuffled"))
    assert len(ordered) == len(sets[0]) and ordered[0].first == pytest.approx(1.0) and ordered[0].step == 1.0
    assert not torch.allclose(ordered[0].features, other[0].features)
    monkeypatch.setattr(stage.sliding, "answers", lambda *_: pytest.fail("computed again") if _[2] else ())
    again = stage.sequences(sets[:1], given, model, "ordered")[0]
    assert all(torch.equal(a.features, b.features) for a, b in zip(ordered, again))


def test_the_shuffled_control_is_drawn_for_each_video_whatever_is_there_already(written, tmp_path, monkeypatch):
    monkeypatch.setenv("IVCORE_CACHE", str(tmp_path))
    given = params(data=str(written("thumos14")), feature_stride=8)
    videos = untrimmed_splits(given)[0][0]
    model = stage.encoder_at(tiny_encoder(tmp_path), given)
    whole = stage.encoded(videos, model, 8, order="shuffled")
    (done,) = tmp_path.glob("features/*/done.jsonl")
    for row in map(json.loads, done.read_text().splitlines()[1:]):  # as if killed after the first video
        (done.parent / row["file"]).unlink()
    again = stage.encoded(videos, model, 8, order="shuffled")
    assert all(torch.equal(a.features, b.features) for a, b in zip(whole, again)) and len(whole) > 1


def test_features_given_are_brought_to_the_grid_that_is_asked_for(tmp_path):
    np.save(tmp_path / "a.npy", np.random.default_rng(0).normal(size=(20, 6)))
    how = {"features": str(tmp_path), "num_frames": 16, "sampling_rate": 1, "feature_stride": 16}
    videos = UntrimmedSet([video()], ["jump"], "x")
    ((plain,),) = stage.sequences([videos], params(**how, default_fps=30.0), None, "ordered")
    ((made,),) = stage.sequences([videos], params(**how, default_fps=30.0, grid_fps=15.0), None, "ordered")
    assert (len(plain.features), plain.first, plain.step) == (20, 8 / 30, 16 / 30)
    assert (len(made.features), made.first, made.step) == (10, 8 / 15, 16 / 15)  # 165 frames
    with pytest.raises(ParameterError, match="default_fps = 0"):
        stage.sequences([UntrimmedSet([replace(video(), fps=None)], ["jump"], "x")], params(**how), None, "ordered")


def test_features_of_the_command_are_read_back_with_their_seconds(written, tmp_path, monkeypatch):
    monkeypatch.setenv("IVCORE_CACHE", str(tmp_path / "cache"))
    encoder, folder = tiny_encoder(tmp_path), tmp_path / "out"
    assert features(str(written("thumos14") / "videos"), model=encoder, out=str(folder), every=8, workers=0) == 0
    given = params(data=str(written("thumos14")), feature_stride=8)
    own = stage.sequences(untrimmed_splits(given)[0], given, stage.encoder_at(encoder, given), "ordered")
    for place in (folder, folder / "videos"):
        given = params(data=str(written("thumos14")), features=str(place))
        back = stage.sequences(untrimmed_splits(given)[0], given, None, "ordered")
        for a, b in zip(own[2], back[2], strict=True):
            assert (a.id, a.first, a.step) == (b.id, b.first, b.step)
            torch.testing.assert_close(a.features, b.features, rtol=1e-4, atol=1e-4)
    (folder / "settings.json").write_text("{}")
    with pytest.raises(ParameterError, match="was not made by `iv features --every`"):
        stage.sequences(untrimmed_splits(given)[0], given, None, "ordered")


def example(id="a", length=20) -> FeatureSequence:
    values = torch.randn(length, 6, generator=torch.Generator().manual_seed(0))
    return FeatureSequence(id, values, 1.0, 0.5, 11.0, np.array([[2.0, 5.0]]), np.array([0]))


def video(id="a", label="jump"):
    segment = stage.untrimmed.formats.Segment(label, 2.0, 5.0)
    return stage.untrimmed.UntrimmedVideo(id, f"{id}.mp4", "validation", 11.0, 8.0, (segment,))


def test_a_head_has_the_scales_that_are_asked_for_and_finds_within_the_video():
    given = params(levels=3, embd_dim=8, n_head=2, max_seq_len=32, coarsest_sees_all=True)
    model = stage.head(6, 2, given)
    assert model.ranges == [[0, 4], [4, 8], [8, 10000]] and model.windows == [7, 7, -1] and model.num_classes == 2
    events = stage.found(model, [example(), example("b")], stage.decoding_of(given))
    assert {*events.video} <= {"a", "b"} and len(events) <= 2 * given["max_seg_num"]
    assert (events.segment >= 0).all() and (events.segment <= 11).all()
    seconds, curve = stage.class_curves(model, example())
    assert seconds[[0, -1]].tolist() == [1.0, 10.5] and curve.shape == (20, 2)


def test_segments_without_classes_get_them_from_the_scores_of_videos():
    given = params(class_agnostic=True, levels=2, embd_dim=8, n_head=2, max_seq_len=32)
    model, videos = stage.head(6, 2, given), UntrimmedSet([video(label="wave")], ["jump", "wave"], "x")
    assert model.num_classes == 1
    with pytest.raises(ParameterError, match=r"1 test videos have none, e\.g\. a"):
        stage.scored(model, [example()], videos, given, {}, final=True)
    alone, events = stage.scored(model, [example()], videos, given, {})
    assert alone.classes == (0,) and {*events.label} == {0}
    fused, events = stage.scored(model, [example()], videos, given, {"a": (0.2, 0.8)}, final=True)
    assert fused.classes == (1,) and {*events.label} == {0, 1} and events.label[events.score.argmax()] == 1


@pytest.mark.parametrize("measure, counted", [("ego4d", {"a", "b"}), ("thumos14", {"a"})])
def test_a_video_without_features_counts_as_missed_by_the_measure_of_ego4d(measure, counted, monkeypatch):
    videos, asked = UntrimmedSet([video("a"), video("b")], ["jump", "run"], "here"), []
    monkeypatch.setattr(stage, "detection_scores", lambda real, *_: asked.append(set(real.video)))
    given = params(tiou=measure)
    stage.scored(stage.head(6, 2, given), [example("a")], videos, given)
    assert asked == [counted]


def test_a_refiner_moves_what_was_found_and_lowers_its_scores(tmp_path):
    given = params(levels=2, embd_dim=8, n_head=2, max_seq_len=32, refine_steps=2, batch_size=2)
    mover = stage.refiner([example(), example("b")], given, tmp_path)
    model, videos = stage.head(6, 2, given), UntrimmedSet([video()], ["jump", "wave"], "x")
    _, plain = stage.scored(model, [example()], videos, given)
    _, moved = stage.scored(model, [example()], videos, given, refiner=mover)
    assert len(moved) == len(plain) and (moved.score < plain.score).all() and (moved.label == plain.label).all()
    assert not np.allclose(moved.segment, plain.segment) and (moved.segment >= 0).all() and (moved.segment <= 11).all()


def test_scores_of_videos_name_the_segments_of_a_head_with_classes_too():
    given = params(levels=2, embd_dim=8, n_head=2, max_seq_len=32)
    model, both = stage.head(6, 3, given), [video(label="wave"), video("b", "wave")]
    videos = UntrimmedSet(both, ["jump", "wave", "run"], "x")
    _, fused = stage.scored(model, [example()], videos, given, {"a": (0.0, 0.8, 0.2)}, final=True)
    assert {*fused.label} == {1, 2}, "the two likeliest of the file, as published"
    _, own = stage.scored(model, [example("b")], videos, given, {"a": (0.0, 0.8, 0.2)})
    assert 0 in own.label
    with pytest.raises(ParameterError, match=r"video_scores: 1 test videos have none, e\.g\. b"):
        stage.scored(model, [example("b")], videos, given, {"a": (0.0, 0.8, 0.2)}, final=True)


def test_segments_vote_over_all_classes_alone():
    assert stage.decoding_of(params()).multiclass_nms
    how = stage.decoding_of(params(multiclass_nms=False, voting_thresh=0.7, voting="score"))
    assert not how.multiclass_nms and (how.voting, how.voting_thresh) == ("score", 0.7)
    with pytest.raises(ParameterError, match=r"voting_thresh = 0\.7: must be 0 with multiclass_nms = True"):
        contradictions.check({"voting_thresh": 0.7, "multiclass_nms": True})


@pytest.mark.slow
@pytest.mark.parametrize("preset", DATASETS)
def test_the_preset_of_a_dataset_goes_from_its_files_to_a_score(preset, written, tmp_path, monkeypatch):
    monkeypatch.setenv("IVCORE_OUTPUTS", str(tmp_path))
    given = SMALL | {"data": str(written(preset)), "encoder": tiny_encoder(tmp_path)}
    job = run.jobs("31", preset, given)[-1]
    place = run.execute(job, timeout=300)
    metrics = json.loads((place / "metrics.json").read_text())
    tried = [
        f"map_{threshold:g}" for threshold in (detection.THUMOS14 if preset == "thumos14" else detection.ACTIVITYNET)
    ]
    assert [name for name in metrics if name.startswith("map_")] == tried
    assert metrics["average_map"] == pytest.approx(np.mean([metrics[name] for name in tried]))
    assert metrics["test_videos"] == 3 and metrics["missing_videos"] == 0
    assert (metrics["video_scores"] > 0) == (preset != "thumos14")
    (last,) = (place / "checkpoints").glob("step-*.safetensors")
    trained, averaged = load_file(last), load_file(place / "checkpoints/model.safetensors")
    assert not torch.equal(*(weights["reg_head.offset_head.conv.weight"] for weights in (trained, averaged)))
