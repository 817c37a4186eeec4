"""Multiple choice as a stage: the questions, and a score for each option of each question (paper 4.3.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from ivcore.data import embedded, formats
from ivcore.data.captions.releases import placed, video_files
from ivcore.data.captions.sets import CaptionedSet
from ivcore.data.formats import CaptionedVideo, Choice
from ivcore.data.set_names import METAWORLD
from ivcore.data.video_answers import VideoModel
from ivcore.errors import ParameterError
from ivcore.metrics.certainty import standard_error
from ivcore.metrics.choice import chosen_right
from ivcore.stages.embed import embed_texts

RELEASES = {
    "msrvtt": ("msrvtt_mc_test.jsonl", formats.read_choice_jsonl),
    "lsmdc": ("LSMDC16_multiple_choice_test_randomized.csv", formats.read_lsmdc_choice),
}
GENERATED = {"": "choice", METAWORLD: "order"}  # names of the files of a generated set


@dataclass(frozen=True)
class Questions:
    """Questions: a video and several sentences each, one of which is right. source names the data of a result."""

    asked: list[Choice]
    source: str

    def __len__(self) -> int:
        return len(self.asked)

    def first(self, count: int) -> Questions:
        """The first `count` questions; all if 0."""
        return replace(self, asked=self.asked[: count or None])

    @property
    def videos(self) -> CaptionedSet:
        """The video of each question, for `search.views`."""
        records = [CaptionedVideo(each.clip, each.path, each.options) for each in self.asked]
        return CaptionedSet(records, [each.options[each.answer] for each in self.asked], [()] * len(records), self.source)  # fmt: skip


def sets(
    files: Mapping[str, str], *, data: str = "", release: str = "", root: str = "", num_clips: int = 0
) -> dict[str, Questions]:
    """split (val, test) -> its questions.

    files: split -> MSR-VTT's JSON lines, "" for none. They take precedence over `data`, which is the folder of a
    released dataset (test only) or a generated set with such questions. ParameterError for other data, FormatError for
    a malformed file.
    """
    if any(files.values()):
        return {name: Questions(formats.read_choice_jsonl(file, root or None), Path(file).name) for name, file in files.items() if file}  # fmt: skip
    if not embedded.is_generated(data):
        return {"test": _released(Path(data), release)}
    if data not in GENERATED:
        raise ParameterError(
            f"data = {data!r}: asks no such questions; must be {METAWORLD}, or empty for the moving shapes"
        )
    folder = embedded.build(data, **({} if data else {"parts": ("clips", "choice"), "train": num_clips}))
    read = {name: formats.read_choice_jsonl(folder / f"{GENERATED[data]}_{name}.jsonl", folder / "videos") for name in files}  # fmt: skip
    return {name: Questions(asked, embedded.title(data)) for name, asked in read.items()}


def _released(folder: Path, release: str) -> Questions:
    name, reader = RELEASES[release]
    if not (folder / name).exists():
        raise ParameterError(f"data = {str(folder)!r}: has no {name}; `iv data mini --list` shows layouts")
    files = video_files(folder)
    asked = [replace(each, path=placed(CaptionedVideo(each.clip, each.path, ()), files).path) for each in reader(folder / name)]  # fmt: skip
    return Questions(asked, folder.name)


@dataclass(frozen=True)
class Answered:
    """Scores of the readable questions.

    scores: float (n, K), logits of each video with its options, -inf past the last option. answers int64 (n,): the
    right options. rows: the questions' numbers in the set. groups int64 (n,): equal for questions with the same set of
    sentences, which are not independent.
    """

    scores: Tensor
    answers: Tensor
    rows: Tensor
    groups: Tensor

    @property
    def right(self) -> Tensor:
        """float64 (n,), see `metrics.choice.chosen_right`."""
        return chosen_right(self.scores, self.answers)

    @property
    def accuracy(self) -> float:
        return self.right.mean().item()

    @property
    def error(self) -> float:
        """Standard error of the accuracy, clustered by groups; nan for a single group."""
        return standard_error(self.right, self.groups)

    @property
    def options(self) -> Tensor:
        """Number of options of each question, int64 (n,)."""
        return self.scores.isfinite().sum(1)


def answer(model: VideoModel, questions: Questions, found: tuple[Tensor, Tensor], precision: str = "fp32") -> Answered:
    """Scores the options of each question.

    found: unit-length video embeddings (n, E) and the numbers of their questions, from `search.embed`.
    """
    features, rows = found
    asked = [questions.asked[row] for row in rows.tolist()]
    texts = list(dict.fromkeys(text for each in asked for text in each.options))
    told = dict(zip(texts, embed_texts(model.model, texts, model.tokenizer(), precision=precision)))
    scale = model.model.logit_scale.detach().exp().cpu()
    scores = torch.full((len(asked), max(len(each.options) for each in asked)), -torch.inf)
    for row, each in enumerate(asked):
        scores[row, : len(each.options)] = scale * torch.stack([told[text] for text in each.options]) @ features[row]
    sets = {options: number for number, options in enumerate(dict.fromkeys(frozenset(each.options) for each in asked))}
    groups = torch.tensor([sets[frozenset(each.options)] for each in asked])
    return Answered(scores, torch.tensor([each.answer for each in asked]), rows, groups)


def unseen(found: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """A control: every question gets the mean of all videos, so only the sentences can help."""
    mean = torch.nn.functional.normalize(found[0].mean(0, keepdim=True), dim=-1)
    return mean.expand_as(found[0]), found[1]


def exchanged(found: tuple[Tensor, Tensor], order: Tensor) -> tuple[Tensor, Tensor]:
    """A control: each question gets another question's video. order int64 (n,) says which."""
    return found[0][order], found[1]
