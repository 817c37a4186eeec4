"""`iv plan`: the model of a preset, counted without files, and what is said of it."""

import importlib.util
import json
import re
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
import video_models as zoo

from ivcore import costs
from ivcore.encoders import sizes
from ivcore.encoders.videomae import VideoClassifier
from ivcore.run import cli, planned
from ivcore.run.spec import Spec

spec = importlib.util.spec_from_file_location("scale", Path(__file__).parents[2] / "docs/scale.py")
scale = importlib.util.module_from_spec(spec)
spec.loader.exec_module(scale)


def planned_model(notebook, preset, **changes):
    values = planned.values_of(Spec.of(notebook), preset, changes)
    return values, planned.steps_of(Spec.of(notebook), values)


def test_a_classifier_is_followed_through_the_presets_to_its_size():
    values, (steps,) = planned_model("30", "k400")
    assert values["masked_encoder"] == "12/k710_masked"
    counted = costs.training_step(steps.build, steps.run, "fp32")
    assert counted.parameters == counted.trained == 632_119_440  # ViT-H with 400 classes, as published
    assert (steps.batch, steps.decoded) == (values["batch_size"] * values["repeats"], values["batch_size"])


def test_forward_and_backward_are_three_times_the_forward_pass():
    card = next(costs.cards(["VideoMAE tiny, 400 classes"]))
    _, (steps,) = planned_model("30", "scratch")
    counted = costs.training_step(steps.build, steps.run, "fp32")
    assert counted.operations == pytest.approx(
        3 * card.operations, rel=0.03
    )  # the first layer has no gradient of its input
    assert counted.clip_bytes == pytest.approx(card.activation_bytes, rel=0.02)
    assert counted.parameters == sum(p.numel() for p in VideoClassifier("tiny", 400).parameters())


def test_a_frozen_pair_trains_little_and_computing_again_keeps_less():
    _, (steps,) = planned_model("13", "tiny")
    counted = costs.training_step(steps.build, steps.run, "fp32")
    assert counted.trained < 0.4 * counted.parameters
    kept = {}
    for what in ("nothing", "selective", "full"):
        _, (steps,) = planned_model("10", "tiny", activation_checkpointing=what)
        kept[what] = costs.training_step(steps.build, steps.run, "fp32").clip_bytes
    assert kept["full"] < kept["selective"] < kept["nothing"]


def test_videos_and_images_take_turns():
    values, (videos, images) = planned_model("11", "tiny")
    assert (videos.batch, images.batch) == (values["batch_size"], values["image_batch_size"])
    assert videos.share == images.share == 0.5
    counted = [costs.training_step(each.build, each.run, "fp32") for each in (videos, images)]
    assert counted[0].operations > 2 * counted[1].operations


def test_tasks_of_language_start_from_a_run_from_a_file_or_from_a_name(tmp_path):
    """11 tiny's model with its frames; a file's own; L/14 by a name, with the released decoder."""
    file, image = str(zoo.saved(tmp_path, "video_text")), zoo.video_text().visual.image
    with torch.device("meta"):
        begun = planned.model_of(Spec.of("11"), planned.values_of(Spec.of("11"), "tiny"))
        for number in ("33", "45"):
            _, (steps,) = planned_model(number, "tiny")
            assert costs.count_parameters(steps.build()) == costs.count_parameters(begun)
        _, (steps,) = planned_model("34", "tiny")
        answerer = steps.build()
        assert answerer.head[-1].out_features == planned.ANSWERS and set(answerer.widths) == {
            "caption",
            "video",
            "text",
        }
        _, (steps,) = planned_model("45", "tiny", multimodal_encoder=file, caption_width=32, caption_layers=2)
        own = steps.build()
        assert own.visual.image == image and len(own.caption_decoder.layers) == 2
        _, (steps,) = planned_model("33", "msrvtt")
        large = steps.build()
        assert large.visual.width == 1024 and not any(p.requires_grad for p in large.caption_decoder.parameters())
    assert planned._frames({"multimodal_encoder": "33/tiny"}) == planned.values_of(Spec.of("11"), "tiny")["num_frames"]


def test_pretraining_goes_on_with_a_model_of_its_own_size():
    large = {"masked_encoder": "10/paper", "num_frames": 8, "image_size": 112}
    _, (steps,) = planned_model("10", "tiny", **large)
    with torch.device("meta"):
        model = steps.build()
    assert model.size.width == sizes.size("huge").width and model.encoder.clip == (8, 112, 112)
    _, (videos, _) = planned_model("11", "look")
    with torch.device("meta"):
        assert videos.build().visual.image == 64


def test_two_forward_passes_of_tiny_models_are_counted():
    counted = {}
    for number in ("33", "34", "45"):
        _, (steps,) = planned_model(number, "tiny")
        counted[number] = costs.training_step(steps.build, steps.run, "fp32")
        assert steps.again == (1 / 3 if number == "33" else 0.0)
    assert counted["33"].trained < counted["45"].trained == counted["45"].parameters
    assert counted["34"].operations > counted["45"].operations > counted["33"].operations > 0


def test_it_prints_a_row_an_engine_and_the_hours(capsys):
    assert cli.main(["plan", "10", "tiny", "--gpus", "8", "--clips", "1920"]) == 0
    shown = capsys.readouterr().out
    rows = [line.split()[0] for line in shown.splitlines() if line.endswith(tuple("0123456789")) and "  " in line]
    assert rows == ["ddp", "fsdp", "zero1", "zero2", "zero3"] and "GPU hours" in shown


def test_json_has_all_numbers_of_it(capsys):
    assert cli.main(["plan", "10", "tiny", "--engine", "plain", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    (plan,) = found["plans"]
    assert found["best"] == "plain" and plan["counted"]["trained"] == plan["counted"]["parameters"] == 975_296
    assert plan["engines"][0]["moments"] == 8 * 975_296 and plan["engines"][0]["fits"]


def test_plain_on_several_gpus_is_planned_as_it_is_trained(capsys):
    assert cli.main(["plan", "10", "tiny", "--engine", "plain", "--gpus", "8", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["best"] == "plain"


def test_what_fits_nowhere_has_status_1(capsys, monkeypatch):
    from ivcore import scaling

    monkeypatch.setattr(scaling, "RESERVED", 10**12)
    assert cli.main(["plan", "10", "tiny"]) == 1
    assert "Nothing fits" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words, said",
    [
        (["20", "tiny"], "plans are made for notebooks 10, 11, 12, 13, 30, 33, 34, 45"),
        (["37", "msrvtt"], "trains nothing; it embeds at most 20 million pixels at a time"),
        (
            ["33", "tiny", "-p", "multimodal_encoder=mine.pt"],
            "multimodal_encoder = 'mine.pt': its size is not told by its name",
        ),
        (["10", "tiny", "--card", "abacus"], "--card 'abacus': must be one of v100-32"),
        (["10", "tiny", "--engine", "steam"], "--engine 'steam': must be one of plain"),
        (["10", "tiny", "--gpus", "0"], "--gpus 0: must be in [1, 65536]"),
        (["10", "tiny", "--gpus", "65"], "gpus = 65: more than batch_size = 64"),
        (["10", "tiny", "-p", "lrr=1"], "lrr is not a parameter"),
        (["10", "tiny", "-p", "lr"], "-p lr: expected NAME=VALUE"),
        (["10", "tiny", "-p", "lr=1", "-p", "lr=2"], "-p lr: given 2 times"),
        (["10", "tiny", "-p", "mask_ratio=2"], "mask_ratio = 2.0: must be in (0, 1)"),
        (["10", "tiny", "-p", "mask_kind=round"], "mask_kind = 'round': must be one of tube, random, frame"),
        (["10", "look"], "masked_encoder = 'ivcore/small-masked': a plan follows runs"),
        (["30", "tiny", "-p", "masked_encoder=a.pth"], "a plan follows runs"),
        (["30", "sweep_seeds"], "is a sweep"),
        (["11", "tiny", "-p", "clip_weights=mine.pt"], "its size is not told by its name"),
    ],
)
def test_a_mistake_is_one_line(words, said, capsys):
    assert cli.main(["plan", *words]) == 2
    assert said in (error := capsys.readouterr().err) and error.count("\n") == 1


def test_the_page_of_scale_is_made_of_the_counts_beside_it():
    """Every row, from today's presets and assumptions; nothing is counted here."""
    known = json.loads(scale.COUNTS.read_text(encoding="utf-8"))
    assert set(known) == {scale.name_of(*row) for row in scale.rows()}, "python docs/scale.py"
    assert scale.page() == scale.PAGE.read_text(encoding="utf-8"), "python docs/scale.py"


@pytest.mark.parametrize("row", scale.rows(), ids=lambda row: scale.name_of(*row))
def test_the_counts_are_of_the_models_of_today(row):
    """Weights of every row, on tensors without data; of two rows, one of each size of model, all that a step takes."""
    values, steps = scale.planned_steps(*row)
    known = json.loads(scale.COUNTS.read_text(encoding="utf-8"))[scale.name_of(*row)]
    for each, found in zip(steps, known, strict=True):
        with torch.device("meta"):
            model = each.build()
        assert costs.count_parameters(model) == found["parameters"], "python docs/scale.py"
        assert costs.count_parameters(model, trained=True) == found["trained"], "python docs/scale.py"
        if row in (("10", "one_gpu", ()), ("13", "paper", ())):
            assert asdict(costs.training_step(each.build, each.run, values["precision"])) == found, (
                "python docs/scale.py"
            )


def test_every_preset_for_gpus_fits_a_card_of_40_gb():
    """The table of the page. Its rows are those of the presets today."""
    text = scale.PAGE.read_text(encoding="utf-8").split("## Every preset")[1].split("## ")[0]
    found = [int(word) for word in re.findall(r"(\d+) GiB", text)]
    assert len(found) >= 3 * len(scale.presets()) and max(found) <= 40
