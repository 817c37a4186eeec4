"""Miniatures of datasets with one label a clip: recognition, zero-shot and open-set."""

from pathlib import Path

from ivcore.data import formats, shapes
from ivcore.data.formats import FrameFolder, LabelledVideo, TimedVideo
from ivcore.data.labels import kinetics710
from ivcore.data.mini import films
from ivcore.files import write_text

TEMPLATES = (  # Something-Something, in the order of the released numbers
    "Approaching something with your camera",
    "Attaching something to something",
    "Bending something so that it deforms",
    "Bending something until it breaks",
)
UCF, HMDB = ("ApplyEyeMakeup", "ApplyLipstick", "Archery", "BabyCrawling"), ("brush_hair", "cartwheel", "catch", "chew")
MIT = ("adult+female+singing", "adult+female+speaking", "adult+male+singing")


def kinetics(folder: Path, rows: tuple[int, ...]) -> None:
    """Writes the lists that VideoMAE reads; each class has a folder of its name. rows: numbers of the classes in Kinetics-710."""
    names = sorted(kinetics710.CLASSES[row] for row in rows)
    lists = _lists(folder, [f"{name.replace(' ', '_')}/{{}}.mp4" for name in names])
    for name, split in (("train", "train"), ("val", "val"), ("test", "val")):
        formats.write_kinetics_csv(folder / f"{name}.csv", lists[split])


def hacs(folder: Path) -> None:
    for split, videos in _lists(folder, ["videos/v_{}.mp4"] * 4).items():
        formats.write_kinetics_csv(folder / f"{split}.csv", videos, separator=",")


def kinetics_zero_shot(folder: Path) -> None:
    names = kinetics710.CLASSES[:4]
    lists = _lists(folder, [f"{name.replace(' ', '_')}/{{}}.mp4" for name in names], train=0)
    formats.write_kinetics_csv(folder / "k400_test_tsm.list", lists["val"], separator="\t")
    formats.write_class_names(folder / "kinetics_label_map.txt", names)


def something_v1(folder: Path) -> None:
    lists = _frames(folder, "{:05d}.jpg")
    write_text(folder / "something-something-v1-labels.csv", "".join(f"{name}\n" for name in sorted(TEMPLATES)))
    for split, videos in lists.items():
        formats.write_ssv2_list(folder / f"somesomev1_rgb_{split}_split.txt", videos)
        rows = (f"{Path(video.path).name};{TEMPLATES[video.label]}\n" for video in videos)
        write_text(folder / f"something-something-v1-{_WORDS[split]}.csv", "".join(rows))


def something_v2(folder: Path) -> None:
    lists = _frames(folder, "img_{:05d}.jpg")
    formats.write_ssv2_labels(folder / "labels/labels.json", TEMPLATES)
    for split, videos in lists.items():
        formats.write_ssv2_list(folder / f"{split}.csv", videos)
    formats.write_ssv2_list(folder / "test.csv", lists["val"])


_WORDS = {"train": "train", "val": "validation"}


def activitynet_trimmed(folder: Path) -> None:
    """UniFormerV2's lists: one row for each labelled segment of an untrimmed video."""
    config = films.setting(untrimmed=9)
    lists: dict[str, list[TimedVideo]] = {"train": [], "val": []}
    for number, video in enumerate(shapes.untrimmed_videos(config)):
        path = films.shoot(folder / f"videos/v_{films.youtube_id(number)}.mp4", video, config)
        whole = shapes.timelines.untrimmed(config, folder, video)
        lists["val" if video.split == "validation" else "train"] += [
            TimedVideo(path, whole.duration, s.start, s.end, s.label_id) for s in whole.segments
        ]
    for split, rows in lists.items():
        formats.write_timed_list(folder / f"{split}.csv", rows, separator=",")


def hmdb51(folder: Path) -> None:
    """Three splits of the same videos; a video that a split does not use has the mark 0 there."""
    videos: dict[str, list[str]] = {}
    for _, label, number, video in films.trimmed(train=8, val=1):
        name = f"mini_{HMDB[label]}_u_nm_np1_fr_med_{number}.avi"
        films.shoot(folder / HMDB[label] / name, video)
        videos.setdefault(HMDB[label], []).append(name)
    for split in (1, 2, 3):
        for label, names in videos.items():
            marks = [2 if n % 3 == split - 1 else 0 if n == (split + 4) % 9 else 1 for n in range(len(names))]
            rows = "".join(f"{name} {mark} \n" for name, mark in zip(names, marks))
            write_text(folder / f"testTrainMulti_7030_splits/{label}_test_split{split}.txt", rows)


def open_set(folder: Path, unknown: str, classes: tuple[str, ...]) -> None:
    """Writes UCF101 as the known set and another set as the unknown one: flat lists, with the videos of each set in its folder `videos`."""
    known = folder / "ucf101"
    lists = _lists(known, [f"videos/v_{name}_{{}}.avi" for name in UCF], name=lambda number: f"g{number + 1:02d}_c01")
    write_text(known / "classInd.txt", "".join(f"{number} {name}\n" for number, name in enumerate(UCF, 1)))
    for split, videos in lists.items():
        formats.write_kinetics_csv(known / f"ucf101_{split}_split_1_videos.txt", videos, known / "videos")
    config, videos = films.setting(unknown=3), []
    folder, ending = folder / unknown, "avi" if unknown == "hmdb51" else "mp4"
    for number, video in enumerate(shapes.unknown_clips(config)):
        label = config.unknown_actions.index(video.action)
        path = films.shoot(folder / f"videos/{classes[label]}_{number}.{ending}", video, config)
        videos.append(LabelledVideo(path, label))
    formats.write_kinetics_csv(folder / f"{unknown}_val_split_1_videos.txt", videos, folder / "videos")


def _lists(folder: Path, patterns: list[str], name=films.youtube_id, **counts) -> dict[str, list[LabelledVideo]]:
    """Writes the clips; returns split -> videos. patterns: for each class the path of a clip, with {} for its id, name(number)."""
    lists: dict[str, list[LabelledVideo]] = {}
    for split, label, number, video in films.trimmed(**counts):
        path = films.shoot(folder / patterns[label].format(name(number)), video)
        lists.setdefault(split, []).append(LabelledVideo(path, label))
    return lists


def _frames(folder: Path, name: str) -> dict[str, list[FrameFolder]]:
    lists: dict[str, list[FrameFolder]] = {}
    for split, label, number, video in films.trimmed():
        path, count = films.unpack(folder / f"frames/{number + 1}", video, name)
        lists.setdefault(split, []).append(FrameFolder(path, count, label))
    return lists
