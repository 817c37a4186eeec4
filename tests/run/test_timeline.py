"""`iv timeline`: a long video in one pass; a kill costs nothing but the last part, memory does not grow, and the page stands alone."""

import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import video_models as zoo

from ivcore.data.video_answers import VideoModel
from ivcore.heads.zero_shot import class_embeddings
from ivcore.run import cli
from ivcore.run.terminal import clock
from ivcore.run.timeline import Timeline
from ivcore.video.reader import VideoReader
from ivcore.video.writer import write_video

LABELS = ("a red square slides left", "a dog jumps")
COMMAND = [sys.executable, "-c", "import sys; from ivcore.run.cli import main; sys.exit(main())", "timeline"]
PEAK = "import resource, sys; from ivcore.run.cli import main; main(); print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"


@pytest.fixture(autouse=True)
def outputs(tmp_path, monkeypatch):
    monkeypatch.setenv("IVCORE_OUTPUTS", str(tmp_path / "out"))
    return tmp_path / "out" / "timeline"


def said(capsys, *arguments) -> tuple[int, str, str]:
    capsys.readouterr()
    status = cli.main(["timeline", *map(str, arguments)])
    return status, *capsys.readouterr()


def test_scores_are_those_of_the_model_and_moments_cover_the_video(tmp_path, capsys):
    film, model = zoo.video(tmp_path / "film.mp4", frames=80), zoo.saved(tmp_path, "video_text")
    place = tmp_path / "found.json"
    status, out, _ = said(capsys, film, "--model", model, "--labels", *LABELS, "--per-window", "1.5s", "--json", place)
    found, loaded = json.loads(place.read_text()), VideoModel.load(str(model))
    assert status == 0 and found["labels"] == list(LABELS) and found["duration"] == 10.0 and found["window"] == 1.5
    with VideoReader(film, 16) as video:
        left = (video.width - 16) // 2
        seen = video.read([8, 12, 16])[:, :16, left : left + 16]
    (row,) = [row for row in found["windows"] if row["start"] == 1.0]
    with torch.no_grad():
        features = F.normalize(loaded.features(torch.from_numpy(seen[None])), dim=-1)
        texts = class_embeddings(loaded.model, LABELS, loaded.tokenizer(), ("{}",))[0]
        expected = (loaded.model.logit_scale.exp() * features @ texts.T).softmax(-1)[0]
    assert [row["scores"][label] for label in LABELS] == pytest.approx(expected.tolist(), abs=1e-4)
    edges = [(m["start"], m["end"]) for m in found["moments"]]
    assert edges[0][0] == 0 and edges[-1][1] == 10 and all(a[1] == b[0] for a, b in itertools.pairwise(edges))
    assert "0:10.0" in out and str(place) in out and any(label in out for label in LABELS)
    rows = np.fromfile(found["features"], np.float32).reshape(-1, found["width"])
    assert len(rows) == len(found["windows"])


def test_what_happens_at_the_end_alone_is_seen(tmp_path, capsys):
    frames = np.full((87, 32, 40, 3), 90, np.uint8)
    frames[64:] = np.random.default_rng(0).integers(0, 255, frames[64:].shape)  # from 8 s on, of 10.9 s
    films, scores, model = [tmp_path / "noise.mp4", tmp_path / "grey.mp4"], [], zoo.saved(tmp_path, "video_text")
    write_video(films[0], frames, 8.0)
    write_video(films[1], np.repeat(frames[:1], 87, 0), 8.0)
    for film in films:
        place = film.with_suffix(".json")
        assert said(capsys, film, "--model", model, "--labels", *LABELS, "--per-window", "4s", "--every", "4s", "--json", place)[0] == 0  # fmt: skip
        found = json.loads(place.read_text())
        assert found["windows"][-1]["end"] == found["duration"]
        assert found["windows"][0]["scores"] == found["windows"][1]["scores"]
        scores.append(found["windows"][-1]["scores"])
    assert scores[0] != scores[1]


def test_other_labels_are_answered_from_what_is_there(tmp_path, capsys, monkeypatch):
    film, model = zoo.video(tmp_path / "film.mp4", frames=40), zoo.saved(tmp_path, "video_text")
    assert said(capsys, film, "--model", model, "--labels", *LABELS)[0] == 0
    monkeypatch.setattr("ivcore.data.one_pass.Pass.parts", None)
    status, out, _ = said(capsys, film, "--model", model, "--labels", "a dog", "a square", "red")
    assert status == 0 and "moment" in out


@pytest.mark.parametrize("kind", ["classifier", "multimodal", "coordinated"])
def test_a_classifier_says_its_own_classes(kind, tmp_path, capsys):
    film, model = zoo.video(tmp_path / "film.mp4", frames=40), zoo.saved(tmp_path, kind)
    place = tmp_path / "found.json"
    assert said(capsys, film, "--model", model, "--json", place)[0] == 0
    found = json.loads(place.read_text())
    assert found["labels"] == list(zoo.CLASSES)
    assert all(sum(row["scores"].values()) == pytest.approx(1, abs=1e-4) for row in found["windows"])


def test_the_page_has_all_and_needs_nothing_beside_it(tmp_path, capsys):
    film, page, place = zoo.video(tmp_path / "<b>film.mp4", frames=80), tmp_path / "a.html", tmp_path / "a.json"
    status, *_ = said(capsys, film, "--model", zoo.captioning(tmp_path), "--labels", *LABELS, "--captions", "2s", "--html", page, "--json", place)  # fmt: skip
    text, found = page.read_text(), json.loads(place.read_text())
    captions = [row["caption"] for row in found["windows"] if "caption" in row]
    assert status == 0 and captions
    assert not re.search(r'(?:src|href)="(?!data:|#)', text) and "<b>film" not in text and "&lt;b&gt;film" in text
    pictures = re.findall(r"<img [^>]*>", text)
    assert len(pictures) >= 24 and all('alt="' in each for each in pictures)
    assert len(re.findall(r'<tr id="m\d+">', text)) == len(found["moments"]) == len(re.findall(r'<a href="#m\d+" style', text))  # fmt: skip


def test_the_terminal_shows_the_captions_once_for_as_long_as_they_stay(tmp_path, capsys, monkeypatch):
    film = zoo.video(tmp_path / "film.mp4", frames=200)
    texts = [f"sentence {n // 3}" for n in range(100)]
    monkeypatch.setattr(Timeline, "_captions", lambda self, part, first, said: dict(enumerate(texts[first : first + len(part.windows)])))  # fmt: skip
    arguments = (film, "--model", zoo.captioning(tmp_path), "--labels", *LABELS, "--per-window", "1s", "--every", "0.2s", "--captions", "0.2s")  # fmt: skip
    place = tmp_path / "found.json"
    status, out, _ = said(capsys, *arguments, "--json", place)
    rows = json.loads(place.read_text())["windows"]
    assert status == 0 and len(rows) > 39
    told = [line for line in out.splitlines() if "  sentence " in line]
    assert len(told) == 12 and [line.split()[-1] for line in told] == sorted(
        (line.split()[-1] for line in told), key=int
    )
    assert told[0].split() == ["0:00.0", "to", clock(rows[2]["end"]), "sentence", "0"]
    assert f"… and {-(-len(rows) // 3) - 12} more captions" in out


def long_film(tmp_path) -> list[str]:
    film, model = zoo.video(tmp_path / "film.mp4", frames=2400), zoo.saved(tmp_path, "video_text")
    return [str(film), "--model", str(model), "--labels", *LABELS, "--per-window", "1s", "--every", "0.8s"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_kill_in_the_middle_goes_on_to_the_same_bytes(number, tmp_path, capsys, monkeypatch, outputs):
    arguments = long_film(tmp_path)
    environment = os.environ | {"IVCORE_OUTPUTS": str(tmp_path / "killed")}
    process = subprocess.Popen(COMMAND + arguments, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    lines = lambda: sum(path.read_bytes().count(b"\n") for path in tmp_path.glob("killed/timeline/*/windows.jsonl"))  # noqa: E731
    while lines() < 64 and process.poll() is None:
        time.sleep(0.002)
    process.send_signal(number)
    assert process.wait(60) in (-9, 143, 130)
    there = lines()
    assert 0 < there < 400
    assert said(capsys, *arguments)[0] == 0
    monkeypatch.setenv("IVCORE_OUTPUTS", str(tmp_path / "killed"))
    (broken,) = tmp_path.glob("killed/timeline/*")
    with open(broken / "windows.jsonl", "ab") as file:
        file.write(b'{"first": 12')
    assert said(capsys, *arguments)[0] == 0
    (whole,) = outputs.glob("*")
    for name in ("rows.f32", "windows.jsonl", "timeline.html"):
        assert (whole / name).read_bytes() == (broken / name).read_bytes()


def peak(*arguments) -> int:
    done = subprocess.run([sys.executable, "-c", PEAK, "timeline", *map(str, arguments)], check=True, capture_output=True, text=True)  # fmt: skip
    return int(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_an_hour_needs_no_more_memory_than_ten_minutes(tmp_path):
    model = zoo.saved(tmp_path, "video_text")
    used = {}
    for minutes in (10, 60):
        film = zoo.video(tmp_path / f"{minutes}.mp4", frames=minutes * 60 * 4, size=(32, 40), fps=4.0)
        used[minutes] = peak(film, "--model", model, "--labels", *LABELS, "--per-window", "3s", "--every", "1s")
    assert used[60] < 1.1 * used[10]


@pytest.mark.parametrize(("kind", "arguments", "message"), [
    ("masked", (), "has no classes of its own"),
    ("video_text", (), 'give it --labels "a dog jumps" "a cat sleeps"'),
    ("classifier", ("--labels", "a", "b"), "reads no labels"),
    ("video_text", ("--labels", "a"), "--labels ['a']: must be two or more"),
    ("video_text", ("--labels", "a", "b", "--captions"), "writes no captions"),
    ("video_text", ("--labels", "a", "b", "--per-window", "x"), "--per-window = 'x': must be seconds"),
    ("video_text", ("--labels", "a", "b", "--every", "9s"), "must be at most a window"),
    ("video_text", ("--labels", "a", "b", "--smooth", "0s"), "--smooth = '0s': must be seconds"),
    ("video_text", ("--labels", "a", "b", "--html", "a.json"), "--html 'a.json': must end in .html"),
    ("video_text", ("--labels", "a", "b", "--json", "gone/a.json"), "there is no such folder"),
    ("video_text", ("--labels", "a", "b", "--beams", "0"), "--beams 0: must be in [1, 64]"),
])  # fmt: skip
def test_mistakes_are_told_in_a_line(kind, arguments, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    film = zoo.video(tmp_path / "film.mp4")
    status, _, err = said(capsys, film, "--model", zoo.saved(tmp_path, kind), *arguments)
    assert status == 2 and message in err and err.count("\n") == 1


def test_what_is_no_video_is_told_in_a_line(tmp_path, capsys):
    bad, model = tmp_path / "bad.mp4", zoo.saved(tmp_path, "video_text")
    bad.write_bytes(b"no video")
    zoo.video(tmp_path / "several" / "a.mp4"), zoo.video(tmp_path / "several" / "b.mp4")
    for place, message in ((bad, "bad.mp4"), (tmp_path / "gone.mp4", "there is no such file"), (tmp_path / "several", "holds 2 videos, must be one")):  # fmt: skip
        status, _, err = said(capsys, place, "--model", model, "--labels", "a", "b")
        assert status == 2 and message in err and err.count("\n") == 1


def test_a_video_that_breaks_off_keeps_what_is_there(tmp_path, capsys, outputs):
    film, model = zoo.video(tmp_path / "film.mp4", frames=600), zoo.saved(tmp_path, "video_text")
    content = bytearray(Path(film).read_bytes())
    content[len(content) // 2 :] = b"\0" * (len(content) - len(content) // 2)
    film.write_bytes(content)
    status, _, err = said(capsys, film, "--model", model, "--labels", *LABELS)
    assert status == 2 and "film.mp4" in err and err.count("\n") == 1
