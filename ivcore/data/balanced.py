"""Questions of generated sets, balanced over the answers, so that the question alone does not reveal its answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ivcore.data import formats


@dataclass(frozen=True)
class Candidate:
    """A question that could be asked. kind: its type, such as `which colour`. choice: questions of one kind and one choice have the same
    possible answers."""

    kind: str
    choice: str
    video_id: str
    path: str
    question: str
    answer: str

    @property
    def record(self) -> formats.Question:
        return formats.Question(self.video_id, self.path, self.question, self.answer, self.kind)


def balanced(candidates: Iterable[Candidate], seed: int) -> list[Candidate]:
    """Keeps equally many questions for each answer of a choice, as many as the rarest answer has. They are sampled at random; order is kept.
    A choice with one answer is dropped."""
    candidates = list(candidates)
    groups: dict[tuple[str, str], dict[str, list[int]]] = {}
    for place, each in enumerate(candidates):
        groups.setdefault((each.kind, each.choice), {}).setdefault(each.answer, []).append(place)
    rng, kept = np.random.default_rng((seed, 5)), []
    for answers in groups.values():
        least = min(map(len, answers.values())) if len(answers) > 1 else 0
        kept += [int(place) for places in answers.values() for place in rng.permutation(places)[:least]]
    return [candidates[place] for place in sorted(kept)]


def write_questions(folder: Path, asked: Mapping[str, Iterable[Candidate]], seed: int) -> None:
    """Writes qa_<split>.jsonl (MSRVTT-QA) of each split, balanced, and train_ans2label.json, the answers of the training questions."""
    kept = {split: balanced(candidates, seed) for split, candidates in asked.items()}
    for split, questions in kept.items():
        formats.write_qa(folder / f"qa_{split}.jsonl", [each.record for each in questions])
    answers = sorted({each.answer for each in kept["train"]})
    formats.write_ans2label(folder / "train_ans2label.json", {answer: label for label, answer in enumerate(answers)})
