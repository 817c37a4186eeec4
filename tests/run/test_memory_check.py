"""A word before a training whose steps need more memory than the device has."""

import re

import pytest

from ivcore.run import folder as run_folder
from ivcore.run import memory_check, planned, session
from ivcore.run.spec import Spec
from ivcore.scaling import GIB

SMALL = re.compile("look|quick|tiny|sweep|small|metaworld")


def values_of(notebook: str, preset: str, **changes) -> tuple[Spec, dict]:
    spec = Spec.of(notebook)
    return spec, planned.values_of(spec, preset, changes)


def test_a_run_that_fits_is_passed_over_and_one_that_does_not_is_named():
    spec, values = values_of("10", "tiny", batch_size=512)
    assert memory_check.warning(spec, values, 80 * GIB) == ""
    said = memory_check.warning(spec, values, 2.0 * GIB)
    assert said.startswith("this run may not fit its device: a step takes about") and "and there are 2.0" in said
    most = int(said.split("micro_batch=")[1].split()[0])
    assert 0 < most < 512 and memory_check.warning(spec, values | {"micro_batch": most}, 2.0 * GIB) == ""
    assert memory_check.warning(spec, values | {"micro_batch": 2 * most}, 2.0 * GIB)


def test_several_devices_share_the_batch():
    spec, values = values_of("10", "tiny", batch_size=512)
    assert memory_check.warning(spec, values, 2.0 * GIB, ranks=1) and not memory_check.warning(
        spec, values, 2.0 * GIB, ranks=8
    )


def test_where_not_one_clip_fits_other_parameters_are_named():
    said = memory_check.warning(*values_of("10", "tiny"), 1.5 * GIB)
    assert "not even one clip" in said and "activation_checkpointing=full" in said and "engine=zero3" in said
    said = memory_check.warning(*values_of("10", "tiny", activation_checkpointing="full", engine="zero3"), 1.5 * GIB)
    assert said.endswith("a smaller model takes less")


@pytest.mark.parametrize(
    "notebook, preset, changes",
    [("24", "tiny", {}), ("30", "tiny", {"masked_encoder": "a.pth"}), ("10", "tiny", {"batch_size": 2})],
)
def test_where_nothing_is_known_nothing_is_said(notebook, preset, changes):
    assert memory_check.warning(*values_of(notebook, preset, **changes), GIB, ranks=8) == ""


def test_a_search_that_takes_too_many_clips_at_once_is_named():
    """33 msrvtt at 32 clips of 12 frames at once, with a published checkpoint of which the name alone is known."""
    spec, values = values_of("33", "msrvtt", micro_batch=32)
    said = memory_check.warning(spec, values, 80 * GIB)
    assert "and there are 80.0" in said and "micro_batch=22 is the most that fits" in said


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [f"{n} {preset}" for n in ("33", "34", "45") for preset in Spec.of(n).presets() if not SMALL.search(preset)]
)
def test_presets_of_language_fit_the_gpu_that_they_name(name):
    number, preset = name.split()
    changes = {"multimodal_encoder": "data/ViT-B-16.pt"} if preset == "one_gpu" else {}
    assert memory_check.warning(*values_of(number, preset, **changes), (24 if preset == "one_gpu" else 80) * GIB) == ""


def test_the_folder_of_a_run_says_how_large_its_encoder_is(tmp_path):
    spec, values = values_of("10", "tiny")
    folder = tmp_path / "10_masked_video_modeling" / "tiny-01234567"
    folder.mkdir(parents=True)
    run_folder.write_params(folder, values)
    spec, values = values_of("30", "tiny", masked_encoder=str(folder))
    assert "micro_batch" in memory_check.warning(spec, values | {"batch_size": 4096}, 2 * GIB)


def test_a_notebook_says_it_at_its_start_on_a_gpu_alone(monkeypatch, tmp_path, capsys):
    spec, values = values_of("10", "tiny", batch_size=512)

    class Properties:
        total_memory = 2 * GIB

    monkeypatch.setattr("torch.cuda.get_device_properties", lambda device: Properties)
    for device, lines in (("cpu", 0), ("cuda:0", 1)):
        session._warn_of_room(session.Run(spec.stem, tmp_path, values, "tiny", device), spec)
        assert capsys.readouterr().out.count("may not fit") == lines
    session._warn_of_room(session.Run(spec.stem, tmp_path, values, "tiny", "cuda:0", shown=True), spec)
    assert not capsys.readouterr().out
