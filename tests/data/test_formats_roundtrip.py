"""What is written reads back equal, for any record that a format can hold; others are refused when they are written."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ivcore.data import formats
from ivcore.errors import FormatError

quick = settings(max_examples=50, database=None)

BASE = "/media/videos"
label = st.integers(0, 10**6)
seconds = st.floats(0, 1e6, allow_nan=False).map(lambda value: round(value, 3))
share = st.integers(0, 1000).map(lambda n: n / 1000)
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
said = text.filter(str.strip)  # not blank: a blank question, answer or sentence is refused
word = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=10)
line = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20).map(str.strip).filter(bool)
name = st.from_regex(r"[\w'\"(,-][\w '\"(),.-]{0,12}\.(mp4|avi|webm)", fullmatch=True)
path = name.map(lambda n: f"{BASE}/{n}")
identifier = st.from_regex(r"[A-Za-z0-9_-]{1,11}", fullmatch=True)
options = st.lists(text, min_size=2, max_size=6)


def there_and_back(write, read, records, **kwargs):
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "file"
        write(file, records)
        assert read(file, **kwargs) == records
        assert [f.name for f in Path(folder).iterdir()] == ["file"]


def some(*fields):
    return st.lists(st.tuples(*fields), min_size=1, max_size=8)


@quick
@given(some(path, label), st.sampled_from([" ", ",", "\t"]))
def test_kinetics(rows, separator):
    def write(file, videos):
        formats.write_kinetics_csv(file, videos, root=BASE, separator=separator)

    there_and_back(write, formats.read_kinetics_csv, [formats.LabelledVideo(*row) for row in rows], root=BASE)


def read_back(read, rows, separator=" "):
    """What a reader makes of a list with these columns."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "list"
        file.write_text("".join(separator.join(map(str, row)) + "\n" for row in rows))
        return read(file, BASE)


@quick
@given(some(path, label, st.integers(-1, 1000), label))
def test_pretraining(rows):
    assert read_back(formats.read_pretrain_list, rows) == [formats.PretrainVideo(*row) for row in rows]


@quick
@given(some(path, st.integers(1, 1000), label))
def test_frame_folders(rows):
    assert read_back(formats.read_ssv2_list, rows) == [formats.FrameFolder(*row) for row in rows]


@quick
@given(some(path, seconds, seconds, seconds, label))
def test_timed(rows):
    rows = [(p, min(a, b) + more + 0.5, min(a, b), max(a, b) + 0.5, n) for p, more, a, b, n in rows]
    assert read_back(formats.read_timed_list, rows) == [formats.TimedVideo(*row) for row in rows]


@quick
@given(st.lists(line, min_size=1, unique=True))
def test_labels_and_class_names(names):
    there_and_back(formats.write_ssv2_labels, formats.read_ssv2_labels, names)
    there_and_back(formats.write_class_names, formats.read_class_names, names)


segment = st.builds(
    lambda name, a, b, number: formats.Segment(name, min(a, b), max(a, b), number),
    text,
    seconds,
    seconds,
    st.none() | label,
)


@quick
@given(
    st.dictionaries(
        identifier,
        st.tuples(word, seconds, st.none() | st.floats(1, 240), st.lists(segment, max_size=4)),
        min_size=1,
        max_size=5,
    )
)
def test_activitynet(videos):
    records = [
        formats.UntrimmedVideo(
            i, f"{BASE}/{i}.mp4", subset, max([duration, *(s.start for s in segments)]), fps, tuple(segments)
        )
        for i, (subset, duration, fps, segments) in videos.items()
    ]
    there_and_back(formats.write_activitynet_json, formats.read_activitynet_json, records, root=BASE)


@quick
@given(some(identifier, seconds, st.tuples(share, share, share, share), st.integers(1, 80), label))
def test_ava(rows):
    def box(a, b, c, d):
        return (min(a, c), min(b, d), max(a, c), max(b, d))

    truth = [formats.AvaBox(v, t, box(*corners), action, person) for v, t, corners, action, person in rows]
    there_and_back(formats.write_ava_csv, formats.read_ava_csv, truth)
    there_and_back(formats.write_ava_excluded, formats.read_ava_excluded, [(v, t) for v, t, *_ in rows])


@quick
@given(some(st.integers(1, 500), line.map(lambda s: s.replace('"', "")), st.none() | st.just("PERSON_MOVEMENT")))
def test_ava_actions(rows):
    actions = [formats.AvaAction(*row) for row in rows]
    there_and_back(formats.write_ava_actions, formats.read_ava_actions, actions)


@quick
@given(
    st.dictionaries(identifier, st.tuples(st.lists(text, max_size=3), st.none() | word), min_size=1, max_size=5),
    st.data(),
)
def test_msrvtt(videos, data):
    records = [
        formats.CaptionedVideo(i, f"{BASE}/{i}.mp4", tuple(captions), split) for i, (captions, split) in videos.items()
    ]
    there_and_back(formats.write_msrvtt_json, formats.read_msrvtt_json, records, root=BASE)
    sentence = said.filter(lambda s: "\0" not in s and "\r" not in s)
    rows = [formats.SplitRow(i, data.draw(sentence)) for i in videos]
    there_and_back(formats.write_msrvtt_csv, formats.read_msrvtt_csv, rows)
    there_and_back(formats.write_msrvtt_csv, formats.read_msrvtt_csv, [formats.SplitRow(i) for i in videos])


@quick
@given(some(identifier, line))
def test_lsmdc(rows):
    columns = [(clip, *["00.00.00.000"] * 4, sentence) for clip, sentence in rows]
    records = [formats.ClipSentence(*row) for row in rows]
    assert read_back(formats.read_lsmdc_table, columns, "\t") == records


@quick
@given(some(identifier, said, said), st.dictionaries(text, st.none(), min_size=1, max_size=6))
def test_questions(rows, answers):
    questions = [formats.Question(v, f"{BASE}/{v}.mp4", q, a) for v, q, a in rows]
    there_and_back(formats.write_qa, formats.read_qa, questions, root=BASE)
    numbers = {answer: index for index, answer in enumerate(answers)}
    there_and_back(formats.write_ans2label, formats.read_ans2label, numbers)


@quick
@given(some(identifier, options, st.lists(line, min_size=5, max_size=5), st.integers(0, 4)))
def test_choices(rows):
    free = [
        formats.Choice(v, f"{BASE}/{v}.mp4", (*o[:n], right, *o[n:]), min(n, len(o))) for v, o, (right, *_), n in rows
    ]
    there_and_back(formats.write_choice_jsonl, formats.read_choice_jsonl, free, root=BASE)
    five = [formats.Choice(v, f"{BASE}/{v}.avi", tuple(o), n) for v, _, o, n in rows]
    columns = [(v, *["00.00.00.000"] * 4, *o, n + 1) for v, _, o, n in rows]
    assert read_back(formats.read_lsmdc_choice, columns, "\t") == five


hmdb_videos = st.dictionaries(name, st.sampled_from(["train", "test", None]), min_size=1, max_size=3)


@quick
@given(st.dictionaries(identifier, hmdb_videos, min_size=1, max_size=4))
@example({"G": {"a.avi": "train"}, "G0": {"b.avi": "train"}})  # "_" sorts after digits and capitals
def test_hmdb(marks):
    with tempfile.TemporaryDirectory() as folder:
        code = {None: 0, "train": 1, "test": 2}
        for kind, videos in marks.items():
            lines = [f"{video} {code[mark]} \n" for video, mark in videos.items()]
            (Path(folder) / f"{kind}_test_split2.txt").write_text("".join(lines))
        for part in ("train", "test"):
            expected = [
                formats.LabelledVideo(f"{BASE}/{kind}/{video}", number)
                for number, kind in enumerate(sorted(marks))
                for video, mark in marks[kind].items()
                if mark == part
            ]
            videos = formats.read_hmdb_splits(folder, 2, part, root=BASE)
            assert sorted(videos, key=str) == sorted(expected, key=str)


@pytest.mark.parametrize("bad", ["a\nb.mp4", "a.mp4 ", " a.mp4", "frames 12", "a.mp4,", "a\rb.mp4", "a.mp4\x85"])
def test_a_path_that_would_not_read_back_is_refused(tmp_path, bad):
    with pytest.raises(FormatError, match="cannot be written so that it reads back"):
        formats.write_kinetics_csv(tmp_path / "x.csv", [formats.LabelledVideo(f"{tmp_path}/{bad}", 1)])
    assert list(tmp_path.iterdir()) == []


def test_a_dataset_folder_can_be_moved(tmp_path):
    here = tmp_path / "here"
    formats.write_kinetics_csv(here / "x.csv", [formats.LabelledVideo(f"{here}/videos/a.mp4", 1)])
    assert (here / "x.csv").read_text() == "videos/a.mp4 1\n"
    here.rename(tmp_path / "there")
    (video,) = formats.read_kinetics_csv(tmp_path / "there" / "x.csv")
    assert video.path == f"{tmp_path}/there/videos/a.mp4"
