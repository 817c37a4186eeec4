"""Miniatures of datasets with sentences about videos: retrieval, and multiple choice."""

import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ivcore.data import formats, shapes
from ivcore.data.formats import CaptionedVideo, SplitRow
from ivcore.data.mini import films
from ivcore.files import write_atomic, write_text

VATEX = {"training": ("train",), "validation": ("val", "test")}
MOVIES = ("0001_Mini_Shapes", "0002_Mini_Squares")


def msrvtt(folder: Path) -> None:
    """Like the lists of 9,000 training and 1,000 test videos, the latter with one sentence each. Multiple choice has five sentences."""
    videos = [(split, _video(folder, f"videos/video{number}.mp4", video)) for split, number, video in _filmed(val=0)]
    said = {
        "train": ("validate", *3 * ("train",)),
        "test": ("test",),
    }  # some training videos of the lists are validation videos in the JSON's own split
    listed = [replace(video, split=said[split][n % len(said[split])]) for n, (split, video) in enumerate(videos)]
    formats.write_msrvtt_json(folder / "MSRVTT_data.json", listed)
    of = {part: [video for split, video in videos if split == part] for part in ("train", "test")}
    formats.write_msrvtt_csv(folder / "MSRVTT_train.9k.csv", [SplitRow(video.id) for video in of["train"]])
    rows = [SplitRow(video.id, video.captions[0]) for video in of["test"]]
    formats.write_msrvtt_csv(folder / "MSRVTT_JSFUSION_test.csv", rows)
    choices = [formats.Choice(*asked) for asked in _asked(of["test"])]
    formats.write_choice_jsonl(folder / "msrvtt_mc_test.jsonl", choices)


def msvd(folder: Path) -> None:
    videos = [(split, _video(folder, f"videos/mini{number:07d}_0_2.avi", video)) for split, number, video in _filmed()]
    table = {video.id: [text.split() for text in video.captions] for _, video in videos}
    write_atomic(folder / "raw-captions.pkl", lambda scratch: scratch.write_bytes(pickle.dumps(table, protocol=2)))
    _lists(folder, videos)


def lsmdc(folder: Path) -> None:
    """One folder a film, one sentence a clip. Multiple choice counts its answers from 1."""
    kept: dict[str, list[CaptionedVideo]] = {}
    for split, number, video in _filmed():
        film, at = MOVIES[number % 2], f"00.{number:02d}.00.000-00.{number:02d}.02.000"
        kept.setdefault(split, []).append(_video(folder, f"videos/{film}/{film}_{at}.avi", video))
    files = {"train": "LSMDC16_annos_training", "val": "LSMDC16_annos_val", "test": "LSMDC16_challenge_1000_publictect"}
    for split, videos in kept.items():
        rows = (f"{_timed(video)}\t{_someone(video)}\n" for video in videos)
        write_text(folder / f"{files[split]}.csv", "".join(rows))
    asked = _asked(kept["test"])
    rows = (f"{_timed(v)}\t" + "\t".join(options) + f"\t{answer + 1}\n" for v, (*_, options, answer) in zip(kept["test"], asked))  # fmt: skip
    write_text(folder / "LSMDC16_multiple_choice_test_randomized.csv", "".join(rows))


def activitynet(folder: Path) -> None:
    """Videos of several actions with one sentence each; the paragraph of these sentences is the video's query."""
    parts = {"train": ("train_ids.json", "train.json"), "val": ("val_ids.json", "val_1.json")}
    told: dict[str, list] = {"train": [], "val": []}
    for split, name, moments in _moments(folder, "videos/v_{}.mp4"):
        told[split].append((f"v_{name}", moments[-1][1], moments))
    for split, (ids, captions) in parts.items():
        formats.write_video_ids(folder / ids, [name for name, *_ in told[split]])
        formats.write_paragraphs(folder / captions, told[split])


def didemo(folder: Path) -> None:
    """Descriptions of moments in chunks of five seconds, each chosen by four annotators."""
    told: dict[str, list] = {"train": [], "val": [], "test": []}
    for number, (split, name, moments) in enumerate(_moments(folder, "videos/{}.mp4")):
        split = "test" if split == "val" else "train" if number % 4 else "val"
        told[split].append((f"{name}.mp4", moments))
    for split, videos in told.items():
        rows = [
            (name, text, [[int(start // 5), int(end // 5)]] * 4) for name, moments in videos for start, end, text in moments
        ]  # fmt: skip
        formats.write_didemo(folder / f"{split}_data.json", rows)
        formats.write_video_ids(folder / f"{split}_list.txt", [name for name, _ in videos])


def vatex(folder: Path) -> None:
    """Ten sentences a video, in one file for training and one for validation; the test list names videos of the latter."""
    videos = [
        (split, _video(folder, f"videos/{films.youtube_id(number)}_000010_000020.mp4", video, 10))
        for split, number, video in _filmed(val=0)
    ]
    for name, splits in VATEX.items():
        formats.write_vatex(folder / f"vatex_{name}_v1.0.json", [video for split, video in videos if split in splits])
    _lists(folder, videos)


def _filmed(
    train: int = films.TRAIN, val: int = 1, test: int = films.VAL
) -> Iterator[tuple[str, int, shapes.plan.Video]]:
    """Yields (split, number, video)."""
    for number, video in enumerate(shapes.clips(films.setting(train=train, val=val, test=test))):
        yield video.split, number, video


def _video(folder: Path, file: str, video: shapes.plan.Video, captions: int = 5) -> CaptionedVideo:
    """Writes the video, with this number of captions; beyond five, captions repeat."""
    scene, path = video.shots[0].scene(films.setting()), films.shoot(folder / file, video)
    return CaptionedVideo(Path(file).stem, path, tuple(scene.caption(style) for style in range(captions)))


def _lists(folder: Path, videos: list[tuple[str, CaptionedVideo]]) -> None:
    for split in dict.fromkeys(split for split, _ in videos):
        formats.write_video_ids(folder / f"{split}_list.txt", [video.id for part, video in videos if part == split])


def _asked(videos: list[CaptionedVideo]) -> list[tuple[str, str, tuple[str, ...], int]]:
    """(clip, path, five sentences, number of its own) of each video; the other four belong to the next videos."""
    texts = [video.captions[0] for video in videos]
    asked = []
    for number, video in enumerate(videos):
        others = [texts[(number + step) % len(texts)] for step in range(1, 5)]
        answer = number % 5
        asked.append((video.id, video.path, (*others[:answer], texts[number], *others[answer:]), answer))
    return asked


def _timed(video: CaptionedVideo) -> str:
    """The first five columns of LSMDC."""
    start, end = video.id.split("_")[-1].split("-")
    return "\t".join((video.id, start, end, start, end))


def _someone(video: CaptionedVideo) -> str:
    return f"SOMEONE sees {video.captions[0]}"


def _moments(folder: Path, place: str) -> Iterator[tuple[str, str, list[tuple[float, float, str]]]]:
    """Yields (train or val, id, moments (start, end, sentence) in seconds) of untrimmed videos."""
    config = films.setting(untrimmed=9)
    for number, video in enumerate(shapes.untrimmed_videos(config)):
        name, moments, frame = films.youtube_id(number), [], 0
        films.shoot(folder / place.format(name), video, config)
        for shot in video.shots:
            text = shot.scene(config).caption()
            moments.append((frame / config.fps, (frame + shot.frames) / config.fps, text))
            frame += shot.frames
        yield ("val" if video.split == "validation" else "train"), name, moments
