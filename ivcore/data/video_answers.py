"""Applies any model that `weights.load` can load to any videos: features, or probabilities of classes. Clips follow the model's own sampling.

model = VideoModel.load("30/…/model.safetensors")
for answer in answers(model.features, model, [Piece("a.mp4"), Piece("b.mov")]):  # one VideoError or tensor a piece
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ivcore import weights
from ivcore.cma import Coordinated
from ivcore.data.labels import kinetics710
from ivcore.data.windows import Decoded, Piece, Window, each_decoded
from ivcore.encoders.clip import Clip
from ivcore.encoders.generate import beam
from ivcore.encoders.tokenizer import Tokenizer
from ivcore.encoders.uniformerv2 import UniFormerV2
from ivcore.encoders.video_text import VideoTextModel
from ivcore.encoders.videomae import VideoClassifier
from ivcore.errors import ParameterError, VideoError, shown
from ivcore.heads.answer import AnswerModel
from ivcore.heads.zero_shot import ZeroShotClassifier, sentence_embeddings
from ivcore.weights import usage
from ivcore.weights.usage import Usage

AT_ONCE, BYTES = 64, 64 << 20  # clips of a batch, and their pixels
CPU_BYTES = (
    1 << 20
)  # larger batches are no faster on a CPU, and allocating memory for each costs up to a fifth of the time


@dataclass(frozen=True)
class VideoModel:
    """A model on its device, in eval mode, with its `Usage`. name: the model's name in messages."""

    model: nn.Module
    usage: Usage
    name: str

    @classmethod
    def load(cls, source: str, device: str = "cpu", name: str = "") -> VideoModel:
        """Loads a source of `weights.load`; messages use `name`. UserError if it does not load, or the model takes no videos."""
        model = weights.load(source)
        return cls(model.to(device), usage.of(source, model), name or str(source))

    @property
    def digest(self) -> str:
        """A hash of the weights' bytes; it does not depend on the model's name."""
        total = hashlib.blake2b(digest_size=16)
        for name, value in sorted(self.model.state_dict().items()):
            total.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
            total.update(
                value.contiguous().cpu().view(torch.uint8).numpy() if value.dim() else repr(value.item()).encode()
            )
        return total.hexdigest()

    @property
    def classes(self) -> list[str]:
        """The names of the classes; "class 0", … if they have no names; [] if the model has no head."""
        rows = (
            self.model.masked.num_classes
            if isinstance(self.model, Coordinated)
            else getattr(self.model, "num_classes", 0)
        )
        if rows == len(kinetics710.CLASSES) and not self.usage.classes:
            return list(kinetics710.CLASSES)
        return list(self.usage.classes) or [f"class {row}" for row in range(rows)]

    @property
    def clip_bytes(self) -> int:
        """The bytes of all crops of one decoded clip."""
        used = self.usage
        return used.image_size**2 * 3 * (used.num_frames + used.multimodal_frames) * used.test_crops

    def features(self, clips: Tensor) -> Tensor:
        """uint8 (B, T, size, size, 3) -> (B, D): the mean token of a masked encoder, the input of a classifier's head, or the embedding of
        a video-text model."""
        model = self.model
        if isinstance(model, Coordinated):
            return model.features(self._pair(clips))
        video = model.prepare(clips)
        if isinstance(model, AnswerModel):
            return model.video_text.encode_video(video)
        if isinstance(model, VideoTextModel | Clip):
            return model.encode_video(video)
        if isinstance(model, VideoClassifier | UniFormerV2):
            return model.features(video)
        return getattr(model, "encoder", model)(video).mean(1)

    def shared(self) -> tuple[Callable, Callable] | None:
        """(f, g) with f: uint8 frames (N, size, size, 3) -> tokens of each frame (N, …), and g: tokens of windows (B, T, …) -> `features`
        (B, D). None if a frame's tokens depend on its clip, by joint attention, positions in the clip or local blocks."""
        model, frames = self.model, lambda frames: self.model.prepare(frames[:, None])
        if isinstance(model, Clip):
            return lambda some: model.encode_video(frames(some)), lambda tokens: tokens.mean(1)
        visual = getattr(model, "visual", model)
        if isinstance(model, VideoTextModel | UniFormerV2) and visual.framewise:
            return lambda some: visual.frame_tokens(frames(some))[:, 0], model.gather
        return None

    def logits(self, clips: Tensor) -> Tensor:
        """uint8 (B, T, size, size, 3) -> (B, K); only for a classifier."""
        if isinstance(self.model, Coordinated):
            return self.model(self._pair(clips)).fused
        return self.model(self.model.prepare(clips))

    def _pair(self, clips: Tensor):
        frames = self.usage.multimodal_frames
        return self.model.prepare(clips[:, :-frames], clips[:, -frames:])

    def classifier(self) -> tuple[Callable, list[str]]:
        """Returns (function from clips to logits, names of the classes). ParameterError for a model without a head."""
        if not self.classes:
            raise ParameterError(f"{self.name}: {self._spoken()} has no classes of its own; {self._can()}")
        return self.logits, self.classes

    def zero_shot(
        self, labels: Sequence[str], templates: Sequence[str] = ("{}",)
    ) -> tuple[Callable, list[str], list[str]]:
        """Returns (function from clips to logits, labels, notes on unknown words and cut labels). ParameterError for a model that reads no text."""
        tokenizer = self.tokenizer("labels")
        head = ZeroShotClassifier(self.model, labels, tokenizer, templates)
        return lambda clips: head(head.prepare(clips)), list(labels), _notes(tokenizer, labels)

    def tokenizer(self, what: str = "text") -> Tokenizer:
        """The model's tokenizer. ParameterError for a model that reads no text. what: the name of the text in messages."""
        if not isinstance(self.model, VideoTextModel | Clip):
            raise ParameterError(f"{self.name}: {self._spoken()} reads no {what}; {self._can()}")
        return self._spelling(what)

    def _spelling(self, what: str) -> Tokenizer:
        if self.usage.tokenizer is None:
            raise ParameterError(
                f"{self.name}: the file does not say which words its vocabulary has, so it reads no {what}"
            )
        return self._tokenizer

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        return Tokenizer(**self.usage.tokenizer)  # slow

    @torch.inference_mode()
    def embed_text(self, sentence: str, tokenizer: Tokenizer) -> tuple[Tensor, list[str]]:
        """Returns (unit-length embedding (E,) on the CPU, notes as in `zero_shot`). tokenizer: of `tokenizer()`."""
        embedding = sentence_embeddings(self.model, [[sentence]], tokenizer)[0, 0].float().cpu()
        return embedding, _notes(tokenizer, [sentence])

    def answering(self, question: str, given: Sequence[str] | None) -> tuple[Callable, list[str], list[str]]:
        """Returns (function from clips to logits, answers, notes as in `zero_shot`). given: candidate answers, scored by how well question + answer
        match a clip; None for the answers that a model of notebook 34 has learned. ParameterError for a model that cannot do this."""
        if given is not None:
            if isinstance(self.model, AnswerModel):
                raise ParameterError(f"{self.name}: knows answers of its own; leave --answers out, or give a model of notebook 11")  # fmt: skip
            function, _, notes = self.zero_shot([f"{question} {answer}" for answer in given])
            return function, list(given), notes
        if not isinstance(self.model, AnswerModel) or not self.usage.answers:
            raise ParameterError(
                f'{self.name}: knows no answers; give a model of notebook 34, or --answers "red, blue"'
            )
        tokenizer = self._spelling("question")
        ids = tokenizer([question]).to(next(self.model.parameters()).device)

        def logits(clips: Tensor) -> Tensor:
            return self.model(self.model.prepare(clips), ids.expand(len(clips), -1))

        return logits, list(self.usage.answers), _notes(tokenizer, [question])

    def captions(self, beams: int) -> tuple[Callable, Tokenizer]:
        """Returns (function from clips to token ids (B, context) by beam search, tokenizer). ParameterError for a model that writes no captions."""
        if getattr(self.model, "caption_decoder", None) is None:
            raise ParameterError(f"{self.name}: {self._spoken()} writes no captions; give a model of notebook 11")
        tokenizer = self.tokenizer()

        def ids(clips: Tensor) -> Tensor:
            written = beam(self.model, self.model.prepare(clips), tokenizer, beams=beams)
            return F.pad(written, (0, tokenizer.context - written.shape[1]))

        return ids, tokenizer

    def notes(self) -> list[str]:
        """Notes for the user on the model's sampling."""
        used, notes = self.usage, []
        if not used.known:
            every = (
                f"{used.num_frames} frames, every {used.sampling_rate}th"
                if used.frame_sampling == "dense"
                else f"{used.num_frames} frames over the whole"
            )
            notes.append(f"{self.name}: the file does not say how it samples videos; it is shown {every}, as published")
        if used.frame_order != "ordered":
            notes.append(f"{self.name}: was taught with {used.frame_order} frames, and is shown them in order")
        return notes

    def _spoken(self) -> str:
        return "a model of answers" if isinstance(self.model, AnswerModel) else f"a {type(self.model).__name__}"

    def _can(self) -> str:
        if isinstance(self.model, AnswerModel):
            return "give a model of notebook 11; iv ask and iv features take it"
        if isinstance(self.model, VideoTextModel | Clip):
            return 'give it --labels "a dog jumps" "a cat sleeps"'
        if self.classes:
            return "it has classes of its own; for labels give a model of notebook 11"
        return (
            "give a classifier (of notebook 12, 13 or 30), or labels and a model of notebook 11; iv features takes it"
        )


def _notes(tokenizer: Tokenizer, labels: Sequence[str]) -> list[str]:
    notes = []
    if unknown := list(dict.fromkeys(word for label in labels for word in tokenizer.unknown(label))):
        words = ", ".join(word[:40] for word in unknown[:8]) + (
            f" and {len(unknown) - 8} more" if len(unknown) > 8 else ""
        )
        notes.append(f"not in the model's vocabulary, and so of little use to it: {words}")
    if cut := [label for label in labels if len(tokenizer.encode(label)) + 2 > tokenizer.context]:
        notes.append(f"cut to the {tokenizer.context} tokens that the model reads: {', '.join(map(shown, cut[:3]))}")
    return notes


@dataclass(frozen=True)
class Answer:
    """values: (W, V, D), for each window and view of a piece."""

    values: Tensor
    windows: tuple[Window, ...]


def answers(
    function: Callable[[Tensor], Tensor], of: VideoModel, todo: Sequence[Piece], workers: int = 0
) -> Iterator[tuple[int, Answer | VideoError]]:
    """Yields (index of a piece, `function` of its clips on the CPU, or its VideoError), in any order; a batch may mix clips of several videos.

    function(uint8 (B, T, size, size, 3)) -> (B, D). workers: number of decoding processes, see `data.windows.each_decoded`.
    """
    device, used = next(of.model.parameters()).device, of.usage
    size = used.image_size**2 * 3 * (used.num_frames + used.multimodal_frames)
    most = max(1, min(AT_ONCE, (CPU_BYTES if device.type == "cpu" else BYTES) // size))
    waiting, held = [], 0
    for index, result in each_decoded(todo, used.views(), workers):
        if isinstance(result, VideoError):
            yield index, result
            continue
        waiting.append((index, result))
        held += result.clips.shape[0] * result.clips.shape[1]
        if held >= most:
            yield from _answered(function, waiting, most, device)
            waiting, held = [], 0
    yield from _answered(function, waiting, most, device)


def in_order(
    function, of: VideoModel, todo: Sequence[Piece], workers: int = 0
) -> Iterator[tuple[str, Answer | VideoError]]:
    """Yields (path, answer) as `answers`, but in the order of `todo`."""
    ready, shown = {}, 0
    for index, answer in answers(function, of, todo, workers):
        ready[index] = answer
        while shown in ready:
            yield todo[shown].path, ready.pop(shown)
            shown += 1


@torch.inference_mode()
def _answered(function, waiting: list[tuple[int, Decoded]], most: int, device) -> list[tuple[int, Answer]]:
    if not waiting:
        return []
    views = [torch.from_numpy(decoded.clips).flatten(0, 1) for _, decoded in waiting]
    values = torch.cat([function(part.to(device)).float().cpu() for part in torch.cat(views).split(most)]).clone()
    parts = values.split([len(each) for each in views])
    return [
        (index, Answer(part.unflatten(0, decoded.clips.shape[:2]), decoded.windows))
        for (index, decoded), part in zip(waiting, parts)
    ]


def one_clip(model: VideoModel) -> VideoModel:
    """The same model with one test clip instead of several, for short windows."""
    return replace(model, usage=replace(model.usage, test_clips=1))
