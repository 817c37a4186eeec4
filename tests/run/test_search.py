"""`iv index` and `iv search`: the nearest is found exactly, what is new, changed or gone is noticed, and nothing half-made is searched."""

import io
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import video_models as zoo
from matplotlib import pyplot as plt

from ivcore.data.video_answers import VideoModel
from ivcore.run import cli, notebook, video_index
from ivcore.show import explore, explorer
from ivcore.show.clips import clip_grid

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "37_zero_shot_retrieval.ipynb"
SENTENCE = "a red square slides left"


@pytest.fixture
def videos(tmp_path, monkeypatch):
    monkeypatch.setenv("IVCORE_OUTPUTS", str(tmp_path / "outputs"))
    monkeypatch.setenv("IVCORE_HEADLESS", "1")
    for i in range(5):
        zoo.video(tmp_path / "my videos" / f"{i}.mp4", frames=8, seed=i)
    zoo.video(tmp_path / "my videos" / "long" / "größe 走る.mp4", frames=32, seed=7)
    return tmp_path / "my videos"


@pytest.fixture
def model(tmp_path):
    return zoo.saved(tmp_path / "model", "video_text")


def index(videos, model, *arguments) -> int:
    return cli.main(["index", "--workers", "0", "--per-window", "1s", "--model", str(model), str(videos), *map(str, arguments)])  # fmt: skip


def found(capsys, *arguments) -> list[dict]:
    capsys.readouterr()
    assert cli.main(["search", SENTENCE, "--json", *map(str, arguments)]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def cosines(model, folder) -> np.ndarray:
    loaded = VideoModel.load(str(model))
    query = loaded.embed_text(SENTENCE, loaded.tokenizer())[0].numpy()
    values = np.load(folder / "features.npy")
    return values @ query / np.linalg.norm(values, axis=1)


def test_the_nearest_moments_are_those_of_a_plain_product(videos, model, capsys):
    assert index(videos, model) == 0
    expected = cosines(model, video_index.find(None))
    hits = found(capsys, "--moments", "--top", 4)
    assert len(expected) == 5 + 4
    assert np.allclose([hit["score"] for hit in hits], np.sort(expected)[::-1][:4], atol=1e-5)


def test_a_video_is_found_once_by_its_best_moment(videos, model, capsys):
    index(videos, model)
    expected = cosines(model, video_index.find(str(videos)))
    hits = found(capsys, "--in", videos, "--top", 50)
    assert len(hits) == 6 == len({hit["video"] for hit in hits})
    best = max(expected[5:])  # the rows of the long one are the last
    (long,) = (hit for hit in hits if "走る" in hit["video"])
    assert np.isclose(long["score"], best, atol=1e-5) and long["start"] == int(np.argmax(expected[5:]))


def test_new_changed_and_gone_videos(videos, model, capsys):
    index(videos, model)
    folder = video_index.find(None)
    kept = (folder / "videos" / "1.mp4.npy").stat().st_mtime_ns
    (videos / "0.mp4").unlink()
    zoo.video(videos / "2.mp4", frames=16, seed=99)
    zoo.video(videos / "new.mp4", frames=8, seed=5)
    assert index(videos, model) == 0 and "1 video gone" in capsys.readouterr().out
    names = sorted(os.path.basename(hit["video"]) for hit in found(capsys, "--top", 50, "--moments"))
    assert names == ["1.mp4", "2.mp4", "2.mp4", "3.mp4", "4.mp4", *["größe 走る.mp4"] * 4, "new.mp4"]
    assert not (folder / "videos" / "0.mp4.npy").exists() and "0.mp4" not in (folder / "done.jsonl").read_text()
    assert (folder / "videos" / "1.mp4.npy").stat().st_mtime_ns == kept


def test_an_index_that_is_not_finished_is_not_searched(videos, model, capsys):
    index(videos, model)
    (video_index.find(None) / "index.csv").unlink()  # as between the two files that the last step writes
    assert cli.main(["search", "a dog"]) == 2
    assert "is not finished, or damaged; `iv index" in capsys.readouterr().err
    assert index(videos, model) == 0 and len(found(capsys, "--top", 50)) == 6


COMMAND = [sys.executable, "-c", "import sys; from ivcore.command import main; sys.exit(main())"]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGKILL, -9), (signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_an_index_ended_at_any_moment_goes_on_and_loses_and_doubles_nothing(number, status, videos, model, tmp_path, monkeypatch):  # fmt: skip
    for i in range(5, 40):
        zoo.video(videos / f"{i}.mp4", frames=8, seed=i)
    assert index(videos, model) == 0
    whole = video_index.find(None)
    monkeypatch.setenv("IVCORE_OUTPUTS", str(tmp_path / "ended"))
    words = ["index", "--workers", "0", "--per-window", "1s", "--model", str(model), str(videos)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(COMMAND + words, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler), **quiet)  # fmt: skip
    done = lambda: sum(file.read_bytes().count(b"\n") for file in tmp_path.glob("ended/**/done.jsonl"))  # noqa: E731
    while done() < 3 and process.poll() is None:
        time.sleep(0.002)
    process.send_signal(number)
    assert process.wait(60) == status and 3 <= done() <= 41
    assert index(videos, model) == 0
    again = video_index.find(None)
    assert again != whole and done() == 41
    for name in ("features.npy", "index.csv"):
        assert (again / name).read_bytes() == (whole / name).read_bytes()


@pytest.mark.parametrize("more", [(), ("--out", "my own")])
def test_the_command_that_is_named_for_an_unfinished_index_finishes_it(
    videos, model, tmp_path, capsys, monkeypatch, more
):
    monkeypatch.chdir(tmp_path)
    index(videos, model, *more)
    folder = Path(more[1]) if more else video_index.find(None)
    (folder / "index.csv").unlink()
    capsys.readouterr()
    assert cli.main(["search", "a dog", "--in", str(folder)]) == 2
    named = re.search("`iv (.*)` goes on", capsys.readouterr().err)[1]
    assert cli.main([*shlex.split(named), "--workers", "0"]) == 0 and "6 there" in capsys.readouterr().out
    assert cli.main(["search", "a dog", "--in", str(folder)]) == 0


def test_another_model_under_the_same_name_is_told(videos, model, capsys):
    index(videos, model)
    shutil.copy(zoo.saved(model.parent / "other", "classifier"), model)
    assert cli.main(["search", "a dog"]) == 2
    assert "was made with another" in capsys.readouterr().err


def test_sentences_one_after_the_other(videos, model, capsys, monkeypatch):
    index(videos, model)
    monkeypatch.setattr("sys.stdin", io.StringIO("a dog jumps\na zebra\n\nnever read\n"))
    capsys.readouterr()
    assert cli.main(["search", "--top", "1"]) == 0
    told = capsys.readouterr()
    assert told.out.count(" ms\n") == 2 and "not in the model's vocabulary" in told.err and "zebra" in told.err


def test_the_page_has_a_strip_for_each(videos, model, tmp_path, capsys):
    zoo.video(videos / os.fsdecode(b"s\xff.mp4"), frames=8, seed=1)
    index(videos, model)
    page = tmp_path / "found.html"
    assert cli.main(["search", "a <b>dog</b>", "--top", "9", "--html", str(page)]) == 0
    text = page.read_text(encoding="utf-8")
    assert text.count("data:image/webp") == 7 and "<b>dog" not in text and "走る" in text


def test_json_lines_stay_json_beside_a_page(videos, model, tmp_path, capsys):
    index(videos, model)
    assert len(found(capsys, "--html", tmp_path / "found.html")) == 5 and (tmp_path / "found.html").exists()


@pytest.mark.parametrize("encoding, strips", [("utf-8", True), ("ascii", False)])
def test_strips_are_for_terminals_that_have_their_blocks(videos, model, monkeypatch, encoding, strips):
    class Terminal(io.TextIOWrapper):
        def isatty(self):
            return True

    index(videos, model)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stdout", Terminal(io.BytesIO(), encoding=encoding, errors="replace"))
    assert cli.main(["search", SENTENCE, "--top", "1"]) == 0
    assert (b"\033[38;2" in sys.stdout.buffer.getvalue()) == strips


def test_videos_that_are_gone_are_not_found(videos, model, capsys):
    index(videos, model)
    (videos / "3.mp4").unlink()
    assert "3.mp4" not in {os.path.basename(hit["video"]) for hit in found(capsys, "--top", 50)}
    assert cli.main(["search", "a dog", "--top", "50"]) == 0 and "1 videos that would be" in capsys.readouterr().err
    shutil.rmtree(videos)
    assert found(capsys) == []


def test_a_folder_that_was_moved_is_told(videos, model, capsys):
    index(videos, model)
    videos.rename(videos.with_name("moved"))
    capsys.readouterr()
    assert cli.main(["search", SENTENCE]) == 0
    assert "my videos' is not there any more; `iv index` takes it in where it is now" in capsys.readouterr().err


def test_where_no_video_can_be_read_any_more_nothing_is_searched(videos, model, capsys):
    index(videos, model)
    for file in videos.rglob("*.mp4"):
        file.write_bytes(b"x")
    assert index(videos, model) == 2 and cli.main(["search", "a dog"]) == 2
    assert "is not finished" in capsys.readouterr().err


def test_the_index_that_was_asked_for_last_is_searched(videos, model, capsys):
    index(videos, model)
    first = video_index.find(str(videos))
    index(videos, model, "--per-window", "4f")
    assert video_index.find(str(videos)) != first
    os.utime(video_index.find(str(videos)) / "index.csv", ns=(1, 1))
    index(videos, model)  # has nothing to do
    assert video_index.find(str(videos)) == first == video_index.find(None)


@pytest.mark.parametrize("spoilt", [
    lambda folder: (folder / "features.npy").write_bytes(b""),
    lambda folder: np.save(folder / "features.npy", np.zeros((9, 5), np.float32)),
    lambda folder: np.save(folder / "features.npy", np.zeros(9, np.float32)),
    lambda folder: np.save(folder / "features.npy", np.full((9, 12), np.nan, np.float32)),
    lambda folder: np.save(folder / "features.npy", np.zeros((9, 12), np.int32)),
    lambda folder: (folder / "index.csv").write_text("row,video\n" + "0,a\n" * 9),
], ids=["empty", "width", "1d", "nan", "int", "csv"])  # fmt: skip
def test_a_damaged_index_is_told_and_mended(videos, model, capsys, spoilt):
    index(videos, model)
    spoilt(video_index.find(None))
    assert cli.main(["search", "a dog"]) == 2 and "not finished, or damaged; `iv index" in capsys.readouterr().err
    assert index(videos, model) == 0 and len(found(capsys, "--top", 50)) == 6


def test_features_of_another_width_are_made_again(videos, model, capsys):
    index(videos, model)
    np.save(video_index.find(None) / "videos" / "0.mp4.npy", np.zeros((1, 5), np.float32))
    assert index(videos, model) == 0 and "another width" in capsys.readouterr().out
    assert len(found(capsys, "--top", 50)) == 6


def test_a_damaged_index_of_others_is_in_nobodys_way(videos, model, tmp_path, capsys):
    index(videos, model)
    for name, text in (("cut", '{"pla'), ("empty", "{}"), ("odd", '{"place": 5}')):
        (tmp_path / "outputs" / "index" / name).mkdir()
        (tmp_path / "outputs" / "index" / name / "settings.json").write_text(text)
    (videos / "settings.json").write_text("{}")
    assert len(found(capsys, "--in", videos, "--top", 50)) == 6 == len(found(capsys, "--top", 50))


def test_a_name_with_a_carriage_return_is_found_again(videos, model, capsys):
    zoo.video(videos / "ca\rr.mp4", frames=8, seed=1)
    index(videos, model)
    assert str(videos / "ca\rr.mp4") in {hit["video"] for hit in found(capsys, "--top", 50)}


@pytest.mark.parametrize(("arguments", "message"), [
    (["search", "a dog"], "no videos are indexed yet"),
    (["search", "a dog", "--in", "/nowhere"], "is not indexed yet, `iv index '/nowhere'`"),
    (["search", " "], "SENTENCE: is empty"),
    (["search", "a dog", "--top", "0"], "--top 0: must be at least 1"),
    (["search", "--html", "x.html"], "--html 'x.html': needs SENTENCE too"),
    (["search", "a dog", "--html", "mine.mp4"], "must be the name of a page"),
    (["search", "a dog", "--in", "x" * 5000], "is not indexed yet"),
])  # fmt: skip
def test_mistakes_are_told_in_a_line(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("IVCORE_OUTPUTS", str(tmp_path / "outputs"))
    assert cli.main(arguments) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1


def test_a_model_that_reads_no_text_makes_no_index(videos, tmp_path, capsys):
    assert index(videos, zoo.saved(tmp_path / "model", "classifier")) == 2
    assert "reads no sentences" in capsys.readouterr().err and not (tmp_path / "outputs" / "index").exists()


def test_features_are_no_index(videos, model, tmp_path, capsys):
    out = tmp_path / "features"
    cli.main(["features", "--workers", "0", "--model", str(model), "--out", str(out), str(videos)])
    assert cli.main(["search", "a dog", "--in", str(out)]) == 2
    assert "is not indexed yet" in capsys.readouterr().err


def test_the_widget_of_the_notebook_shows_what_is_typed(videos, model, capsys, monkeypatch):
    index(videos, model)
    monkeypatch.setenv("IVCORE_HEADLESS", "")
    monkeypatch.setenv("JPY_SESSION_NAME", "37.ipynb")
    made, pictures = [], []
    monkeypatch.setattr(explorer.Explorer, "show", lambda self: (made.append(self), self.answer()))
    monkeypatch.setattr(
        explorer, "png", lambda figure: (pictures.append(pixels_of(figure)), plt.close(figure), b"0" * 24)[-1]
    )
    opened = video_index.VideoIndex.open(video_index.find(str(videos)))
    cells = {cell["id"]: notebook.source(cell) for cell in notebook.cells(NOTEBOOK)}
    names = {"index": opened, "clip_grid": clip_grid, "Path": Path, "explore": explore.explore, "asked_for": SENTENCE}
    exec(cells["own-finds"].split("\n\n\n")[0], names)
    exec(cells["own-widget"], names)
    moved = made[0]._moved
    moved["sentence"].widget.value = "a dog jumps"
    moved["answers"].widget.value = 3
    assert re.search(r"\d ms; answered in \d+ ms", made[0]._said.value)
    moved["sentence"].widget.value = " "  # told, and no picture
    assert "answered" not in made[0]._said.value
    assert [title for title, _, _ in pictures] == [SENTENCE, "a dog jumps", "a dog jumps"]
    assert [len(rows) for _, rows, _ in pictures] == [5, 5, 3]
    for sentence, rows, drawn in pictures:
        hits = opened.search(sentence, len(rows))[0]
        assert rows == [f"{hit.score:.2f} {Path(hit.video).stem} {hit.moment}".split() for hit in hits]
        assert np.array_equal(drawn, pixels_of(clip_grid([hit.frames(96) for hit in hits], "x" * len(hits)))[2])
    assert not np.array_equal(pictures[0][2], pictures[1][2])


def pixels_of(figure) -> tuple[str, list[list[str]], np.ndarray]:
    """(title, the words of each label, the canvas)"""
    axes = figure.axes[0]
    labels = [text.get_text().split() for text in axes.texts]
    return axes.get_title("left"), labels, np.asarray(axes.images[0].get_array())
