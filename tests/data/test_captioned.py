"""Captioned clips: captions cleaned, counted and chosen reproducibly; the same clips from memory and from files; images as clips."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ivcore.data import captioned, texts
from ivcore.encoders.tokenizer import Tokenizer
from ivcore.errors import ParameterError, UserError

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
        assert texts.fact(("a", "b")) == texts.fact(("B", "a", "a")) != texts.fact(("a",))
        assert texts.fact(("a dog",)) == 9151722581430185315  # the same in every process
        assert 0 <= texts.fact(("x",)) < 2**63

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


def film(number, frames=12, size=16):
    """Plain frames: red tells the frame, green the clip."""
    colours = np.array([(20 * t, 30 * number, 0) for t in range(frames)], np.uint8)
    return np.broadcast_to(colours[:, None, None], (frames, size, size, 3))


def shown(video):
    """(clips, frames) of a batch (B, T, H, W, 3) of films."""
    red, green, _ = np.moveaxis(np.asarray(video)[:, :, 4, 4].astype(int), -1, 0)
    return (green[:, 0] / 30).round().astype(int).tolist(), (red / 20).round().astype(int)


CAPTIONS = [("a", "b", "c"), ("a dog", "dog"), ("",), ("DOG", "a dog"), ("one",)]


@pytest.fixture(scope="module")
def columns():
    return {"video": np.stack([film(n) for n in range(5)]), "path": [f"{n}.mp4" for n in range(5)]}


def source(columns, tokenizer, **options):
    return captioned.FromMemory(columns, CAPTIONS, tokenizer, **{"num_frames": 4, "size": 16, "seed": 0} | options)  # fmt: skip


class TestFromMemory:
    def test_a_batch(self, columns, tokenizer):
        made = source(columns, tokenizer)
        batch = made.batch(np.array([3, 0, 2, 1]), 0)
        assert len(made) == 4 and batch["video"].shape == (4, 4, 16, 16, 3) and batch["ids"].shape == (4, 16)
        clips, frames = shown(batch["video"])
        assert clips == batch["index"].tolist() == [4, 0, 3, 1]
        assert batch["path"] == ["4.mp4", "0.mp4", "3.mp4", "1.mp4"]
        assert all(text in CAPTIONS[i] for text, i in zip(batch["text"], clips))
        assert torch.equal(batch["ids"], tokenizer(batch["text"]))
        assert (frames // 3 == np.arange(4)).all()  # one of each quarter of 12
        same = batch["same"].tolist()
        assert same[2] == same[3] and len(set(same)) == 3

    def test_a_sample_is_a_function_of_seed_epoch_and_index(self, columns, tokenizer):
        def seen(seed, epoch, order):
            batch = source(columns, tokenizer, seed=seed).batch(np.array(order), epoch)
            frames = shown(batch["video"])[1].tolist()
            return {i: (frames[n], batch["text"][n]) for n, i in enumerate(order)}

        first = seen(0, 0, [0, 1, 2, 3])
        assert first == seen(0, 0, [2, 0, 3, 1]) and first[1] == seen(0, 0, [1])[1]
        assert first != seen(0, 1, [0, 1, 2, 3]) != seen(1, 0, [0, 1, 2, 3]) != first

    def test_every_caption_and_every_frame_comes_up(self, columns, tokenizer):
        made = source(columns, tokenizer)
        batches = [made.batch(np.arange(4), epoch) for epoch in range(60)]
        assert {batch["text"][0] for batch in batches} == set(CAPTIONS[0])
        assert {t for b in batches for t in shown(b["video"])[1].ravel()} == set(range(12))

    def test_without_chance(self, columns, tokenizer):
        made = source(columns, tokenizer, random=False)
        for epoch in range(5):
            batch = made.batch(np.arange(4), epoch)
            assert batch["text"] == ["a", "a dog", "DOG", "one"]
            assert (shown(batch["video"])[1] == [1, 4, 7, 10]).all()
        even = source(columns, tokenizer, frames="uniform").batch(np.arange(4), 0)
        assert (shown(even["video"])[1] == [0, 3, 7, 11]).all()

    def test_images_from_videos(self, columns, tokenizer):
        made = source(columns, tokenizer, num_frames=1)
        frames = [shown(made.batch(np.array([1]), epoch)["video"])[1].item() for epoch in range(80)]
        assert set(frames) == set(range(12))

    def test_crops_are_asked_for(self, tokenizer):
        slope = np.arange(16, dtype=np.uint8)[:, None, None] * 10
        columns = {"video": np.broadcast_to(slope, (1, 4, 16, 16, 3)), "path": ["a"]}
        make = lambda scales: captioned.FromMemory(  # noqa: E731
            columns, [("a",)], tokenizer, num_frames=4, size=16, seed=0, scales=scales
        )
        whole = make((1.0,)).batch(np.array([0]), 0)["video"].numpy()
        assert np.array_equal(whole, columns["video"])
        assert not np.array_equal(make((0.6,)).batch(np.array([0]), 0)["video"].numpy(), whole)

    def test_refusals(self, columns, tokenizer):
        with pytest.raises(ParameterError, match="captions: 1 given for 5 videos"):
            captioned.FromMemory(columns, [("a",)], tokenizer, num_frames=1, size=16, seed=0)
        with pytest.raises(ParameterError, match="frames='dense': must be one of sparse, uniform"):
            source(columns, tokenizer, frames="dense")
