"""Training from tar shards: what is damaged is counted exactly and all the rest arrives, once, in any split, and again after a resume."""

import io
import itertools
import json
import tarfile
from collections import Counter

import numpy as np
import pytest
import torch

from ivcore.data import formats
from ivcore.data.captions.clip_spec import ClipSpec
from ivcore.data.shards.log import ShardLog
from ivcore.data.shards.names import expand
from ivcore.data.shards.pack import write_shards
from ivcore.data.shards.samples import Decoder
from ivcore.data.shards.stream import Shards, Split
from ivcore.data.shards.tar import Skipped, read_shard
from ivcore.encoders.tokenizer import Tokenizer
from ivcore.errors import ParameterError, UserError
from ivcore.video.writer import write_video

LONG = " ".join(["running"] * 500)
CLIP = ClipSpec(2, 16)
DAMAGE = {"corrupt": 3, "no_caption": 3, "no_media": 1, "empty": 1, "truncated": 1, "shard": 3, "duplicate": 1}


def film(number, frames=6, size=16):
    """Plain frames: green and blue tell the clip."""
    colour = np.array([0, 40 + number // 8 * 30, 40 + number % 8 * 25], np.uint8)
    return np.broadcast_to(colour, (frames, size, size, 3))


def shown(batch):
    _, green, blue = np.moveaxis(np.asarray(batch["video"])[:, 0, 4, 4].astype(int), -1, 0)
    return ((green - 40) / 30).round().astype(int) * 8 + ((blue - 40) / 25).round().astype(int)


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer(16)


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    folder = tmp_path_factory.mktemp("media")
    for n in range(40):
        write_video(folder / f"{n}.mp4", film(n), 8)
    return folder


@pytest.fixture(scope="module")
def packed(media, tmp_path_factory):
    """40 samples in 10 shards; sample n says "clip n"."""
    folder = tmp_path_factory.mktemp("packed")
    records = [formats.CaptionedVideo(str(n), str(media / f"{n}.mp4"), (f"clip {n}",)) for n in range(40)]
    counts = write_shards(records, folder, per_shard=4)
    assert counts == {"read": 40, "written": 40, "shards": 10, "missing": 0, "empty": 0}
    return folder


@pytest.fixture(scope="module")
def poor(packed, media, tmp_path_factory):
    """The same, but three of the shards have eight samples, five of them broken."""
    folder = tmp_path_factory.mktemp("poor")
    for file in packed.glob("*.tar"):
        (folder / file.name).write_bytes(file.read_bytes())
    data = [(media / f"{n}.mp4").read_bytes() for n in range(8)]
    videos = [film if n % 3 == 0 else film[:700] for n, film in enumerate(data)]
    members = [((f"{n}.mp4", video), (f"{n}.txt", b"clip %d" % n)) for n, video in enumerate(videos)]
    for n in (2, 5, 7):
        archive(folder / f"00000{n}.tar", itertools.chain(*members))
    return folder


def shards(folder, tokenizer, batch_size=4, **options):
    options = {"spec": CLIP, "epoch_samples": 40, "shuffle_buffer": 7} | options
    return Shards(str(folder), tokenizer, batch_size, **options)


def one_pass(made):
    """Every sample of this rank once, and in between, what is left out."""
    for stream in range(made.reader.split.streams):
        yield from (item for item, _ in made.reader.one_pass(stream, 0) if item is not None)


def epoch(made):
    return made.iter_from(0, len(made))


def numbers(batches):
    return [int(text.split()[1]) for batch in batches for text in batch["text"]]


def archive(path, members, cut=None):
    """A tar file of (name, bytes); `cut` keeps so many of its bytes."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name, data in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    path.write_bytes(file.getvalue()[:cut])
    return path


class TestWhatArrives:
    def test_a_batch(self, packed, tokenizer):
        made = shards(packed, tokenizer)
        batch = made.fetch(0)
        assert list(batch) == ["video", "ids", "text", "caption_id", "path"] and len(made) == 10
        assert batch["video"].shape == (4, 2, 16, 16, 3) and batch["video"].dtype == torch.uint8
        assert shown(batch).tolist() == numbers([batch])
        assert torch.equal(batch["ids"], tokenizer(batch["text"]))
        assert batch["caption_id"].dtype == torch.int64 and len(set(batch["caption_id"].tolist())) == 4
        assert batch["path"][0].startswith(str(packed)) and "#0000000" in batch["path"][0]
        assert made.indices(3).tolist() == [12, 13, 14, 15]

    def test_every_sample_once_a_pass_in_ever_new_order(self, packed, tokenizer):
        made = shards(packed, tokenizer)
        first, second = (numbers(made.iter_from(start, start + 10)) for start in (0, 10))
        assert sorted(first) == sorted(second) == list(range(40)) and first != second != list(range(40))
        assert numbers(shards(packed, tokenizer, seed=1).iter_from(0, 10)) != first
        assert made.counts["read"] == 40

    def test_in_order_without_a_buffer(self, packed, tokenizer):
        seen = numbers(epoch(shards(packed, tokenizer, shuffle_buffer=0)))
        assert all(n % 4 == 0 and seen[i : i + 4] == [n, n + 1, n + 2, n + 3] for i, n in enumerate(seen[::4]) for i in [4 * i])  # fmt: skip

    @pytest.mark.parametrize("workers", [0, 2])
    def test_two_ranks_of_two_workers_share_everything(self, packed, tokenizer, workers):
        options = {"world": 2, "streams": 2, "num_workers": workers, "batch_size": 2}
        ranks = [numbers(shards(packed, tokenizer, rank=rank, **options).iter_from(0, 8)) for rank in (0, 1)]
        alone = [numbers(shards(packed, tokenizer, rank=r, **options | {"num_workers": 0}).iter_from(0, 8)) for r in (0, 1)]  # fmt: skip
        assert ranks == alone and len(ranks[0]) == 16
        assert not set(ranks[0]) & set(ranks[1])
        halves = [{n for n in ranks[0][i::4]} | {n for n in ranks[0][i + 1 :: 4]} for i in (0, 2)]
        assert not halves[0] & halves[1]  # batches of two: the streams take turns
        passes = [{item["text"] for item in one_pass(shards(packed, tokenizer, rank=r, **options))} for r in (0, 1)]
        assert passes[0] | passes[1] == {f"clip {n}" for n in range(40)} and not passes[0] & passes[1]

    def test_frames_and_captions_are_drawn_anew_in_every_pass(self, media, tokenizer, tmp_path):
        several = formats.CaptionedVideo("1", str(media / "1.mp4"), ("one", "two", "three"))
        write_shards([several], tmp_path)
        made = shards(tmp_path, tokenizer, batch_size=1, epoch_samples=30)
        batches = list(epoch(made))
        assert {batch["text"][0] for batch in batches} == {"one", "two", "three"}
        assert len({batch["caption_id"].item() for batch in batches}) == 1
        again = [batch["text"] for batch in epoch(shards(tmp_path, tokenizer, batch_size=1, epoch_samples=30))]
        assert again == [batch["text"] for batch in batches]

    def test_pictures(self, tokenizer, tmp_path):
        from PIL import Image

        for n in range(4):
            Image.fromarray(film(n, size=30)[0]).save(tmp_path / f"{n}.png")
        records = [formats.CaptionedVideo(str(n), str(tmp_path / f"{n}.png"), (f"clip {n}",)) for n in range(4)]  # fmt: skip
        write_shards(records, tmp_path / "shards")
        (batch,) = epoch(shards(tmp_path / "shards", tokenizer, epoch_samples=4, spec=ClipSpec(1, 16)))
        assert batch["video"].shape == (4, 1, 16, 16, 3) and shown(batch).tolist() == numbers([batch])


class TestWhatIsSkipped:
    @pytest.fixture
    def damaged(self, media, tmp_path):
        """Eight shards with every kind of damage; good are the clips 0 to 12."""
        film = [(media / f"{n}.mp4").read_bytes() for n in range(13)]
        half = film[0][: len(film[0]) // 2]
        good = {"mp4": film[3], "txt": b"clip 3"}
        archive(tmp_path / "0.tar", [("a/0.mp4", film[0]), ("a/0.txt", b"clip 0"), ("a/1.mp4", half), ("a/1.txt", b"x"),
                                     ("a/2.txt", b"clip 1"), ("a/2.mp4", film[1])])  # fmt: skip
        archive(tmp_path / "1.tar", [("0.mp4", film[2]), ("0.json", json.dumps({"caption": "clip 2"}).encode()),
                                     ("1.mp4", film[2]), ("1.json", b"{"), ("2.mp4", film[2]), ("2.json", b'{"caption": null}'),
                                     ("3.mp4", film[2])])  # fmt: skip
        archive(tmp_path / "2.tar", [(f"0.{suffix}", data) for suffix, data in good.items()] + [("1.txt", b"x"), ("2.mp4", film[1]), ("2.txt", b" \n\t"),
                                     ("3.mp4", b"not a video"), ("3.txt", b"x"), ("4.jpg", b"\xff\xd8"), ("4.txt", b"x")])  # fmt: skip
        members = [("0.mp4", film[4]), ("0.txt", b"clip 4"), ("1.mp4", film[5]), ("1.txt", b"clip 5")]
        archive(tmp_path / "3.tar", members, cut=-(-len(film[4]) // 512) * 512 + 512 + 1024 + 700)  # within 1.mp4
        archive(tmp_path / "4.tar", [*members[2:], ("9.mp4", film[6]), ("9.txt", b"y")],
                cut=512 * (-(-len(film[5]) // 512) + 1 + 2 + 1 + -(-len(film[6]) // 512)))  # before 9.txt  # fmt: skip
        archive(tmp_path / "5.tar", [("0.mp4", film[6]), ("0.txt", ("clip 6 " + LONG).encode()), ("1.mp4", film[7]),
                                     ("1.txt", "clip 7 café".encode("latin-1")), ("2.mp4", film[8]), ("2.txt", b"clip 8"), ("2.txt", b"z")])  # fmt: skip
        (tmp_path / "6.tar").write_bytes(b"")
        archive(tmp_path / "7.tar", [part for n in range(9, 13) for part in ((f"{n}.mp4", film[n]), (f"{n}.txt", f"clip {n}".encode()))])  # fmt: skip
        return tmp_path

    def test_all_the_good_ones_arrive_and_the_others_are_told_one_by_one(self, damaged, tokenizer):
        items = list(one_pass(shards(damaged, tokenizer, max_bad=0.9)))
        good = [item for item in items if isinstance(item, dict)]
        assert sorted(int(item["text"].split()[1]) for item in good) == list(range(13))
        skipped = [item for item in items if isinstance(item, Skipped)]
        assert Counter(item.reason for item in skipped) == DAMAGE and all(s.cause for s in skipped)
        found = {(s.url.rsplit("/")[-1][0], s.key, s.reason) for s in skipped}
        assert found == {
            ("0", "a/1", "corrupt"), ("1", "1", "no_caption"), ("1", "2", "no_caption"), ("1", "3", "no_caption"),
            ("2", "1", "no_media"), ("2", "2", "empty"), ("2", "3", "corrupt"), ("2", "4", "corrupt"),
            ("3", None, "shard"), ("4", "9", "truncated"), ("4", None, "shard"), ("5", "2", "duplicate"), ("6", None, "shard"),
        }  # fmt: skip
        text = {item["text"].split()[1]: item for item in good}
        assert text["7"]["text"] == "clip 7 café" and not text["7"]["utf8"] and text["8"]["text"] == "clip 8"
        assert text["6"]["cut"] and text["6"]["ids"][-1] == tokenizer.end and not text["7"]["cut"]

    def test_counts_and_list_of_a_run(self, damaged, tokenizer, tmp_path):
        """The fourteenth sample is the first of the second pass: by then the log tells all of the first."""
        made = shards(damaged, tokenizer, batch_size=1, epoch_samples=14, max_bad=0.9, run_dir=tmp_path)
        assert sorted(numbers(list(epoch(made))[:13])) == list(range(13))
        lines = [json.loads(line) for line in (tmp_path / "shards-rank0.jsonl").read_text().splitlines()]
        skipped = [line for line in lines if "key" in line]
        assert Counter(line["reason"] for line in skipped if line["at"][1] == 0) == DAMAGE
        assert sum(line.get("cut", 0) for line in lines if line.get("step", 14) < 13) == 1
        assert sum(line.get("not_utf8", 0) for line in lines if line.get("step", 14) < 13) == 1
        told = {reason: n for reason, n in made.counts.items() if reason in DAMAGE}
        assert told == Counter(line["reason"] for line in skipped) and made.counts["read"] == 14

    def test_too_many(self, damaged, tokenizer):
        with pytest.raises(UserError, match=r"\d+ of \d+ samples cannot be used, more than max_bad=0.05, e.g. .*tar"):
            list(epoch(shards(damaged, tokenizer)))
        with pytest.raises(UserError, match=r"more than max_bad=0\.05"):
            list(epoch(shards(damaged, tokenizer, num_workers=1)))
        (damaged / "x").mkdir()
        archive(damaged / "x" / "0.tar", [("0.txt", b"x")])
        with pytest.raises(UserError, match=r"not one of 1 samples can be used, e.g. .*0.tar#0: no_media"):
            list(epoch(shards(damaged / "x", tokenizer, max_bad=1.0)))

    def test_commands_and_their_failures(self, packed, monkeypatch):
        monkeypatch.setenv("IVCORE_ALLOW_PIPE", "1")
        whole = list(read_shard(f"pipe:cat {packed}/000000.tar"))
        assert [sample["__key__"] for sample in whole] == [f"{n:09d}" for n in range(4)]
        (failed,) = read_shard("pipe:cat /nowhere/0.tar 2>/dev/null")
        (absent,) = read_shard(f"{packed}/absent.tar")
        assert (failed.reason, failed.key, absent.reason) == ("shard", None, "shard")
        assert "No such file" in absent.cause

    def test_ranks_share_what_training_is_given(self, packed, tokenizer, tmp_path):
        whole = shards(packed, tokenizer, streams=2, run_dir=tmp_path)
        parts = [whole.share(rank, 2) for rank in (0, 1)]
        for rank, part in enumerate(parts):
            alone = shards(packed, tokenizer, batch_size=2, rank=rank, world=2, streams=2)
            seen = numbers(part.iter_from(0, 10))
            assert seen == numbers(alone.iter_from(0, 10)) and len(part) == len(whole) == 10
            assert part.identity() == alone.identity() != whole.identity()
            assert whole.counts["read"] == 20 and (tmp_path / f"shards-rank{rank}.jsonl").exists()
        again = shards(packed, tokenizer, streams=2, run_dir=tmp_path)  # made by every rank that resumes
        assert again.share(0, 2).log().before(10) is not None
        with pytest.raises(ParameterError, match="batch_size=4: must divide, to be shared by 3 ranks"):
            whole.share(0, 3)
        with pytest.raises(ParameterError, match="batch_size=2: is one rank's already"):
            parts[0].share(0, 2)
        with pytest.raises(UserError, match="10 shards are too few for 4 ranks of 3 streams"):
            shards(packed, tokenizer, streams=3).share(0, 4)

    def test_samples_of_two_shards_never_mix(self, media, tmp_path):
        """Both call their samples 0: webdataset alone would give the second shard's caption to the first one's video."""
        film = (media / "1.mp4").read_bytes()
        archive(tmp_path / "0.tar", [("0.mp4", film), ("0.txt", b"first")], cut=512 + -(-len(film) // 512) * 512 + 100)
        archive(tmp_path / "1.tar", [("0.txt", b"second"), ("0.mp4", film)])
        items = [item for url in expand(str(tmp_path)) for item in read_shard(url)]
        samples = [item for item in items if isinstance(item, dict)]
        assert [sorted(name for name in s if s and not name.startswith("__")) for s in samples] == [["mp4"], ["mp4", "txt"]]  # fmt: skip
        assert samples[0]["__cut__"] and [item.reason for item in items if isinstance(item, Skipped)] == ["shard"]


class TestResume:
    def batches(self, folder, tokenizer, start, stop, **options):
        return list(shards(folder, tokenizer, **options).iter_from(start, stop))

    @pytest.mark.parametrize("logged", [True, False])
    @pytest.mark.parametrize(
        "options", [{}, {"streams": 3, "batch_size": 3}, {"streams": 2, "num_workers": 2, "batch_size": 3}]
    )
    def test_the_same_batches_follow(self, poor, tokenizer, tmp_path, options, logged, monkeypatch):
        runs = [tmp_path / name if logged else None for name in ("whole", "stopped")]
        options, stop = {**options, "max_bad": 0.8}, 17
        whole = self.batches(poor, tokenizer, 0, 30, run_dir=runs[0], **options)
        self.batches(poor, tokenizer, 0, stop, run_dir=runs[1], **options)
        tried, plain = [], Decoder.__call__
        monkeypatch.setattr(Decoder, "__call__", lambda *given: tried.append(1) or plain(*given))
        rest = self.batches(poor, tokenizer, stop, 30, run_dir=runs[1], **options | {"num_workers": 0})
        assert len(rest) == 13
        for a, b in zip(whole[stop:], rest):
            assert a["text"] == b["text"] and a["path"] == b["path"]
            assert torch.equal(a["video"], b["video"]) and torch.equal(a["ids"], b["ids"])
        if logged:  # nothing that came before is decoded again, and the log is that of the whole run
            logs = [(run / "shards-rank0.jsonl").read_text().splitlines() for run in runs]
            assert logs[0] == logs[1]
            late = [line for line in map(json.loads, logs[0]) if line.get("step", 0) >= stop]
            assert len(tried) == sum(line.get("read", 1) for line in late)

    def test_counts_go_on(self, packed, tokenizer, tmp_path):
        made = shards(packed, tokenizer, run_dir=tmp_path)
        list(made.iter_from(0, 6))
        assert made.counts["read"] == 24
        again = shards(packed, tokenizer, run_dir=tmp_path)
        next(again.iter_from(4))  # the checkpoint is older than what was logged
        assert again.counts["read"] == 20

    def test_a_look_at_the_data_takes_nothing_from_a_run(self, poor, tokenizer, tmp_path):
        options = {"max_bad": 0.8, "run_dir": tmp_path}
        expected = self.batches(poor, tokenizer, 0, 20, max_bad=0.8)
        made = shards(poor, tokenizer, **options)
        list(made.iter_from(0, 5))
        for step, batch in enumerate(made.iter_from(5, 20), 5):
            assert batch["text"] == expected[step]["text"]
            if step in (8, 16):
                assert made.fetch(1)["text"] == expected[1]["text"]
        next(shards(poor, tokenizer, **options).iter_from(0))
        assert ShardLog(tmp_path / "shards-rank0.jsonl", made.identity()).before(20) is not None

    def test_a_log_that_does_not_tell_all(self, packed, tokenizer, tmp_path):
        made = shards(packed, tokenizer, run_dir=tmp_path)
        list(made.iter_from(0, 6))
        file = tmp_path / "shards-rank0.jsonl"
        lines = file.read_text().splitlines()
        file.write_text("\n".join(lines[:3] + lines[4:])[:-5])
        log = ShardLog(file, made.identity())
        assert log.before(2).counts["read"] == 8 and log.before(3) is None and file.read_text().endswith("\n")
        rest = self.batches(packed, tokenizer, 6, 8, run_dir=tmp_path)
        assert [b["text"] for b in rest] == [b["text"] for b in self.batches(packed, tokenizer, 6, 8)]
        assert ShardLog(file, {"other": "data"}).before(1) is None

    def test_identity(self, packed, tokenizer):
        first = shards(packed, tokenizer).identity()
        assert first == shards(packed, tokenizer).identity()
        for options in ({"seed": 1}, {"streams": 2}, {"world": 2, "rank": 1}, {"shuffle_buffer": 0}):
            assert shards(packed, tokenizer, **options).identity() != first
        assert shards(packed, tokenizer, streams=2, num_workers=2).identity() == shards(packed, tokenizer, streams=2).identity()  # fmt: skip


class TestNames:
    def test_braces_wildcards_folders_and_urls(self, packed):
        four = [f"{packed}/00000{n}.tar" for n in range(4)]
        assert expand(f"{packed}/{{000000..000003}}.tar") == expand(f"{packed}/00000[0-3].tar") == four
        assert expand([four[0], f"{four[1]}::{four[2]}"]) == four[:3]
        assert len(expand(packed)) == 10
        assert expand("https://host/{00..01}.tar") == ["https://host/00.tar", "https://host/01.tar"]

    @pytest.mark.parametrize("name", ["/nowhere/{0..3}.tar", "/nowhere/*.tar", "/", "${NOWHERE}/0.tar"])
    def test_nothing_there(self, name):
        with pytest.raises(UserError, match="shards "):
            expand(name)

    def test_splits(self, packed, tokenizer):
        urls = [str(n) for n in range(11)]
        for number in range(3):
            parts = [Split(r, 2, 3).shards(urls, 0, number, s) for r in range(2) for s in range(3)]
            assert sorted(itertools.chain(*parts)) == sorted(urls)
        with pytest.raises(UserError, match="10 shards are too few for 4 ranks of 3 streams: at least 12"):
            shards(packed, tokenizer, world=4, streams=3)
        for options, message in (
            ({"streams": 3, "num_workers": 2}, "streams=3: must be a multiple of num_workers=2"),
            ({"rank": 2, "world": 2}, "rank=2: must be from 0 to 1"),
            ({"max_bad": 2}, "max_bad=2"),
        ):
            with pytest.raises(ParameterError, match=message):
                shards(packed, tokenizer, **options)
        with pytest.raises(UserError, match="too few for one batch"):
            shards(packed, tokenizer, epoch_samples=3)


class TestPacking:
    def test_what_cannot_be_packed_is_listed(self, media, tmp_path):
        records = [
            formats.CaptionedVideo("0", str(media / "0.mp4"), ("", "a dog", "one")),
            formats.CaptionedVideo("1", str(media / "absent.mp4"), ("a",)),
            formats.CaptionedVideo("2", str(media / "2.mp4"), (" ",)),
        ]
        counts = write_shards(records, tmp_path)
        assert counts == {"read": 3, "written": 1, "shards": 1, "missing": 1, "empty": 1}
        listed = [json.loads(line) for line in (tmp_path / "skipped.jsonl").read_text().splitlines()]
        assert [row["reason"] for row in listed] == ["missing", "empty"]
        (sample,) = read_shard(str(tmp_path / "000000.tar"))
        assert json.loads(sample["json"])["captions"] == ["a dog", "one"]
        assert sample["mp4"] == (media / "0.mp4").read_bytes()
        assert sorted(f.name for f in tmp_path.iterdir()) == ["000000.tar", "skipped.jsonl"]

    def test_the_same_bytes_every_time(self, media, tmp_path):
        record = formats.CaptionedVideo("0", str(media / "0.mp4"), ("a",))
        for name in "ab":
            write_shards([record], tmp_path / name)
        assert (tmp_path / "a/000000.tar").read_bytes() == (tmp_path / "b/000000.tar").read_bytes()

    def test_a_folder_named_like_a_command(self, media, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        write_shards([formats.CaptionedVideo("0", str(media / "0.mp4"), ("a",))], "pipe:cat >ran;true ")
        assert [file.name for file in tmp_path.iterdir()] == ["pipe:cat >ran;true "]

    def test_refusals(self, tmp_path):
        with pytest.raises(UserError, match="nothing to pack: 0 records"):
            write_shards([], tmp_path)
        with pytest.raises(ParameterError, match="per_shard=0"):
            write_shards([], tmp_path, per_shard=0)
