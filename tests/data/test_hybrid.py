"""The hybrid: unlike sources in one folder, and what is said where one cannot be had."""

import csv
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import tiny_source

from ivcore.data import embedded, formats, hybrid, rendered, set_names
from ivcore.data.captions.sets import captioned_set
from ivcore.data.groups import read_groups
from ivcore.data.hybrid import config
from ivcore.data.labels.sets import united_sets
from ivcore.data.videos import video_splits
from ivcore.errors import ParameterError, UserError
from ivcore.run import cli


@pytest.fixture
def sources(tmp_path, monkeypatch):
    """Two sources that name their classes alike and their clips, too, in place of the hybrid's."""
    monkeypatch.setenv("IVCORE_CACHE", str(tmp_path / "cache"))
    modules = [tiny_source.write(tmp_path / "source", name, monkeypatch) for name in ("blinks", "winks")]
    monkeypatch.setattr(modules[1], "CLASSES", ("brightens", "fades"))
    parts = [config.Part(rendered.name_of(m), m, rendered.configure(m)) for m in modules]
    for module in (config, hybrid):
        monkeypatch.setattr(module, "every", lambda asked: parts)
    return parts


def test_sources_are_joined_without_copies(sources):
    folder = hybrid.build()
    assert formats.read_class_names(folder / "classes.txt") == ["blinks: brightens", "darkens", "winks: brightens", "fades"]  # fmt: skip
    train = formats.read_kinetics_csv(folder / "train.csv")
    assert Counter(video.label for video in train) == {0: 6, 1: 6, 2: 6, 3: 6}
    assert {Path(video.path).name.split("-")[0] for video in train[:12]} == {"blinks", "winks"}  # mixed
    twin = sources[1].folder / "videos/train-3.mp4"
    assert os.path.samefile(folder / "videos/winks-train-3.mp4", twin)
    with open(folder / "sources.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert Counter(row["source"] for row in rows) == {"blinks": 20, "winks": 20}
    assert all(Path(row["video"]).name.startswith(row["source"]) for row in rows)
    assert len(set(read_groups(folder).values())) == 20
    assert hybrid.table(sources) == [("blinks", 12, 4, 4, 2, ""), ("winks", 12, 4, 4, 2, "")]


def test_stages_read_it_by_name(sources):
    train, val = video_splits({"train": "hybrid", "val": "hybrid"}, train=60)
    assert (len(train), len(val), train.source) == (24, 8, "hybrid:blinks+winks")
    united = united_sets("hybrid", train=60)
    assert united.union.classes == ["brightens", "darkens", "fades"]  # of one name, as in Kinetics
    assert (len(united.train), len(united.val), len(united.test)) == (24, 8, 8)
    captioned = captioned_set("test", source="hybrid")
    assert sorted(captioned.queries) == ["it brightens", "it darkens", "it fades"] and captioned.backwards[0] == ()


def test_reversed_captions_of_the_sources_are_joined_too(sources, monkeypatch):
    module, clips = sources[0].module, sources[0].module.clips
    turned = lambda config: [replace(clip, backwards=(f"backwards {clip.label}",)) for clip in clips(config)]  # noqa: E731
    monkeypatch.setattr(module, "clips", turned)
    hybrid.build()
    found = captioned_set("train", source="hybrid")
    said = {Path(record.path).stem.split("-")[0]: said for record, said in zip(found.records, found.backwards)}
    assert said["winks"] == () and said["blinks"][0] in ("backwards brightens", "backwards darkens")


def test_other_lists_of_a_source_are_joined_again(sources, monkeypatch):
    folder = hybrid.build()
    monkeypatch.setattr(sources[0].module, "CLASSES", ("rises", "falls"))
    assert hybrid.build() == folder and "rises" in formats.read_class_names(folder / "classes.txt")


def test_a_source_that_cannot_be_had_is_left_out_and_said(sources, monkeypatch, capsys):
    whole = hybrid.build()

    def require_simulator():
        raise UserError("its simulator is not installed: `make sim`")

    monkeypatch.setattr(sources[1].module, "require_simulator", require_simulator, raising=False)
    capsys.readouterr()
    assert hybrid.build() == whole and capsys.readouterr().out == ""  # what is rendered needs no simulator
    (sources[1].folder / "complete").unlink()
    assert hybrid.build() != whole
    assert "hybrid without winks: its simulator is not installed: `make sim`" in capsys.readouterr().out
    assert embedded.title("hybrid") == "hybrid:blinks"
    with pytest.raises(UserError, match="winks: its simulator is not installed"):
        hybrid.parts(hybrid.Hybrid(sources=("shapes",)))  # whatever is named must be there


def test_shapes_of_the_hybrids_own_size(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("IVCORE_CACHE", str(tmp_path))
    assert cli.main("data hybrid --sources shapes --clips shapes=15 --size 32 --workers 1".split()) == 0
    assert ["shapes", "15", "1", "1", "15"] in [line.split() for line in capsys.readouterr().out.splitlines()]
    small = hybrid.Hybrid(["shapes"], {"shapes": 15}, size=32)
    assert {part.name: part.config.size for part in hybrid.parts(small)} == {"shapes": 32}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"sources": ("birds",)}, "sources: 'birds' must be one of"),
        ({"sources": ("shapes",), "clips": {"metaworld": 5}}, "clips: 'metaworld' must be one of shapes"),
        ({"clips": {"shapes": 0}}, "clips: shapes=0, must be at least 1"),
        ({"size": 33}, "size=33: must be a whole number from 16, even"),
    ],
)
def test_what_cannot_be_asked_for(fields, said):
    with pytest.raises(ParameterError, match=said):
        hybrid.Hybrid(**fields)


def test_names_of_sets():
    assert set_names.names_set("hybrid") and set_names.names_set("metaworld") and not set_names.names_set("a.csv")
    assert set_names.sources_in("hybrid") == ()
    assert set_names.sources_in("hybrid:metaworld+shapes") == ("shapes", "metaworld")
    with pytest.raises(ParameterError, match="'birds' must be one of"):
        set_names.names_set("hybrid:shapes+birds")


@pytest.mark.parametrize(
    ("value", "written"),
    [("hybrid:creatures+shapes", "hybrid:shapes+creatures"), ("hybrid: shapes + shapes", "hybrid:shapes"),
     ("hybrid:", "hybrid"), ("hybrid", "hybrid"), ("creatures", "creatures")],
)  # fmt: skip
def test_a_set_has_one_name(value, written):
    assert set_names.normalised(value) == written


@pytest.mark.parametrize(
    ("value", "meant"),
    [("hybird", "hybrid"), ("hybird:shapes", "hybrid:shapes"), ("creatues", "creatures"), ("mine/train.csv", "")],
)
def test_misspelt_names(value, meant):
    assert set_names.meant(value) == meant
