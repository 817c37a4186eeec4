"""`iv features`: whole files, nothing twice, nothing mixed, and nothing that one bad video could end."""

import csv
import json
import os
import shutil
import signal
import sys

import numpy as np
import pytest
import video_models as zoo
from safetensors.numpy import load_file

from ivcore.data.video_answers import VideoModel, in_order
from ivcore.data.windows import Piece
from ivcore.run import cli


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("IVCORE_OUTPUTS", str(tmp_path / "outputs"))
    monkeypatch.setenv("IVCORE_HEADLESS", "1")
    folder = tmp_path / "my videos"
    for i, name in enumerate(("a.mp4", "sub/größe 走る.mp4", "sub/b.mp4")):
        zoo.video(folder / name, frames=(20, 1, 33)[i], seed=i)
    (folder / "empty.mp4").touch()
    return folder


@pytest.fixture
def model(tmp_path):
    return zoo.saved(tmp_path / "model", "classifier")


def iv(*arguments) -> int:
    return cli.main(["features", "--workers", "0", *map(str, arguments)])


def index(folder) -> list[dict]:
    with open(folder / "index.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def stamps(folder) -> dict:
    return {path.name: path.stat().st_mtime_ns for path in (folder / "videos").rglob("*.*")}


def test_a_row_for_each_video_in_order(place, model, tmp_path, capsys):
    out = tmp_path / "out"
    assert iv(place, "--model", model, "--out", out) == 0
    told = capsys.readouterr().out
    assert "3 rows of 16 numbers from 3 videos, 1 could not be read" in told and "empty.mp4: empty file" in told
    rows, values = index(out), np.load(out / "features.npy")
    assert [row["video"] for row in rows] == ["a.mp4", "sub/b.mp4", "sub/größe 走る.mp4"]
    assert [int(row["stop"]) for row in rows] == [20, 33, 1] and values.dtype == np.float32
    loaded = VideoModel.load(model)
    pieces = [Piece(str(place / row["video"])) for row in rows]
    for row, (_, answer) in zip(values, in_order(loaded.features, loaded, pieces), strict=True):
        assert np.allclose(row, answer.values.mean(1)[0].numpy(), atol=1e-5)
    bad = [json.loads(line) for line in (out / "bad_videos.jsonl").read_text().splitlines()]
    assert [each["path"] for each in bad] == [str(place / "empty.mp4")]


def test_a_row_for_each_window(place, model, tmp_path):
    out = tmp_path / "out"
    assert iv(place, "--model", model, "--out", out, "--per-window", "1s", "--format", "safetensors") == 0
    rows = [(row["video"], row["first"], row["stop"], row["start"], row["end"]) for row in index(out)]
    assert rows[:3] == [("a.mp4", "0", "8", "0.000", "1.000"), ("a.mp4", "8", "16", "1.000", "2.000"), ("a.mp4", "16", "20", "2.000", "2.500")]  # fmt: skip
    values = load_file(out / "features.safetensors")["features"]
    assert values.shape == (len(rows), 16) and len(rows) == 3 + 4 + 1
    assert len(load_file(out / "videos" / "a.mp4.safetensors")["features"]) == 3


def test_what_is_there_and_unchanged_is_not_computed_again(place, model, tmp_path, capsys):
    out = tmp_path / "out"
    iv(place, "--model", model, "--out", out)
    before, values = stamps(out), np.load(out / "features.npy")
    zoo.video(place / "a.mp4", frames=25, seed=9)  # another one
    os.utime(place / "a.mp4", ns=(1, 1))
    shutil.copy(place / "sub" / "b.mp4", place / "c.mp4")
    capsys.readouterr()
    assert iv(place, "--model", model, "--out", out) == 0
    after, again = stamps(out), np.load(out / "features.npy")
    assert {name for name in before if after[name] == before[name]} == {"b.mp4.npy", "größe 走る.mp4.npy"}
    assert [row["video"] for row in index(out)][:2] == ["a.mp4", "c.mp4"] and len(again) == 4
    assert not np.array_equal(again[0], values[0]) and np.array_equal(again[1], again[2]) and np.array_equal(again[2], values[1])  # fmt: skip


def test_it_goes_on_behind_a_kill(place, model, tmp_path):
    out = tmp_path / "out"
    iv(place, "--model", model, "--out", out)
    whole = np.load(out / "features.npy")
    lines = (out / "done.jsonl").read_text().splitlines()
    (out / "done.jsonl").write_text(lines[0] + "\n" + lines[1][:30])  # cut in the middle of a line
    (out / "videos" / ".a.mp4.npy.123.tmp").touch()
    (out / "index.csv").unlink(), (out / "features.npy").unlink()
    before = stamps(out)
    assert iv(place, "--model", model, "--out", out) == 0
    assert np.allclose(np.load(out / "features.npy"), whole, atol=1e-6) and not list(out.rglob("*.tmp"))
    assert sum(stamps(out)[name] == before[name] for name in stamps(out)) == 1
    assert iv(place, "--model", model, "--out", out) == 0 and len(index(out)) == 3


@pytest.mark.parametrize("format", ["npy", "safetensors"])
def test_damaged_features_are_made_again(place, model, tmp_path, capsys, format):
    out, how = tmp_path / "out", ("--format", format)
    iv(place, "--model", model, "--out", out, *how)
    whole = (out / f"features.{format}").read_bytes()
    cut, empty, other = sorted((out / "videos").rglob(f"*.{format}"))
    cut.write_bytes(cut.read_bytes()[:-3]), empty.write_bytes(b"")
    np.save(tmp_path / "more.npy", np.zeros((7, 16), np.float32))
    (tmp_path / "more.npy").rename(other)
    capsys.readouterr()
    assert iv(place, "--model", model, "--out", out, *how) == 0
    assert "3 files of features were damaged and are made again" in capsys.readouterr().out
    assert (out / f"features.{format}").read_bytes() == whole


def test_what_was_done_names_no_file_outside(place, model, tmp_path):
    out, theirs = tmp_path / "out", tmp_path / "theirs.npy"
    iv(place, "--model", model, "--out", out)
    theirs.write_bytes(b"not features")
    rows = [json.loads(line) for line in (out / "done.jsonl").read_text().splitlines()]
    strange = [
        rows[0] | {"file": "videos/../../theirs.npy"},
        rows[1] | {"file": str(theirs)},
        rows[2] | {"file": 7},
        [7],
    ]
    (out / "done.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in strange) + "[" * 10**5)
    assert iv(place, "--model", model, "--out", out) == 0
    assert theirs.read_bytes() == b"not features" and len(np.load(out / "features.npy")) == 3


def test_places_whose_videos_have_equal_names_are_not_mixed(place, model, tmp_path):
    out, others = tmp_path / "out", tmp_path / "others"
    zoo.video(others / "a.mp4", frames=14, seed=5)
    values = []
    for folder in (place, others, place):
        assert iv(folder, "--model", model, "--out", out) == 0
        values.append(np.load(out / "features.npy"))
    assert np.array_equal(values[0], values[2]) and not np.array_equal(values[0][0], values[1][0])


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff", b"[" * 10**5])
def test_damaged_settings_cost_one_line(place, model, tmp_path, capsys, content):
    (tmp_path / "out").mkdir(), (tmp_path / "out" / "settings.json").write_bytes(content)
    assert iv(place, "--model", model, "--out", tmp_path / "out") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "settings.json: is damaged" in line


def test_other_settings_are_refused_there_and_lie_elsewhere_without_out(place, model, tmp_path, capsys):
    out, other = tmp_path / "out", zoo.saved(tmp_path / "other", "masked")
    iv(place, "--model", model, "--out", out)
    for changed, said in (
        (("--model", other), "holds features of another model, model/classifier.safetensors"),
        (("--model", model, "--per-window", "1s"), "with per_window = None, not 1s"),
        (("--model", model, "--format", "safetensors"), "with format = npy, not safetensors"),
    ):
        capsys.readouterr()
        assert iv(place, "--out", out, *changed) == 2
        assert said in capsys.readouterr().err
    (tmp_path / "full").mkdir(), (tmp_path / "full" / "thesis.doc").touch()
    assert iv(place, "--model", model, "--out", tmp_path / "full") == 2
    assert "holds files of something else" in capsys.readouterr().err
    assert iv(place, "--model", model) == iv(place, "--model", other) == iv(place, "--model", model) == 0
    assert len(list((tmp_path / "outputs" / "features").iterdir())) == 2


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_at_once_and_the_same_command_goes_on(
    place, model, tmp_path, capsys, monkeypatch, number, status
):
    from ivcore.data import video_answers

    real = video_answers.answers

    def interrupted(*arguments, **how):
        results = real(*arguments, **how)
        yield next(results)
        yield next(results)
        signal.raise_signal(number)
        pytest.fail("it went on")

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(video_answers, "answers", interrupted)
        assert iv(place, "--model", model, "--out", out) == status
    assert "the same command continues" in capsys.readouterr().out and not (out / "index.csv").exists()
    assert iv(place, "--model", model, "--out", out) == 0 and len(index(out)) == 3


@pytest.mark.parametrize(
    "arguments", [("--per-window", "x"), ("--workers", "-1"), ("--model", "nosuch"), ("--model", "30/nosuch")]
)
def test_mistakes_cost_one_line(place, arguments, capsys):
    assert iv(place, *arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert repr(arguments[1].split("/")[-1]) in line or " ".join(arguments) in line


def test_nothing_readable_is_one_line(tmp_path, model, place, capsys):
    shutil.rmtree(place / "sub"), (place / "a.mp4").unlink()
    assert iv(place, "--model", model, "--out", tmp_path / "out") == 2
    assert capsys.readouterr().err == "iv: none of the 1 videos can be read\n"


@pytest.mark.skipif(os.geteuid() == 0 or sys.platform != "linux", reason="root may write anywhere")
def test_a_folder_that_cannot_be_written(place, model, tmp_path, capsys):
    (tmp_path / "shut").mkdir(mode=0o500)
    assert iv(place, "--model", model, "--out", tmp_path / "shut" / "out") == 2
    assert "cannot be made" in capsys.readouterr().err


def test_every_few_frames_there_is_a_vector_in_the_layout_of_localization(place, model, tmp_path, capsys):
    out = tmp_path / "out"
    assert iv(place, "--model", model, "--every", 2, "--out", out) == 0
    arrays = {path.stem: np.load(path) for path in (out / "videos").rglob("*.npy")}
    assert {array.ndim for array in arrays.values()} == {2}
    assert [len(arrays[name]) for name in ("a.mp4", "b.mp4", "größe 走る.mp4")] == [7, 13, 1]  # clips of 8 frames
    assert [(row["first"], row["stop"]) for row in index(out)[:2]] == [("0", "8"), ("2", "10")]
    before = {path: path.stat().st_mtime_ns for path in (out / "videos").rglob("*.npy")}
    assert iv(place, "--model", model, "--every", 2, "--out", out) == 0
    assert before == {path: path.stat().st_mtime_ns for path in (out / "videos").rglob("*.npy")}
    assert iv(place, "--model", model, "--every", 4, "--out", out) == 2
    assert iv(place, "--model", model, "--every", 10**30) == 2
    assert iv(place, "--model", model, "--every", 2, "--per-window", "2s") == 2
    assert "not beside per-window" in capsys.readouterr().err


def test_a_folder_with_the_name_of_a_file_of_features_is_told_or_evaded(place, model, tmp_path, capsys):
    for name in ("features.npy", "index.csv", "done.jsonl"):
        (tmp_path / name / name).mkdir(parents=True)
        assert iv(place, "--model", model, "--out", tmp_path / name) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert f"{name}: is no plain file" in line and "give another --out" in line
    shutil.copytree(place, place / "a.mp4.npy")  # whose features would lie in a folder where those of a.mp4 lie
    assert iv(place, "--model", model, "--out", tmp_path / "new") == 0
    assert iv(place, "--model", model, "--out", tmp_path / "new") == 0 and len(index(tmp_path / "new")) == 6
    assert len({row["video"] for row in index(tmp_path / "new")}) == 6


@pytest.mark.parametrize("name", ["settings.json", "done.jsonl", "index.csv", "videos", ".lock"])
@pytest.mark.parametrize(
    "make", [lambda path: path.symlink_to(path.with_name("elsewhere")), os.mkfifo], ids=["link", "pipe"]
)
def test_links_and_pipes_in_the_folder_are_refused_and_not_followed(place, model, tmp_path, capsys, name, make):
    """Text written into a link lands elsewhere, and opening a pipe blocks for ever."""
    out = tmp_path / "out"
    assert iv(place, "--model", model, "--out", out) == 0
    shutil.rmtree(out / name) if name == "videos" else (out / name).unlink()
    make(out / name)
    capsys.readouterr()
    assert iv(place, "--model", model, "--out", out) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert str(out / name) in line and not (out / "elsewhere").exists()


def test_a_listed_name_that_no_file_can_have_is_a_bad_video(place, model, tmp_path, capsys):
    listed = tmp_path / "list.json"
    listed.write_text(
        json.dumps([{"path": name, "caption": "a dog"} for name in ("a\0.mp4", "\ud800.mp4", str(place / "a.mp4"))])
    )
    assert cli.main(["features", str(listed), "--model", str(model), "--workers", "0"]) == 0
    assert "from 1 video, 2 could not be read" in capsys.readouterr().out
