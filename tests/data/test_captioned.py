"""Captioned clips: captions cleaned, counted and chosen reproducibly; the same clips from memory and from files; images as clips."""

import csv
import json
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from clip_zoo import film
from hypothesis import given
from hypothesis import strategies as st

from ivcore.data import formats, shapes
from ivcore.data.batches import Batches, batch_of
from ivcore.data.captions import texts
from ivcore.data.captions.clip_spec import ClipSpec
from ivcore.data.captions.clips import CaptionedClips
from ivcore.data.captions.sets import captioned_set, captioned_splits, training_clips
from ivcore.data.memory import DecodedVideo, load
from ivcore.encoders.tokenizer import Tokenizer
from ivcore.errors import FormatError, ParameterError, UserError, VideoError
from ivcore.video import images, memory_file
from ivcore.video.reader import VideoReader
from ivcore.video.writer import write_video

LONG = " ".join(["running"] * 500)


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer(16)


class TestTexts:
    @given(st.text())
    def test_clean_gives_one_line_that_stays_as_it_is(self, text):
        once = texts.clean(text)
        assert texts.clean(once) == once and once == once.strip() and once.encode().decode() == once
        assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in once)

    @given(st.binary())
    def test_any_bytes_are_text(self, data):
        text, utf8 = texts.read(data)
        assert isinstance(text, str) and utf8 == _is_utf8(data)
        assert texts.read(data.decode("utf-8", "surrogateescape"))[1] == utf8

    def test_examples(self):
        assert texts.clean(" a\tdog\r\n runs\x00 \u200b ") == "a dog runs"
        assert texts.clean("cafe\u0301") == "caf\u00e9"
        assert texts.clean("<|endoftext|> a <|EndOfText|>cat <|start<|endoftext|>oftext|>") == (
            "a cat <|start oftext|>"
        )
        assert texts.read("un café".encode("cp1252")) == ("un café", False)
        assert texts.read(b"\x81 caf\xe9") == ("café", False)  # 0x81 is nothing in Windows-1252
        assert texts.read("\ud83d a dog \udc80") == ("a dog", True)  # as JSON may write it

    def test_long_captions_end_in_the_end_token(self, tokenizer):
        for text, expected in ((LONG, True), ("x" * 10**6, True), ("a dog runs", False)):
            ids, cut = texts.tokens(text, tokenizer)
            assert cut == expected and ids.shape == (16,) and (ids == tokenizer.end).sum() == 1
            assert (int(ids[-1]) == tokenizer.end) == expected

    @pytest.mark.parametrize("words, cut", [(14, False), (15, True)])
    def test_cut_begins_where_the_context_ends(self, tokenizer, words, cut):
        assert texts.tokens(" ".join(["running"] * words), tokenizer)[1] == cut

    def test_facts_are_sets_of_captions(self):
        assert texts.caption_id(("a", "b")) == texts.caption_id(("B", "a", "a")) != texts.caption_id(("a",))
        assert texts.caption_id(("a dog",)) == 9151722581430185315  # the same in every process
        assert 0 <= texts.caption_id(("x",)) < 2**63

    def test_counts_and_the_list_of_skipped(self, tokenizer, tmp_path):
        given = [("a dog", ""), ("", " \u200b"), (), (LONG,), (b"caf\xe9", "a \x07bell")]
        found = texts.Captions(given, tokenizer, keys=list("abcde"), run_dir=tmp_path)
        assert found.counts == {"read": 5, "empty": 2, "not_utf8": 1, "cut": 1}
        assert found.kept.tolist() == [0, 3, 4] and found.texts[2] == ("café", "a bell")
        lines = (tmp_path / "skipped_captions.jsonl").read_text().splitlines()
        assert [json.loads(line) for line in lines] == [{"key": k, "reason": "empty"} for k in "bc"]

    def test_nothing_to_read(self, tokenizer):
        with pytest.raises(UserError, match="none of the 2 samples has a caption"):
            texts.Captions([("",), ()], tokenizer)
        with pytest.raises(ParameterError, match="every sample has a tuple of captions, found 'a dog'"):
            texts.Captions(["a dog"], tokenizer)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def shown(video):
    """(clips, frames) of a batch (B, T, H, W, 3) of films."""
    red, green, _ = np.moveaxis(np.asarray(video)[:, :, 4, 4].astype(int), -1, 0)
    return (green[:, 0] / 20).round().astype(int).tolist(), (red / 12).round().astype(int)


CAPTIONS = [("a", "b", "c"), ("a dog", "dog"), ("",), ("DOG", "a dog"), ("one",)]


@pytest.fixture(scope="module")
def films():
    return [DecodedVideo(f"{n}.mp4", film(n, 12, 16, 16)) for n in range(5)]


def source(films, tokenizer, num_frames=4, seed=0, **options):
    return CaptionedClips(films, tokenizer, ClipSpec(num_frames, 16, **options), seed=seed, captions=CAPTIONS)


def from_files(records, tokenizer, num_frames, run_dir=None, **options):
    return CaptionedClips(records, tokenizer, ClipSpec(num_frames, 16, **options), run_dir=run_dir)


class TestFromMemory:
    def test_a_batch(self, films, tokenizer):
        made = source(films, tokenizer)
        batch = batch_of(made, np.array([3, 0, 2, 1]), 0)
        assert len(made) == 4 and batch["video"].shape == (4, 4, 16, 16, 3) and batch["ids"].shape == (4, 16)
        clips, frames = shown(batch["video"])
        assert clips == batch["index"].tolist() == [4, 0, 3, 1]
        assert batch["path"] == ["4.mp4", "0.mp4", "3.mp4", "1.mp4"]
        assert all(text in CAPTIONS[i] for text, i in zip(batch["text"], clips))
        assert torch.equal(batch["ids"], tokenizer(batch["text"]))
        assert (frames // 3 == np.arange(4)).all()  # one of each quarter of 12
        same = batch["caption_id"].tolist()
        assert same[2] == same[3] and len(set(same)) == 3

    def test_a_sample_is_a_function_of_seed_epoch_and_index(self, films, tokenizer):
        def seen(seed, epoch, order):
            batch = batch_of(source(films, tokenizer, seed=seed), np.array(order), epoch)
            frames = shown(batch["video"])[1].tolist()
            return {i: (frames[n], batch["text"][n]) for n, i in enumerate(order)}

        first = seen(0, 0, [0, 1, 2, 3])
        assert first == seen(0, 0, [2, 0, 3, 1]) and first[1] == seen(0, 0, [1])[1]
        assert first != seen(0, 1, [0, 1, 2, 3]) != seen(1, 0, [0, 1, 2, 3]) != first

    def test_every_caption_and_every_frame_comes_up(self, films, tokenizer):
        made = source(films, tokenizer)
        batches = [batch_of(made, np.arange(4), epoch) for epoch in range(60)]
        assert {batch["text"][0] for batch in batches} == set(CAPTIONS[0])
        assert {t for b in batches for t in shown(b["video"])[1].ravel()} == set(range(12))

    def test_without_chance(self, films, tokenizer):
        made = source(films, tokenizer, random=False)
        for epoch in range(5):
            batch = batch_of(made, np.arange(4), epoch)
            assert batch["text"] == ["a", "a dog", "DOG", "one"]
            assert (shown(batch["video"])[1] == [1, 4, 7, 10]).all()
        even = batch_of(source(films, tokenizer, frame_sampling="linspace"), np.arange(4), 0)
        assert (shown(even["video"])[1] == [0, 3, 7, 11]).all()

    def test_images_from_videos(self, films, tokenizer):
        made = source(films, tokenizer, num_frames=1)
        frames = [shown(batch_of(made, np.array([1]), epoch)["video"])[1].item() for epoch in range(80)]
        assert set(frames) == set(range(12))

    def test_crops_are_asked_for(self, tokenizer):
        slope = np.arange(16, dtype=np.uint8)[:, None, None] * 10
        slope = np.broadcast_to(slope, (4, 16, 16, 3))
        make = lambda **crop: CaptionedClips(  # noqa: E731
            [DecodedVideo("a", slope)], tokenizer, ClipSpec(4, 16, **crop), captions=[("a",)]
        )
        assert np.array_equal(make().item(0)["video"], slope)
        for crop in ({"scales": (0.6,)}, {"area": 0.5}):
            part = make(**crop).item(0)["video"]
            assert part.shape == slope.shape and not np.array_equal(part, slope)
            assert np.array_equal(make(**crop, random=False).item(0)["video"], slope)

    def test_an_item_of_a_batch_does_not_depend_on_the_others(self, films, tokenizer):
        made = source(films, tokenizer, area=0.5)
        several, alone = (batch_of(made, np.array([2, 0, 3]), 1)["video"], batch_of(made, np.array([3]), 1)["video"])
        assert np.array_equal(several[2], alone[0])

    def test_refusals(self, films, tokenizer):
        with pytest.raises(ParameterError, match="captions: 1 given for 5 videos"):
            CaptionedClips(films, tokenizer, ClipSpec(1, 16), captions=[("a",)])
        with pytest.raises(
            ParameterError, match="frame_sampling='dense': must be one of segment, segment_shared, linspace"
        ):
            source(films, tokenizer, frame_sampling="dense")


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    """Films 0 to 4 as mp4 files, and 7 as a picture."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("media")
    for n in range(5):
        write_video(folder / f"{n}.mp4", film(n, 12), 8)
    Image.fromarray(film(7, 12)[3]).save(folder / "picture.png")
    return folder


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("IVCORE_CACHE", str(tmp_path / "cache"))


def listed(folder, captions=CAPTIONS):
    return [formats.CaptionedVideo(str(n), str(folder / f"{n}.mp4"), said) for n, said in enumerate(captions)]


class TestFromFiles:
    def test_the_same_as_from_memory(self, media, tokenizer):
        records, spec = listed(media), ClipSpec(4, 16)
        captions = [record.captions for record in records]
        memory = CaptionedClips(load(records, 16), tokenizer, spec, seed=3, captions=captions)
        files = CaptionedClips(records, tokenizer, spec, seed=3)
        for step in (0, 1, 7):
            a, b = (Batches(s, 4, seed=5, shuffle=False).fetch(step) for s in (memory, files))
            assert list(a) == list(b) and a["text"] == b["text"] and a["path"] == b["path"]
            assert all(torch.equal(a[name], b[name]) for name in ("video", "ids", "caption_id", "index"))
        assert files.counts == memory.counts == {"read": 5, "empty": 1, "not_utf8": 0, "cut": 0}

    def test_a_bad_video_is_replaced_with_its_caption(self, media, tokenizer, tmp_path):
        (tmp_path / "1.mp4").write_bytes(b"not a video")
        records = [r if r.id != "1" else formats.CaptionedVideo("1", str(tmp_path / "1.mp4"), ("x",)) for r in listed(media)]  # fmt: skip
        made = from_files(records, tokenizer, num_frames=2, run_dir=tmp_path)
        item = made.item(1, 0)
        assert item["index"] == 3 and item["text"] in CAPTIONS[3]
        assert shown(item["video"][None])[0] == [3]
        assert "1.mp4" in (tmp_path / "bad_videos.jsonl").read_text()

    def test_pictures_are_clips_of_one_frame(self, media, tokenizer):
        records = [formats.CaptionedVideo("p", str(media / "picture.png"), ("a picture",))]
        for count in (1, 3):
            item = from_files(records, tokenizer, num_frames=count).item(0)
            assert item["video"].shape == (count, 16, 16, 3)
            assert shown(item["video"][None])[0] == [7] and (shown(item["video"][None])[1] == 3).all()

    def test_a_part_of_one_frame_does_not_stop_it(self, media, tokenizer):
        record = formats.CaptionedSegment("1", str(media / "1.mp4"), ("a",), None, 0.5, 0.6)  # frame 4 alone
        item = from_files([record], tokenizer, num_frames=4).item(0, 1)
        assert (shown(item["video"][None])[1] == 4).all()

    def test_crops(self, media, tokenizer):
        made = from_files(listed(media), tokenizer, num_frames=2, scales=(1, 0.5))
        assert made.item(0)["video"].shape == (2, 16, 16, 3) and made.clips.size == 32
        with pytest.raises(ParameterError, match=r"scales=\(0,\): must be one or more numbers in \(0, 1\]"):
            from_files(listed(media), tokenizer, num_frames=2, scales=(0,))

    def test_crops_of_a_share_of_the_picture(self, media, tokenizer):
        make = partial(from_files, listed(media), tokenizer, num_frames=2)
        made = make(area=0.9)
        assert made.item(0)["video"].shape == (2, 16, 16, 3)
        assert made.clips.size == 20  # 16 / sqrt(0.9 * 3/4): no crop is enlarged
        assert make(area=0.9, random=False).clips.size == 16
        with pytest.raises(ParameterError, match=r"area=0: must be in \(0, 1\]"):
            make(area=0)
        with pytest.raises(ParameterError, match="give one of them"):
            make(area=0.9, scales=(0.5,))


class TestPictures:
    def test_size_and_orientation(self, tmp_path):
        from PIL import Image

        pixels = np.zeros((20, 40, 3), np.uint8)
        pixels[:, :20] = 255
        exif = Image.Exif()
        exif[0x0112] = 6  # to be turned a quarter clockwise
        Image.fromarray(pixels).save(tmp_path / "a.jpg", exif=exif, quality=95)
        found = images.read_image(tmp_path / "a.jpg", 10)
        assert found.shape == (1, 20, 10, 3) and found[0, :8].min() > 240 and found[0, 12:].max() < 15

    def test_anything_else_is_a_video_error(self, media, tmp_path):
        data = (media / "picture.png").read_bytes()
        for bad in (b"", b"text", data[: len(data) // 2], (media / "0.mp4").read_bytes()):
            (tmp_path / "b.png").write_bytes(bad)
            with pytest.raises(VideoError, match=r"b\.png: not a picture"):
                images.read_image(tmp_path / "b.png", 8)
        with pytest.raises(VideoError, match=r"absent\.png"):
            images.read_image(tmp_path / "absent.png")


@pytest.mark.parametrize("memory_files", [True, False])
def test_a_video_in_memory_reads_like_its_file(media, monkeypatch, memory_files):
    if not memory_files:
        monkeypatch.delattr("os.memfd_create", raising=False)
    with memory_file.as_file((media / "2.mp4").read_bytes()) as path:
        assert np.array_equal(*(VideoReader(file, 16).read([3, 1]) for file in (path, media / "2.mp4")))


class TestTables:
    def test_webvid(self, tmp_path):
        text = "videoid,contentUrl,duration,page_dir,name\n21,https://x/21.mp4,PT10S,001_050,A dog\n7,u,d,,\n"
        (tmp_path / "w.csv").write_text(text)
        first, second = formats.read_caption_csv(tmp_path / "w.csv", "/data")
        assert first == formats.CaptionedVideo("21", "/data/001_050/21.mp4", ("A dog",))
        assert second == formats.CaptionedVideo("7", "/data/7.mp4", ("",))

    def test_captions_of_one_file_come_together(self, tmp_path):
        (tmp_path / "a.csv").write_text('path,caption\nx.mp4,one\ny.png,"two, three"\nx.mp4,four\n')
        found = formats.read_captions(tmp_path / "a.csv")
        assert [(r.id, r.captions) for r in found] == [("x", ("one", "four")), ("y", ("two, three",))]
        assert found[0].path == str(tmp_path / "x.mp4")

    def test_bytes_that_are_not_utf8_reach_the_counts(self, tmp_path, tokenizer):
        (tmp_path / "a.csv").write_bytes(b"path,caption\nx.mp4,un caf\xe9\ny.mp4,caf\xc3\xa9\n")
        (tmp_path / "a.json").write_bytes(b'[{"path": "x.mp4", "caption": "un caf\xe9"}]')
        records = formats.read_captions(tmp_path / "a.csv") + formats.read_captions(tmp_path / "a.json")
        made = texts.Captions([r.captions for r in records], tokenizer)
        assert made.texts == [("un café",), ("café",), ("un café",)] and made.counts["not_utf8"] == 2

    def test_json_in_every_form(self, tmp_path):
        rows = [{"video": "x.mp4", "caption": "a"}, {"image": "y.png", "captions": ["b", "c"], "id": 5}]
        (tmp_path / "a.json").write_text(json.dumps(rows))
        (tmp_path / "a.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
        found = formats.read_captions(tmp_path / "a.json")
        assert found == formats.read_captions(tmp_path / "a.jsonl")
        assert found[1] == formats.CaptionedVideo("5", str(tmp_path / "y.png"), ("b", "c"))
        formats.write_msrvtt_json(tmp_path / "m.json", found)
        assert [r.captions for r in formats.read_captions(tmp_path / "m.json")] == [("a",), ("b", "c")]

    def test_parts(self, tmp_path):
        (tmp_path / "a.csv").write_text("path,caption,start,end\nx.mp4,a,0,1.5\nx.mp4,b,1.5,3\nx.mp4,c,0,1.5\n")
        found = formats.read_caption_csv(tmp_path / "a.csv")
        assert [(r.captions, r.start, r.end) for r in found] == [(("a", "c"), 0.0, 1.5), (("b",), 1.5, 3.0)]
        (tmp_path / "b.json").write_text('[{"path": "x", "caption": "a"},\n {"path": "x", "caption": "a", "start": 2, "end": 1}]')  # fmt: skip
        with pytest.raises(FormatError, match=r"b.json:2: expected seconds start < end, found '2, 1'"):
            formats.read_caption_json(tmp_path / "b.json")

    @pytest.mark.parametrize(
        "name, text, line, expected",
        [
            ("a.csv", "path,label\nx,1\n", 1, "a header with path and caption"),
            ("a.csv", "path,caption\nx,a\ny\n", 3, r"expected 2 columns \(path,caption\), found 1"),
            ("a.csv", "path,caption\n,a\n", 2, "no empty path"),
            ("a.json", '[{"path": "x"}]', 1, r"\[0\]: expected the key 'caption'"),
            ("a.json", '[{"path": "x",\n "caption": 3}]', 2, "expected text, found 3"),
            ("a.jsonl", '{"caption": "a"}', 1, "expected the key 'path'"),
        ],
    )
    def test_refusals(self, tmp_path, name, text, line, expected):
        (tmp_path / name).write_text(text)
        with pytest.raises(FormatError, match=f"{name}:{line}: .*{expected}"):
            formats.read_captions(tmp_path / name)

    @given(st.lists(st.tuples(st.from_regex(r"[a-z0-9]{1,9}", fullmatch=True), st.lists(st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\r\0")), min_size=1, max_size=3)), min_size=1, max_size=4, unique_by=lambda row: row[0]))  # fmt: skip
    def test_there_and_back(self, tmp_path_factory, rows):
        folder = tmp_path_factory.mktemp("t")
        records = [formats.CaptionedVideo(n, str(folder / f"{n}.mp4"), tuple(said)) for n, said in rows]
        with open(folder / "a.csv", "w", newline="") as file:
            rows = [(record.path, caption) for record in records for caption in record.captions]
            csv.writer(file).writerows([("path", "caption"), *rows])
        (folder / "a.json").write_text(json.dumps([asdict(record) for record in records]))
        assert formats.read_captions(folder / "a.csv") == formats.read_captions(folder / "a.json") == records

    def test_splits(self):
        videos = [formats.CaptionedVideo(n, f"/{n}.mp4", ("a", "b")) for n in "xyz"]
        rows = [formats.SplitRow("z"), formats.SplitRow("x", "only this")]
        assert [r.captions for r in formats.in_split(videos, rows)] == [("a", "b"), ("only this",)]
        with pytest.raises(FormatError, match="split:2: expected a listed video_id, found 'w'"):
            formats.in_split(videos, [formats.SplitRow("w")])


class TestSplits:
    """What notebook 11 trains on, chooses on and tests on: no video in two of them, whatever a user gives."""

    @pytest.fixture
    def folder(self, tmp_path):
        for number in range(30):
            (tmp_path / f"{number}.mp4").write_bytes(b"%d" % number)
        return tmp_path

    def listed(self, folder, name, numbers):
        file = folder / name
        lines = [f"{n}.mp4,film {n} in words" for n in numbers]
        file.write_text("\n".join(["path,caption", *lines]) + "\n")
        return str(file)

    def names(self, sets):
        return [sorted(Path(record.path).stem for record in each.records) for each in sets]

    def test_what_is_not_given_is_held_out_of_the_training_videos(self, folder, capsys):
        lists = {"train": (self.listed(folder, "a.csv", range(30)), ""), "val": ("", ""), "test": ("", "")}
        sets = captioned_splits(lists)
        assert sum(map(len, sets)) == 30 and all(3 <= len(each) <= 9 for each in sets[1:])
        assert len(set().union(*map(set, self.names(sets)))) == 30
        said = capsys.readouterr().out
        assert "val: no list is given, " in said and "test: no list is given, " in said
        for each in sets:
            for record, query, captions in zip(each.records, each.queries, each.captions):
                assert query == captions[0] == f"film {Path(record.path).stem} in words"
        assert self.names(captioned_splits(lists)) == self.names(sets)

    def test_what_is_given_is_kept_and_leaves_the_training_videos(self, folder, capsys):
        test = (self.listed(folder, "t.csv", range(5)), "")
        lists = {"train": (self.listed(folder, "a.csv", range(30)), ""), "val": ("", ""), "test": test}
        train, val, test = self.names(captioned_splits(lists))
        assert test == ["0", "1", "2", "3", "4"] and len(val) > 2 and len(train) + len(val) == 25
        assert "train: 5 videos are in test too and left out" in capsys.readouterr().out

    def test_a_split_file_alone_takes_the_captions_of_the_training_videos(self, folder):
        file = folder / "all.json"
        videos = [formats.CaptionedVideo(str(n), str(folder / f"{n}.mp4"), (f"film {n}",), "train") for n in range(30)]
        formats.write_msrvtt_json(file, videos)
        for split, numbers in (("train", range(20)), ("test", range(20, 30))):
            formats.write_msrvtt_csv(folder / f"{split}.csv", [formats.SplitRow(str(n)) for n in numbers])
        lists = {"train": (str(file), str(folder / "train.csv")), "val": ("", "")}
        lists["test"] = ("", str(folder / "test.csv"))
        train, val, test = self.names(captioned_splits(lists, root=str(folder)))
        assert test == [str(n) for n in range(20, 30)] and len(val) > 2 and len(train) + len(val) == 20

    def test_a_test_list_without_training_captions_is_refused(self, folder):
        lists = {"train": ("", ""), "val": ("", ""), "test": (self.listed(folder, "t.csv", range(5)), "")}
        with pytest.raises(UserError, match=r"t\.csv: a list of its own needs captions for train too"):
            captioned_splits(lists)

    def test_the_embedded_ones_have_splits_of_their_own(self, tmp_path, monkeypatch):
        monkeypatch.setenv("IVCORE_CACHE", str(tmp_path))
        small = {"train": 30, "val": 15, "test": 15, "size": 16, "frames": 4, "name": "captions"}
        sets = captioned_splits(dict.fromkeys(("train", "val", "test"), ("", "")), **small)
        config = shapes.Shapes(**small)
        seed = {video.id: video.shots[0].seed for video in shapes.clips(config)}
        scenes = [{seed[name] for name in each} for each in self.names(sets)]
        assert len(scenes[0]) == 30 and not scenes[0] & scenes[1] and not scenes[1] & scenes[2]
        assert {each.source for each in sets} == {"moving shapes"}


@pytest.mark.parametrize(("reversals", "area"), [(0.0, 1.0), (0.5, 1.0), (0.5, 0.8)])
def test_memory_and_files_show_the_same_also_beside_a_video_that_cannot_be_read(tmp_path, monkeypatch, reversals, area):
    monkeypatch.setenv("IVCORE_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    for number in range(8):
        write_video(tmp_path / f"{number}.mp4", rng.integers(0, 256, (9, 24, 32, 3), np.uint8), 8)
    (tmp_path / "3.mp4").write_bytes(b"not a video")
    (tmp_path / "list.csv").write_text("path,caption\n" + "".join(f"{n}.mp4,film {n}\n" for n in range(8)))
    videos = captioned_set("train", str(tmp_path / "list.csv"))
    videos = replace(videos, backwards=[(f"film {n} backwards",) for n in range(8)])
    tokenizer = Tokenizer.for_texts(videos.sentences, 32)
    make = partial(training_clips, videos, tokenizer, seed=2, max_bad=1, reversals=reversals)
    memory, files = (make(ClipSpec(4, 16, area=area), in_memory=kept) for kept in (True, False))
    assert len(memory) == len(files) == 8
    for step in range(3):
        one, other = (Batches(source, 4, seed=0).fetch(step) for source in (memory, files))
        assert one["text"] == other["text"] and one["path"] == other["path"]
        assert all(torch.equal(one[name], other[name]) for name in ("video", "ids", "caption_id", "index"))
