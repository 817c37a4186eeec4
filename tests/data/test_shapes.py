"""The embedded dataset on disk: real files in real formats, the same bytes each time, whole after a kill."""

import dataclasses
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter

import av
import numpy as np
import pytest
from folder_contents import contents

from ivcore.data import formats, shapes
from ivcore.data.shapes import scenes
from ivcore.data.videos import video_set
from ivcore.errors import ParameterError
from ivcore.video import writer
from ivcore.video.reader import VideoReader

SMALL = shapes.Shapes(
    name="test",
    train=45,
    val=15,
    test=30,
    zero_shot=15,
    unknown=6,
    further_test=30,
    untrimmed=3,
    size=32,
    frames=8,
    parts=shapes.PARTS,
)
BUILD = "import sys; from ivcore.data import shapes; print(shapes.build(shapes.Shapes(**eval(sys.argv[1]))))"


def cache_at(folder, monkeypatch):
    monkeypatch.setenv("IVCORE_CACHE", str(folder))
    return folder


def start_build(config, cache, **kwargs):
    fields = repr(dataclasses.asdict(config))
    env = {**os.environ, "IVCORE_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", BUILD, fields]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True, **kwargs)


def video_set_of(folder, split):
    return video_set(split, str(folder / f"{split}.csv"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        cache_at(tmp_path_factory.mktemp("cache"), patch)
        return shapes.build(SMALL, workers=2)


class TestBuilding:
    def test_same_bytes_with_any_number_of_workers(self, folder, tmp_path, monkeypatch):
        cache_at(tmp_path, monkeypatch)
        again = shapes.build(SMALL, workers=1)
        assert again != folder and again.name == folder.name
        assert contents(again) == contents(folder)

    def test_killed_and_built_again(self, folder, tmp_path, monkeypatch):
        cache_at(tmp_path, monkeypatch)
        half_built = self.killed_build(tmp_path, 20)
        assert not list(half_built.glob("*.complete"))
        (half_built / "videos/.video3.mp4.1.tmp").write_bytes(b"cut off")
        assert contents(shapes.build(SMALL)) == contents(folder)

    def killed_build(self, cache, files):
        """The folder of a build that was killed once it had made so many files; tried again where it was too fast to be caught."""
        for _ in range(5):
            building = start_build(SMALL, cache)
            while building.poll() is None and len(list(SMALL.folder.glob("videos/video*.mp4"))) < files:
                time.sleep(0.005)
            building.kill()
            building.communicate()
            if not list(SMALL.folder.glob("*.complete")):
                return SMALL.folder
            shutil.rmtree(SMALL.folder)
        pytest.fail("no kill came before the build was done")

    def test_two_processes_at_once(self, folder, tmp_path):
        both = [start_build(SMALL, tmp_path) for _ in range(2)]
        said = [process.communicate(timeout=300)[0] for process in both]
        assert [process.returncode for process in both] == [0, 0]
        assert all(text.splitlines()[-1] == str(tmp_path / folder.name) for text in said)
        assert contents(tmp_path / folder.name) == contents(folder)

    def test_a_complete_dataset_is_not_touched(self, folder, monkeypatch):
        cache_at(folder.parent, monkeypatch)
        before = {p: p.stat().st_mtime_ns for p in folder.rglob("*")}
        assert shapes.build(SMALL) == folder
        assert {p: p.stat().st_mtime_ns for p in folder.rglob("*")} == before

    def test_only_the_parts_asked_for_and_more_of_them_later(self, tmp_path, monkeypatch):
        cache_at(tmp_path, monkeypatch)
        few = dataclasses.replace(SMALL, train=15, val=15, test=15, parts=("clips",))
        made = shapes.build(few, workers=1)
        times = {p: p.stat().st_mtime_ns for p in made.glob("videos/*")}
        assert len(times) == 45 and not (made / "msrvtt.json").exists()
        assert shapes.build(dataclasses.replace(few, parts=("captions",)), workers=1) == made
        assert (made / "msrvtt.json").exists()
        assert {p: p.stat().st_mtime_ns for p in made.glob("videos/*")} == times

    def test_changed_annotation_code_rewrites_annotations_and_keeps_videos(self, tmp_path, monkeypatch):
        cache_at(tmp_path, monkeypatch)
        few = dataclasses.replace(SMALL, train=8, val=0, test=0, parts=("clips",))
        made = shapes.build(few, workers=1)
        (made / "clips.complete").write_text("of other code")
        (made / "train.csv").write_text("old")
        video = (made / "videos/video0.mp4").stat().st_mtime_ns
        shapes.build(few, workers=1)
        assert len(formats.read_kinetics_csv(made / "train.csv")) == 8
        assert (made / "videos/video0.mp4").stat().st_mtime_ns == video

    def test_a_failing_worker_is_an_error_and_leaves_no_mark(self, tmp_path, monkeypatch):
        cache_at(tmp_path, monkeypatch)
        few = dataclasses.replace(SMALL, train=8, val=0, test=0, parts=("clips",))
        few.folder.mkdir(parents=True)
        (few.folder / "videos").write_text("a file where a folder has to be")
        with pytest.raises(RuntimeError, match="rendering failed"):
            shapes.build(few, workers=1)
        assert not (few.folder / "clips.complete").exists()

    def test_a_script_without_main_guard_builds(self, tmp_path):
        few = dataclasses.replace(SMALL, train=16, val=0, test=0, parts=("clips",))
        script = tmp_path / "script.py"
        script.write_text(f"from ivcore.data import shapes\nprint('once')\nshapes.build(shapes.{few!r}, workers=2)\n")
        env = {**os.environ, "IVCORE_CACHE": str(tmp_path)}
        done = subprocess.run([sys.executable, script], env=env, capture_output=True, text=True, check=True)
        assert done.stdout.count("once") == 1


class TestConfiguration:
    def test_the_folder_is_named_by_what_decides_the_files(self, monkeypatch):
        assert SMALL.hash == dataclasses.replace(SMALL, parts=("clips",)).hash
        others = [{"seed": 1}, {"size": 48}, {"train": 46}, {"drift": 0.02}, {"actions": ("grow", "shrink")}]
        assert len({dataclasses.replace(SMALL, **change).hash for change in others} | {SMALL.hash}) == 6
        before = SMALL.hash
        monkeypatch.setattr("ivcore.data.shapes.config.RENDERER_VERSION", "another")
        assert SMALL.hash != before

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"actions": ("slide right", "slide")}, "actions: 'slide' must be one of slide right, slide left"),
            ({"actions": ()}, "actions: must be one or more"),
            ({"actions": ("push",)}, "none of them in unknown_actions"),
            ({"actions": ("grow", "grow")}, "actions: every name only once"),
            ({"parts": ("clip",)}, "parts: 'clip' must be one of clips, further_test, zero_shot"),
            ({"size": 33}, "size=33: must be a whole number from 16, even"),
            ({"train": -1}, "train=-1: must be a whole number from 0"),
            ({"frames": 1}, "frames=1: must be a whole number from 2"),
            ({"name": "a/b"}, "name='a/b'"),
        ],
    )
    def test_bad_values(self, change, message):
        with pytest.raises(ParameterError, match=re.escape(message)):
            dataclasses.replace(SMALL, **change)


class TestVideos:
    def test_h264_every_frame_by_itself_right_times(self, folder):
        with av.open(str(folder / "videos/video0.mp4")) as container:
            stream = container.streams.video[0]
            assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
            packets = [packet for packet in container.demux(stream) if packet.size]
        assert all(packet.is_keyframe for packet in packets)
        assert [float(packet.pts * packet.time_base) for packet in packets] == [i / SMALL.fps for i in range(8)]

    def test_pixels_are_the_rendered_ones_but_for_compression(self, folder):
        for video in shapes.clips(SMALL)[:10]:
            with VideoReader(folder / video.file) as reader:
                decoded = reader.read(np.arange(len(reader))).astype(int)
            rendered = scenes.render(video.shots[0].scene(SMALL), SMALL.size)
            assert np.abs(decoded - rendered).mean() < 6

    def test_a_video_is_written_whole_or_not_at_all(self, tmp_path):
        with pytest.raises(av.FFmpegError):
            writer.write_video(
                tmp_path / "x.mp4", np.zeros((4, 31, 31, 3), np.uint8), 8
            )  # odd sizes do not fit yuv420p
        assert list(tmp_path.iterdir()) == []

    def test_split_by_scene(self):
        seeds = {split: {v.shots[0].seed for v in shapes.clips(SMALL) if v.split == split} for split in shapes.SPLITS}
        assert not seeds["train"] & seeds["val"] and not seeds["train"] & seeds["test"]
        assert not seeds["val"] & seeds["test"]
        assert len(seeds["train"]) == SMALL.train

    def test_further_test_clips_are_scenes_of_their_own(self):
        further = shapes.further_clips(SMALL)
        seeds = [{video.shots[0].seed for video in part} for part in (shapes.clips(SMALL), further)]
        assert not seeds[0] & seeds[1] and len(further) == SMALL.further_test
        assert {video.action for video in further} == set(SMALL.actions)

    def test_held_out_pairs_are_only_in_the_zero_shot_clips(self):
        def held_out(video):
            """For each shot: the shapes that take part, and whether they are held out of its action."""
            return [
                [thing.shape == shapes.held_out_shape(shot.action) for thing in shot.scene(SMALL).objects]
                for shot in video.shots
            ]

        seen = shapes.clips(SMALL) + shapes.further_clips(SMALL) + shapes.unknown_clips(SMALL)
        seen += shapes.untrimmed_videos(SMALL)
        assert not any(any(shot) for video in seen for shot in held_out(video))
        assert all(shot[0] and not any(shot[1:]) for v in shapes.held_out_clips(SMALL) for shot in held_out(v))
        for action, partner in scenes.ORDER_PAIRS:
            assert shapes.held_out_shape(action) == shapes.held_out_shape(partner)

    def test_no_sentence_about_a_training_clip_names_a_held_out_pair(self):
        """In the set as notebook 11 trains on it, read as a reader would: the words for the shape and for the action, in any place."""
        config, said = shapes.Shapes(), []
        for video in shapes.clips(config):
            scene = video.shots[0].scene(config)
            said += [(shot.action, shot.caption(style)) for shot in (scene, scene.reversed()) for style in range(5)]
        assert len(said) == 10 * (config.train + config.val + config.test)
        wrong = [(action, text) for action, text in said if shapes.held_out_shape(action) in text.split()]
        assert not wrong, wrong[:3]
        together = Counter(action for action, text in said if sum(shape in text.split() for shape in scenes.SHAPES) > 1)
        assert {"move apart", "approach", "cover", "uncover", "orbit clockwise"} <= set(together)

    def test_a_turning_thing_is_seen_to_turn(self):
        big = dataclasses.replace(SMALL, train=600, actions=("turn clockwise", "turn counter-clockwise"))
        things = [video.shots[0].scene(big).objects[0] for video in shapes.clips(big)]
        round_things = [thing for thing in things if thing.shape in ("circle", "ring")]
        assert round_things and all(thing.texture != "plain" for thing in round_things)

    def test_unknown_actions_are_in_no_other_video(self):
        seen = {shot.action for v in shapes.clips(SMALL) + shapes.untrimmed_videos(SMALL) for shot in v.shots}
        unknown = {video.action for video in shapes.unknown_clips(SMALL)}
        assert unknown == set(SMALL.unknown_actions) and not seen & unknown


class TestAnnotations:
    def test_kinetics(self, folder):
        names = formats.read_class_names(folder / "classes.txt")
        for split in ("train", "val", "test"):
            records = formats.read_kinetics_csv(folder / f"{split}.csv")
            clips = [video for video in shapes.clips(SMALL) if video.split == split]
            assert [r.path for r in records] == [str(folder / video.file) for video in clips]
            assert [names[r.label] for r in records] == [video.action for video in clips]
            assert set(Counter(r.label for r in records).values()) == {len(records) // len(names)}
            assert all(os.path.exists(r.path) for r in records)

    def test_groups_are_the_scenes(self, folder):
        scene = {str(folder / video.file): video.shots[0].seed for video, _ in shapes.groups(SMALL)}
        for split, twice in (("train", False), ("val", True), ("test", True), ("further_test", True)):
            videos = video_set_of(folder, split)
            numbers, seeds = videos.groups().tolist(), [scene[r.path] for r in videos.records]
            assert len(set(zip(numbers, seeds))) == len(set(numbers)) == len(set(seeds))
            assert (len(set(seeds)) < len(seeds)) == twice

    def test_zero_shot(self, folder):
        names = formats.read_class_names(folder / "zero_shot_classes.txt")
        records = formats.read_kinetics_csv(folder / "zero_shot.csv")
        assert len(names) == len(scenes.SHAPES) * len(SMALL.actions)
        for record, video in zip(records, shapes.held_out_clips(SMALL), strict=True):
            scene = video.shots[0].scene(SMALL)
            caption = scenes.ACTIONS[scene.action].phrase.format(f"a {scene.objects[0].shape}", "something")
            assert names[record.label] == caption and os.path.exists(record.path)

    def test_open_set(self, folder):
        for name, count in (("known", SMALL.test), ("unknown", SMALL.unknown)):
            videos = formats.read_kinetics_csv(folder / f"{name}_test.txt")
            assert len(videos) == count and all(os.path.exists(video.path) for video in videos)
        assert len(formats.read_class_names(folder / "unknown_classes.txt")) == len(SMALL.unknown_actions)

    def test_captions(self, folder):
        videos = formats.read_msrvtt_json(folder / "msrvtt.json", folder / "videos")
        assert [v.id for v in videos] == [v.id for v in shapes.clips(SMALL)]
        assert all(len(v.captions) == 5 and os.path.exists(v.path) for v in videos)
        assert len({v.captions for v in videos}) > 0.8 * len(videos)
        test = formats.read_msrvtt_csv(folder / "msrvtt_test.csv")
        assert len({row.sentence for row in test}) == len(test) > 0.8 * SMALL.test
        of = {v.id: v for v in videos}
        assert all(row.sentence == of[row.video_id].captions[0] for row in test)
        assert {of[row.video_id].split for row in test} == {"test"}
        assert len(formats.read_msrvtt_csv(folder / "msrvtt_train.csv")) == SMALL.train

    def test_questions(self, folder):
        answers = formats.read_ans2label(folder / "train_ans2label.json")
        train = formats.read_qa(folder / "qa_train.jsonl", folder / "videos")
        test = formats.read_qa(folder / "qa_test.jsonl", folder / "videos")
        assert {q.answer for q in train} == set(answers)
        assert all(os.path.exists(q.path) for q in (*train, *test))
        tested = {
            video.id for video in (*shapes.clips(SMALL), *shapes.plan.two_action_clips(SMALL)) if video.split == "test"
        }
        assert {q.video_id for q in test} <= tested

    def test_multiple_choice_has_the_reversed_action_among_the_options(self, folder):
        choices = formats.read_choice_jsonl(folder / "choice_test.jsonl", folder / "videos")
        clips = {video.id: video for video in shapes.clips(SMALL)}
        assert len(choices) == SMALL.test
        for choice in choices:
            scene = clips[choice.clip].shots[0].scene(SMALL)
            reversed_captions = {scene.reversed().caption(style) for style in range(5)}
            assert len(set(choice.options)) == 5
            captions = {scene.caption(style) for style in range(5)}
            assert choice.options[choice.answer] in captions
            assert reversed_captions & set(choice.options)
            assert len(captions & set(choice.options)) == 1
        assert len({choice.answer for choice in choices}) == 5

    def test_multiple_choice_exists_for_a_single_pair_of_actions(self, tmp_path):
        pair = dataclasses.replace(SMALL, actions=("grow", "shrink"), train=0, val=0, test=4)
        from ivcore.data.shapes import questions

        questions.write_choice(pair, tmp_path)
        assert len(formats.read_choice_jsonl(tmp_path / "choice_test.jsonl")) == 4

    def test_segments_lie_where_the_action_is(self, folder):
        found = formats.read_activitynet_json(folder / "activitynet.json", folder / "untrimmed")
        numbers = formats.segment_labels(found)
        assert all(SMALL.actions[number] == name for name, number in numbers.items())
        assert {video.subset for video in found} == {"training", "validation"}
        for video in found:
            with VideoReader(video.path) as reader:
                assert (len(reader), reader.fps) == (round(video.duration * video.fps), video.fps)
            assert video.segments and all(0 < s.start < s.end < video.duration for s in video.segments)
            ends = [0.0, *(t for s in video.segments for t in (s.start, s.end))]
            assert ends == sorted(ends), "segments overlap"

    def test_nothing_moves_outside_the_segments(self, folder):
        still = dataclasses.replace(SMALL, drift=0.0)
        for video in shapes.untrimmed_videos(still):
            for shot in video.shots:
                moving = np.abs(np.diff(scenes.render(shot.scene(still), 32).astype(int), axis=0)).max((1, 2, 3)) > 0
                changed = np.flatnonzero(moving)
                if shot.action == "rest":
                    assert changed.size == 0
                else:
                    assert shot.start <= changed.min() and changed.max() < shot.stop - 1

    def test_ava(self, folder):
        actions = {a.id: a.name for a in formats.read_ava_actions(folder / "ava_actions.pbtxt")}
        videos = {v.id: v for v in formats.read_activitynet_json(folder / "activitynet.json", folder / "untrimmed")}
        assert list(actions.values()) == [*SMALL.actions, "rest"]
        for short, subset in (("train", "training"), ("val", "validation")):
            boxes = formats.read_ava_csv(folder / f"ava_{short}.csv")
            excluded = set(formats.read_ava_excluded(folder / f"ava_{short}_excluded_timestamps.csv"))
            keyframes = {(box.video_id, box.timestamp) for box in boxes}
            inside = {i: v for i, v in videos.items() if v.subset == subset}
            expected = {(i, float(t)) for i, v in inside.items() for t in range(1, int(np.ceil(v.duration)))}
            assert keyframes == expected and 0 < len(excluded & keyframes) < len(keyframes) / 2
            for box in boxes:
                assert all(0 < corner <= 1 for corner in box.box)
                now = [s for s in inside[box.video_id].segments if s.start <= box.timestamp < s.end]
                assert actions[box.action] in {"rest", *(s.label for s in now)}

    def test_boxes_hold_the_things(self):
        """A thing is what differs from the scene without it: inside its box, and most of the way to its sides."""
        for video in shapes.untrimmed_videos(SMALL):
            scene = video.shots[0].scene(SMALL)
            empty = dataclasses.replace(scene, objects=())
            for which, thing in enumerate(scene.objects):
                alone = dataclasses.replace(scene, objects=(thing,))
                differs = scenes.render(alone, 64)[0] != scenes.render(empty, 64)[0]
                rows, columns = np.nonzero(differs.any(-1))
                left, top, right, bottom = 64 * scene.boxes()[0, which]
                assert left - 2 <= columns.min() and columns.max() + 1 <= right + 2
                assert top - 2 <= rows.min() and rows.max() + 1 <= bottom + 2
                assert np.ptp(columns) > 0.4 * (right - left) and np.ptp(rows) > 0.4 * (bottom - top)


def test_orphaned_workers_end(tmp_path):
    config = dataclasses.replace(SMALL, train=3000, parts=("clips",))
    building = start_build(config, tmp_path, start_new_session=True)
    videos = config.folder.name
    deadline = time.monotonic() + 120
    while not list((tmp_path / videos).glob("videos/*.mp4")) and time.monotonic() < deadline:
        time.sleep(0.01)
    group = building.pid
    os.kill(building.pid, signal.SIGKILL)
    building.communicate()
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    os.killpg(group, signal.SIGKILL)
    pytest.fail("workers went on without the process that waits for them")


def test_a_try_has_held_out_sets_no_larger_than_its_training():
    default = shapes.Shapes()
    assert shapes.with_training(240) == dataclasses.replace(default, train=240)
    few = shapes.with_training(60, test=30, parts=("clips", "captions"))
    assert (few.train, few.val, few.test, few.further_test, few.untrimmed) == (60, 60, 30, 60, default.untrimmed)
    assert few.parts == ("clips", "captions")
