"""Meta-World as a dataset. What needs the simulator is skipped without it; words, phases, projection, annotations and resuming are not."""

import dataclasses
import importlib.util
import itertools
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter

import numpy as np
import pytest
from folder_contents import contents
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ivcore.data import formats, metaworld
from ivcore.data.labels.sets import united_sets
from ivcore.data.metaworld import builder, phases
from ivcore.data.metaworld import look as metaworld_look
from ivcore.data.metaworld.config import records
from ivcore.data.metaworld.play import require_simulator
from ivcore.data.metaworld.tasks import APPEARANCE, COLOURS, MOTION, PARTNERS, TASKS, captions, reversed_captions
from ivcore.data.videos import video_set
from ivcore.errors import ParameterError, UserError
from ivcore.run import cli
from ivcore.video.reader import VideoReader
from ivcore.video.writer import write_video

SMALL = metaworld.MetaWorld(episodes=6, size=16, frames=8, fps=2, tasks=("door-open", "door-close", "reach"))


def why_not() -> str:
    try:
        require_simulator()
    except UserError as error:
        return str(error)
    return ""


needs_simulator = pytest.mark.skipif(bool(why_not()), reason=why_not() or "the simulator is here")


class TestScenes:
    def test_every_task_is_in_one_scene_or_alone(self):
        scenes = Counter(TASKS[task].scene for task in MOTION)
        assert len(scenes) == 15 and sum(scenes.values()) == 35 and min(scenes.values()) > 1
        assert sorted(MOTION + APPEARANCE) == sorted(TASKS) and not set(MOTION) & set(APPEARANCE)

    @needs_simulator
    def test_scenes_are_those_of_the_simulators_models(self):
        listed, built = {}, {}
        for task in TASKS:
            listed.setdefault(TASKS[task].scene or task, []).append(task)
            built.setdefault(standing(task), []).append(task)
        assert sorted(listed.values()) == sorted(built.values())


def standing(task: str) -> frozenset:
    """Visible geometry of a task's model, kind, size and attitude, without the small thing that is handled."""
    import mujoco
    from metaworld.env_dict import ALL_V3_ENVIRONMENTS as environments

    kind = environments[f"{task}-v3"]
    model = mujoco.MjModel.from_xml_path(kind.model_name.fget(kind.__new__(kind)))
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    paint = np.where((model.geom_matid < 0)[:, None], model.geom_rgba, model.mat_rgba[model.geom_matid])
    handled = {i for i in range(model.nbody) if model.body(i).name == "obj"}
    handled |= {i for i in range(model.nbody) if int(model.body_parentid[i]) in handled}
    return frozenset(
        (int(model.geom_type[g]), int(model.mesh_vertnum[model.geom_dataid[g]]) if model.geom_dataid[g] >= 0 else 0,
         *model.geom_size[g].round(3), *np.abs(data.geom_xmat[g]).round(1))
        for g in range(model.ngeom)
        if model.geom_group[g] <= 2 and paint[g, 3] and int(model.geom_bodyid[g]) not in handled
    )  # fmt: skip


class TestWords:
    def test_fifty_tasks_said_in_ways_that_no_two_share(self):
        assert len(TASKS) == 50
        said = [sentence for name in TASKS for sentence in captions(name, "blue", "left")]
        assert len(set(said)) == 5 * 50
        assert len({task.label for task in TASKS.values()}) == 50

    def test_a_caption(self):
        assert captions("door-open", "blue", "left")[0] == "the robot arm opens the blue door on the left"
        assert captions("door-open", "green", "middle")[1] == "a robot pulls the green door open"

    @pytest.mark.parametrize("colour", COLOURS)
    @pytest.mark.parametrize("name", PARTNERS)
    def test_partners_undo_each_other_and_differ_in_the_verb_alone(self, name, colour):
        assert PARTNERS[PARTNERS[name]] == name != PARTNERS[name]
        ours, theirs = captions(name, colour, "right"), reversed_captions(name, colour, "right")
        assert theirs == captions(PARTNERS[name], colour, "right")
        for own, other in zip(ours, theirs):
            assert own != other and f"the {colour} {TASKS[name].thing}" in own and own.endswith(other[-13:])

    def test_no_partner_no_reversed_captions(self):
        assert reversed_captions("reach", "blue", "left") == ()


def body(positions) -> np.ndarray:
    """One point that goes along x."""
    return np.array([[[x, 0.0, 0.0]] for x in positions])


class TestPhases:
    def test_a_recorded_push(self):
        gap = np.array([0.2, 0.1, 0.05, 0.03, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02])
        opening = np.array([1, 1, 1, 1, 0.8, 0.6, 0.5, 0.5, 0.5, 0.5])
        puck = body([0, 0, 0, 0, 0, 0, 0.1, 0.2, 0.2, 0.2])
        moves = phases.motion([puck])
        assert moves == (5, 8)
        expected = [("reach", 0, 3), ("grasp", 3, 5), ("move", 5, 8)]
        assert phases.segments(gap, opening, moves) == expected

    def test_a_pressed_button_is_not_grasped(self):
        gap = np.array([0.2, 0.03, 0.0, 0.0, 0.0])
        moves = phases.motion([body([0, 0, 0.0, 0.05, 0.05])])
        found = phases.segments(gap, np.zeros(5), moves)
        assert found == [("reach", 0, 2), ("move", 2, 4)]

    def test_nothing_moves(self):
        gap = np.full(6, 0.2)
        assert phases.motion([body([0, 0, 0.001, 0.001, 0, 0])]) is None
        assert phases.segments(gap, np.ones(6), None) == [("reach", 0, 6)]

    def test_turning_on_the_spot_is_motion(self):
        angles = np.array([0, 0, 0.5, 1.0])
        ends = np.stack([np.cos(angles), np.sin(angles), 0 * angles], -1)
        dial = 0.03 * np.stack([ends, -ends], 1)
        assert phases.motion([dial]) == (1, 4)

    @given(
        arrays(float, 12, elements=st.floats(0, 0.5)),
        arrays(float, 12, elements=st.floats(0, 1)),
        arrays(float, (12, 2, 3), elements=st.floats(-1, 1)),
    )
    def test_phases_are_in_order_without_gaps(self, gap, opening, points):
        moves = phases.motion([points])
        found = phases.segments(gap, opening, moves)
        assert [name for name, _, _ in found] == [n for n in phases.PHASES if n in {f[0] for f in found}]
        assert found[0][1] == 0 and found[-1][2] <= 12
        assert all(first < last for _, first, last in found)
        assert all(before[2] == after[1] for before, after in itertools.pairwise(found))


class TestLook:
    def test_the_same_seed_gives_the_same_look_and_another_one_another(self):
        fixed = metaworld_look.draw((0, 1, 2))  # sets that are rendered already rely on it
        assert (fixed.azimuth, fixed.distance, fixed.colour) == (
            pytest.approx(153.55180361953998),
            pytest.approx(0.9152633556548656),
            "yellow",
        )
        looks = [metaworld_look.draw((0, 1, n)) for n in range(200)]
        assert {look.colour for look in looks} == set(COLOURS)
        for field in ("azimuth", "elevation", "distance", "ambient", "lamps", "target"):
            assert len({getattr(look, field) for look in looks}) == 200

    def test_what_the_camera_looks_at_is_in_the_middle(self):
        look = metaworld_look.draw((3,))
        assert np.allclose(metaworld_look.project(look, np.array(look.target)), 0.5)

    def test_up_is_up_and_right_is_right(self):
        look = dataclasses.replace(metaworld_look.draw((3,)), azimuth=90.0, elevation=-30.0)
        x, y = metaworld_look.project(look, np.array(look.target) + np.array([0.1, 0, 0.1]))
        assert x > 0.5 and y < 0.5  # looking along +y, +x is to the right

    def test_size_in_the_picture(self):
        """A metre seen from 1 / (2 tan 22.5°) metres fills the picture."""
        look = dataclasses.replace(metaworld_look.draw((3,)), azimuth=90.0, elevation=0.0)
        look = dataclasses.replace(look, distance=0.5 / np.tan(np.radians(22.5)))
        ends = np.array(look.target) + np.array([[-0.5, 0, 0], [0.5, 0, 0]])
        assert np.allclose(metaworld_look.project(look, ends)[:, 0], [0, 1])

    def test_boxes_are_cut_at_the_border_and_none_outside(self):
        look = dataclasses.replace(metaworld_look.draw((3,)), azimuth=90.0, elevation=0.0)
        middle = np.array(look.target)
        x1, y1, x2, y2 = metaworld_look.box(look, middle + np.array([[0, 0, 0], [9, 0, 0.1]]))
        assert x1 == 0.5 and x2 == 1 and 0 < y1 < y2 == 0.5
        assert metaworld_look.box(look, middle + np.array([[8, 0, 0], [9, 0, 0.1]])) is None
        assert metaworld_look.box(look, middle + np.array([[0, -5, 0], [0, 0, 0.1]])) is None  # behind it

    def test_sides(self):
        look = dataclasses.replace(metaworld_look.draw((3,)), azimuth=90.0)
        places = [np.array(look.target) + np.array([[x, 0, 0]]) for x in (-0.3, 0, 0.3)]
        assert [metaworld_look.side(look, place) for place in places] == ["left", "middle", "right"]


class TestConfiguration:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"tasks": ("door-opne",)}, "tasks: 'door-opne' must be one of assembly, basketball"),
            ({"tasks": ()}, "tasks: must be one or more"),
            ({"tasks": ("reach", "reach")}, "every name only once"),
            ({"episodes": 0}, "episodes=0: must be a whole number from 1"),
            ({"size": 63}, "size=63: must be a whole number from 16, even"),
            ({"frames": 1}, "frames=1"),
        ],
    )
    def test_bad_values(self, change, message):
        with pytest.raises(ParameterError, match=re.escape(message)):
            dataclasses.replace(SMALL, **change)

    def test_the_folder_is_named_by_what_decides_the_files(self, monkeypatch):
        others = [{"seed": 1}, {"size": 48}, {"episodes": 7}, {"tasks": ("reach",)}, {"fps": 4}]
        assert len({dataclasses.replace(SMALL, **change).hash for change in others} | {SMALL.hash}) == 6
        before = SMALL.hash
        monkeypatch.setattr("ivcore.data.metaworld.config.RENDERER_VERSION", "another")
        assert SMALL.hash != before

    def test_no_goal_is_in_two_splits_or_tried_twice(self):
        many = metaworld.episodes(dataclasses.replace(SMALL, episodes=300, tasks=("reach",)))
        goals = {split: [g for e in many if e.split == split for g in e.goals] for split in metaworld.SPLITS}
        assert sum(len(set(each)) for each in goals.values()) == 300 * metaworld.ATTEMPTS
        assert len(set().union(*goals.values())) == 300 * metaworld.ATTEMPTS
        assert len(goals["train"]) == 4 * len(goals["val"]) == 4 * len(goals["test"])

    @pytest.mark.parametrize("missing", ["metaworld", "OSMesa"])
    def test_what_is_missing_is_named(self, missing, tmp_path, monkeypatch):
        monkeypatch.setenv("MUJOCO_GL", "osmesa")
        found = None if missing == "metaworld" else object()
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: found)
        monkeypatch.setattr("ctypes.util.find_library", lambda name: None)
        with pytest.raises(UserError, match=r"make sim.*libosmesa6"):
            metaworld.build(SMALL, folder=tmp_path / "set")


def made_up(config: metaworld.MetaWorld, folder, indices=None) -> None:
    """Episodes as the workers leave them, without a simulator; the expert failed in the last one of the first task."""
    wanted = metaworld.episodes(config)
    for index in range(len(wanted)) if indices is None else indices:
        episode = wanted[index]
        solved = episode.id != "door-open-005"
        record = {"task": episode.task, "goal": episode.number, "attempts": 1 if solved else 5, "solved": solved}
        if solved:
            write_video(
                folder / episode.video, np.full((config.frames, 16, 16, 3), 9 * index % 256, np.uint8), config.fps
            )
            seen = [[0.1, 0.2, 0.3, 0.4]] * config.frames
            record |= {"colour": "blue", "side": "left", "boxes": {"gripper": seen, "door": [None, *seen[1:]]}}
            record |= {"phases": [["reach", 0, 3], ["grasp", 3, 4], ["move", 4, 7]]}
        (folder / episode.record).parent.mkdir(exist_ok=True)
        (folder / episode.record).write_text(json.dumps(record))


@pytest.fixture
def without_simulator(monkeypatch):
    """The renderer writes made-up episodes."""
    monkeypatch.setattr(builder, "require_simulator", lambda: None)
    monkeypatch.setattr(builder, "render", lambda config, folder, todo, *_: made_up(config, folder, todo))


@pytest.fixture
def folder(tmp_path, without_simulator):
    """A complete set of made-up episodes."""
    return metaworld.build(SMALL, folder=tmp_path / "set")


class TestAnnotations:
    def test_kinetics(self, folder):
        assert formats.read_class_names(folder / "classes.txt") == [
            "opens the door",
            "closes the door",
            "reaches past the puck",
        ]
        read = {split: formats.read_kinetics_csv(folder / f"{split}.csv") for split in ("train", "val", "test")}
        assert [len(videos) for videos in read.values()] == [12, 3, 2]  # one test episode was not solved
        for videos in read.values():
            assert all(os.path.exists(video.path) for video in videos)
            assert all(SMALL.tasks[v.label] == os.path.basename(v.path)[:-8] for v in videos)

    def test_captions(self, folder):
        videos = formats.read_msrvtt_json(folder / "msrvtt.json", folder / "videos")
        undone = formats.read_msrvtt_json(folder / "msrvtt_reversed.json", folder / "videos")
        said = {video.id: video.captions for video in videos}
        assert {v.id for v in undone} == {v.id for v in videos if v.id.rsplit("-", 1)[0] in PARTNERS}
        assert all(not set(video.captions) & set(said[video.id]) for video in undone)
        assert len(videos) == 17 and all(os.path.exists(v.path) and len(set(v.captions)) == 5 for v in videos)
        of = {video.id: video for video in videos}
        assert of["door-close-004"].split == "validate" and of["door-close-005"].split == "test"
        assert of["door-close-000"].captions == captions("door-close", "blue", "left")
        test = formats.read_msrvtt_csv(folder / "msrvtt_test.csv")
        assert [row.video_id for row in test] == ["door-close-005", "reach-005"]
        assert test[0].sentence == "the robot arm closes the blue door on the left"
        assert len(formats.read_msrvtt_csv(folder / "msrvtt_train.csv")) == 12

    def test_order_has_the_task_and_its_partner(self, folder):
        choices = formats.read_choice_jsonl(folder / "order_val.jsonl", folder / "videos")
        assert [choice.clip for choice in choices] == ["door-open-004", "door-close-004"]  # reach has none
        for choice in choices:
            task = choice.clip[:-4]
            assert choice.options[choice.answer] == captions(task, "blue", "left")[0]
            assert choice.options[1 - choice.answer] == captions(PARTNERS[task], "blue", "left")[0]

    def test_segments_in_seconds(self, folder):
        videos = formats.read_activitynet_json(folder / "activitynet.json", folder / "videos", subset="validation")
        assert len(videos) == 3 and videos[0].duration == 4.0 and videos[0].fps == 2.0
        assert videos[0].segments == (
            formats.Segment("reach", 0.0, 1.5, 0),
            formats.Segment("grasp", 1.5, 2.0, 1),
            formats.Segment("move", 2.0, 3.5, 2),
        )

    def test_boxes_on_keyframes(self, folder):
        names = {action.id: action.name for action in formats.read_ava_actions(folder / "ava_actions.pbtxt")}
        boxes = formats.read_ava_csv(folder / "ava_val.csv")
        mine = [box for box in boxes if box.video_id == "door-open-004"]
        doing = [(box.timestamp, box.person, names[box.action]) for box in mine]
        assert doing == [
            (1.0, 0, "reach"), (1.0, 1, "rest"),
            (2.0, 0, "move"), (2.0, 1, "is moved"),
            (3.0, 0, "move"), (3.0, 1, "is moved"),
        ]  # fmt: skip

    def test_summary(self, folder):
        told = metaworld.summary(SMALL, folder)
        assert (told["clips"], told["dropped"], told["attempts"]) == (17, 1, 22)
        assert told["success_rate"] == round(17 / 22, 4)


class TestResuming:
    def test_only_what_is_missing_is_made(self, folder, monkeypatch):
        (folder / "complete").unlink()
        (folder / "episodes/reach-001.json").unlink()
        (folder / "videos/.reach-002.mp4.1.tmp").write_bytes(b"cut off")
        asked = []
        monkeypatch.setattr(
            builder, "render", lambda config, folder, todo, *_: (asked.extend(todo), made_up(config, folder, todo))
        )
        before = {path: path.stat().st_mtime_ns for path in folder.glob("videos/*.mp4")}
        metaworld.build(SMALL, folder=folder)
        assert [metaworld.episodes(SMALL)[index].id for index in asked] == ["reach-001"]
        assert not list(folder.glob("videos/.*"))
        touched = {p.name for p, when in before.items() if p.stat().st_mtime_ns != when}
        assert touched == {"reach-001.mp4"}
        assert (folder / "complete").exists()

    def test_a_complete_set_is_not_touched(self, folder):
        before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
        assert metaworld.build(SMALL, folder=folder) == folder
        assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before

    def test_changed_annotation_code_rewrites_annotations_alone(self, folder):
        (folder / "complete").write_text("of other code")
        (folder / "train.csv").write_text("old")
        videos = {path: path.stat().st_mtime_ns for path in folder.glob("videos/*")}
        metaworld.build(SMALL, folder=folder)
        assert len(formats.read_kinetics_csv(folder / "train.csv")) == 12
        assert {path: path.stat().st_mtime_ns for path in folder.glob("videos/*")} == videos

    def test_a_larger_set_takes_over_the_episodes_of_a_smaller_one(self, folder, monkeypatch):
        more = dataclasses.replace(SMALL, episodes=7, tasks=("reach", "door-open"))
        asked = []
        monkeypatch.setattr(
            builder, "render", lambda config, folder, todo, *_: (asked.extend(todo), made_up(config, folder, todo))
        )
        larger = metaworld.build(more, folder=folder.parent / "larger")
        assert [metaworld.episodes(more)[index].id for index in asked] == ["reach-006", "door-open-006"]
        assert metaworld.summary(more, larger)["clips"] == 13
        assert (larger / "videos/reach-001.mp4").samefile(folder / "videos/reach-001.mp4")

    def test_episodes_of_another_kin_are_not_taken_over(self, folder):
        other = metaworld.build(dataclasses.replace(SMALL, seed=1), folder=folder.parent / "other")
        assert not (other / "videos/reach-001.mp4").samefile(folder / "videos/reach-001.mp4")

    def test_a_folder_of_another_set_is_refused(self, folder):
        with pytest.raises(UserError, match="other settings"):
            metaworld.build(dataclasses.replace(SMALL, seed=1), folder=folder)


FEW = {"tasks": SMALL.tasks, "size": 16, "frames": 8, "fps": 2}


class TestLabelSet:
    @pytest.fixture
    def rendered(self, tmp_path, monkeypatch, without_simulator):
        monkeypatch.setenv("IVCORE_CACHE", str(tmp_path))

    def test_classes_are_tasks_and_kinds_are_those_of_their_scenes(self, rendered):
        found = united_sets("metaworld", train=12, **FEW)
        assert found.union.classes == [TASKS[task].label for task in SMALL.tasks]
        assert found.motion == [0, 1, 2] and found.test.source == "Meta-World"
        assert [len(part) for part in (found.train, found.val, found.test)] == [12, 3, 2]
        for part in (found.train, found.val, found.test):
            assert all(os.path.exists(video.path) for video in part.records)
            assert all(SMALL.tasks[v.label] == os.path.basename(v.path)[:-8] for v in part.records)
        assert not {v.path for v in found.train.records} & {v.path for v in (*found.val.records, *found.test.records)}

    def test_a_task_alone_in_its_scene_is_appearance(self, rendered):
        found = united_sets("metaworld", train=4, **FEW | {"tasks": ("soccer", "push", "reach")})
        assert found.kinds == {
            "kicks the ball into the goal": "appearance",
            "pushes the puck forward": "motion",
            "reaches past the puck": "motion",
        }

    def test_the_same_episodes_without_label_sets(self, rendered):
        found = video_set("val", "metaworld", train=13, **FEW)  # two rounds of four a task
        assert len(found) == 6 and found.source == "Meta-World"
        assert found.classes == [TASKS[task].label for task in SMALL.tasks]

    def test_without_the_simulator_only_what_is_rendered_is_read(self, rendered, monkeypatch):
        united_sets("metaworld", train=12, **FEW)

        def refuse():
            raise UserError("Meta-World is not installed")

        monkeypatch.setattr(builder, "require_simulator", refuse)
        assert len(united_sets("metaworld", train=12, **FEW).train) == 12
        with pytest.raises(UserError, match="not installed"):
            united_sets("metaworld", train=13, **FEW)

    def test_so_many_training_clips(self):
        assert metaworld.with_training(400) == metaworld.MetaWorld()
        assert metaworld.with_training(401).episodes == 18 and metaworld.with_training(1).episodes == 6
        assert metaworld.with_training(9, **FEW).episodes == 6


def test_command_line(tmp_path, without_simulator, capsys):
    told = ["data", "metaworld", "--episodes", "6", "--size", "16", "--out", str(tmp_path / "set")]
    assert cli.main([*told, "--tasks", "door-open, door-close"]) == 0
    assert "clips 11  dropped 1" in capsys.readouterr().out
    assert cli.main([*told, "--tasks", "door-opne"]) == 2
    assert "door-opne" in capsys.readouterr().err


FILMED = dataclasses.replace(SMALL, episodes=3, size=32, tasks=("door-open",))
BUILD = "import sys; from ivcore.data import metaworld as m; m.build(m.MetaWorld(**eval(sys.argv[1])), folder=sys.argv[2], workers=1)"


@pytest.fixture(scope="module")
def filmed(tmp_path_factory):
    return metaworld.build(FILMED, workers=2, folder=tmp_path_factory.mktemp("metaworld") / "set")


@needs_simulator
@pytest.mark.slow
class TestSimulator:
    def test_videos_show_something_move_and_the_thing_in_its_box(self, filmed):
        for episode, record in records(FILMED, filmed):
            with VideoReader(filmed / episode.video) as reader:
                frames = reader.read(np.arange(len(reader))).astype(float)
            assert frames.shape == (8, 32, 32, 3) and np.abs(np.diff(frames, axis=0)).mean() > 1
            assert {name for name, _, _ in record["phases"]} >= {"reach", "move"}
            self.check_paint(frames[0], record)

    def check_paint(self, frame, record):
        """Most of what has the thing's hue is inside its box."""
        wanted = np.array(COLOURS[record["colour"]])
        likeness = frame @ (wanted - wanted.mean()) / (np.linalg.norm(frame, axis=-1) + 1)
        painted = likeness > 0.7 * likeness.max()
        x1, y1, x2, y2 = (np.array(record["boxes"]["door_link"][0]) * 32).round().astype(int)
        inside = painted[max(y1 - 1, 0) : y2 + 1, max(x1 - 1, 0) : x2 + 1]
        assert painted.sum() > 3 and inside.sum() > 0.6 * painted.sum()

    def test_killed_and_built_again_by_one_worker_gives_the_same_bytes(self, filmed, tmp_path):
        folder = tmp_path / "set"
        fields = repr(dataclasses.asdict(FILMED))
        started = subprocess.Popen([sys.executable, "-c", BUILD, fields, str(folder)])
        while started.poll() is None and not list(folder.glob("episodes/*.json")):
            time.sleep(0.02)
        started.kill()
        started.wait()
        assert not (folder / "complete").exists()
        metaworld.build(FILMED, workers=1, folder=folder)
        assert contents(folder) == contents(filmed)

    def test_goal_markers_are_not_in_the_picture(self):
        from ivcore.data.metaworld.film import Film
        from ivcore.data.metaworld.play import play

        played, look = play("reach", 1), metaworld_look.draw((0,))
        film = Film("reach", played.model, 32)
        film.dress(played.model, look)
        hidden = film.shoot(played.poses[:1], look)
        film.options.sitegroup[0] = 1
        assert (film.shoot(played.poses[:1], look) != hidden).any()
        film.close()
