"""Videos with questions about them: the user's own files, datasets in the folders of their releases, or a generated set with questions.

    msrvtt_qa    msrvtt_qa_{train,val,test}.jsonl, msrvtt_train_ans2label.json
    msvd_qa      msvd_{train,val,test}_qa_encode.json, msvd_answer_set.txt, msvd_youtube_mapping.txt
    tgif_frame   frameqa_{train,test}.jsonl, frameqa_trainval_ans2label.json

If there is no validation list, whole videos are held out of the training list for it. If the stage chooses nothing on it, none are held out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from ivcore.data import embedded, formats, splits
from ivcore.data.captions.clip_spec import ClipSpec
from ivcore.data.captions.clips import VideosAndImages
from ivcore.data.captions.releases import video_files
from ivcore.data.formats import Question
from ivcore.data.groups import read_groups
from ivcore.data.memory import load
from ivcore.data.records import require_some
from ivcore.data.set_names import METAWORLD
from ivcore.errors import ParameterError, UserError, one_line

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class AskedVideo:
    path: str
    questions: tuple[Question, ...]


@dataclass(frozen=True)
class QuestionSet:
    """source: name of the set in results. missing: number of listed videos whose file does not exist."""

    records: list[AskedVideo]
    source: str
    missing: int = 0

    def __len__(self) -> int:
        return len(self.records)

    def first(self, count: int) -> QuestionSet:
        """The first `count` videos; 0 means all."""
        return replace(self, records=self.records[: count or None])

    def in_groups(self, count: int) -> QuestionSet:
        """One record for each `count` questions about a video; 0 keeps one record a video. The released code has count=1."""
        if not count:
            return self
        parts = [(each, each.questions[i : i + count]) for each in self.records for i in range(0, len(each.questions), count)]  # fmt: skip
        return replace(self, records=[AskedVideo(each.path, some) for each, some in parts])

    @property
    def questions(self) -> list[Question]:
        return [question for record in self.records for question in record.questions]


def sets(
    files: Mapping[str, str], *, data: str = "", release: str = "", root: str = "", num_clips: int = 0, chooses: bool = True, max_bad=None, run_dir=None
) -> tuple[dict[str, QuestionSet], list[str]]:  # fmt: skip
    """Returns (split -> its videos, the answers that the release lists or []). No video is in two splits, see `splits.part`.

    files: split (train, val, test) -> file of `formats.read_qa`, or "". They take precedence over `data`, which is a generated set or a
    folder laid out as `release` says. chooses: whether the stage chooses something on val; if not, val exists only if a list of it is given or
    published. FormatError for a malformed file, ParameterError for a missing one.
    """
    answers: list[str] = []
    if any(files.values()):
        if not files["train"]:
            raise UserError("train_questions = '': questions to test on need others to learn from")
        lists = {name: _grouped(formats.read_qa(file, root or None)) if file else None for name, file in files.items()}
        source, together = Path(files["train"]).name, read_groups(Path(files["train"]).parent, root or None)
    elif embedded.is_generated(data):
        if data not in ("", METAWORLD):
            raise ParameterError(
                f"data = {data!r}: asks no questions; must be {METAWORLD}, or empty for the moving shapes"
            )
        folder = embedded.build(data, **({} if data else {"parts": ("clips", "qa"), "train": num_clips}))
        lists = {name: _grouped(formats.read_qa(folder / f"qa_{name}.jsonl", folder / "videos")) for name in SPLITS}
        source, together = embedded.title(data), read_groups(folder)
    else:
        lists, answers = LAYOUTS[release](Path(data))
        found, source, together = video_files(Path(data)), Path(data).name, {}
        lists = {name: some and [_placed(each, found) for each in some] for name, some in lists.items()}
    lists = {name: some for name, some in lists.items() if some is not None or chooses or name != "val"}
    parted = splits.part(lists, label=lambda record: None, together=together, max_bad=max_bad, run_dir=run_dir)
    print("".join(f"{one_line(line)}\n" for line in parted.notes), end="")
    return {name: QuestionSet(parted.records[name], source, parted.missing[name]) for name in lists}, answers


def _grouped(questions: Sequence[Question]) -> list[AskedVideo]:
    """One record a video, in the order of first appearance."""
    of: dict[str, list[Question]] = {}
    for each in questions:
        of.setdefault(each.path, []).append(each)
    return [AskedVideo(path, tuple(some)) for path, some in of.items()]


def _placed(video: AskedVideo, found: Mapping[str, str]) -> AskedVideo:
    return replace(video, path=found.get(Path(video.path).stem, video.path))


Lists = tuple[dict[str, list[AskedVideo] | None], list[str]]


def _msrvtt_qa(folder: Path) -> Lists:
    lists = {name: _read(folder, f"msrvtt_qa_{name}.jsonl", name == "val") for name in SPLITS}
    return lists, _labels(folder / "msrvtt_train_ans2label.json")


def _msvd_qa(folder: Path) -> Lists:
    """The questions give numbers of videos; msvd_youtube_mapping.txt gives the names."""
    lists = {name: _read(folder, f"msvd_{name}_qa_encode.json", False) for name in SPLITS}
    names = formats.read_video_numbers(_there(folder, "msvd_youtube_mapping.txt"))
    named = {name: [_called(each, names, folder) for each in some] for name, some in lists.items()}
    return named, formats.read_class_names(_there(folder, "msvd_answer_set.txt"))


def _called(video: AskedVideo, names: Mapping[str, str], folder: Path) -> AskedVideo:
    number = video.questions[0].video_id
    if number not in names:
        raise ParameterError(
            f"data = {str(folder)!r}: msvd_youtube_mapping.txt has no vid{number}, which is asked about"
        )
    return replace(video, path=f"{folder}/{names[number]}.avi")


def _tgif_frame(folder: Path) -> Lists:
    lists = {name: _read(folder, f"frameqa_{name}.jsonl", name == "val") for name in SPLITS}
    return lists, _labels(folder / "frameqa_trainval_ans2label.json")


LAYOUTS: dict[str, Callable[[Path], Lists]] = {"msrvtt_qa": _msrvtt_qa, "msvd_qa": _msvd_qa, "tgif_frame": _tgif_frame}


def _read(folder: Path, name: str, optional: bool) -> list[AskedVideo] | None:
    return None if optional and not (folder / name).exists() else _grouped(formats.read_qa(_there(folder, name)))


def _labels(file: Path) -> list[str]:
    """Answers in the order of their labels."""
    labels = formats.read_ans2label(_there(file.parent, file.name))
    return sorted(labels, key=labels.get)


def _there(folder: Path, name: str) -> Path:
    if not (folder / name).exists():
        raise ParameterError(f"data = {str(folder)!r}: has no {name}; `iv data mini --list` shows layouts")
    return folder / name


def vocabulary(questions: Sequence[Question], listed: Sequence[str] = (), most: int = 0) -> list[str]:
    """The answers that a model can give: `listed`, or else the `most` frequent answers of these questions (0: all), most frequent first."""
    counted = Counter(each.answer for each in questions)
    return list(listed) or sorted(counted, key=lambda answer: (-counted[answer], answer))[: most or None]


def kind_of(question: Question) -> str:
    """The type of a question: from its file, else its first word (MSRVTT-QA and MSVD-QA: what, who, how, when, where)."""
    return question.kind or next(iter(question.question.lower().split()), "")


class AskedClips:
    """Items dict(video uint8 (T, size, size, 3), ids int64 (Q, L), label int64 (Q,), index int, path): a clip of an `AskedVideo` and its questions.

    Q is the largest number of questions of a record. Shorter records are filled with their first question and label -100. An answer that is not in
    `answers` has label -100, too. A record with only -100 is left out and counted in `left_out`. An unreadable video is replaced, with its questions,
    as in `Clips`. reading: max_bad, run_dir and strict of `Clips`. UserError if no record is left.
    """

    def __init__(
        self, videos: QuestionSet, answers: Sequence[str], tokenizer, spec: ClipSpec, *, seed: int, in_memory: bool, **reading
    ):  # fmt: skip
        label = {answer: number for number, answer in enumerate(answers)}
        known = [any(question.answer in label for question in record.questions) for record in videos.records]
        records = [record for record, answerable in zip(videos.records, known) if answerable]
        self.left_out = len(known) - len(records)
        if not records:
            raise UserError(f"{videos.source}: no question to learn from has one of the {len(label)} answers")
        require_some([record.path for record in records], videos.source)
        most = max(len(record.questions) for record in records)
        self.ids = {each.question: None for record in records for each in record.questions}
        self.ids = dict(zip(self.ids, tokenizer(list(self.ids)).numpy()))
        self.questions = [record.questions for record in records]
        self.labels = np.full((len(records), most), -100)
        for row, record in enumerate(records):
            self.labels[row, : len(record.questions)] = [label.get(each.answer, -100) for each in record.questions]
        kept = _decoded(records, spec, reading) if in_memory else records
        self.clips = VideosAndImages(kept, spec, seed, **reading)

    def __len__(self) -> int:
        return len(self.questions)

    def item(self, index: int, epoch: int = 0) -> dict:
        clip = self.clips.item(index, epoch)
        row = clip["index"]
        asked = [each.question for each in self.questions[row]]
        asked += asked[:1] * (self.labels.shape[1] - len(asked))
        ids = torch.from_numpy(np.stack([self.ids[text] for text in asked]))
        return {"video": clip["video"], "ids": ids, "label": torch.from_numpy(self.labels[row]), "index": row, "path": clip["path"]}  # fmt: skip


def _decoded(records: Sequence[AskedVideo], spec: ClipSpec, reading: Mapping) -> list:
    """Decodes each video once, even if several records share it; one decoded record for each of `records`."""
    once = {record.path: record for record in records}
    decoded = dict(zip(once, load(list(once.values()), spec.short_side, **reading)))
    return [decoded[record.path] for record in records]
