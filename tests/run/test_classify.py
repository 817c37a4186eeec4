"""`iv classify`: answers by a classifier's own names or by labels, one line for what cannot be done."""

import json

import pytest
import torch
import video_models as zoo

from ivcore import weights
from ivcore.run import cli


@pytest.fixture
def clip(tmp_path):
    return zoo.video(tmp_path / "clip.mp4", frames=14)


def iv(*arguments) -> int:
    return cli.main(["classify", *map(str, arguments)])


def told(capsys, *arguments) -> tuple[int, list[dict], str]:
    status = iv(*arguments, "--json")
    captured = capsys.readouterr()
    return status, [json.loads(line) for line in captured.out.splitlines()], captured.err


@pytest.mark.parametrize("kind", ["classifier", "multimodal", "coordinated"])
def test_the_names_are_those_in_the_file(clip, tmp_path, capsys, kind):
    model = zoo.saved(tmp_path, kind)
    status, (answer,), err = told(capsys, clip, "--model", model)
    assert status == 0 and not err and {each["class"] for each in answer["answers"]} == {*zoo.CLASSES}
    scores = [each["probability"] for each in answer["answers"]]
    assert scores == sorted(scores, reverse=True) and sum(scores) == pytest.approx(1, abs=1e-4)
    assert iv(clip, "--model", model, "--top", "1") == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].endswith("clip.mp4") and len(shown) == 2
    assert shown[1].startswith(f"  {scores[0]:.3f}  █") and shown[1].endswith(f" {answer['answers'][0]['class']}")


def test_bars_are_as_long_as_probabilities(monkeypatch):
    from io import BytesIO, TextIOWrapper

    from ivcore.run.classify_command import BAR, _bar

    monkeypatch.setattr("sys.stdout", TextIOWrapper(BytesIO(), "utf-8"))
    assert [_bar(share).rstrip() for share in (0, 1, 0.5, 1.5 / BAR)] == ["", "█" * BAR, "█" * (BAR // 2), "█▌"]
    monkeypatch.setattr("sys.stdout", TextIOWrapper(BytesIO(), "latin-1"))
    assert _bar(0.25) == ("#" * (BAR // 4)).ljust(BAR)


def test_the_answer_is_that_of_testing(clip, tmp_path, capsys):
    from types import SimpleNamespace

    from ivcore.data.views import Views, merged_scores
    from ivcore.weights import usage

    file = zoo.saved(tmp_path, "classifier")
    model = weights.load(file)
    views = Views([SimpleNamespace(path=str(clip), label=0)], **usage.of(file, model).views())
    scores, _ = merged_scores(model, model, views)
    _, (answer,), _ = told(capsys, clip, "--model", file)
    by_name = {each["class"]: each["probability"] for each in answer["answers"]}
    assert torch.allclose(torch.tensor([by_name[name] for name in zoo.CLASSES]), scores[0], atol=1e-5)


def test_windows_are_answered_one_by_one(clip, tmp_path, capsys):
    model = zoo.saved(tmp_path, "classifier")
    status, windows, _ = told(capsys, clip, "--model", model, "--per-window", "7f")
    assert status == 0 and len(windows) == 2 and windows[0]["end"] == windows[1]["start"] > windows[0]["start"]
    for window in windows:
        assert sum(each["probability"] for each in window["answers"]) == pytest.approx(1, abs=1e-4)
    assert iv(clip, "--model", model, "--per-window", "7f", "--top", "1") == 0
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) == 4 and "clip.mp4  0:00" in shown[0] and shown[1].startswith("  0.")


def test_labels_and_words_that_are_not_known(clip, tmp_path, capsys):
    model = zoo.saved(tmp_path, "video_text")
    status, (answer,), err = told(capsys, clip, "--model", model, "--labels", "a dog  jumps", "a zebra")
    assert status == 0 and {each["class"] for each in answer["answers"]} == {"a dog jumps", "a zebra"}
    assert err == "iv: not in the model's vocabulary, and so of little use to it: zebra\n"


@pytest.mark.parametrize("label, shown", [
    ("a dog\njumps", "a dog jumps"), ('ein "Hund"', 'ein "Hund"'), ("走る犬 😀", "走る犬 😀"), ("\x1b[31mred", "\\x1b[31mred"),
    ("very " * 100 + "long", "very " * 23 + "very…"),
])  # fmt: skip
def test_any_label_is_one_short_line(clip, tmp_path, capsys, label, shown):
    model = zoo.saved(tmp_path, "video_text")
    assert iv(clip, "--model", model, "--labels", label, *(f"label {n}" for n in range(199)), "--top", "200") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 201 and sum(line.endswith(f"  {shown}") for line in lines) == 1


def test_bad_videos_are_named_and_the_others_answered(clip, tmp_path, capsys):
    (tmp_path / "bad.mp4").write_text("no video")
    model = zoo.saved(tmp_path / "model", "classifier")
    status, answers, _ = told(capsys, tmp_path / "bad.mp4", clip, "--model", model)
    assert status == 1 and "error" in answers[0] and len(answers[1]["answers"]) == 3
    assert iv(tmp_path / "bad.mp4", "--model", model) == 1
    assert "bad.mp4: not a video" in capsys.readouterr().err
    assert iv("/dev/null", "--model", model) == 1 and "/dev/null: is no regular file" in capsys.readouterr().err


@pytest.mark.parametrize(("kind", "arguments", "said"), [
    ("masked", (), "has no classes of its own; give a classifier"),
    ("classifier", ("--labels", "a", "b"), "reads no labels"),
    ("video_text", (), "give it --labels"),
    ("video_text", ("--labels", "a"), "must be two or more"),
    ("video_text", ("--labels", "a", " a "), "two or more different"),
    ("video_text", ("--labels", "a", ""), "none of them empty"),
    ("classifier", ("--top", "0"), "must be at least 1"),
    ("classifier", ("--workers", "-2"), "must be at least 0"),
    ("classifier", ("--device", "abacus"), "not usable here"),
    ("classifier", ("--device", "meta"), "device = 'meta': not usable here"),
])  # fmt: skip
def test_what_a_model_cannot_do_costs_one_line(clip, tmp_path, capsys, kind, arguments, said):
    assert iv(clip, "--model", zoo.saved(tmp_path, kind), *arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


def test_labels_that_take_the_video_with_them_are_named(clip, capsys):
    assert iv("--labels", "a dog", "a cat", clip) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("iv: VIDEO: is missing; --labels takes all words after it")


def test_a_run_that_is_not_there_says_how_to_make_it(clip, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("IVCORE_OUTPUTS", str(tmp_path / "outputs"))
    assert iv(clip, "--model", "30/quick") == 2
    assert capsys.readouterr().err == "iv: model = '30/quick': not run yet, `iv run 30 quick` makes it\n"
    assert iv(clip, "--model", tmp_path / "gone.pt") == 2
    assert "no such file or folder" in capsys.readouterr().err


def test_a_finished_run_is_taken_by_its_name_or_folder(clip, tmp_path, capsys, monkeypatch):
    from ivcore.run.spec import Reference

    monkeypatch.setenv("IVCORE_OUTPUTS", str(tmp_path / "outputs"))
    folder = Reference.of("30/quick:seed=1").folder
    folder.mkdir(parents=True)
    zoo.saved(folder / "checkpoints", "classifier").rename(folder / "checkpoints" / "model.safetensors")
    assert (
        iv(clip, "--model", "30/quick:seed=1") == 2
        and "not finished, `iv run 30 quick -p seed=1`" in capsys.readouterr().err
    )
    (folder / "metrics.json").write_text('{"notebook": "30", "preset": "quick"}')
    assert iv(clip, "--model", "30/quick:seed=1") == iv(clip, "--model", folder) == 0
