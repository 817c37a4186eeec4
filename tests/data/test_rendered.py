"""Rendered sources, on a tiny one: what lies in its folder, kills, several processes, a missing simulator."""

import subprocess
import sys
import time

import pytest
import tiny_source
from folder_contents import contents

from ivcore.data import embedded, formats, rendered, set_names
from ivcore.data.groups import read_groups
from ivcore.errors import UserError
from ivcore.video.reader import VideoReader

BUILD = "import blinks; from ivcore.data import rendered; print(rendered.build(blinks, blinks.Blinks(), workers=2))"


@pytest.mark.parametrize("name", set_names.RENDERED)
def test_sources_keep_what_is_agreed(name):
    source = embedded.source(name)
    if name == "camera" and not source.installed():
        pytest.skip("no film of a camera is installed")
    config = rendered.configure(source, train=24, val=12, test=12)
    clips = source.clips(config)
    assert [clip.split for clip in clips] == ["train"] * 24 + ["val"] * 12 + ["test"] * 12
    assert len({clip.name for clip in clips}) == len(clips)
    assert {clip.label for clip in clips} <= set(source.CLASSES)
    splits = {clip.scene: {other.split for other in clips if other.scene == clip.scene} for clip in clips}
    assert all(len(of_scene) == 1 for of_scene in splits.values())
    assert all(2 <= len(clip.captions) <= 5 for clip in clips)
    assert (config.frames, config.fps) == (16, 8)
    assert rendered.folder_of(source, config) != rendered.folder_of(source, rendered.configure(source))


@pytest.fixture
def blinks(tmp_path, monkeypatch):
    monkeypatch.setenv("IVCORE_CACHE", str(tmp_path / "cache"))
    return tiny_source.write(tmp_path / "source", "blinks", monkeypatch)


def test_videos_and_lists(blinks):
    folder = rendered.build(blinks, blinks.Blinks())
    assert folder.name.startswith("blinks-")
    assert formats.read_class_names(folder / "classes.txt") == ["brightens", "darkens"]
    for split, count in {"train": 12, "val": 4, "test": 4}.items():
        videos = formats.read_kinetics_csv(folder / f"{split}.csv")
        assert [video.label for video in videos] == [0, 1] * (count // 2)
    with VideoReader(videos[1].path) as video:
        frames = video.read(range(len(video)))
        assert frames.shape == (4, 16, 16, 3) and frames[0].mean() > frames[-1].mean() + 100
    together = read_groups(folder)
    assert len(together) == 20 and len(set(together.values())) == 10
    captioned = formats.read_msrvtt_json(folder / "msrvtt.json", folder / "videos")
    assert captioned[0].captions == ("it brightens", "the light changes") and captioned[12].split == "validate"
    queries = [row.sentence for row in formats.read_msrvtt_csv(folder / "msrvtt_test.csv")]
    assert queries == ["it brightens", "it darkens"]  # each once
    assert len(formats.read_msrvtt_csv(folder / "msrvtt_train.csv")) == 12


def test_a_set_is_named_by_its_fields_and_its_renderer(blinks, monkeypatch):
    first = rendered.folder_of(blinks, blinks.Blinks())
    assert rendered.folder_of(blinks, blinks.Blinks(seed=1)) != first
    monkeypatch.setattr(blinks, "RENDERER_VERSION", "2")
    assert rendered.folder_of(blinks, blinks.Blinks()) != first


def test_killed_and_built_again_by_several_processes_gives_the_same_bytes(blinks, tmp_path, monkeypatch):
    whole = contents(rendered.build(blinks, blinks.Blinks()))
    monkeypatch.setenv("IVCORE_CACHE", str(tmp_path / "other"))
    folder = rendered.folder_of(blinks, blinks.Blinks())
    started = subprocess.Popen([sys.executable, "-c", BUILD])
    while started.poll() is None and not list(folder.glob("videos/*.mp4")):
        time.sleep(0.02)
    started.kill()
    started.wait()
    assert not (folder / "complete").exists()
    both = [subprocess.Popen([sys.executable, "-c", BUILD], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate()[0].splitlines()[-1] for process in both] == [str(folder)] * 2
    assert contents(folder) == whole


def test_other_captions_write_the_lists_again_and_render_nothing(blinks, monkeypatch):
    folder = rendered.build(blinks, blinks.Blinks())
    before = {path: path.stat().st_mtime_ns for path in folder.glob("videos/*")}
    monkeypatch.setattr(blinks, "CLASSES", ("rises", "falls"))
    assert rendered.build(blinks, blinks.Blinks()) == folder
    assert formats.read_class_names(folder / "classes.txt") == ["rises", "falls"]
    assert {path: path.stat().st_mtime_ns for path in folder.glob("videos/*")} == before


def test_a_missing_simulator_is_said_before_anything_starts(blinks, monkeypatch):
    def require_simulator():
        raise UserError("the simulator of blinks is not installed: `make sim`")

    monkeypatch.setattr(blinks, "require_simulator", require_simulator, raising=False)
    with pytest.raises(UserError, match="the simulator of blinks"):
        rendered.build(blinks, blinks.Blinks())
