"""Miniatures of datasets with questions about videos. Some test answers do not occur in training."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from ivcore.data import formats, shapes
from ivcore.data.formats import Question
from ivcore.data.mini import films
from ivcore.files import write_text

RARE = "slowly"  # an answer that occurs only in the test set


def msrvtt_qa(folder: Path) -> None:
    asked = _asked(folder, "videos/video{}.mp4", "video{}", val=1)
    for split, questions in asked.items():
        formats.write_qa(folder / f"msrvtt_qa_{split}.jsonl", questions)
    formats.write_ans2label(folder / "msrvtt_train_ans2label.json", _labels(asked["train"]))


def msvd_qa(folder: Path) -> None:
    """Videos are numbered from 1; their files are named after their YouTube clips."""
    asked = _asked(folder, "videos/mini{:07d}_0_2.avi", "{}", val=1)
    for split, questions in asked.items():
        formats.write_qa_list(folder / f"msvd_{split}_qa_encode.json", questions)
    formats.write_class_names(folder / "msvd_answer_set.txt", _labels(asked["train"]))
    numbers = sorted({int(each.video_id) for questions in asked.values() for each in questions})
    rows = (f"mini{number:07d}_0_2 vid{number}\n" for number in numbers)
    write_text(folder / "msvd_youtube_mapping.txt", "".join(rows))


def tgif_frame(folder: Path) -> None:
    """There is no validation list, and the key of the video is gif_name."""
    asked = _asked(folder, "gifs/tumblr_mini{}.mp4", "tumblr_mini{}", val=0)
    for split in ("train", "test"):
        formats.write_qa(folder / f"frameqa_{split}.jsonl", asked[split], "gif_name")
    formats.write_ans2label(folder / "frameqa_trainval_ans2label.json", _labels(asked["train"]))


def _labels(questions: list[Question]) -> dict[str, int]:
    answers = Counter(each.answer for each in questions)
    return {answer: label for label, (answer, _) in enumerate(answers.most_common())}


def _asked(folder: Path, file: str, name: str, val: int) -> dict[str, list[Question]]:
    asked: dict[str, list[Question]] = {"train": [], "test": []} | ({"val": []} if val else {})
    config = films.setting(train=films.TRAIN, val=val, test=films.VAL)
    for number, video in enumerate(shapes.clips(config), 1):
        path = films.shoot(folder / file.format(number), video)
        asked[video.split] += [
            Question(name.format(number), path, text, answer) for text, answer in _about(video, config, number)
        ]
    return asked


def _about(video: shapes.plan.Video, config, number: int) -> Iterator[tuple[str, str]]:
    thing = video.shots[0].scene(config).objects[0]
    yield "what is moving", thing.shape
    yield f"what colour is the {thing.shape}", thing.colour
    if video.split == "test" and number % 4 == 0:
        yield "how does it move", RARE
