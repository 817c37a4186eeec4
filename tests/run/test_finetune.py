"""`iv finetune`: what it decides by the videos, what it says of mistakes, and one whole pass at the smallest size."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivcore.progress import clock
from ivcore.run import budget, cli, finetune, provenance
from ivcore.run.budget import Cost
from ivcore.run.quiet_output import quiet_output
from ivcore.run.spec import Spec
from ivcore.video import sampling
from ivcore.video.probe import Probe
from ivcore.video.writer import write_video


@pytest.fixture
def outputs(tmp_path, monkeypatch):
    monkeypatch.setenv("IVCORE_OUTPUTS", str(tmp_path / "outputs"))
    monkeypatch.setenv("IVCORE_BOX", str(tmp_path / "box"))
    return tmp_path / "outputs"


def folder_of(tmp_path, classes, count):
    for name in classes:
        (tmp_path / "mine" / name).mkdir(parents=True)
        for i in range(count):
            (tmp_path / "mine" / name / f"{i}.mp4").write_bytes(f"{name}{i}".encode())
    return tmp_path / "mine"


# ---- the budget


costs = st.builds(Cost, st.floats(1e-4, 1.0), st.floats(1e-4, 0.3))


@given(costs, costs, st.integers(1, 5000), st.integers(2, 2000), st.floats(0.1, 600))
def test_what_is_chosen_fits_or_is_the_least_and_one_epoch_more_would_not(masked, multimodal, train, held_out, minutes):
    chosen = budget.fitting(minutes, masked, multimodal, train, held_out)
    needed = [budget.seconds(budget.lengths(chosen.epochs + k), masked, multimodal, train, held_out) for k in (0, 1)]
    assert budget.FEWEST <= chosen.epochs <= budget.most_epochs(train)
    assert needed[0] <= 60 * minutes or chosen.epochs == budget.FEWEST
    assert needed[1] > 60 * minutes or chosen.epochs == budget.most_epochs(train)


def test_videos_that_memory_does_not_hold_are_read_in_every_epoch_and_leave_time_for_fewer():
    costs = Cost(0.02, 0.005), Cost(0.02, 0.005)
    kept, read = (budget.fitting(8, *costs, 180, 120, 20.0, in_memory) for in_memory in (True, False))
    assert budget.FEWEST <= read.epochs < kept.epochs


def test_few_clips_are_shown_more_often():
    assert budget.most_epochs(20) == 200 and budget.most_epochs(180) == 66 and budget.most_epochs(10**6) == 20


# ---- what is decided by the videos


@pytest.mark.parametrize(
    ("frames", "seconds", "rate"), [(16, 2.0, 2), (300, 10.0, 11), (5, 0.2, 1), (10**6, 10.0, 64), (1, 0.0, 1)]
)
def test_frames_are_counted_by_the_median_video(frames, seconds, rate):
    assert finetune.sampling_rate([Probe(frames=frames, seconds=seconds)] * 3, 8) == rate


def test_the_test_sees_what_choices_are_made_on():
    """The middle of a video, as validation in training, and both ends."""
    for notebook, preset in finetune.RUNS.values():
        values = Spec.of(notebook).base(preset)
        assert values["test_clips"] == values["val_clips"] == budget._TESTED and values["test_crops"] == 1
    for length in (90, 300, 900):
        clips = sampling.views(length, 8, 11, budget._TESTED)
        assert clips[0][0] == 0 and clips[2][-1] == length - 1
        assert clips[1].tolist() == sampling.dense(length, 8, 11).tolist()


def test_clips_are_three_seconds_of_each_video_and_only_training_videos_are_asked(planned, monkeypatch):
    asked = []
    monkeypatch.setattr(finetune, "sampling_rate", lambda videos, frames: asked.append(len(videos)) or 7)
    plan = planned()
    assert asked == [sum(of["train"] for of in plan["counts"].values())]
    assert all((run["clip_seconds"], run["sampling_rate"]) == (3.0, 7) for run in plan["runs"].values())


@pytest.mark.parametrize(
    ("name", "sided"),
    [
        *((name, True) for name in ("turn left", "Turn_Right", "spin counter-clockwise", "TurnLeft", "LeftHook")),
        *((name, True) for name in ("leftHand", "Right2Left", "uTurnRightwards", "LEFTHook", "PUNCHLeft", "a-RIGHT-b")),
        *(
            (name, False)
            for name in ("upright", "Upright", "cleft", "Copyright", "BrightLight", "LEFTOVER", "Leftover")
        ),
    ],
)
def test_clips_are_not_mirrored_where_a_name_tells_sides_apart(name, sided):
    assert finetune.tells_sides(["wave", name]) == sided


def test_whether_clips_are_mirrored_is_said_first(tmp_path, outputs, capsys):
    for sides, said in ((("jump", "wave"), "mirrored at random"), (("TurnLeft", "TurnRight"), "not mirrored: class")):
        place = str(folder_of(tmp_path / sides[0], sides, 3))
        assert cli.main(["finetune", place, "--dry"]) == 0 and f"clips are {said}" in capsys.readouterr().out
    assert cli.main(["finetune", place.replace("TurnLeft", "jump"), "--dry", "--no-flip"]) == 0
    assert "clips are not mirrored\n" in capsys.readouterr().out


def test_no_clip_is_mirrored_where_that_is_asked_for(planned):
    assert "flip" not in planned()["runs"]["masked"]
    assert all(run["flip"] == 0.0 for run in planned("--no-flip")["runs"].values())


def test_a_plan_counts_groups_of_videos(planned, tmp_path):
    assert planned()["groups"] == {"train": 2, "val": 2, "test": 2}
    films(tmp_path / "mine", ("jump", "wave"), 6)
    pairs = "".join(f"{name}/{i}.mp4 {i // 2 + 3 * (name == 'wave')}\n" for name in ("jump", "wave") for i in range(6))
    (tmp_path / "mine/groups.csv").write_text(pairs)
    plan = planned()
    assert plan["groups"] == {"train": 2, "val": 2, "test": 2} and plan["counts"]["jump"] == dict.fromkeys(
        plan["groups"], 2
    )


# ---- what it says


def test_dry_shows_the_parts_and_writes_nothing(tmp_path, outputs, capsys):
    assert cli.main(["finetune", str(folder_of(tmp_path, ("jump", "wave"), 10)), "--dry"]) == 0
    said = capsys.readouterr().out
    assert "jump     6        2      2" in said and "all      12       4      4" in said
    assert "as many epochs as fit into 8 minutes" in said and not outputs.exists()


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["--minutes", "0"], "--minutes '0': must be a number above 0"),
        (["--minutes", "1", "--epochs", "1"], "give one of them"),
        (["--seed", "-1"], "--seed '-1': must be a whole number from 0"),
        (["--seed", "9" * 5000], "must be a whole number from 0"),
        (["--masked", "11/quick"], "holds a video-text model, must be a masked encoder"),
        (["--multimodal", "nowhere.safetensors"], "--multimodal nowhere.safetensors: there is no such file"),
    ],
)
def test_a_mistake_costs_one_line(tmp_path, outputs, capsys, words, names):
    assert cli.main(["finetune", str(folder_of(tmp_path, ("jump", "wave"), 3)), *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("iv: ") and names in line


def test_a_folder_of_something_else_is_left_alone(tmp_path, outputs, capsys):
    place = folder_of(tmp_path, ("jump", "wave"), 3)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/train.csv").write_text("mine")
    assert cli.main(["finetune", str(place), "--out", str(tmp_path / "thesis")]) == 2
    assert "holds something else (train.csv)" in capsys.readouterr().err
    (tmp_path / "thesis/plan.json").write_text(json.dumps(dict.fromkeys(finetune._PLAN) | {"source": "/other"}))
    assert cli.main(["finetune", str(place), "--out", str(tmp_path / "thesis")]) == 2
    assert (
        "holds the fine-tuning of /other (not there any more: after a move, remove the folder and begin again); give another folder with --out"
        in capsys.readouterr().err
    )
    assert (tmp_path / "thesis/train.csv").read_text() == "mine"


@pytest.mark.parametrize("where", ["encoder_kinds.check", "check.probed_once", "divide.write", "budget.cost"])
def test_stopped_before_it_has_a_plan_the_same_command_goes_on(tmp_path, outputs, monkeypatch, capsys, where):
    """Ctrl-C while encoders are looked up, while videos are looked at, while lists are written and while steps are timed."""
    films(tmp_path / "mine", ("jump", "wave"), 3)
    how, reached = ["--epochs", "1", *small_encoders(tmp_path, monkeypatch)], []

    def stop(*_, **__):
        raise KeyboardInterrupt

    module, name = where.split(".")
    owner = budget if module == "budget" else getattr(finetune, module)
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, stop)
        assert cli.main(["finetune", str(tmp_path / "mine"), *how]) == 130
    assert capsys.readouterr().err == "iv: interrupted; the same command continues from here\n"
    if module != "encoder_kinds":
        films(tmp_path / "other", ("jump", "wave"), 3)
        taken = ["finetune", str(tmp_path / "other"), *how, "--out", str(outputs / "finetune/mine")]
        assert cli.main(taken) == 2 and "holds the fine-tuning of" in capsys.readouterr().err
    monkeypatch.setattr(budget, "cost", lambda *_: budget.Cost(0.01, 0.005))
    monkeypatch.setattr(finetune, "_run_all", lambda *_: reached.append(1))
    monkeypatch.setattr(finetune, "_finish", lambda *_: None)
    assert cli.main(["finetune", str(tmp_path / "mine"), *how]) == 0 and reached == [1]


@pytest.fixture
def planned(tmp_path, outputs, monkeypatch):
    """A function that calls the command up to its runs, and what they would be told; `tmp_path`/mine has the videos."""
    films(tmp_path / "mine", ("jump", "wave"), 3)
    how = ["--epochs", "1", *small_encoders(tmp_path, monkeypatch)]
    monkeypatch.setattr(budget, "cost", lambda *_: budget.Cost(0.01, 0.005))
    monkeypatch.setattr(finetune, "_run_all", lambda *_: None)
    monkeypatch.setattr(finetune, "_finish", lambda *_: None)

    def call(*words):
        assert cli.main(["finetune", str(tmp_path / "mine"), *how, *words]) == 0
        return json.loads((outputs / "finetune/mine/plan.json").read_text())

    return call


def test_a_link_that_leads_nowhere_is_a_video_that_cannot_be_read(tmp_path, planned):
    (tmp_path / "mine/jump/gone.mp4").symlink_to("nowhere.mp4")
    assert "1 file left out that cannot be read" in planned()["notes"][0]


def test_what_names_and_groups_tell_of_films_is_planned_and_said(tmp_path, outputs, planned, capsys):
    """The same films under plain names first."""
    plan, said = planned(), capsys.readouterr().out
    assert not finetune._grouped(plan) and "no two videos are known to be cuts of one film" in said
    assert not (outputs / "finetune/mine/groups.csv").exists()
    films(tmp_path / "new", ("jump", "wave"), 6)
    for number, name in enumerate(("jump", "wave")):
        for i in range(6):
            (tmp_path / f"new/{name}/{i}.mp4").replace(
                tmp_path / f"mine/{name}/film{3 * number + i // 2}_cut{i % 2}.mp4"
            )
        for i in range(3):
            (tmp_path / f"mine/{name}/{i}.mp4").unlink()
    plan, said = planned(), capsys.readouterr().out
    assert "names look like 6 films of 2 cuts: cuts with one name before their counter stay in one part" in said
    assert plan["groups"] == {"train": 2, "val": 2, "test": 2} and finetune._grouped(plan)
    assert len((outputs / "finetune/mine/groups.csv").read_text().splitlines()) == 12


def test_another_video_under_an_old_name_makes_results_old(tmp_path, outputs, planned):
    """The lists say the same, so runs would count as done."""
    place = outputs / "finetune/mine"
    planned()
    before = provenance._digests(place, "folder")
    assert planned() and provenance._digests(place, "folder") == before
    films(tmp_path / "new", ("wave",), 4)
    (tmp_path / "new/wave/3.mp4").replace(tmp_path / "mine/jump/0.mp4")
    planned()
    after = provenance._digests(place, "folder")
    assert [file for file in before if before[file] != after[file]] == [str(place / "videos.sha256")]


def test_what_is_left_of_an_earlier_plan_is_made_again(outputs, planned):
    place = outputs / "finetune/mine"
    planned()
    damaged = (
        '{"source": 3}',
        *(json.dumps(planned() | change) for change in ({"runs": {}}, {"notes": 5}, {"seconds": "x"})),
    )
    changes = [lambda text=text: (place / "plan.json").write_text(text) for text in damaged]
    for change in (lambda: (place / "classes.txt").unlink(), *changes):
        (place / "untrained-0.safetensors").write_text("of another shape")
        change()
        assert planned()["counts"] and (place / "classes.txt").read_text() == "jump\nwave\n"
        assert not (place / "untrained-0.safetensors").exists()


def test_that_another_seed_replaces_the_table_is_said_first(outputs, planned, capsys):
    place = outputs / "finetune/mine"
    planned()
    (place / "table.json").write_text('{"seed": 0}')
    capsys.readouterr()
    planned()
    assert "replaces" not in capsys.readouterr().out
    planned("--seed", "1")
    assert "replaces table and model of seed 0 in" in capsys.readouterr().out
    (place / "table.json").write_text("damaged")
    planned("--seed", "1")
    assert "replaces" not in capsys.readouterr().out


def test_seconds_are_those_of_all_calls(tmp_path, monkeypatch):
    at = itertools.count(0, 4)
    monkeypatch.setattr(finetune.time, "monotonic", lambda: next(at))
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt), finetune._spending(tmp_path, "a"):
            raise KeyboardInterrupt
    with finetune._spending(tmp_path, "b"):
        pass
    assert finetune._spent(tmp_path) == {"a": 8, "b": 4}
    (tmp_path / "spent.json").write_text('["damaged"]')
    assert finetune._spent(tmp_path) == {}


def test_a_long_name_makes_no_wide_table():
    table = finetune.counts_table({"x" * 200: dict.fromkeys(("train", "val", "test"), 1)})
    assert "xxx…" in table and max(map(len, table.splitlines())) < 90


def test_a_slow_step_is_timed_once(monkeypatch):
    clock_of, calls = itertools.count(0, 4), []  # four seconds from one look at the clock to the next
    monkeypatch.setattr(budget.time, "monotonic", lambda: next(clock_of))
    assert budget._best(lambda: calls.append(1), "cpu") == 4 and calls == [1]


def test_of_a_runs_output_progress_is_shown(capsys):
    with quiet_output():
        print("── Training\npeak lr 1.0\ntrain: step 3/6 (50%)  loss 2.3  lr 1.0e-4  left 0:04\ndone in 3 s: top1 0.5")
    assert capsys.readouterr().out == "    train: step 3/6 (50%)  loss 2.3  left 0:04\n"
    with quiet_output(verbose=True):
        print("── Training")
    assert capsys.readouterr().out == "── Training\n"


# ---- the whole


def films(place, classes, count):
    random = np.random.default_rng(0)
    for label, name in enumerate(classes):
        for i in range(count):
            frames = random.integers(0, 90, (8, 32, 32, 3), dtype=np.uint8)
            frames[..., label] += 120
            (place / name).mkdir(parents=True, exist_ok=True)
            write_video(place / name / f"{i}.mp4", frames, 8)


def small_encoders(tmp_path, monkeypatch) -> list[str]:
    """Words of the command: untrained encoders of one layer stand for pretrained ones."""
    import torch
    from small_video_text import model as small_model

    from ivcore.encoders.videomae import MaskedVideoEncoder
    from ivcore.train import save_weights

    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    torch.manual_seed(0)
    given = []
    encoders = {
        "masked": MaskedVideoEncoder("tiny", depth=2, image=16, frames=4),
        "multimodal": small_model(dtype=torch.float32),
    }
    for name, encoder in encoders.items():
        given += [f"--{name}", str(save_weights(encoder, tmp_path / f"{name}.safetensors", encoder.config))]
    return given


@pytest.mark.slow
def test_from_a_raw_folder_to_a_table_and_a_model_and_nothing_is_done_twice(tmp_path, outputs, monkeypatch, capsys):
    """Classes are colours."""
    given = small_encoders(tmp_path, monkeypatch)
    films(tmp_path / "my videos", ("deep red", "grün"), 5)
    (tmp_path / "my videos/grün/broken.mp4").write_bytes(b"no video")
    command = ["finetune", str(tmp_path / "my videos"), "--epochs", "1", *given]
    assert cli.main(command) == 0
    said = capsys.readouterr().out
    place = outputs / "finetune/my_videos"
    assert "1 file left out that cannot be read" in said and "[4/4] scratch" in said
    table = json.loads((place / "table.json").read_text())
    assert table["counts"] == {name: {"train": 3, "val": 1, "test": 1} for name in ("deep red", "grün")}
    assert table["planned_seconds"] == json.loads((place / "plan.json").read_text())["seconds"]
    assert f"{clock(table['seconds'])} in all. Then" in said
    rows = {row["name"]: row for row in table["table"]}
    shares = ("val", "test", "val_by_class", "by_class")
    assert len(rows) == 7 and all(0 <= row[share] <= 1 for row in rows.values() for share in shares)
    assert all(rows[name]["answered"] in (1, 2) for name in ("masked encoder from scratch", "masked", "coordinated"))
    assert table["commonest_class"] == 0.5 and "on 2 validation videos among multimodal and masked" in said
    assert "| coordinated" in (place / "table.md").read_text()
    from ivcore import weights
    from ivcore.weights import usage

    model = weights.load(place / "model.safetensors")
    assert getattr(model, "masked", model).num_classes == 2
    used = usage.of(place / "model.safetensors", model)
    assert (used.clip_seconds, used.test_clips) == (3.0, 3)

    stamps = {file: file.stat().st_mtime_ns for file in outputs.glob("1*/*/metrics.json")}
    assert len(stamps) == 4 and cli.main(command) == 0
    assert stamps == {file: file.stat().st_mtime_ns for file in outputs.glob("1*/*/metrics.json")}
    again = capsys.readouterr().out
    assert again.count("is done") == 4 and "check: " not in again and "timing" not in again
