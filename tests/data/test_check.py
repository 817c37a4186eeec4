"""`iv check` on a list with everything wrong that lists have."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import clip_zoo as zoo
import pytest
from PIL import Image

from ivcore.data import check
from ivcore.run import cli
from ivcore.video import decord_frames
from ivcore.video.probe import Probe, probe


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    good = zoo.write(folder / "good.mp4", frames=24, options={"preset": "veryfast", "bf": "2", "g": "12"})
    zoo.write(folder / "h264_b.avi", frames=12, options={"preset": "veryfast", "bf": "2", "g": "12"})
    zoo.write(folder / "v p9.webm", "libvpx-vp9", frames=12, size=(32, 64))
    zoo.truncate(good, folder / "cut.mp4", 0.5)
    (folder / "train.csv").write_text(
        "good.mp4 0\nh264_b.avi 1\nv p9.webm 3\ncut.mp4 1\nnone.mp4 1\ngood.mp4 0\nh264_b.avi 2\n"
    )
    (folder / "classes.txt").write_text("jump\nwave\n")
    (folder / "clean.csv").write_text("good.mp4 0\nv p9.webm 1\n")
    return folder


def _made(folder):
    folder.mkdir(exist_ok=True)
    return folder


def findings(folder, capsys, *arguments):
    status = cli.main(
        ["check", str(folder / "train.csv"), "--workers", "2", "-o", str(folder / "found.jsonl"), *arguments]
    )
    found = [json.loads(line) for line in (folder / "found.jsonl").read_text().splitlines()]
    return (
        status,
        {(each["kind"], os.path.basename(each["path"])): each["cause"] for each in found},
        capsys.readouterr().out,
    )


def test_all_that_training_would_meet(folder, capsys):
    status, found, said = findings(folder, capsys, "--write", str(folder / "new.csv"))
    assert status == 1
    assert set(found) == {
        ("unreadable", "cut.mp4"),
        ("missing", "none.mp4"),
        ("repeated", "good.mp4"),
        ("contradictory", "h264_b.avi"),
        ("classes", "v p9.webm"),
        ("classes", "h264_b.avi"),
    }
    assert "7 lines, 5 files, 3 readable" in said and "frames 12 to 24" in said and "PyAV, counting frames" in said
    assert "size 64x32 to 64x48" in said and "mdat box" in said
    assert (folder / "new.csv").read_text() == "good.mp4 0\n"


def test_rows_that_do_not_read_are_all_reported_and_left_out(folder, capsys):
    rows = "good.mp4 0\ngood.mp4 x\nv p9.webm 1\ngood.mp4\ngood.mp4 -1\n./good.mp4 0\nh264_b.avi 0\n./h264_b.avi 1\n"
    (folder / "rows.csv").write_text(rows)
    assert cli.main(["check", str(folder / "rows.csv"), "--write", str(folder / "left.csv")]) == 1
    said = capsys.readouterr().out
    assert "8 lines" in said and "3 row" in said and all(f"rows.csv:{line}: expected" in said for line in (2, 4, 5))
    assert (folder / "left.csv").read_text() == "good.mp4 0\nv p9.webm 1\n"


def test_classes_that_do_not_read_are_a_finding(folder, tmp_path, capsys):
    (tmp_path / "train.csv").write_text(f"{folder}/good.mp4 0\n")
    (tmp_path / "classes.txt").write_text("jump\n\nwave\n")
    status, found, _ = findings(tmp_path, capsys)
    assert status == 1 and "classes.txt:2" in found["classes", "classes.txt"]


def test_git_lfs_pointers_are_called_what_they_are(tmp_path, capsys):
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 344931234\n"
    for name in ("a.mp4", "b.jpg", "pointer.csv"):
        (tmp_path / name).write_text(pointer)
    (tmp_path / "train.csv").write_text("a.mp4 0\nb.jpg 0\n")
    _, found, _ = findings(tmp_path, capsys)
    assert found["unreadable", "a.mp4"] == "a Git LFS pointer, not the video: git lfs pull"
    assert "a Git LFS pointer" in found["unreadable", "b.jpg"]
    assert cli.main(["check", str(tmp_path / "pointer.csv")]) == 2
    assert "a Git LFS pointer" in capsys.readouterr().err


@pytest.mark.skipif(not decord_frames.available(), reason="PyAV refuses it also when not strict")
def test_damage_that_decord_conceals(folder, tmp_path, capsys):
    for seed in range(20):
        path = zoo.flip_bits(folder / "good.mp4", tmp_path / "damaged.mp4", 1, seed)
        if not probe(str(path)).kind and probe(str(path), strict=True).kind:
            break
    (tmp_path / "train.csv").write_text("damaged.mp4 0\n")
    status, found, _ = findings(tmp_path, capsys, "--strict")
    assert status == 1 and "does not decode" in found["damaged", "damaged.mp4"]


def test_a_good_list_and_labels_with_gaps(folder, capsys):
    assert cli.main(["check", str(folder / "clean.csv")]) == 0
    assert "nothing to mend" in capsys.readouterr().out
    (folder / "elsewhere").mkdir(exist_ok=True)
    (folder / "elsewhere" / "gaps.csv").write_text("good.mp4 0\nv p9.webm 900000\n")
    assert cli.main(["check", str(folder / "elsewhere" / "gaps.csv"), "--root", str(folder)]) == 1
    assert "899999 of the labels 0 to 900000 have no video, e.g. 1" in capsys.readouterr().out


def test_a_table_of_captions_with_pictures(folder, capsys):
    Image.new("RGB", (40, 30)).save(folder / "still.png")
    (folder / "broken.jpg").write_bytes(b"no picture")
    rows = "path,caption\ngood.mp4,a jump\ngood.mp4,again\nstill.png,a wall\nbroken.jpg,nothing\n"
    (folder / "captions.csv").write_text(rows)
    assert cli.main(["check", str(folder / "captions.csv")]) == 1
    said = capsys.readouterr().out
    assert "1 unreadable" in said and "1 png by Pillow" in said and "repeated" not in said


def test_a_pretraining_list_with_folders_of_frames(folder, capsys):
    for number in (1, 2, 4):
        Image.new("RGB", (40, 30)).save(
            _made(folder / "whole" if number < 4 else folder / "gap") / f"img_{number:05}.jpg"
        )
    Image.new("RGB", (40, 30)).save(folder / "gap" / "img_00001.jpg")
    (folder / "list.csv").write_text("good.mp4 0 -1 5\ngood.mp4 24 -1 0\nwhole 0 2 0\nwhole 0 3 0\ngap 0 4 0\n")
    assert cli.main(["check", str(folder / "list.csv")]) == 1
    said = capsys.readouterr().out
    assert "1 pictures in folders by Pillow" in said and "frame 2 is missing" in said
    assert "1 unreadable" in said and "2 frames" in said
    assert "the list names frames from 24 on, of 24" in said and "frames 0 to 2, of 2" in said


@pytest.mark.parametrize(
    "name, content, told", [("no.csv", None, "there is no such list"), ("bad.csv", "a.mp4\n", "bad.csv:1")]
)
def test_a_list_that_does_not_read_is_one_line(tmp_path, capsys, name, content, told):
    if content:
        (tmp_path / name).write_text(content)
    assert cli.main(["check", str(tmp_path / name)]) == 2
    said = capsys.readouterr().err
    assert told in said and said.count("\n") == 1


@pytest.mark.parametrize(
    "files, told",
    [
        (["train.csv", "a.csv"], "is a folder; give its list, {}/train.csv"),
        (["a/train.csv", "b/train.csv"], "is a folder; give its list, {}/a/train.csv"),
        (["mine.csv"], "is a folder; give its list, {}/mine.csv"),
        (["a.mp4"], "is a folder; give a list of its videos, with `path label` on each line"),
    ],
)
def test_a_folder_is_refused_and_its_list_named(tmp_path, capsys, files, told):
    for file in files:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    assert cli.main(["check", str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"iv: {tmp_path}: {told.format(tmp_path)}\n"


def test_ctrl_c_ends_all_processes_and_keeps_what_was_found(folder, tmp_path):
    names = ["none.mp4", *(f"{number}.mp4" for number in range(20_000))]  # far from done when the first is found
    for name in names[1:]:
        os.symlink(folder / "good.mp4", tmp_path / name)
    (tmp_path / "train.csv").write_text("".join(f"{name} 0\n" for name in names))
    command = [sys.executable, "-m", "ivcore.run.cli", "check", "train.csv", "--workers", "2", "-o", "found.jsonl"]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # background jobs inherit that it is ignored
    )
    found = tmp_path / "found.jsonl"
    while process.poll() is None and not (found.exists() and '"missing"' in found.read_text()):
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate()
    assert process.returncode == 130 and "Traceback" not in said


def test_what_has_been_read_is_not_read_again_unless_the_file_has_changed(tmp_path, monkeypatch):
    files, read = [str(tmp_path / f"{name}.mp4") for name in "abc"], []

    def probed_files(left):
        for file in left:
            read.append(os.path.basename(file))
            yield file, Probe(frames=3, seconds=1.0)

    monkeypatch.setattr(check, "probed_files", probed_files)
    for file in files:
        Path(file).write_bytes(b"1")
    kept = tmp_path / "read.jsonl"
    assert check.probed_once(files[:2], kept) == dict.fromkeys(files[:2], Probe(frames=3, seconds=1.0))
    kept.write_text(kept.read_text()[:-9])  # a kill in the middle of a line
    Path(files[0]).write_bytes(b"22")
    assert set(check.probed_once(files, kept)) == set(files)
    assert set(check.probed_once(files, kept)) == set(files)
    assert read == ["a.mp4", "b.mp4", "a.mp4", "b.mp4", "c.mp4"]
