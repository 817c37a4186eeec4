"""Clips shown backwards join a batch with captions that say so; captioned sets of the embedded data and of files."""

import numpy as np
import pytest
import torch

from ivcore.data import formats
from ivcore.data.batches import Batches, batch_of
from ivcore.data.captions.clip_spec import ClipSpec
from ivcore.data.captions.clips import CaptionedClips
from ivcore.data.captions.reversals import WithReversals
from ivcore.data.captions.sets import captioned_set
from ivcore.data.memory import load
from ivcore.encoders.tokenizer import Tokenizer
from ivcore.errors import FormatError, ParameterError

SMALL = {"train": 30, "val": 0, "test": 30, "size": 16, "frames": 4, "name": "reversals"}


@pytest.fixture(scope="module")
def train_set():
    return captioned_set("train", **SMALL)


@pytest.fixture(scope="module")
def source(train_set):
    decoded = load(train_set.records, 16)
    tokenizer = Tokenizer.for_texts(train_set.sentences, 32)
    return CaptionedClips(decoded, tokenizer, ClipSpec(4, 16), captions=train_set.captions)


def test_a_reversal_is_the_same_clip_backwards_with_the_caption_that_says_so(train_set, source):
    plain, mixed = (batch_of(s, np.arange(20), 3) for s in (source, WithReversals(source, train_set.backwards, 0.5)))
    able = [bool(texts) for texts in train_set.backwards[:20]]
    assert 10 < sum(able) < 20
    turned = 0
    for first in range(0, 20, 2):
        i, slot = (first, first + 1) if able[first] else (first + 1, first)
        if not able[i]:
            assert torch.equal(mixed["video"][[i, slot]], plain["video"][[i, slot]])
            continue
        turned += 1
        assert torch.equal(mixed["video"][i], plain["video"][i])
        assert torch.equal(mixed["video"][slot], plain["video"][i].flip(0))
        assert mixed["text"][slot] == train_set.backwards[i][0] != mixed["text"][i] == train_set.captions[i][0]
        assert torch.equal(mixed["ids"][slot], source.captions.ids(mixed["text"][slot]))
        assert mixed["caption_id"][slot] != plain["caption_id"][i] and mixed["index"][slot] == i
    assert turned >= 8


@pytest.mark.parametrize("share", [0.5, 0.3])
@pytest.mark.parametrize("world", [2, 3, 6])
def test_ranks_together_show_what_one_process_does(train_set, source, share, world):
    batches = Batches(WithReversals(source, train_set.backwards, share), 12, seed=1)
    whole, parts = batches.fetch(1), [batches.share(rank, world).fetch(1) for rank in range(world)]
    assert whole["text"] == [text for part in parts for text in part["text"]]
    assert torch.equal(whole["video"], torch.cat([part["video"] for part in parts]))


def test_a_single_clip_has_nothing_to_stand_beside(train_set, source):
    with pytest.raises(ParameterError, match="must be an even multiple of the number of ranks; here are 1 clips"):
        Batches(WithReversals(source, train_set.backwards, 0.5), 12).share(0, 12).fetch(0)


def test_a_batch_is_a_pure_function_of_indices_and_epoch(train_set, source):
    mixed = WithReversals(source, train_set.backwards, 0.3)
    first, again, other = (mixed.batch(np.arange(12), epoch) for epoch in (0, 0, 1))
    assert torch.equal(first["video"], again["video"]) and first["text"] == again["text"]
    assert first["text"] != other["text"] and len(mixed) == len(source)


def test_the_share_is_checked(train_set, source):
    with pytest.raises(ParameterError, match=r"share=0.6: must be in \[0, 0.5\]"):
        WithReversals(source, train_set.backwards, 0.6)


def test_sentences_say_less_and_less(train_set):
    for full, here, clip, plain, brief in train_set.captions:
        assert here == f"here {full}" and clip == f"in this clip {full}"
        assert len(brief.split()) <= len(plain.split()) + 1 and len(plain.split()) <= len(full.split())
        assert not {"striped", "checkered", "two-tone"} & set(plain.split())


def test_test_queries_are_unique_and_both_directions_are_among_them():
    test_set = captioned_set("test", **SMALL)
    assert len(set(test_set.queries)) == len(test_set) > 20
    turned = [texts[0] for texts in test_set.backwards if texts]
    assert sum(text in test_set.queries for text in turned) > len(turned) // 2
    for query, captions in zip(test_set.queries, test_set.captions):
        assert captions[0] == query


def test_a_users_own_files(tmp_path):
    videos = [formats.CaptionedVideo(n, str(tmp_path / f"{n}.mp4"), (f"{n} falls", "it falls")) for n in "ab"]
    formats.write_msrvtt_json(tmp_path / "all.json", videos)
    formats.write_msrvtt_csv(tmp_path / "test.csv", [formats.SplitRow("b", "b falls")])
    mine = captioned_set("test", str(tmp_path / "all.json"), str(tmp_path / "test.csv"))
    assert (mine.queries, mine.captions, mine.backwards) == (["b falls"], [("b falls", "it falls")], [()])
    assert mine.source == "all.json" and mine.records[0].path == str(tmp_path / "b.mp4")
    assert captioned_set("train", str(tmp_path / "all.json")).queries == ["a falls", "b falls"]
    formats.write_msrvtt_csv(tmp_path / "bad.csv", [formats.SplitRow("c")])
    with pytest.raises(FormatError, match="expected a listed video_id, found 'c'"):
        captioned_set("test", str(tmp_path / "all.json"), str(tmp_path / "bad.csv"))
