"""Questions about videos: open-ended (MSRVTT-QA, MSVD-QA, TGIF-FrameQA) and multiple choice (MSR-VTT, LSMDC)."""

import json
from dataclasses import dataclass

from ivcore.data.formats.lines import LineFormat
from ivcore.data.formats.text import base_folder, parse_rows, read_text
from ivcore.data.formats.tree import Node, read_json, read_json_lines, write_json, write_json_lines
from ivcore.errors import FormatError, shown
from ivcore.files import write_text


@dataclass(frozen=True, slots=True)
class Question:
    video_id: str
    path: str
    question: str
    answer: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """answer: the number of the right option, from 0, even if the file counts from 1."""

    clip: str
    path: str
    options: tuple[str, ...]
    answer: int


def read_qa(path, root=None, suffix: str = ".mp4") -> list[Question]:
    """`{"video_id": "video0", "question": "…", "answer": "…"}`, one a line, or all in one JSON list as in MSVD-QA.

    TGIF has the key `gif_name` for the video. Generated sets add the question's `type`.
    """
    base = base_folder(path, root)
    in_list = read_text(path).lstrip().startswith("[")
    nodes = read_json(path).entries() if in_list else read_json_lines(path)
    return parse_rows(path, lambda node: _question(node, base, suffix), nodes)


def _question(node: Node, base: str, suffix: str) -> Question:
    mapping = node.expect(dict, "an object with video_id, question, answer")
    name = node.get("gif_name" if "gif_name" in mapping else "video_id").name()
    text, answer = node.get("question").text(), node.get("answer").text()
    if not text.strip() or not answer.strip():
        node.fail(f"expected no empty question or answer, found {shown(text)}, {shown(answer)}")
    kind = node.get("type").text() if "type" in mapping else ""
    return Question(name, f"{base}/{name}{suffix}", text, answer, kind)


def write_qa(path, questions, name: str = "video_id") -> None:
    """Writes one JSON object a line. name: the key of the video."""
    write_json_lines(path, ({name: q.video_id} | _entry(q) for q in questions))


def write_qa_list(path, questions) -> None:
    """Writes all questions as one JSON list in one line, with the video's number as its id, as in MSVD-QA."""
    write_text(path, json.dumps([{"video_id": int(q.video_id)} | _entry(q) for q in questions]) + "\n")


def _entry(question: Question) -> dict[str, str]:
    kind = {"type": question.kind} if question.kind else {}
    return {"question": question.question, "answer": question.answer} | kind


def read_video_numbers(path) -> dict[str, str]:
    """number -> YouTube id, from lines `<YouTube id> vid<number>` (MSVD-QA)."""
    row = LineFormat(
        "a video's name and its number, vid12", lambda base, name, number: (number, name), r"(\S+)\s+vid([0-9]+)"
    )
    return dict(row.read(path))


def read_ans2label(path) -> dict[str, int]:
    """`{"sing": 0, …}`: the closed set of answers. FormatError if a label occurs twice."""
    answers: dict[str, int] = {}
    owner: dict[int, str] = {}
    for answer, node in read_json(path).items():
        answers[answer] = label = node.whole()
        if owner.setdefault(label, answer) != answer:
            node.fail(f"expected every label once, {label} is also {shown(owner[label])}")
    if not answers:
        raise FormatError(path, None, "expected answers, found none")
    return answers


def write_ans2label(path, answers: dict[str, int]) -> None:
    write_json(path, answers)


def read_choice_jsonl(path, root=None, suffix: str = ".mp4") -> list[Choice]:
    """`{"clip_name": "video9770", "options": [five captions], "answer": 2}`, one a line, answer from 0 (MSR-VTT)."""
    base = base_folder(path, root)
    return parse_rows(path, lambda node: _choice(node, base, suffix), read_json_lines(path))


def _choice(node: Node, base: str, suffix: str) -> Choice:
    name = node.get("clip_name").name()
    options = tuple(option.text() for option in node.get("options").entries())
    answer = node.get("answer")
    if len(options) < 2 or answer.whole() >= len(options):
        node.fail(
            f"expected two or more options and an answer from 0 to one less than their number, found {shown(node.value)}"
        )
    if not options[answer.value].strip():
        node.fail("expected a sentence as the right option, found none")
    return Choice(name, f"{base}/{name}{suffix}", options, answer.value)


def write_choice_jsonl(path, choices) -> None:
    entries = ({"clip_name": c.clip, "options": list(c.options), "answer": c.answer} for c in choices)
    write_json_lines(path, entries)


def read_lsmdc_choice(path, root=None, suffix: str = ".avi") -> list[Choice]:
    """TAB-separated columns without a header: clip, four times, five options, answer **from 1** (LSMDC16's public test)."""

    def choice(base: str, clip: str, options: str, answer: str) -> Choice:
        texts = tuple(text.strip() for text in options.split("\t"))
        if not texts[int(answer) - 1]:
            raise ValueError("a sentence as the right option")
        return Choice(clip.strip(), f"{base}/{clip.strip()}{suffix}", texts, int(answer) - 1)

    expected = "11 TAB-separated columns: clip, 4 times, 5 options, answer from 1 to 5"
    columns = r"([^\t]+)(?:\t[^\t]*){4}\t([^\t]*(?:\t[^\t]*){4})\t\s*([1-5])"
    return LineFormat(expected, choice, columns).read(path, root)
