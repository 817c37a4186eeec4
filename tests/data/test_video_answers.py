"""Every kind of model answers about any video, by its own sampling; what it cannot do is one line."""

import numpy as np
import pytest
import torch
import video_models as zoo

from ivcore import weights
from ivcore.data.video_answers import VideoModel, answers, in_order, one_clip
from ivcore.data.windows import Piece, decode
from ivcore.errors import ParameterError, VideoError
from ivcore.metrics.recognition import merge_views
from ivcore.stages.cross_model import prepared


@pytest.fixture
def videos(tmp_path):
    sizes = [(12, (16, 24)), (1, (16, 16)), (30, (48, 20))]
    return [str(zoo.video(tmp_path / f"{i}.mp4", *size, seed=i)) for i, size in enumerate(sizes)]


def features(model, paths, **how):
    return [answer.values for _, answer in in_order(model.features, model, [Piece(path) for path in paths], **how)]


@pytest.mark.parametrize("kind", zoo.KINDS)
def test_features_are_those_of_the_model_on_its_own_clips(tmp_path, videos, kind):
    file = zoo.saved(tmp_path, kind)
    model, plain = VideoModel.load(file), weights.load(file)
    together = features(model, videos)
    clips = [torch.from_numpy(decode(Piece(path), model.usage.views()).clips[0]) for path in videos]
    by_hand = {
        "masked": lambda x: plain.encoder(plain.prepare(x)).mean(1),
        "classifier": lambda x: plain.features(plain.prepare(x)),
        "multimodal": lambda x: plain.features(plain.prepare(x)),
        "coordinated": lambda x: plain.features(prepared(plain, x)),
        "video_text": lambda x: plain.encode_video(plain.prepare(x)),
    }[kind]
    with torch.no_grad():
        for got, clip in zip(together, clips, strict=True):
            assert torch.allclose(got[0], by_hand(clip), atol=1e-5)
    assert together[0].shape[1] == (6 if kind == "classifier" else 1)
    if kind == "classifier":
        assert one_clip(model).usage.test_clips == 1 and features(one_clip(model), videos)[0].shape[1] == 3


def test_bad_videos_keep_their_place(tmp_path, videos):
    model = VideoModel.load(zoo.saved(tmp_path, "masked"))
    (tmp_path / "bad.mp4").touch()
    paths = [videos[0], str(tmp_path / "bad.mp4"), videos[1]]
    got = list(in_order(model.features, model, [Piece(path) for path in paths]))
    assert [path for path, _ in got] == paths and isinstance(got[1][1], VideoError)
    assert sorted(index for index, _ in answers(model.features, model, [Piece(path) for path in paths])) == [0, 1, 2]


@pytest.mark.parametrize("kind", ["classifier", "multimodal", "coordinated"])
def test_a_classifier_answers_by_the_names_in_its_file(tmp_path, videos, kind):
    model = VideoModel.load(zoo.saved(tmp_path, kind))
    logits, names = model.classifier()
    (_, answer), *_ = answers(logits, model, [Piece(videos[0])])
    scores = merge_views(answer.values)[0]
    assert names == list(zoo.CLASSES) and scores.shape == (3,) and scores.sum().item() == pytest.approx(1)
    with pytest.raises(ParameterError, match="reads no labels; it has classes of its own"):
        model.zero_shot(["a", "b"])


def test_labels_are_read_as_they_are_written_and_unknown_words_named(tmp_path, videos):
    model = VideoModel.load(zoo.saved(tmp_path, "video_text"))
    labels = ["a red square slides left", "a dog jumps", "a zebra grazes"]
    logits, names, notes = model.zero_shot(labels)
    (_, answer), *_ = answers(logits, model, [Piece(videos[0])])
    clips = torch.from_numpy(decode(Piece(videos[0]), model.usage.views()).clips[0])
    with torch.no_grad():
        by_hand = model.model.zero_shot(model.model.prepare(clips), zoo.TOKENIZER(labels))[0]
    assert torch.allclose(merge_views(answer.values)[0], by_hand, atol=1e-5) and names == labels
    assert notes[0].endswith("zebra, grazes") and "cut to the 8 tokens" in notes[1] and "zebra" in notes[1]
    assert model.zero_shot(labels[:2])[2] == []
    with pytest.raises(ParameterError, match="has no classes of its own; give it --labels"):
        model.classifier()


def test_a_pretrained_encoder_has_neither(tmp_path):
    model = VideoModel.load(zoo.saved(tmp_path, "masked"), name="10/tiny")
    for ask in (model.classifier, lambda: model.zero_shot(["a", "b"])):
        with pytest.raises(ParameterError, match=r"^10/tiny: a MaskedAutoencoder .* iv features takes it"):
            ask()


def test_the_digest_is_that_of_the_weights(tmp_path):
    first = VideoModel.load(zoo.saved(tmp_path / "a", "classifier"))
    again = VideoModel.load(zoo.saved(tmp_path / "b", "classifier"))
    assert first.digest == again.digest
    again.model.head.bias.data[0] += 1e-3
    assert first.digest != again.digest


def test_a_file_that_does_not_say_is_told(tmp_path):
    from ivcore.train import save_weights

    model, _ = zoo.build("classifier")
    loaded = VideoModel.load(save_weights(model, tmp_path / "m.safetensors", model.config))
    assert "4 frames, every 4th, as published" in loaded.notes()[0] and loaded.classes == [
        "class 0",
        "class 1",
        "class 2",
    ]
    assert not np.any(VideoModel.load(zoo.saved(tmp_path, "classifier")).notes())


def test_a_tokenizer_is_made_once_for_a_model(tmp_path):
    model = VideoModel.load(str(zoo.saved(tmp_path, "video_text")))
    assert model.tokenizer() is model.tokenizer("labels")
