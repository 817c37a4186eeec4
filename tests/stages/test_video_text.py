"""Pairs, zero-shot classes and captions of the video-language stage."""

import torch

from ivcore.stages import video_text


def test_turned_pairs_stand_beside_each_other():
    batch = {"text": list("abcde"), "index": torch.tensor([4, 7, 1, 4, 7])}
    assert video_text.turned_pairs(batch, 1) == [0, 3] and video_text.turned_pairs(batch, 2) == [0, 3, 1, 4]


def test_without_turned_clips_the_first_rows_are_shown():
    assert video_text.turned_pairs({"text": list("abcde")}, 2) == [0, 1, 2]
    assert video_text.turned_pairs({"text": ["a"], "index": torch.tensor([3])}, 2) == [0]


def test_parameters_of_a_notebook_say_how_clips_are_read():
    params = {"in_memory": True, "strict_decoding": False, "max_bad": 0.1, "num_workers": 2, "seed": 3}
    read = {"in_memory": True, "strict": False, "max_bad": 0.1, "num_workers": 2, "run_dir": "here"}
    assert video_text.feeding(params, "here") == read


class Words:
    """A tokenizer that knows sentences by their length."""

    def encode(self, text):
        return [len(text.split())]

    def caption(self, row):
        return " ".join(["word"] * int(row[0]))


def test_captions_are_judged_beside_what_is_written_without_the_clip(monkeypatch):
    clips = torch.arange(4, dtype=torch.uint8).view(4, 1, 1, 1, 1).expand(4, 2, 2, 2, 3) + 1
    monkeypatch.setattr(
        video_text,
        "write_captions",
        lambda model, shown, tokenizer, precision: [Words().caption(clip.flatten()) for clip in shown],
    )
    captions = [["w"], ["w w"], ["w w w"], ["w w w w"]]
    written, scores = video_text.caption_scores(None, clips, captions, Words())
    assert written == ["word", "word word", "word word word", "word word word word"]
    exact = {kind: each["exact_match"] for kind, each in scores.items()}
    assert exact == {"the clip": 1.0, "a grey clip": 0.0, "another clip": 0.0}


def test_no_shards_no_counts():
    assert video_text.sample_counts([], []) == {}
