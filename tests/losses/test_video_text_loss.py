"""All terms together: published gradients, one pass of each encoder, and pieces that add up exactly."""

import math
from contextlib import nullcontext

import pytest
import small_video_text as small
import torch

from ivcore import weights
from ivcore.data.microbatch import micro_batches
from ivcore.encoders.caption_decoder import CaptionDecoder
from ivcore.errors import ParameterError
from ivcore.losses.contrastive import contrastive
from ivcore.losses.video_text import VideoTextLoss, trimmed
from ivcore.train import Batches, InMemory, Recipe, train

ALL = {"label_smoothing": 0.1, "captioning": 0.5, "contrastive": 2.0}


class Engine:
    """The part of an engine that pieces need."""

    def __init__(self, precision=None, model=None):
        self.precision, self.work = precision, model

    def autocast(self):
        return torch.autocast("cpu", self.precision or torch.bfloat16, enabled=self.precision is not None)

    def micro_batch(self, last):
        return nullcontext()

    def run(self, function, *arguments):
        with self.autocast():
            return function(self.work, *arguments)

    def backward(self, loss):
        loss.backward()


def plain(model, loss, batch, precision=None):
    with Engine(precision).autocast():
        value, numbers = loss(model, batch, torch.Generator().manual_seed(5))
    value.backward()
    return float(value.detach()), {k: float(v) for k, v in numbers.items()}, small.gradients(model)


def accumulated(model, loss, batch, count, precision=None):
    parts = [piece for piece, _ in micro_batches(batch, count)]
    value, numbers = loss.accumulate(parts, None, Engine(precision, model))
    return float(value), {k: float(v) for k, v in numbers.items()}, small.gradients(model)


def test_loss_and_gradients_equal_the_published_ones(golden, close):
    g = golden("cotrain_losses")
    model = weights.from_official(g.weights, g.config)
    model.prepare = lambda clips: clips  # the fixture's are prepared
    batch = {"video": g.inputs["video"].transpose(1, 2), "ids": g.inputs["text"].long()}
    value, numbers, gradients = plain(model, VideoTextLoss(), batch)
    assert numbers["contrastive"] == pytest.approx(g.outputs["contrastive_loss"].item(), rel=1e-6)
    assert numbers["captioning"] == pytest.approx(g.outputs["cap_loss"].item(), rel=1e-6)
    assert value == pytest.approx(numbers["contrastive"] + numbers["captioning"], rel=1e-6)
    published = [key.removeprefix("grad/") for key in g.outputs if key.startswith("grad/")]
    assert len(published) == 4
    for name in published:
        ours = name.removeprefix("clip.").replace("text_projection", "text.text_projection")
        close(gradients[ours], g.outputs[f"grad/{name}"], 1e-5)


def test_each_encoder_runs_once(monkeypatch):
    model, calls = small.model(), []
    for part, name in ((model.visual, "encode"), (model.text, "tokens")):
        run = getattr(part, name)
        monkeypatch.setattr(part, name, lambda *given, n=name, run=run: calls.append(n) or run(*given))
    _, numbers, _ = plain(model, VideoTextLoss(), small.batch(4))
    assert sorted(calls) == ["encode", "tokens"]
    assert {"contrastive", "captioning", "temperature", "t2v", "v2t", "word_accuracy"} == numbers.keys()


@pytest.mark.parametrize("options", [{}, ALL, {"captioning": 0.0}, {"contrastive": 0.0}, {"chunk": 2}])
@pytest.mark.parametrize("count", [4, 7])
def test_pieces_add_up_exactly(options, count):
    """Uneven pieces too, of texts of uneven length."""
    loss, batch = VideoTextLoss(**options), small.batch(7)
    whole = plain(small.model(), loss, batch)
    parts = accumulated(small.model(), loss, batch, count)
    assert parts[0] == pytest.approx(whole[0], rel=1e-6)
    assert parts[1] == pytest.approx(whole[1], rel=1e-6)
    assert small.difference(parts[2], whole[2]) < 1e-6


def test_cutting_and_averaging_would_not_do():
    """The reason for all this."""
    batch, model = small.batch(8), small.model()
    whole = plain(small.model(), VideoTextLoss(), batch)[2]
    for piece, share in micro_batches(batch, 4):
        value, _ = VideoTextLoss()(model, piece)
        (share * value).backward()
    assert small.difference(small.gradients(model), whole) > 0.1


def test_dropout_draws_the_same_in_both_passes():
    loss, batch = VideoTextLoss(captioning=0.0), small.batch(6)
    model = small.model(dropout=0.5).train()
    torch.manual_seed(9)
    _, _, ours = accumulated(model, loss, batch, 3)
    model.zero_grad()
    torch.manual_seed(9)
    kept = [
        (model.encode_video(model.prepare(p["video"])), model.encode_text(p["ids"])) for p, _ in micro_batches(batch, 3)
    ]
    videos, texts = (torch.cat(each) for each in zip(*kept))
    contrastive(videos, texts, model.logit_scale, batch["caption_id"]).backward()
    assert small.difference(ours, small.gradients(model)) < 1e-6
    model.zero_grad()
    _, _, other = accumulated(model, loss, batch, 3)  # from another state of the generator
    assert small.difference(other, ours) > 1e-3


def test_pieces_in_bfloat16_train_every_weight():
    """autocast remembers casts of weights; those of a pass without gradients must not serve the one with them."""
    loss, batch = VideoTextLoss(), small.batch(6)
    exact = plain(small.model(dtype=torch.float32), loss, batch)[2]
    whole = plain(small.model(dtype=torch.float32), loss, batch, torch.bfloat16)[2]
    parts = accumulated(small.model(dtype=torch.float32), loss, batch, 3, torch.bfloat16)[2]
    assert parts.keys() == whole.keys() == exact.keys()
    for name, gradient in exact.items():  # what bfloat16 costs differs between processors; pieces must not cost more
        lost, lost_whole = ((each[name] - gradient).norm() for each in (parts, whole))
        assert lost <= 2 * lost_whole + 0.1 * gradient.norm() or gradient.norm() < 1e-3, name


def test_the_loop_lets_the_loss_accumulate(tmp_path):
    found = []
    for micro_batch in (0, 2):
        model = small.model()
        batches = Batches(InMemory(**small.batch(16)), 8)
        recipe = Recipe(batch_size=8, lr=1e-2, steps=3, eps=1e-3, micro_batch=micro_batch, log_every=1)
        history = train(model, VideoTextLoss(), batches, recipe, tmp_path / str(micro_batch))
        found.append((model.state_dict(), history))
    assert small.difference(found[1][0], found[0][0]) < 1e-6
    for name in ("loss", "contrastive", "captioning", "t2v", "word_accuracy", "temperature", "grad_norm"):
        assert found[1][1].series(name)[1] == pytest.approx(found[0][1].series(name)[1], rel=1e-6)


def test_images_are_clips_of_one_frame():
    value, _, gradients = plain(small.model(), VideoTextLoss(), small.batch(4, frames=1))
    assert math.isfinite(value) and gradients["visual.conv1.weight"].any()


def test_the_published_decoder_serves_as_well():
    decoder = CaptionDecoder(8, 16, 1, 2, small.VOCABULARY, 3)
    _, numbers, gradients = plain(small.model(decoder=decoder), VideoTextLoss(), small.batch(4))
    assert "captioning" in numbers and gradients["caption_decoder.visual_queries"].any()


def test_the_temperature_is_clamped_before_it_is_used():
    model = small.model()
    model.logit_scale.data.fill_(9.0)
    _, numbers, _ = plain(model, VideoTextLoss(), small.batch(4))
    assert numbers["temperature"] == pytest.approx(0.01)
    assert model.logit_scale.item() == pytest.approx(math.log(100))


def test_texts_are_cut_after_the_longest_and_nothing_changes(monkeypatch):
    batch = small.batch(5)
    assert trimmed(batch["ids"]).shape[1] == batch["ids"].argmax(1).max() + 1 < small.LENGTH
    short = plain(small.model(), VideoTextLoss(), batch)
    monkeypatch.setattr("ivcore.losses.video_text.trimmed", lambda ids: ids)
    whole = plain(small.model(), VideoTextLoss(), batch)
    assert short[0] == pytest.approx(whole[0], rel=1e-9)
    positions = "text.positional_embedding"  # of places nobody reads: zero in both
    assert small.difference(short[2], whole[2]) < 1e-6 and short[2][positions].any()


def test_what_the_model_lacks_is_named():
    model, batch = small.model(), small.batch(3)
    model.caption_decoder = None
    with pytest.raises(ParameterError, match=r"captioning=1\.0: the model has no caption_decoder"):
        VideoTextLoss()(model, batch)
    VideoTextLoss(captioning=0.0)(model, batch)
