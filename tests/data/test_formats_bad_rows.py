"""Rows that do not read: one stops the reader, unless single rows are to be left out; then the others arrive, and each bad one is listed."""

import json
import string
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from workbook import Workbook

from ivcore.data import formats
from ivcore.errors import FormatError, ParameterError
from ivcore.run import execute as run
from ivcore.run import start

quick = settings(max_examples=60, database=None)

AVA = "v,0902,0.1,0.1,0.2,0.2,80,1\n"
SEGMENTS = [{"label": "a", "segment": [0, 1]}, {"label": "a", "segment": [2, 1]}, {"label": "b", "segment": [-0.1, 1]}]
NETS = {
    "v1": {"subset": "x", "duration": 9, "annotations": SEGMENTS},
    "v2": {"subset": "x", "duration": 9, "annotations": None},
    "v3": {"subset": "x", "duration": None, "annotations": []},
}
RETRIEVAL = {"videos": [{"video_id": "v"}], "sentences": [{"video_id": "v", "caption": "x"}, {"video_id": "w", "caption": "y"}, {"video_id": "v", "caption": None}]}  # fmt: skip
# kind, content, how many records are good, lines of the bad rows
CASES = [
    ("ava_csv", AVA + "v,0902,0.1,0.1,0.2,1.001,80,1\nv,0902,-0.001,0.1,0.2,0.9,80,1\n", 1, [2, 3]),
    ("ava_csv", AVA + "v,0902,0.1,0.1,0.2,0.2,80,-1\nv,0902,0.1,0.1,0.2,0.2,0,1\n", 1, [2, 3]),
    ("ava_csv", "video_id,timestamp,x1,y1,x2,y2,action_id,person_id\n" + AVA, 1, [1]),
    ("ava_excluded", "v,0902\nv\n", 1, [2]),
    ("activitynet_json", json.dumps({"database": NETS}, indent=1), 1, [16, 24, 33, 37]),
    ("kinetics_csv", "path label\na.mp4 0\nb.mp4 -1\nc.mp4 dancing\nd.mp4 1\n", 2, [1, 3, 4]),
    ("kinetics_csv", "a.mp4;0\nb.mp4 1\n", 1, [1]),
    ("video_list", "path start frames label\na.mp4 0 -1 0\nb 0 x 0\n", 1, [1, 3]),
    ("pretrain_list", "a.mp4 0 -1 0\nb.mp4 0\n", 1, [2]),
    ("ssv2_list", "a 10 0\nb 0 0\n", 1, [2]),
    ("timed_list", "a.mp4 10 0 5 1\nb.mp4 10 5 5 1\n", 1, [2]),
    ("kinetics_release", "label,youtube_id,time_start,time_end\nx,abcdefghijk,0,10\ny,#NAME?,0,10\nz,abcdefghijk,10,0\n", 1, [3, 4]),
    ("msrvtt_json", json.dumps(RETRIEVAL), 1, [1, 1]),
    ("msrvtt_csv", "key,vid_key,video_id,sentence\na,b,c,d\na,b,c,\na,b\n", 1, [3, 4]),
    ("caption_csv", "path,caption\na.mp4,x\n,y\nb.mp4\n", 1, [3, 4]),
    ("caption_json", '[{"path": "a.mp4", "caption": "x"},\n {"path": "b.mp4"}, null]', 1, [2, 2]),
    ("qa", '{"video_id": "a", "question": "q", "answer": "b"}\n{"video_id": \n{"video_id": "a"}\n', 1, [2, 3]),
    ("choice_jsonl", '{"clip_name": "a", "options": ["x", "y"], "answer": 1}\n{"clip_name": "a", "options": ["x", "y"], "answer": 2}\n', 1, [2]),
    ("lsmdc_table", "c\t1\t2\t3\t4\ts\nc\ts\n", 1, [2]),
]  # fmt: skip


@pytest.mark.parametrize("kind, content, good, bad", CASES, ids=[f"{c[0]}-{n}" for n, c in enumerate(CASES)])
def test_strict_or_left_out_and_listed(tmp_path, kind, content, good, bad):
    file = tmp_path / "list"
    file.write_text(content)
    read = getattr(formats, f"read_{kind}")
    with pytest.raises(FormatError):
        read(file)
    with formats.without_bad_rows() as left:
        assert len(read(file)) == good
    assert [error.line for error in left] == bad and {error.path for error in left} == {str(file)}
    with pytest.raises(FormatError):  # strict again
        read(file)


def test_single_segments_are_left_out(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps({"database": NETS}))
    with formats.without_bad_rows() as left:
        (video,) = formats.read_activitynet_json(tmp_path / "a.json")
    assert [(s.label, s.start, s.end) for s in video.segments] == [("a", 0, 1)] and len(left) == 4


@pytest.mark.parametrize("content", ["a.mp4;0\nb.mp4;1\n", "path\nlabel\n", "a.mp4 -1\nb.mp4 -1\n", "a.mp4 x\n"])
def test_a_file_without_a_good_row_is_refused(tmp_path, content):
    """A list with semicolons, or a test list whose labels are all -1, is not an empty one."""
    (tmp_path / "list").write_text(content)
    with (
        formats.without_bad_rows(),
        pytest.raises(FormatError, match="list:1: none of its rows can be used: expected `path label`"),
    ):
        formats.read_kinetics_csv(tmp_path / "list")


def test_what_gives_numbers_by_its_place_stays_strict(tmp_path):
    (tmp_path / "classes.txt").write_text("a\n\nb\n")
    with formats.without_bad_rows(), pytest.raises(FormatError):
        formats.read_class_names(tmp_path / "classes.txt")


name = st.text(string.ascii_letters + string.digits + " _-.,'\"ä漢", min_size=1, max_size=12)
good_row = st.builds(lambda stem, label: (f"v{stem}.mp4", label), name, st.integers(0, 999))
bad_row = st.sampled_from(["x.mp4 -1", "x.mp4", "path label", "x.mp4;3", "x.mp4 1.5", "x.mp4 none", "x.mp4 0 7", "7"])


@quick
@given(
    st.lists(st.one_of(good_row, bad_row), min_size=1, max_size=10).filter(lambda rows: any(isinstance(r, tuple) for r in rows)),
    st.sampled_from([" ", ",", "\t", ", ", "  "]),
    st.sampled_from(["\n", "\r\n", "\r", "\n\n"]),
    st.booleans(),
    st.booleans(),
)  # fmt: skip
def test_lists_of_any_hand(tmp_path_factory, rows, gap, end, mark, quotes):
    """Byte order marks, line ends, blank lines, TABs, commas, quoted paths: every good row arrives as it is, and no other does."""
    file = tmp_path_factory.mktemp("lists") / "train.csv"
    doubled = lambda path: '"' + path.replace('"', '""') + '"' if quotes else path  # noqa: E731
    lines = [row if isinstance(row, str) else f"{doubled(row[0])}{gap}{row[1]}" for row in rows]
    file.write_bytes(("\ufeff" * mark + end.join(lines) + end).encode())
    with formats.without_bad_rows() as left:
        found = formats.read_kinetics_csv(file, "/media")
    wanted = [row for row in rows if isinstance(row, tuple)]
    assert [(v.path.removeprefix("/media/"), v.label) for v in found] == wanted
    assert len(left) == len(rows) - len(wanted)


class TestInARun:
    @pytest.fixture
    def lists(self, tmp_path, monkeypatch):
        monkeypatch.setenv("IVCORE_OUTPUTS", str(tmp_path / "outputs"))
        (tmp_path / "train.csv").write_text("path label\na.mp4 0\nb.mp4 -1\n")
        return tmp_path

    def test_the_parameter_reaches_the_check_before_a_run(self, lists):
        given = {"train_csv": f"{lists}/train.csv"}
        with pytest.raises(ParameterError, match=r"train_csv: .*train.csv:1: expected `path label`"):
            run.jobs("10", "quick", given)
        assert run.jobs("10", "quick", given | {"drop_bad_rows": "true"})
        with pytest.raises(ParameterError):
            run.jobs("10", "quick", given)

    def test_a_run_lists_and_counts_them(self, lists, monkeypatch, capsys):
        parameters = "drop_bad_rows: bool = False  # leave them out\nannotations: str = ''  # clips; file kinetics_csv\nrun_dir: str = ''  # runner's"
        (lists / "book").mkdir()
        Workbook(lists / "book", monkeypatch).notebook("10_rows", parameters=parameters)
        file, folder = str(lists / "train.csv"), lists / "run"
        given = {"drop_bad_rows": True, "annotations": file, "run_dir": str(folder)}
        begun = start("10_rows", given)
        for _ in range(2):  # a list that is read twice is counted once
            assert len(formats.read_kinetics_csv(file)) == 1
        assert f"{file}: 2 rows left out, e.g. line 1: expected `path label`" in capsys.readouterr().out
        begun.finish({"loss": 1.0})
        rows = [json.loads(line) for line in (folder / "bad_rows.jsonl").read_text().splitlines()]
        assert [(row["path"], row["line"]) for row in rows] == [(file, 1), (file, 3)]
        assert json.loads((folder / "metrics.json").read_text())["bad_rows"] == 2
        formats.leave_out_bad_rows(None)


@pytest.mark.parametrize(
    "read", [formats.read_lsmdc_table, formats.read_lsmdc_choice, formats.read_kinetics_csv, formats.read_ava_csv]
)
@pytest.mark.parametrize("text", ["[", "a ", "a,"])
def test_a_line_of_a_megabyte_is_refused_at_once(tmp_path, read, text):
    """By some patterns it would take hours."""
    (tmp_path / "list.csv").write_text(text * (1_000_000 // len(text)))
    began = time.process_time()
    with pytest.raises(FormatError, match=r"list.csv:1: .*, found \d+ characters; read are 16384"):
        read(tmp_path / "list.csv")
    assert time.process_time() - began < 1
