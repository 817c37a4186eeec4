"""`iv timeline`: labels the windows and moments of a long video. Files in its folder:

rows.f32          float32, one row per window, in order: its features, or the scores of a coordinated model
windows.jsonl     for each row: frames, seconds, and for some a small picture and a caption
settings.json     state of the video, model, and how windows are taken
timeline.json     the answer, with the page timeline.html, unless the user names other files

Rows are added in parts, numbers first. After any stop the next call drops an incomplete part and continues after the
last complete one; the result is the same to the byte. Other labels for the same video use the existing rows.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ivcore import files, lock, paths, signals
from ivcore.cma import Coordinated
from ivcore.data.one_pass import Part, Pass
from ivcore.data.video_answers import VideoModel
from ivcore.errors import UserError
from ivcore.heads.moments import Moment, moments
from ivcore.heads.zero_shot import class_embeddings, class_logits
from ivcore.progress import Progress
from ivcore.run.spec import brief
from ivcore.video.frame_folder import open_video

HEIGHT = 96  # largest side of stored pictures, in pixels
TOP = 5  # labels of a window in the JSON if there are more than MANY
MANY = 20
AT_ONCE = 1024  # rows that are labelled together


@dataclass(frozen=True)
class TimelineRequest:
    """A request for one video. labels: () for the model's own classes. captions: seconds between sentences, None
    without.
    smooth: seconds over which probabilities are averaged, None for the length of a window."""

    video: str
    labels: tuple[str, ...]
    span: float | None
    every: float | None
    captions: float | None
    beams: int
    smooth: float | None


class Timeline:
    """The folder of one video, model and way to take windows. UserError if in use; VideoError for a bad video."""

    def __init__(self, asked: TimelineRequest, model: VideoModel):
        self.asked, self.model = asked, model
        with open_video(asked.video) as video:
            self.length, self.fps = len(video), video.fps
            self.duration = float(video.times[-1]) + 1 / video.fps
        self.way = Pass.of(model, self.fps, asked.span, asked.every, self.length)
        self.count, self.most = self.way.count(self.length), self.way.most(model)
        seconds = self.way.stride * self.way.step / self.fps
        self.spoken = asked.captions and max(1, round(asked.captions / seconds))
        self.pictured = max(1, self.way.num_frames // self.way.stride)
        self.folder = paths.outputs() / "timeline" / self._name()

    @property
    def seconds(self) -> tuple[float, float]:
        """(seconds of a window, seconds from one window to the next), rounded to whole frames."""
        return self.way.span / self.fps, self.way.stride * self.way.step / self.fps

    @property
    def smooth(self) -> float:
        """Seconds over which probabilities are averaged."""
        return self.asked.smooth or self.seconds[0]

    @cached_property
    def settings(self) -> dict:
        told = ("classes", "answers", "tokenizer", "known")
        used = {name: value for name, value in asdict(self.model.usage).items() if name not in told and value is not None}  # fmt: skip
        own = {
            "video": self.asked.video,
            "state": list(files.fingerprint(self.asked.video)),
            "weights": self.model.digest,
        }
        said = {"captions": self.spoken, "beams": self.asked.beams if self.spoken else None}
        return own | asdict(self.way) | said | used | {"classes": not self.asked.labels}

    def _name(self) -> str:
        digest = hashlib.sha256(json.dumps(self.settings, sort_keys=True).encode(errors="surrogateescape")).hexdigest()[:8]  # fmt: skip
        name = "".join(c if c.isalnum() or c in "-_." else "_" for c in Path(self.asked.video).stem) or "video"
        return f"{name[:80]}-{brief(self.model.name).replace('/', '-').replace(':', '-')[:60]}-{digest}"

    # ---- the pass

    def fill(self) -> str:
        """Computes the missing rows. Returns "", or "interrupted" or "terminated" after a signal. UserError."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{self.folder}: cannot be made: {error.strerror}") from None
        with lock.held(self.folder), signals.ending() as stopped:
            files.write_json(self.folder / "settings.json", self.settings | {"model": self.model.name})
            begin = self._whole()
            self._add(begin) if begin < self.count else None
        return stopped[0] if stopped else ""

    def _add(self, begin: int) -> None:
        said = self.model.captions(self.asked.beams) if self.spoken else None
        with (
            open(self.folder / "rows.f32", "ab") as rows,
            open(self.folder / "windows.jsonl", "ab") as lines,
            Progress(self.count, "timeline", start=begin, unit="window") as bar,
        ):
            for part in self.way.parts(self.asked.video, self.model, self._row, begin):
                rows.write(part.values.tobytes())
                _sync(rows)
                lines.write("".join(f"{json.dumps(line)}\n" for line in self._lines(part, bar.done, said)).encode())
                _sync(lines)
                bar.update(bar.done + len(part.windows))

    def _row(self, clips: Tensor) -> Tensor:
        """A row per clip: its features; for a coordinated model its scores, which do not follow from features."""
        if not isinstance(self.model.model, Coordinated):
            return self.model.features(clips)
        frames, pairs = clips.shape[1], self.model.usage.multimodal_frames
        again = ((torch.arange(pairs) + 0.5) * frames / pairs).long()
        return self.model.logits(torch.cat((clips, clips[:, again]), 1))

    def _lines(self, part: Part, first: int, said) -> Iterator[dict]:
        captions = self._captions(part, first, said) if said else {}
        for n, window in enumerate(part.windows):
            line = asdict(window)
            if (first + n) % self.pictured == 0:
                line["picture"] = _picture(part.frames[part.index[n, self.way.num_frames // 2]])
            yield line | ({"caption": captions[n]} if n in captions else {})

    @torch.inference_mode()
    def _captions(self, part: Part, first: int, said) -> dict[int, str]:
        ids, tokenizer = said
        chosen = [n for n in range(len(part.windows)) if (first + n) % self.spoken == 0]
        if not chosen:
            return {}
        device = next(self.model.model.parameters()).device
        written = ids(torch.from_numpy(part.frames[part.index[chosen]]).to(device))
        return {n: tokenizer.caption(row) for n, row in zip(chosen, written)}

    def _whole(self) -> int:
        """Number of rows in complete parts. Truncates both files after these."""
        try:
            lines = (self.folder / "windows.jsonl").read_bytes().split(b"\n")[:-1]
            size = (self.folder / "rows.f32").stat().st_size
        except FileNotFoundError:
            lines, size = [], 0
        there = min(next((n for n, line in enumerate(lines) if not _sound(line)), len(lines)), size // (4 * self.width))
        there = self.count if there >= self.count else there // self.most * self.most
        for name, kept in (("windows.jsonl", sum(len(line) + 1 for line in lines[:there])), ("rows.f32", 4 * self.width * there)):  # fmt: skip
            with open(self.folder / name, "ab") as file:
                file.truncate(kept)
        return there

    @cached_property
    def width(self) -> int:
        """Length of a row."""
        size, device = self.model.usage.image_size, next(self.model.model.parameters()).device
        with torch.inference_mode():
            one = torch.zeros(1, self.way.num_frames, size, size, 3, dtype=torch.uint8, device=device)
            return self._row(one).shape[1]

    # ---- the answer

    def windows(self) -> Iterator[dict]:
        """Yields the entries of windows.jsonl."""
        with open(self.folder / "windows.jsonl", "rb") as file:
            yield from map(json.loads, file)

    @torch.inference_mode()
    def probabilities(self) -> tuple[np.ndarray, list[str]]:
        """(probabilities float32 (N, K) of N windows, K names of labels)."""
        rows = np.memmap(self.folder / "rows.f32", np.float32, "r").reshape(self.count, self.width)
        logits, names = self._head()
        device = next(self.model.model.parameters()).device
        parts = [
            logits(torch.from_numpy(np.array(rows[i : i + AT_ONCE])).to(device)).float().softmax(-1).cpu().numpy()
            for i in range(0, len(rows), AT_ONCE)
        ]
        return np.concatenate(parts), names

    def _head(self) -> tuple[Callable[[Tensor], Tensor], list[str]]:
        if not self.asked.labels:
            _, names = self.model.classifier()
            own = self.model.model
            return (lambda rows: rows) if isinstance(own, Coordinated) else own.classify, names
        model = self.model.model
        texts = class_embeddings(model, self.asked.labels, self.model.tokenizer("labels"), ("{}",))
        scale = model.logit_scale.exp()
        return lambda rows: class_logits(F.normalize(rows, dim=-1), texts, scale), list(self.asked.labels)

    def moments(self, probabilities: np.ndarray) -> list[Moment]:
        times = np.array([(row["start"], row["end"]) for row in self.windows()])
        times[0, 0], times[-1, 1] = 0.0, self.duration
        return moments(probabilities, *times.T, self.smooth)

    def write_json(self, place: Path, probabilities: np.ndarray, names: list[str], found: list[Moment]) -> None:
        """Writes timeline.json line by line, so that memory does not grow with the length of the video."""
        span, every = self.seconds
        told = [{"label": names[m.label], "start": round(m.start, 3), "end": round(m.end, 3), "score": round(m.score, 6)} for m in found]  # fmt: skip
        head = {"video": self.asked.video, "duration": round(self.duration, 3), "model": self.model.name, "labels": names,
                "window": round(span, 3), "every": round(every, 3), "smooth": round(self.smooth, 3), "features": str(self.folder / "rows.f32"), "width": self.width}  # fmt: skip
        few = np.argsort(-probabilities, 1, kind="stable")[:, : len(names) if len(names) <= MANY else TOP]

        def write(scratch: Path) -> None:
            with open(scratch, "w", encoding="utf-8") as file:
                file.write(json.dumps(head)[:-1] + ', "moments": [\n' + ",\n".join(map(json.dumps, told)) + '\n], "windows": [')  # fmt: skip
                for n, row in enumerate(self.windows()):
                    scores = {names[k]: round(float(probabilities[n, k]), 6) for k in few[n]}
                    line = {"start": row["start"], "end": row["end"], "scores": scores}
                    line |= {"caption": row["caption"]} if "caption" in row else {}
                    file.write(",\n" * (n > 0) + "\n" * (n == 0) + json.dumps(line))
                file.write("\n]}\n")

        files.write_atomic(place, write)


def _sound(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _sync(file) -> None:
    file.flush()
    os.fsync(file.fileno())


def _picture(frame: np.ndarray) -> str:
    from PIL import Image

    image = Image.fromarray(frame)
    image.thumbnail((HEIGHT, HEIGHT))
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=75)
    return base64.b64encode(buffer.getvalue()).decode()
