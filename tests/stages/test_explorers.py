"""What each explorer draws: its figure follows its controls, and forward passes are kept."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from ivcore import weights
from ivcore.data.examples import Example
from ivcore.data.video_answers import VideoModel
from ivcore.metrics.rollout import rollout
from ivcore.show.controls import Clips, Patch
from ivcore.stages import explorers
from ivcore.stages.cross_model import modules_of
from ivcore.video.writer import write_video


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder, made = tmp_path_factory.mktemp("clips"), []
    for number in range(3):
        frames = np.full((16, 64, 64, 3), 40 * number, np.uint8)
        for moment, frame in enumerate(frames):
            frame[4 * moment : 4 * moment + 12, 20 * number : 20 * number + 14] = 240
        write_video(folder / f"{number}.mp4", frames, 8)
        made.append(Example(f"clip {number}", folder / f"{number}.mp4"))
    return made


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def pixels(figure):
    return figure.axes[0].images[0].get_array()


def test_reconstruction_shows_what_is_given_and_follows_the_mask(clips):
    model = weights.load("ivcore/small-masked").eval()
    found = explorers.reconstruction(model, clips)
    draw, play = found["draw"], found["play"]
    films = play(clips[0], 0.75, "tube", 0)
    assert [film.shape for film in films.values()] == [(8, 64, 64, 3)] * 3
    given = films["visible part"]
    hidden = (given == 127).all(-1)  # grey
    assert hidden.mean() == pytest.approx(0.75, abs=0.01)
    assert np.abs(given.astype(int) - films["clip"])[~hidden].max() <= 1  # the rest is the clip, but for rounding
    assert not np.array_equal(pixels(draw(clips[0], 0.75)), pixels(draw(clips[0], 0.25)))
    assert not np.array_equal(pixels(draw(clips[0], mask=0)), pixels(draw(clips[0], mask=1)))
    assert isinstance(found["clip"], Clips) and found["kind"] == ["tube", "random", "frame"] and found["alt"]


def test_attention_is_that_of_the_token_block_and_head_asked_for(clips):
    encoder = weights.load("ivcore/small-masked").encoder.eval()
    found = explorers.attention(encoder, clips)
    video = encoder.prepare(torch.from_numpy(clips[1].dense(8, 64))[None])
    with torch.inference_mode():
        layers = encoder(video, return_intermediates=("attention",))[1]["attention"]
    said = found["draw"](clips[1], "2", "3", 1, (4, 5)).axes[0]
    expected = layers[1][0, 2, (1 * 8 + 4) * 8 + 5]
    most = float(expected.max() / expected.mean())
    assert any(f"{most:.3g} × equal" in text.get_text().replace("\n", " ") for text in said.texts)
    through = rollout([layer[0].mean(0) for layer in layers])[(1 * 8 + 4) * 8 + 5]
    most = float(through.max() / through.mean())
    said = found["draw"](clips[1], "all (rollout)", "mean", 1, (4, 5)).axes[0]
    assert any(f"{most:.3g} × equal" in text.get_text().replace("\n", " ") for text in said.texts)
    assert isinstance(found["place"], Patch) and found["place"].under(clips[1], slot=2).shape == (64, 64, 3)


def test_the_query_s_shares_of_the_frames_add_up_to_one(clips):
    visual = weights.load("ivcore/small-multimodal").visual.eval()
    layers = explorers.query_of(visual, clips[0].sparse(4, 64))
    assert len(layers) == len(visual.global_layers) and layers[0].shape[1:] == (4, 65)
    assert all(torch.allclose(layer.sum((1, 2)), torch.ones(len(layer)), atol=1e-5) for layer in layers)
    found = explorers.query(visual, clips, 4)
    title = found["draw"](clips[0], **found["begin"]).axes[0].get_title(loc="left")
    assert sum(int(share) for share in title.split(";")[0].split(":")[1].replace("%", "").split(",")) in range(98, 103)


def test_shut_gates_say_something_else_and_the_marks_stay(clips, monkeypatch):
    joined = VideoModel.load("ivcore/small-coordinated")
    found = explorers.gates(joined.model, clips, joined.classes)
    drawn = []
    monkeypatch.setattr(explorers, "opinions", lambda now, classes, before, **_: drawn.append((now, before)))
    names = list(modules_of(joined.model))
    found["draw"](clips[2], **found["begin"])
    found["draw"](clips[2], **dict.fromkeys(names, 0.0))
    (open_now, open_before), (shut_now, shut_before) = drawn
    assert open_now == open_before == shut_before and shut_now != shut_before
    films = found["play"](clips[2], (0, 0), **found["begin"])
    assert len(films) == 1 + len(names) and {film.dtype for film in films.values()} == {np.dtype("uint8")}


def test_a_sentence_ranks_the_clips_and_the_readers_own_joins_them(clips):
    model = VideoModel.load("ivcore/small-multimodal")
    found = explorers.words(model, clips[:2], "a white square falls", most=2)
    title = found["draw"](clips[0], "a white square falls").axes[0].get_title(loc="left")
    assert title.startswith("caption of clip 0: ") and title.endswith("a white square falls finds:")
    texts = [text.get_text().replace("\n", " ") for text in found["draw"](clips[2], "a zeppelin falls").axes[0].texts]
    assert any("of 3" in text for text in texts)
    title = found["draw"](clips[2], "a zeppelin falls").axes[0].get_title(loc="left")
    assert "not in the vocabulary: zeppelin" in title


def test_a_share_of_nothing_is_the_masked_encoder_alone(clips, monkeypatch):
    pair = [weights.load(f"ivcore/small-{name}-classifier").eval() for name in ("masked", "multimodal")]
    drawn = []
    monkeypatch.setattr(
        explorers, "opinions", lambda models, classes, title: drawn.append((list(models.values()), title))
    )
    found = explorers.fusion(pair, clips, ["x"] * 125, (8, 4), [(0.0, 0.25), (0.5, 0.5), (1.0, 0.75)])
    for share in (0.0, 0.5, 1.0):
        found["draw"](clips[0], share)
    (masked, _, first), (_, _, mean), (_, multimodal, last) = (models for models, _ in drawn)
    assert (
        torch.allclose(first, masked)
        and torch.allclose(last, multimodal)
        and torch.allclose(mean, (masked + multimodal) / 2)
    )
    assert found["share"] == [0.0, 0.5, 1.0] and "0.750" in drawn[2][1]
