"""Recognition on datasets in miniature, from the files of their releases to a score, and the scores of several models together."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from ivcore.cma import Coordinated
from ivcore.data.labels import kinetics710
from ivcore.data.videos import video_splits
from ivcore.data.views import merged_scores, views_of
from ivcore.encoders.uniformerv2 import UniFormerV2
from ivcore.encoders.videomae import MaskedAutoencoder, VideoClassifier
from ivcore.errors import ParameterError
from ivcore.run import execute as run
from ivcore.run import notebook
from ivcore.stages import recognition
from ivcore.train import save_weights
from ivcore.weights.usage import Usage

K400 = ["abseiling", "air drumming", "answering questions", "applauding"]
LISTS = {"train": "", "val": "", "test": ""}
LAYOUT = {"ssv1": "something", "ssv2": "something", "activitynet": "activitynet", "hmdb51": "hmdb51"}
SMALL = {"image_size": "32", "num_frames": "8", "steps": "2", "batch_size": "4", "micro_batch": "0"}
SMALL |= {"in_memory": "true", "num_workers": "0", "precision": "fp32"}


def saved(folder: Path, model, frames: int = 8, classes=K400, **how) -> str:
    path = folder / f"{type(model).__name__}-{len(classes)}-{frames}.safetensors"
    save_weights(model, path, model.config | Usage(32, frames, classes=tuple(classes), **how).saved(model))
    return str(path)


def multimodal(classes: int) -> UniFormerV2:
    return UniFormerV2(32, 2, 1, 8, 32, classes, (1,))


@pytest.mark.parametrize("name", ["k700", "hacs", "ssv1", "ssv2", "hmdb51"])
def test_a_release_is_parted_and_named(written, name, capsys):
    train, val, test = video_splits(LISTS, data=str(written(name)), release=LAYOUT.get(name, "kinetics"), split=3)
    paths = [{record.path for record in part.records} for part in (train, val, test)]
    assert all(paths) and not paths[0] & paths[1] and not (paths[0] | paths[1]) & paths[2]
    assert {record.label for record in train.records} == {record.label for record in test.records} == {0, 1, 2, 3}
    first = {"k700": "abseiling", "hacs": "0", "hmdb51": "brush hair"}.get(
        name, "Approaching something with your camera"
    )
    assert train.classes[0] == first and len(train.classes) == 4
    assert "training videos are held out" in capsys.readouterr().out


def test_what_is_missing_of_a_release_is_named(written, tmp_path):
    (tmp_path / "train.csv").write_text("a.mp4 0\n")
    with pytest.raises(ParameterError, match=r"has no val\.csv"):
        video_splits(LISTS, data=str(tmp_path))
    with pytest.raises(ParameterError, match=r"has no train.csv or train.txt or somesomev1_rgb_train_split.txt"):
        video_splits(LISTS, data=str(written("hmdb51")), release="something")


def test_either_encoder_becomes_a_classifier_and_stays_as_it_is(tmp_path):
    torch.manual_seed(0)
    for model in (MaskedAutoencoder("tiny", depth=2), VideoClassifier("tiny", 4, depth=2), multimodal(4)):
        named = () if isinstance(model, MaskedAutoencoder) else K400
        place = saved(tmp_path, model, classes=named)
        encoder = recognition.encoder_at(place)
        before = {name: value.clone() for name, value in encoder.state_dict().items()}
        made = recognition.classifier_of(encoder, place, ["a", "b"], False, frames=8, image=32)
        clips = torch.zeros(1, 3, 8, 32, 32)
        encoder.resize_positions(8, 32)
        assert made(clips).shape == (1, 2) and recognition.mean_feature(encoder)(clips).dim() == 2
        assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items() if name in before)
        assert recognition.taught(encoder, place) == ("post-pretrained" if named else "pretrained")


def test_a_head_for_all_of_kinetics_is_cut_to_a_release(tmp_path):
    whole = VideoClassifier("tiny", 710, depth=2)
    place = saved(tmp_path, whole, classes=kinetics710.CLASSES)
    classes = [kinetics710.CLASSES[row] for row in (0, 2, 505)]
    part = recognition.classifier_of(recognition.encoder_at(place), place, classes, True, frames=8, image=32)
    assert torch.equal(part.head.weight, whole.head.weight[[0, 2, 505]])


def test_models_beside_the_own_see_videos_their_own_way(written, tmp_path):
    torch.manual_seed(0)
    *_, test = video_splits(LISTS, data=str(written("k400")))
    reading = {"in_memory": False, "strict": False}
    own = views_of(test, num_frames=8, stride=1, size=32, **reading)
    model = VideoClassifier("tiny", 4, depth=2)
    merged_scores(model, model.resize_positions(8, 32), own)
    other = multimodal(4).eval()
    turned = saved(tmp_path, other, 4, K400[::-1], frame_sampling="segment", test_clips=2)
    places = {"second_model": turned, "third_model": None}
    named = SimpleNamespace(upstream=places.get, device="cpu")
    found = recognition.scores_beside(named, K400, test, own, **reading)
    views = views_of(test, num_frames=4, size=32, segment=True, num_clips=2, **reading)
    expected, _ = merged_scores(other, other.resize_positions(4, 32), views)
    assert list(found) == ["second"]
    assert torch.allclose(found["second"], expected.flip(1), atol=1e-5)
    places["second_model"] = saved(tmp_path, multimodal(3), 4, K400[:3], frame_sampling="segment")
    for ask in (recognition.check_beside, lambda *some: recognition.scores_beside(*some, test, own, **reading)):
        with pytest.raises(ParameterError, match="second_model: knows 3 classes, and 'applauding' is not among them"):
            ask(named, K400)
    source = "".join(map(notebook.source, notebook.cells(notebook.find("30"))))
    assert source.index("check_beside(run, classes)") < source.index("train(model"), "told after days of training"


@pytest.fixture(scope="module")
def files(golden, tmp_path_factory):
    """(folder of the published score files of two models, what the published ensemble script makes of them)"""
    case = next(each for each in golden("score_merging.json")["cases"] if each["name"] == "ensemble_of_two_models")
    folder = tmp_path_factory.mktemp("scores")
    for model in "ab":
        (folder / model).mkdir()
        for rank, text in enumerate(case[f"files_model_{model}"]):
            (folder / f"{model}/{rank}.txt").write_text(text)
    return folder, case["expected"]["softmax"]["per_video"]


def test_published_score_files_join_by_the_names_of_videos(files):
    folder, published = files
    names = sorted(published, reverse=True)
    own = SimpleNamespace(scored=[f"/videos/{name}" for name in names])
    labels = torch.tensor([published[name]["label"] for name in names])
    scores = torch.full((len(names), 8), 1 / 8)
    found = recognition.scores_in_files(folder, own, scores, labels)
    wanted = torch.tensor([published[name]["mean_scores"] for name in names])
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-6)
    for changed, said in (
        ((own, scores[:, :5], labels), "8 and 5 classes|5 and 8 classes"),
        ((own, scores, (labels + 1) % 8), "another label"),
        ((SimpleNamespace(scored=own.scored[1:]), scores[1:], labels[1:]), "1 clips are scored by one only"),
    ):
        with pytest.raises(ParameterError, match=f"view_scores = .*({said})"):
            recognition.scores_in_files(folder, *changed)


DATASETS = ["k400", "k600", "k700", "ssv1", "ssv2", "activitynet", "hacs", "hmdb51"]


@pytest.mark.slow
@pytest.mark.parametrize("preset", [*DATASETS, "k400_multimodal", "internvideo_d", "internvideo_t", "coordinated"])
def test_the_preset_of_a_dataset_goes_from_its_files_to_a_score(preset, written, tmp_path, monkeypatch):
    monkeypatch.setenv("IVCORE_OUTPUTS", str(tmp_path))
    torch.manual_seed(0)
    two = preset in ("activitynet", "hacs", "k400_multimodal")
    encoder = multimodal(710) if two else VideoClassifier("tiny", 710, depth=2)
    place = saved(tmp_path, encoder, classes=kinetics710.CLASSES)
    given = {"data": str(written(preset if preset in DATASETS else "k400"))}
    given["multimodal_encoder" if two else "masked_encoder"] = place
    if preset.startswith("internvideo"):
        given["second_model"] = saved(tmp_path, multimodal(4), 4)
    if preset == "coordinated":
        joined = Coordinated(encoder, multimodal(710), stages=2, frames=4)
        del given["masked_encoder"]
        given |= {"warmup_steps": "1", "coordinated_model": saved(tmp_path, joined, classes=kinetics710.CLASSES)}
    if preset == "internvideo_t":
        given["third_model"] = saved(tmp_path, multimodal(4))
        rows = [line.split() for line in (written("k400") / "val.csv").read_text().splitlines()]
        lines = [f"{Path(path).name} [0, 1, 2, 3] {label} 0 0\n" for path, label in rows]
        (tmp_path / "scores").mkdir()
        (tmp_path / "scores/0.txt").write_text("0.0, 0.0\n" + "".join(lines))
        given["view_scores"] = str(tmp_path / "scores")
    job = run.jobs("30", preset, SMALL | given)[-1]
    metrics = json.loads((run.execute(job, timeout=300) / "metrics.json").read_text())
    assert metrics["test_scored"] == metrics["test_videos"] > 0
    assert 0 <= metrics["top1"] <= 1 and metrics["chance"] == 0.25
    assert ("top1_ensemble" in metrics) == preset.startswith("internvideo")
    assert ("top1_files" in metrics) == (preset == "internvideo_t")
    assert metrics.get("top1_files", 0.25) == 0.25  # the scores are the same for all videos


@pytest.mark.slow
def test_a_spoilt_list_is_scored_without_its_bad_rows_and_says_so(written, tmp_path, monkeypatch):
    monkeypatch.setenv("IVCORE_OUTPUTS", str(tmp_path / "outputs"))
    data = shutil.copytree(written("k400"), tmp_path / "k400")
    (data / "classes.txt").write_text("".join(f"{name}\n" for name in K400))
    good = (data / "val.csv").read_text().splitlines()
    (data / "broken.mp4").write_text("no video")
    bad = [good[0], good[1][:-1] + "3", good[2].replace(".mp4", "0.mp4")[:-1] + "4", "gone.mp4 0", "broken.mp4 0"]
    (data / "val.csv").write_text("".join(f"{line}\n" for line in good + bad))
    given = {"data": str(data), "masked_encoder": saved(tmp_path, VideoClassifier("tiny", 4, depth=2))}
    given |= {"drop_bad_rows": "true", "max_bad": "0.3", "test_clips": "1", "test_crops": "1", "keep_head": "true"}
    folder = run.execute(run.jobs("30", "k400", SMALL | given)[0], timeout=300)
    metrics = json.loads((folder / "metrics.json").read_text())
    assert (metrics["test_videos"], metrics["test_scored"], metrics["bad_rows"]) == (10, 8, 3)
    listed = [json.loads(line)["line"] for line in (folder / "bad_rows.jsonl").read_text().splitlines()]
    assert listed == [9, 10, 11] and metrics["top1"] * 8 % 1 == 0
    named = (folder / "bad_videos.jsonl").read_text()
    assert "gone.mp4" in named and "broken.mp4" in named
