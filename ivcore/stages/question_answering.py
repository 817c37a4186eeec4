"""Video question answering as a stage: the model with a head over answers, its training, its answers (paper 4.3.2)."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ivcore.data.batches import Batches, fitting
from ivcore.data.captions.clip_spec import ClipSpec
from ivcore.data.formats import Question
from ivcore.data.video_answers import VideoModel
from ivcore.data.video_questions import AskedClips, QuestionSet, kind_of
from ivcore.data.views import Views
from ivcore.encoders.tokenizer import Tokenizer
from ivcore.encoders.video_text import VideoTextModel
from ivcore.errors import ParameterError
from ivcore.heads.answer import AnswerModel, answering
from ivcore.heads.probes import train_head
from ivcore.losses.video_text import trimmed
from ivcore.metrics.answering import UNKNOWN
from ivcore.precision import autocast
from ivcore.run import Run
from ivcore.stages import search
from ivcore.stages.classify import order_frames
from ivcore.train import save_weights

AT_ONCE = 64  # videos in a batch
QUESTIONS = 128  # in a step of a head alone


def with_words(model: VideoTextModel, tokenizer: Tokenizer, texts: Sequence[str]) -> Tokenizer:
    """A tokenizer that also knows the words of these texts, if its vocabulary is smaller than CLIP's; the model gets a
    new row for each new word.
    """
    if tokenizer.kept is None:
        return tokenizer
    wanted = Tokenizer.for_texts(texts, tokenizer.context).kept
    wider = Tokenizer(tokenizer.context, [*tokenizer.kept, *wanted])
    rows = torch.tensor([wider.kept.index(old) for old in tokenizer.kept])
    before = model.text.token_embedding.weight
    embedding = nn.Embedding(wider.vocabulary, before.shape[1], device=before.device)
    nn.init.normal_(embedding.weight, std=0.02)
    with torch.no_grad():
        embedding.weight[rows.to(before.device)] = before
    model.text.token_embedding = embedding
    return wider


def build(
    found: VideoModel, questions: Sequence[str], answers: Sequence[str], *, features: Sequence[str], layers: int, dropout: float, seed: int
) -> tuple[AnswerModel, Tokenizer]:  # fmt: skip
    """A model that starts from a copy of `found`, and a tokenizer that knows the words of the questions. ParameterError
    if `found` is CLIP, or has no caption decoder and `features` ask for one.
    """
    if not isinstance(found.model, VideoTextModel):
        raise ParameterError(f"multimodal_encoder: a {type(found.model).__name__} cannot answer questions; must be a model of notebook 11")  # fmt: skip
    torch.manual_seed(seed)
    start = copy.deepcopy(found.model)
    tokenizer = with_words(start, Tokenizer(**found.usage.tokenizer), questions)
    model = answering(start, len(answers), features, layers, dropout)
    return model.to(next(found.model.parameters()).device), tokenizer


def batches(
    videos: QuestionSet, answers: Sequence[str], tokenizer: Tokenizer, batch_size: int, spec: ClipSpec, *, seed: int, num_workers: int = 0, **how
) -> Batches:  # fmt: skip
    """Batches of clips with their questions. how: further arguments of `AskedClips`."""
    source = AskedClips(videos, answers, tokenizer, spec, seed=seed, **how)
    return Batches(source, fitting(batch_size, len(source), "batch_size"), seed, num_workers=num_workers)


def question_loss(model: AnswerModel, batch: dict, generator: torch.Generator | None = None) -> tuple[Tensor, dict]:
    """Cross-entropy over the answers to the questions in a batch of `AskedClips`, without questions whose answer is
    unknown -> (scalar, {accuracy}).

    Both are means over clips of the mean over a clip's questions, so a batch in pieces, or on several ranks, gives the
    same result as a whole batch. With one question for each clip it is the published loss.
    """
    ids = trimmed(batch["ids"].flatten(0, 1)).unflatten(0, batch["ids"].shape[:2])
    logits, labels = model(model.prepare(batch["video"]), ids), batch["label"]
    known = labels != UNKNOWN
    each = F.cross_entropy(logits.float().flatten(0, 1), labels.flatten(), ignore_index=UNKNOWN, reduction="none").view(
        labels.shape
    )
    share = known / known.sum(1, keepdim=True).clamp_min(1) / len(labels)
    return (each * share).sum(), {"accuracy": ((logits.argmax(-1) == labels) * share).sum()}


@dataclass(frozen=True)
class Answered:
    """scores: float (n, A), logits of the answers to n questions about readable videos; labels int64 (n,), UNKNOWN if
    the vocabulary lacks the answer; rows: the video of each.
    """

    scores: Tensor
    labels: Tensor
    questions: list[Question]
    rows: list[int]

    @property
    def kinds(self) -> list[str]:
        return [kind_of(each) for each in self.questions]

    @property
    def guesses(self) -> Tensor:
        return self.scores.argmax(1)


def labels_of(questions: Sequence[Question], answers: Sequence[str]) -> Tensor:
    """int64 (N,), UNKNOWN for an answer that is not among `answers`."""
    number = {answer: label for label, answer in enumerate(answers)}
    return torch.tensor([number.get(each.answer, UNKNOWN) for each in questions])


def views(videos: QuestionSet, found: VideoModel, **how) -> Views:
    """The videos as the model sees them; labels are their rows. how: as in `search.views`."""
    return search.views(videos, found, **how)


def answer(
    model: AnswerModel, videos: QuestionSet, shown: Views, answers: Sequence[str], tokenizer: Tokenizer, frame_order: str = "ordered", *,
    others: bool = False, seed: int = 0, **reading,
) -> Answered:  # fmt: skip
    """The model's answers to the questions; each video is seen once, in `frame_order`. others: a control that shows
    another video instead, see `of_others`. reading: num_workers and precision.
    """

    def scores(clips, ids):
        return model(order_frames(model.prepare(clips), frame_order), ids)

    shown = of_others(shown) if others else shown
    values, questions, rows = _of_questions(scores, model, videos, shown, tokenizer, seed=seed, **reading)
    return Answered(values, labels_of(questions, answers), questions, rows)


def of_others(shown: Views) -> Views:
    """A control: each question gets another video, half the set away, since neighbours may show one scene. Uses only
    the videos that the last pass could read, if there was one. ParameterError if there is no other video.
    """
    read = set(shown.scored or shown.paths)
    videos = [video for video in shown.videos if video.path in read]
    if len(videos) < 2:
        raise ParameterError(f"{len(videos)} video to ask about: the control needs another one")
    moved, half = copy.copy(shown), len(videos) // 2
    others = videos[half:] + videos[:half]
    moved.videos = [SimpleNamespace(**vars(other) | {"label": own.label}) for own, other in zip(videos, others)]
    return moved


def read(model: AnswerModel, videos: QuestionSet, shown: Views, tokenizer: Tokenizer, **reading) -> tuple[Tensor, list[Question]]:  # fmt: skip
    """The head's inputs for each question about a readable video, float (n, width), and these questions. reading: as in
    `answer`.
    """
    found = _of_questions(lambda clips, ids: model.read(model.prepare(clips), ids), model, videos, shown, tokenizer, **reading)  # fmt: skip
    return found[:2]


def train_heads(
    model: AnswerModel, read: Tensor, labels: Tensor, queries: Tensor, *, seed: int, **how
) -> dict[str, Tensor]:
    """Trains the model's head, and a head over each of its features alone, on the output of `read`; the rest of the
    model is frozen.

    read: float (n, width); labels: int64 (n,), UNKNOWN is ignored; how: of `train_head`. -> name -> guesses int64 (m,)
    for questions with inputs `queries` (m, width); the model's own head is "together".
    """
    torch.manual_seed(seed)
    starts = dict(zip(model.widths, itertools.accumulate(model.widths.values(), initial=0)))
    heads = {
        name: (model.head_over(name), slice(starts[name], starts[name] + wide)) for name, wide in model.widths.items()
    }
    guesses = {}
    for name, (head, columns) in {**heads, "together": (model.head, slice(None))}.items():
        _learn(head, read[:, columns], labels, seed, **how)
        with torch.inference_mode():
            guesses[name] = head(queries[:, columns]).argmax(1)
    model.head.to(next(model.video_text.parameters()).device)
    return guesses


def train_own_head(model: AnswerModel, read: Tensor, labels: Tensor, *, seed: int, **how) -> None:
    """Trains only the model's own head, as in `train_heads`."""
    _learn(model.head, read, labels, seed, **how)
    model.head.to(next(model.video_text.parameters()).device)


def _learn(head: nn.Module, read: Tensor, labels: Tensor, seed: int, **how) -> None:
    """Trains a head and leaves it in eval mode, on the CPU."""
    torch.manual_seed(seed)
    known = labels != UNKNOWN
    train_head(head.train().cpu(), read[known], labels[known], batch_size=QUESTIONS, seed=seed, **how)
    head.eval()


@torch.inference_mode()
def _of_questions(function, model, videos, shown, tokenizer, num_workers=0, precision="fp32", seed=0) -> tuple[Tensor, list[Question], list[int]]:  # fmt: skip
    """function(clips uint8 (B, T, H, W, 3), ids (B, K, L)) -> (B, K, C), for all questions: (n, C), the questions, and
    the video of each. Ranks share the work.
    """
    model.eval()
    device = next(model.parameters()).device

    def of_batch(batch: dict) -> tuple[list[Tensor], list[int]]:
        seen = torch.as_tensor(batch["label"]).tolist()
        asked = [videos.records[row].questions for row in seen]
        most = max(map(len, asked))
        texts = [each.question for some in asked for each in (*some, *some[:1] * (most - len(some)))]
        ids = trimmed(tokenizer(texts)).to(device).unflatten(0, (len(asked), most))
        with autocast(device, precision):
            found = function(batch["views"].to(device)[:, 0], ids).float().cpu()
        return [of_one[: len(some)] for some, of_one in zip(asked, found)], seen

    by_batch = [*shown.each(of_batch, AT_ONCE, num_workers, seed)]
    values, seen = [each for some, _ in by_batch for each in some], [row for _, some in by_batch for row in some]
    questions = [each for row in seen for each in videos.records[row].questions]
    return torch.cat(values).clone(), questions, [row for row in seen for _ in videos.records[row].questions]


def save(run: Run, model: AnswerModel, found: VideoModel, answers: Sequence[str], tokenizer: Tokenizer) -> None:
    """Saves the model with its words, its answers and its usage to the run's checkpoints/model.safetensors, for `iv
    ask`.
    """
    used = replace(found.usage, tokenizer=tokenizer.config, answers=tuple(answers))
    save_weights(model, run.checkpoints / "model.safetensors", model.config | used.saved(model))
