"""An encoder of a wrong kind, or that cannot read the clips asked for, is told before anything is decoded."""

import json
import os
import shutil
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from ivcore import weights
from ivcore.encoders import build, sizes
from ivcore.encoders.clip import Clip, ImageEncoder, TextEncoder
from ivcore.encoders.uniformerv2 import UniFormerV2
from ivcore.encoders.videomae import MaskedAutoencoder, MaskedVideoEncoder, VideoClassifier
from ivcore.errors import ParameterError
from ivcore.run.spec import Spec, held
from ivcore.train.checkpoints import save_weights
from ivcore.weights import sketch


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A file of each kind, by kind."""
    folder = tmp_path_factory.mktemp("saved")
    small = {"width": 64, "layers": 2, "heads": 2, "patch": 8, "image": 32}
    towers = {"width": 64, "layers": 2, "heads": 1}
    made = {
        "autoencoder": MaskedAutoencoder("tiny", depth=2),
        "encoder": MaskedVideoEncoder("tiny", depth=2),
        "masked_classifier": VideoClassifier("tiny", 3, depth=2),
        "video_text": build.video_text_model(sizes.video_text_size("tiny")),
        "multimodal_classifier": UniFormerV2(**small, num_classes=3, global_layers=[1]),
        "clip": Clip(ImageEncoder(64, image=32, patch=8, **towers), TextEncoder(64, vocabulary=100, **towers)),
    }
    for kind, model in made.items():
        save_weights(model, folder / f"{kind}.safetensors", getattr(model, "config", None))
    return {kind: str(folder / f"{kind}.safetensors") for kind in made}


def test_a_file_is_known_by_what_is_in_it(saved):
    for kind, file in saved.items():
        found = held(file)
        assert found.kind == ("autoencoder" if kind == "encoder" else kind)
        assert found.patch == 8 and found.depth == (3 if kind == "video_text" else 2)


def test_of_a_large_file_the_header_is_enough(saved, monkeypatch):
    loaded = {kind: weights.load(file) for kind, file in saved.items()}
    monkeypatch.setattr(sketch, "SMALL", 0)
    for kind, file in saved.items():
        found = sketch.sketch(Path(file))
        assert type(found) is type(loaded[kind]) and next(found.parameters()).is_meta
        assert {k: v.shape for k, v in found.state_dict().items()} == {
            k: v.shape for k, v in loaded[kind].state_dict().items()
        }


TAKEN = {
    ("30", "masked_encoder"): {"autoencoder", "encoder", "masked_classifier"},
    ("30", "second_model"): {"masked_classifier", "multimodal_classifier"},
    ("12", "encoder"): {"autoencoder", "encoder", "masked_classifier", "video_text", "multimodal_classifier"},
    ("13", "masked_encoder"): {"masked_classifier"},
    ("24", "multimodal_encoder"): {"multimodal_classifier"},
    ("10", "masked_encoder"): {"autoencoder", "encoder"},
    ("11", "clip_weights"): {"clip"},
    ("11", "multimodal_encoder"): {"video_text"},
    ("22", "clip_weights"): {"clip"},
    ("03", "masked_encoder"): {"autoencoder", "encoder"},
    ("03", "clip_weights"): {"clip"},
    ("04", "checkpoint"): {"autoencoder", "encoder", "masked_classifier", "video_text", "multimodal_classifier", "clip"},
}  # fmt: skip


@pytest.mark.parametrize("number, name", TAKEN)
def test_each_parameter_takes_its_kinds_alone(saved, number, name):
    fitting = {"stages": 2, "global_layers": 1}
    fitting = {key: value for key, value in fitting.items() if key in Spec.of(number).parameters}
    for kind, file in saved.items():
        if kind in TAKEN[number, name]:
            assert Spec.of(number).expand("tiny", {name: file} | fitting)
        else:
            with pytest.raises(ParameterError, match=rf"{name} = .*: holds .*, must be "):
                Spec.of(number).expand("tiny", {name: file} | fitting)


@pytest.mark.parametrize(
    "number, given, says",
    [
        ("30", "masked_encoder=11/tiny", "masked_encoder = '11/tiny': holds a video-text model, must be scratch or a masked"),
        ("30", "masked_encoder=12/tiny_multimodal", "holds a multimodal classifier"),
        ("30", "masked_encoder=13/tiny", "holds a coordinated model"),
        ("30", "masked_encoder=20/tiny", "holds no model that others start from"),
        ("12", "encoder=scratch", "encoder = 'scratch': must be a masked encoder or a multimodal encoder"),
        ("13", "multimodal_encoder=", "multimodal_encoder = '': must be a multimodal classifier"),
        ("13", "masked_encoder=10/tiny", "holds a masked autoencoder, must be a masked classifier"),
        ("11", "clip_weights=11/tiny", "holds a video-text model, must be scratch or CLIP"),
        ("10", "masked_encoder=30/tiny", "holds a masked classifier, must be scratch or a masked autoencoder"),
        ("11", "multimodal_encoder=10/tiny", "holds a masked autoencoder, must be scratch or a video-text model"),
        ("30", "image_size=36", "image_size = 36: must be a multiple of 8, the tokens of masked_encoder = '10/tiny'"),
        ("12", "num_frames=5", "num_frames = 5: must be a multiple of 2, the tokens of encoder = '10/tiny'"),
        ("24", "image_size=33", "image_size = 33: must be a multiple of 8"),
        ("13", "heads=5", "heads = 5: must divide 128"),
        ("13", "stages=4", "stages = 4: multimodal_encoder = '12/tiny_multimodal' has 3 layers"),
        ("11", "global_layers=4", "global_layers = 4: must be at most 3, the layers of model_size = 'tiny'"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_line(number, given, says):
    name, _, value = given.partition("=")
    with pytest.raises(ParameterError) as caught:
        Spec.of(number).expand("tiny", {name: value})
    assert says in str(caught.value)


def test_clips_of_another_length_and_size_fit_where_tokens_do():
    """Positions are interpolated."""
    assert Spec.of("30").expand("tiny", {"image_size": 64, "num_frames": 16})
    assert Spec.of("12").expand("tiny", {"encoder": "11/tiny", "num_frames": 5})


def test_a_checkpoint_that_does_not_load_is_told_at_once(saved, tmp_path):
    file = tmp_path / "x.safetensors"
    save_file({"a": torch.zeros(3)}, file)
    bad = {file: "not a layout"}
    for name, content in (("cut.safetensors", b"\xff" * 9), ("page.pt", b"<html>"), ("empty.pth", b"")):
        (tmp_path / name).write_bytes(content)
        bad[tmp_path / name] = name
    (tmp_path / "empty").mkdir()
    bad[tmp_path / "empty"] = "no checkpoint in"
    for value, says in bad.items():
        with pytest.raises(ParameterError, match="masked_encoder = ") as caught:
            Spec.of("30").expand("tiny", {"masked_encoder": str(value)})
        assert says in str(caught.value)


def test_a_folder_that_is_no_encoder_is_not_searched(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/model.pth").write_bytes(b"")
    for value, says in ((tmp_path, "no checkpoint in"), ("/", "no checkpoint in /")):
        with pytest.raises(ParameterError, match="masked_encoder = ") as caught:
            Spec.of("30").expand("tiny", {"masked_encoder": str(value)})
        assert says in str(caught.value)


def test_a_folder_that_may_not_be_read_is_told_as_that(tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    Spec.of("30").expand("tiny", {"masked_encoder": ""})  # imports what it needs
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)  # root may read everything
    try:
        with pytest.raises(ParameterError, match=r"masked_encoder = .*: cannot be read: Permission denied"):
            Spec.of("30").expand("tiny", {"masked_encoder": str(closed)})
    finally:
        os.seteuid(before)


def test_an_archive_counts_unpacked(tmp_path):
    """A file of a few kilobytes may unpack to gigabytes: it is not opened for a look."""
    with zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("m/data.pkl", bytes(sketch.SMALL + 1))
    assert sketch.sketch(tmp_path / "bomb.pt") is None


def test_a_published_name_is_not_fetched():
    assert Spec.of("30").expand("tiny", {"masked_encoder": "owner/name"})
    assert held("owner/name") is None and held("") is None


def test_a_run_folder_is_known_by_its_weights(saved, tmp_path):
    folder = tmp_path / "10_x/tiny-12345678"
    (folder / "checkpoints").mkdir(parents=True)
    shutil.copy(saved["masked_classifier"], folder / "checkpoints/model.safetensors")
    (folder / "params.yaml").write_text("seed: 0")
    with pytest.raises(ParameterError, match="not finished"):
        held(str(folder))
    (folder / "metrics.json").write_text(json.dumps({"loss": 1.0, "notebook": "10_stage", "preset": "tiny"}))
    assert held(str(folder)).kind == "masked_classifier"
