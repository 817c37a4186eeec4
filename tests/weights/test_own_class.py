"""A file of our own says which class it was saved from: each comes back as that class, also where keys would name another or none."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from ivcore import weights
from ivcore.cma import Coordinated
from ivcore.encoders.caption_decoder import CaptionDecoder, PlainCaptionDecoder
from ivcore.encoders.clip import Clip, ImageEncoder, TextEncoder
from ivcore.encoders.uniformerv2 import UniFormerV2
from ivcore.encoders.video_text import VideoTextModel
from ivcore.encoders.videomae import MaskedAutoencoder, MaskedVideoEncoder, VideoClassifier
from ivcore.heads.actionformer import ActionFormer
from ivcore.heads.answer import AnswerModel
from ivcore.train import save_weights
from ivcore.weights.sketch import sketch


def tower(classes=0, layers=(1,)):
    return UniFormerV2(64, 2, 1, 8, 16, classes, layers)


def text(embed=16):
    return TextEncoder(embed, 64, 2, 1, 8, 30)


def answering():
    decoder = CaptionDecoder(64, 64, 1, 2, vocabulary=0, visual_queries=3)
    return AnswerModel(VideoTextModel(tower(), text(0), 0, decoder), 5)


MODELS = {
    "autoencoder": lambda: MaskedAutoencoder("tiny", depth=2),
    "encoder": lambda: MaskedVideoEncoder("tiny", depth=2),
    "encoder without norm": lambda: MaskedVideoEncoder("tiny", depth=2, final_norm=False),
    "classifier": lambda: VideoClassifier("tiny", 5, depth=2),
    "classifier without a head": lambda: VideoClassifier("tiny", 0, depth=2),
    "headless classifier without mean pooling": lambda: VideoClassifier("tiny", 0, depth=2, mean_pool=False),
    "uniformerv2": lambda: tower(5),
    "uniformerv2 without global blocks": lambda: tower(5, ()),
    "clip": lambda: Clip(ImageEncoder(16, 64, 2, 1, 8, 16), text()),
    "video-text": lambda: VideoTextModel(tower(), text(), 16),
    "video-text without global blocks": lambda: VideoTextModel(tower(layers=()), text(), 16),
    "video-text with a decoder": lambda: VideoTextModel(tower(), text(), 16, PlainCaptionDecoder(64, 64, 64, 1, 2, 30)),
    "answers": answering,
    "published decoder": lambda: CaptionDecoder(64, 64, 1, 2, 30, 3),
    "plain decoder": lambda: PlainCaptionDecoder(32, 64, 64, 1, 4, 30),
    "actionformer": lambda: ActionFormer(6, 3, backbone_arch=(1, 1, 1), embd_dim=8, n_head=2, n_mha_win_size=[5, -1],
                                         regression_range=[[0, 4], [4, 100]], max_seq_len=16, use_abs_pe=True),
    "coordinated": lambda: Coordinated(VideoClassifier("tiny", 5, depth=2), tower(5), stages=2),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_every_class_comes_back_as_itself(tmp_path, name):
    torch.manual_seed(0)
    model = MODELS[name]()
    file = save_weights(model, tmp_path / "model.safetensors", model.config)
    for loaded in (weights.load(file), sketch(file)):
        assert type(loaded) is type(model) and loaded.config == model.config
        assert str(loaded) == str(model)  # every layer and its sizes
        theirs = loaded.state_dict()
        assert theirs.keys() == model.state_dict().keys()
        assert all(torch.equal(theirs[key], value) for key, value in model.state_dict().items())


def test_files_saved_before_and_classes_of_a_users_own_are_known_by_their_keys(tmp_path):
    model = VideoClassifier("tiny", 5, depth=2)
    for metadata in ({}, {"config": '{"class": "MyClassifier"}'}):
        saved = {"config": json.dumps(model.config)} | metadata
        save_file(model.state_dict(), tmp_path / "model.safetensors", saved)
        assert type(weights.load(tmp_path / "model.safetensors")) is VideoClassifier


def test_a_class_that_does_not_fit_its_tensors_is_refused(tmp_path):
    file = save_weights(VideoClassifier("tiny", 5, depth=2), tmp_path / "model.safetensors")
    with safe_open(str(file), framework="pt") as content:
        state = {key: content.get_tensor(key) for key in content.keys()}  # noqa: SIM118
    save_file(state, file, {"config": '{"class": "UniFormerV2"}'})
    with pytest.raises(weights.WeightsError, match=r"model\.safetensors: .*missing: conv1\.weight"):
        weights.load(file)
