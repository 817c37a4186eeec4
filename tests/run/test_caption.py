"""`iv caption`: the decoder's own words, for whole videos and windows."""

import json

import pytest
import torch
import video_models as zoo

from ivcore.data.video_answers import VideoModel
from ivcore.data.windows import Piece, decode
from ivcore.encoders.generate import beam, greedy
from ivcore.run import cli


@pytest.fixture
def model(tmp_path):
    return zoo.captioning(tmp_path)


def told(capsys, *arguments) -> tuple[int, list[dict]]:
    capsys.readouterr()
    status = cli.main(["caption", "--json", *map(str, arguments)])
    return status, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize(("beams", "write"), [(1, greedy), (3, lambda *a: beam(*a, beams=3))])
def test_the_caption_is_what_the_decoder_writes(model, tmp_path, capsys, beams, write):
    clip = zoo.video(tmp_path / "a.mp4", frames=12, seed=3)
    status, (answer,) = told(capsys, clip, "--model", model, "--beams", beams)
    loaded = VideoModel.load(str(model))
    clips = torch.from_numpy(decode(Piece(str(clip)), loaded.usage.views()).clips[0])
    ids = write(loaded.model, loaded.model.prepare(clips), loaded.tokenizer())
    assert status == 0 and answer == {"video": str(clip), "caption": loaded.tokenizer().caption(ids[0])}


def test_a_sentence_for_each_window_and_an_error_for_a_bad_file(model, tmp_path, capsys):
    clip = zoo.video(tmp_path / "videos" / "a.mp4", frames=24)
    (tmp_path / "videos" / "bad.mp4").write_bytes(b"no video")
    status, rows = told(capsys, clip.parent, "--model", model, "--per-window", "1s", "--workers", 0)
    assert status == 1 and {row["video"] for row in rows if "error" in row} == {str(clip.parent / "bad.mp4")}
    assert [(row["start"], row["end"]) for row in rows if "caption" in row] == [(0, 1), (1, 2), (2, 3)]


@pytest.mark.parametrize(("kind", "arguments", "message"), [
    ("classifier", (), "writes no captions; give a model of notebook 11"),
    ("video_text", (), "writes no captions"),
    ("video_text", ("--beams", "0"), "--beams 0: must be in [1, 64]"),
    ("video_text", ("--per-window", "x"), "per-window = 'x'"),
])  # fmt: skip
def test_mistakes_are_told_in_a_line(kind, arguments, message, tmp_path, capsys):
    clip = zoo.video(tmp_path / "a.mp4")
    assert cli.main(["caption", str(clip), "--model", str(zoo.saved(tmp_path, kind)), *arguments]) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1
