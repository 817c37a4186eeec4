"""Clips from files: reproducible items, unreadable files passed over, counted and listed; small sets decoded into memory."""

import io
import json
import pickle
from functools import partial

import numpy as np
import pytest
from clip_zoo import film

from ivcore import paths
from ivcore.data import formats, memory
from ivcore.data.clips import Clips
from ivcore.data.memory import load
from ivcore.data.records import read_records
from ivcore.errors import ParameterError, UserError, VideoError
from ivcore.video import sampling
from ivcore.video.reader import VideoReader
from ivcore.video.writer import write_video

DENSE = partial(sampling.dense, num_frames=4, stride=2)


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    folder = tmp_path_factory.mktemp("my videos")
    for number in range(12):
        write_video(folder / f"clip {number}.mp4", film(number), 10)
    (folder / "list.csv").write_text("".join(f"clip {n}.mp4 {n % 3}\n" for n in range(12)))
    return folder


@pytest.fixture
def broken(media, tmp_path):
    """The same clips, but with 3 and 4 unreadable."""
    for file in media.iterdir():
        (tmp_path / file.name).write_bytes(
            b"not a video" if file.name in ("clip 3.mp4", "clip 4.mp4") else file.read_bytes()
        )
    return tmp_path


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("IVCORE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(memory, "_kept", {})


def frame_numbers(video, number):
    """The frames that a clip shows, after a check that they are of clip `number`."""
    red, green, _ = np.moveaxis(video.mean((1, 2)), -1, 0)
    assert (np.rint(green / 20) == number).all()
    return np.rint(red / 12).astype(int).tolist()


class TestClips:
    def test_a_users_folder_and_csv(self, media):
        clips = Clips(read_records(media / "list.csv"), DENSE, random=False)
        item = clips.item(7)
        assert len(clips) == 12 and (item["label"], item["index"]) == (1, 7)
        assert item["path"] == str(media / "clip 7.mp4")
        assert item["video"].shape == (4, 32, 32, 3) and item["video"].dtype == np.uint8
        assert frame_numbers(item["video"], 7) == sampling.dense(20, 4, 2).tolist()

    def test_an_item_is_a_function_of_seed_epoch_and_index(self, media):
        def starts(seed, epoch):
            clips = Clips(read_records(media / "list.csv"), DENSE, seed=seed)
            return [frame_numbers(clips.item(i, epoch)["video"], i)[0] for i in range(12)]

        assert starts(0, 0) == starts(0, 0)
        assert len({tuple(starts(s, e)) for s, e in ((0, 0), (0, 1), (1, 0))}) == 3
        clips, once = Clips(read_records(media / "list.csv"), DENSE), starts(0, 3)
        for index in (5, 2, 5):  # in any order, any number of times, from any process
            assert frame_numbers(pickle.loads(pickle.dumps(clips)).item(index, 3)["video"], index)[0] == once[index]

    def test_the_transform_gets_a_reproducible_generator(self, media):
        clips = Clips(read_records(media / "list.csv"), DENSE, transform=lambda video, rng: (video.shape, rng.random()))
        assert clips.item(3, 1)["video"] == clips.item(3, 1)["video"] != clips.item(3, 2)["video"]

    def test_samplers_without_generator_and_sizes(self, media):
        clips = Clips(read_records(media / "list.csv"), partial(sampling.linspace, num_frames=3), size=16)
        assert clips.item(0)["video"].shape == (3, 16, 16, 3)

    def test_part_of_a_video(self, media):
        record = formats.TimedVideo(str(media / "clip 5.mp4"), 2.0, 0.8, 1.2, 9)
        item = Clips([record], partial(sampling.linspace, num_frames=4)).item(0)
        assert frame_numbers(item["video"], 5) == [8, 9, 10, 11]
        past = formats.TimedVideo(str(media / "clip 5.mp4"), 2.0, 3.0, 4.0, 9)
        with pytest.raises(UserError, match=r"the list names seconds 3 to 4, of 2\.00"):
            Clips([past], partial(sampling.linspace, num_frames=1)).item(0)

    def test_records_without_label(self, media):
        record = formats.LabelledVideo(str(media / "clip 0.mp4"), None)
        assert Clips([record], DENSE).item(0)["label"] == -1

    def test_nothing_there_means_a_wrong_folder(self, media, tmp_path):
        with pytest.raises(UserError, match=r"list.csv: none of the 12 videos exists, e.g. .*/elsewhere/clip 0"):
            read_records(media / "list.csv", tmp_path / "elsewhere")
        with pytest.raises(UserError, match="the list of records is empty"):
            Clips([], DENSE)


class TestBadVideos:
    def test_the_next_good_one_takes_its_place_and_it_is_listed(self, broken):
        clips = Clips(read_records(broken / "list.csv"), DENSE, max_bad=2, run_dir=broken / "run")
        assert [clips.item(3)["index"], clips.item(4)["index"], clips.item(2)["index"], clips.item(3)["index"]] == [
            5,
            5,
            2,
            5,
        ]
        listed = [json.loads(line) for line in (broken / "run/bad_videos.jsonl").read_text().splitlines()]
        assert [(entry["path"], entry["count"]) for entry in listed] == [
            (str(broken / "clip 3.mp4"), 1),
            (str(broken / "clip 4.mp4"), 2),
        ]
        assert all(entry["cause"] for entry in listed)

    def test_what_was_met_before_does_not_change_an_item(self, broken):
        fresh, used = (Clips(read_records(broken / "list.csv"), DENSE, max_bad=2) for _ in range(2))
        [used.item(i) for i in range(12)]
        np.testing.assert_array_equal(fresh.item(3, 5)["video"], used.item(3, 5)["video"])

    def test_where_nothing_is_random_nothing_takes_its_place(self, broken):
        clips = Clips(read_records(broken / "list.csv"), DENSE, max_bad=2, random=False)
        with pytest.raises(VideoError, match=r"clip 3\.mp4"):
            clips.item(3)

    def test_beyond_the_limit(self, broken):
        clips = Clips(read_records(broken / "list.csv"), DENSE, max_bad=1, run_dir=broken / "run")
        with pytest.raises(
            UserError, match=r"2 of 12 videos cannot be read, more than max_bad=1, e.g. .*bad_videos.jsonl"
        ):
            clips.item(3)
        with pytest.raises(UserError, match="more than max_bad=0"):
            Clips(read_records(broken / "list.csv"), DENSE, max_bad=0).item(4)

    def test_the_default_limit_is_one_in_twenty(self, media):
        assert Clips(read_records(media / "list.csv"), DENSE).bad.limit == 1
        records = formats.read_kinetics_csv(media / "list.csv")
        more = [formats.LabelledVideo(r.path + str(i), 0) for i in range(5) for r in records]
        assert Clips(records + more, DENSE).bad.limit == 72 // 20

    def test_workers_and_resumed_runs_count_together(self, broken):
        first = Clips(read_records(broken / "list.csv"), DENSE, max_bad=1, run_dir=broken / "run")
        second = Clips(read_records(broken / "list.csv"), DENSE, max_bad=1, run_dir=broken / "run")
        second.item(4)
        with pytest.raises(UserError, match="2 of 12"):
            first.item(3)
        (broken / "run/bad_videos.jsonl").open("a").write('{"path": "cut of')
        with pytest.raises(UserError, match="2 of 12"):
            Clips(read_records(broken / "list.csv"), DENSE, max_bad=1, run_dir=broken / "run").item(3)

    def test_nothing_readable(self, tmp_path):
        (tmp_path / "a.mp4").write_bytes(b"x")
        (tmp_path / "list.csv").write_text("a.mp4 0\n")
        with pytest.raises(UserError, match=r"none of the 1 videos can be read, e.g. .*a.mp4"):
            Clips(read_records(tmp_path / "list.csv"), DENSE, max_bad=5).item(0)

    @pytest.mark.parametrize("limit", [-1, 1.5, -0.1, float("nan"), True, "5"])
    def test_a_bad_limit(self, media, limit):
        with pytest.raises(ParameterError, match="max_bad="):
            Clips(read_records(media / "list.csv"), DENSE, max_bad=limit)

    @pytest.mark.parametrize(("share", "files"), [(0.0, 0), (0.01, 1), (0.25, 3), (1.0, 12)])
    def test_a_limit_may_be_a_share(self, media, share, files):
        assert Clips(read_records(media / "list.csv"), DENSE, max_bad=share).bad.limit == files

    def test_what_is_missing_is_listed_before_too_many_are_refused(self, broken):
        for number in (1, 2, 6, 9):
            (broken / f"clip {number}.mp4").unlink()
        clips = Clips(read_records(broken / "list.csv"), DENSE, max_bad=1, run_dir=broken / "run")
        with pytest.raises(UserError, match="4 of 12 videos cannot be read"):
            [clips.item(i) for i in range(12)]
        listed = [json.loads(line) for line in (broken / "run/bad_videos.jsonl").read_text().splitlines()]
        assert sorted(entry["path"][-5] for entry in listed) == ["1", "2", "6", "9"]


class TestDecoded:
    def test_every_video_in_order(self, media):
        videos = load(read_records(media / "list.csv"), 16).video
        assert videos.shape == (12, 20, 16, 16, 3) and videos.dtype == np.uint8
        for number, video in enumerate(videos):
            assert frame_numbers(video, number) == list(range(20))

    def test_evenly_spaced_frames_labels_and_paths(self, media):
        decoded = load(read_records(media / "list.csv"), 16, 4)
        assert decoded.label.tolist() == [n % 3 for n in range(12)]
        assert decoded.path[4] == str(media / "clip 4.mp4")
        assert frame_numbers(decoded.video[2], 2) == sampling.mirrored(20, 4).tolist()

    @pytest.mark.parametrize("length", [1, 2, 7, 16, 101])
    @pytest.mark.parametrize("number", [1, 2, 3, 8, 16])
    def test_frame_indices_are_their_own_mirror_image(self, length, number):
        indices = sampling.mirrored(length, number)
        assert len(indices) == number and indices.min() >= 0 and indices.max() < length
        assert (np.diff(indices) >= 0).all()
        mirrored = indices == (length - 1 - indices)[::-1]
        if number % 2 and length % 2 == 0:  # no middle frame to take
            mirrored = np.delete(mirrored, number // 2)
        assert mirrored.all()
        if number > 1:
            assert (indices[0], indices[-1]) == (0, length - 1)

    def test_the_second_time_nothing_is_decoded(self, media, monkeypatch):
        first = load(read_records(media / "list.csv"), 16, 4).video
        monkeypatch.setattr(memory, "frames_of", None)
        assert np.shares_memory(load(read_records(media / "list.csv"), 16, 4).video, first)
        memory._kept.clear()
        np.testing.assert_array_equal(load(read_records(media / "list.csv"), 16, 4).video, first)
        with pytest.raises(ValueError, match="read-only"):
            first[0] = 0

    @pytest.mark.parametrize("damage", ["cut", "empty", "pickle", "other"])
    def test_a_damaged_cache_is_made_anew(self, media, damage):
        first = load(read_records(media / "list.csv"), 16, 4).video
        (file,) = [f for f in (paths.cache() / "decoded").glob("*.npz") if np.load(f)["pixels"].size == first.size]
        whole = file.read_bytes()
        other = io.BytesIO()
        np.savez(other, pixels=np.zeros(4, np.uint8), shapes=np.array([[1, 1, 1, 3]]))
        pickled = pickle.dumps({"pixels": 1})
        file.write_bytes({"cut": whole[:-500], "empty": b"", "pickle": pickled, "other": other.getvalue()}[damage])
        memory._kept.clear()
        with pytest.warns(UserWarning, match="is damaged and made anew"):
            np.testing.assert_array_equal(load(read_records(media / "list.csv"), 16, 4).video, first)

    def test_videos_of_any_shape_are_kept_and_read_back(self, tmp_path):
        for name, shape in {"a": (5, 32, 64, 3), "b": (3, 40, 24, 3)}.items():
            write_video(tmp_path / f"{name}.mp4", np.full(shape, 90, np.uint8), 10)
        records = [formats.LabelledVideo(str(tmp_path / f"{name}.mp4"), 0) for name in "ab"]
        first = load(records, 16).video
        assert [video.shape for video in first] == [(5, 16, 32, 3), (3, 27, 16, 3)]
        memory._kept.clear()
        again = load(records, 16).video
        assert all(np.array_equal(one, other) for one, other in zip(first, again)) and again[0] is not first[0]

    def test_part_of_a_video_is_that_part(self, media):
        record = formats.TimedVideo(str(media / "clip 5.mp4"), 2.0, 0.8, 1.2, 9)
        (video,) = load([record], 16).video
        assert frame_numbers(video, 5) == [8, 9, 10, 11]

    def test_a_changed_file_is_decoded_again(self, broken):
        for number in (3, 4):
            write_video(broken / f"clip {number}.mp4", film(number), 10)
        before = load(read_records(broken / "list.csv"), 16, 4).video
        write_video(broken / "clip 7.mp4", film(8), 10)
        after = load(read_records(broken / "list.csv"), 16, 4).video
        assert np.flatnonzero((before != after).any((1, 2, 3, 4))).tolist() == [7]
        assert not np.array_equal(load(read_records(broken / "list.csv"), 16, 2).video.shape, after.shape)

    def test_bad_files(self, broken):
        with pytest.raises(UserError, match=r"2 of 12 .*max_bad=0, e.g. .*clip 3.mp4"):  # both, not the first alone
            load(read_records(broken / "list.csv"), 16, 4, max_bad=0)
        decoded = load(read_records(broken / "list.csv"), 16, 4, max_bad=2, run_dir=broken / "run")
        assert decoded.index.tolist() == [0, 1, 2, 5, 6, 7, 8, 9, 10, 11]
        assert frame_numbers(decoded.video[3], 5) == sampling.mirrored(20, 4).tolist()
        assert len((broken / "run/bad_videos.jsonl").read_text().splitlines()) == 2

    def test_too_much_is_refused(self, media, monkeypatch):
        monkeypatch.setattr(memory, "LARGEST", 1000)
        with pytest.raises(UserError, match="set in_memory=false"):
            load(read_records(media / "list.csv"), 16, 2)


def test_video_errors_of_a_single_file_carry_its_path(tmp_path):
    with pytest.raises(VideoError) as caught:
        VideoReader(tmp_path / "absent.mp4")
    assert caught.value.path == str(tmp_path / "absent.mp4")
