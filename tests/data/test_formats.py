"""Annotation readers: the released layouts read right; what is malformed is refused with file, line and what was expected."""

import json
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

from ivcore.data import formats
from ivcore.errors import FormatError, ParameterError, VideoError

LSMDC = "3056_PUBLIC_01.24.29.351-01.24.32.274\t01.24.29.351\t01.24.32.274\t01.24.29.351\t01.24.32.274"
QUESTION = '{"video_id": "video0", "question": "what is a man doing", "answer": "sing"}'
CHOICE = '{"clip_name": "video9770", "options": ["a", "b", "c", "d", "e"], "answer": 2}'
THUMOS = {"subset": "Test", "duration": 33.67, "fps": 30.0}
BOWLING = {"label": "CricketBowling", "segment": [0.2, 1.1], "label_id": 5}
STAND = 'label {\n  name: "bend/bow (at the waist)"\n  label_id: 1\n  label_type: PERSON_MOVEMENT\n}\n'


@pytest.fixture
def file(tmp_path):
    """file("text", "name") writes an annotation file and returns its path."""

    def write(content, name="annotations.txt"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def videos(path, root=None):
    return [(video.path, video.label) for video in formats.read_kinetics_csv(path, root)]


def test_labels_are_bounded_in_every_list(file):
    for read, line in (
        (formats.read_kinetics_csv, "a.mp4 {}"),
        (formats.read_pretrain_list, "a.mp4 0 -1 {}"),
        (formats.read_ssv2_list, "a.mp4 3 {}"),
        (formats.read_timed_list, "a.mp4 9 1 2 {}"),
    ):
        good = line.format(1_000_000)
        assert read(file(good))[0].label == 1_000_000
        with pytest.raises(FormatError, match=r"annotations\.txt:2: expected a label from 0, at most 1000000"):
            read(file(f"{good}\n{line.format(999_999_999)}"))


def test_a_label_without_a_name_in_classes_txt_is_named(file):
    path = file("a.mp4 0\n\nb.mp4 1\nc.mp4 2\n", "train.csv")
    assert formats.check("kinetics_csv", path) == 3
    file("run\njump\n", "classes.txt")
    with pytest.raises(FormatError, match=r"train\.csv:4: label 2: .*classes\.txt has 2 names"):
        formats.check("kinetics_csv", path)


def test_a_nul_byte_anywhere_is_named(file):
    with pytest.raises(FormatError, match=":2001: expected UTF-8 text, found a NUL byte"):
        formats.read_kinetics_csv(file(b"a.mp4 0\n" * 2000 + b"b\0.mp4 0\n"))


class TestKinetics:
    def test_the_published_variants(self, file, tmp_path):
        text = "/data/k400/abseiling/0347ZoDXyP0.mp4 0\nabseiling/x.mp4,1\nabseiling/y.mp4\t2\n"
        assert videos(file(text)) == [
            ("/data/k400/abseiling/0347ZoDXyP0.mp4", 0),
            (f"{tmp_path}/abseiling/x.mp4", 1),
            (f"{tmp_path}/abseiling/y.mp4", 2),
        ]

    @pytest.mark.parametrize(
        ("line", "name", "label"),
        [
            ("my folder/a b.mp4 3", "my folder/a b.mp4", 3),
            ("my folder/a b.mp4,3", "my folder/a b.mp4", 3),
            ("a,b.mp4 3", "a,b.mp4", 3),
            ("a,b.mp4,3", "a,b.mp4", 3),
            ("a.mp4 , 3", "a.mp4", 3),
            ('"a,b.mp4",3', "a,b.mp4", 3),
            ("clip 12.mp4 3", "clip 12.mp4", 3),
            ("été/视频.mp4 3", "été/视频.mp4", 3),
        ],
    )
    def test_paths_with_blanks_commas_quotes(self, file, tmp_path, line, name, label):
        assert videos(file(line)) == [(f"{tmp_path}/{name}", label)]

    def test_byte_order_mark_crlf_blank_lines_no_final_newline(self, file, tmp_path):
        found = videos(file(b"\xef\xbb\xbfa.mp4 0\r\n\r\n  \r\nb.mp4 1"))
        assert found == [(f"{tmp_path}/a.mp4", 0), (f"{tmp_path}/b.mp4", 1)]

    def test_paths_start_from_the_files_folder_or_the_given_root(self, file, tmp_path, monkeypatch):
        path = file("a.mp4 0")
        monkeypatch.chdir(tmp_path.parent)
        assert videos(path.relative_to(tmp_path.parent)) == [(f"{tmp_path}/a.mp4", 0)]
        assert videos(path, "/media") == [("/media/a.mp4", 0)]

    @pytest.mark.parametrize(
        "line", ["a.mp4", "a.mp4 abseiling", "a.mp4 -1", "a.mp4 1.5", "7", "path,label", "a.mp4,", "a.mp4 ٣"]
    )
    def test_a_bad_line_is_named_by_its_number(self, file, line):
        path = file(f"ok.mp4 0\n\n{line}\nok.mp4 1\n")
        with pytest.raises(FormatError, match="expected `path label`, label a whole number from 0") as caught:
            formats.read_kinetics_csv(path)
        assert (caught.value.path, caught.value.line) == (str(path), 3)

    @pytest.mark.parametrize("line", ["frames/78687 117 0", "v_abc.mp4 36.5 1.5 5 17", "frames/78687,117,0"])
    def test_a_list_with_more_columns_is_refused(self, file, line):
        with pytest.raises(FormatError, match="expected two columns"):
            formats.read_kinetics_csv(file(line))


class TestOtherLists:
    def test_pretraining_list(self, file, tmp_path):
        text = "k710/abc.mp4 0 -1 0\nSomethingV2/78687 0 117 3\nAVA/x 5 90 extra 2.5 7\nmy clips/a b.mp4 0 -1 1\n"
        found = [(v.path, v.start, v.frames, v.label) for v in formats.read_pretrain_list(file(text))]
        assert found == [
            (f"{tmp_path}/k710/abc.mp4", 0, -1, 0),
            (f"{tmp_path}/SomethingV2/78687", 0, 117, 3),
            (f"{tmp_path}/AVA/x", 5, 90, 7),
            (f"{tmp_path}/my clips/a b.mp4", 0, -1, 1),
        ]

    def test_three_columns(self, file, tmp_path):
        (folder,) = formats.read_ssv2_list(file("frames/78687 117 4"))
        assert folder == formats.FrameFolder(f"{tmp_path}/frames/78687", 117, 4)

    def test_five_columns(self, file, tmp_path):
        (video,) = formats.read_timed_list(file("v_abc.mp4,3600,120.5,560,17"))
        assert video == formats.TimedVideo(f"{tmp_path}/v_abc.mp4", 3600, 120.5, 560, 17)


class TestThumos14:
    @pytest.fixture
    def folder(self, tmp_path):
        (tmp_path / "Billiards_val.txt").write_text(
            "video_validation_0000051  67.5 75.9\nvideo_validation_0000060 1 2\n"
        )
        (tmp_path / "Diving_val.txt").write_text("video_validation_0000051 3.0  4.5\n")
        (tmp_path / "Ambiguous_val.txt").write_text("video_validation_0000051 5 6\n")
        (tmp_path / "Diving_test.txt").write_text("video_test_0000004 0.2 1.1\n")
        return tmp_path

    def test_as_released(self, folder):
        first, second = formats.read_segments(folder / "Diving_val.txt", "/thumos", subset="validation")
        assert (first.path, first.duration) == ("/thumos/video_validation_0000051.mp4", None)
        assert first.segments == (formats.Segment("Billiards", 67.5, 75.9), formats.Segment("Diving", 3.0, 4.5))
        assert second.id == "video_validation_0000060"
        (tested,) = formats.read_segments(folder / "Diving_test.txt", labels=["Diving"])
        assert (tested.id, tested.subset) == ("video_test_0000004", "test")
        with pytest.raises(
            FormatError, match=r"Diving_test\.txt:1: expected one of the 1 known labels, found 'Diving'"
        ):
            formats.read_segments(folder / "Diving_test.txt", labels=["Billiards"])

    @pytest.mark.parametrize("line", ["v 3", "v 3 2", "v a b", "v 1 2 3", "v -1 2", "v 1 nan"])
    def test_a_bad_line_is_named_or_left_out(self, folder, line):
        (folder / "Diving_val.txt").write_text(f"v 1 2\n{line}\n")
        with pytest.raises(FormatError, match=r"Diving_val\.txt:2: expected `video start end`"):
            formats.read_segments(folder / "Billiards_val.txt")
        with formats.without_bad_rows() as left:
            assert len(formats.read_segments(folder / "Billiards_val.txt")) == 3
        assert [error.line for error in left] == [2]

    def test_a_wrong_split_is_refused(self, folder):
        with pytest.raises(FormatError, match="'training'; subsets present: validation"):
            formats.read_segments(folder / "Diving_val.txt", subset="training")


class TestActivityNet:
    def test_as_released(self, file):
        database = {"video_test_0000004": THUMOS | {"annotations": [BOWLING]}, "v_x": {"subset": "x", "duration": 1}}
        first, second = formats.read_activitynet_json(file(json.dumps({"database": database})), "/thumos")
        assert first.path == "/thumos/video_test_0000004.mp4"
        assert first.segments == (formats.Segment("CricketBowling", 0.2, 1.1, 5),)
        assert (second.fps, second.segments) == (None, ())

    def test_subset_without_case(self, file):
        path = file(json.dumps({"database": {"a": THUMOS, "b": THUMOS | {"subset": "Validation"}}}))
        assert [v.id for v in formats.read_activitynet_json(path, subset="test")] == ["a"]
        with pytest.raises(FormatError, match="'training'; subsets present: Test, Validation"):
            formats.read_activitynet_json(path, subset="training")

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"segment": [3, 2]}, "start <= end"),
            ({"segment": [3]}, "start, end"),
            ({"segment": ["0", 2]}, "expected seconds from 0, found '0'"),
            ({"segment": [-1, 2]}, "expected seconds from 0"),
            ({"label": 3}, "expected text, found 3"),
            ({"label_id": True}, "expected a whole number from 0"),
            ({"segment": [34, 40]}, "before the end of the video at 33.67 s"),
            ({"label": "Bowling"}, "one of the 1 known labels, found 'Bowling'"),
        ],
    )
    def test_a_bad_segment_is_named_with_its_line(self, file, change, message):
        database = {
            "a": THUMOS | {"annotations": [BOWLING]},
            "b": THUMOS | {"annotations": [BOWLING, BOWLING | change]},
        }
        path = file(json.dumps({"database": database}, indent=2))
        with pytest.raises(FormatError, match=message) as caught:
            formats.read_activitynet_json(path, labels=["CricketBowling"])
        assert "database.b.annotations[1]" in str(caught.value)
        assert caught.value.line > path.read_text().splitlines().index('    "b": {')

    def test_videos_are_found_as_the_releases_call_them(self, file, tmp_path):
        names = ["x.webm", "v_y.mkv", "v_00000001.mp4"]
        for name in names:
            (tmp_path / name).touch()
        entry = {"subset": "x", "duration": 1}
        database = {"x": entry, "y": entry, "gone": entry, "z": entry | {"filename": "v_00000001.mp4"}}
        videos = formats.read_activitynet_json(file(json.dumps({"database": database})), tmp_path)
        assert [video.path for video in videos] == [f"{tmp_path}/{n}" for n in [*names[:2], "gone.mp4", names[2]]]

    def test_numbers_of_labels(self):
        def labels(*pairs):
            segments = tuple(formats.Segment(name, 0, 1, number) for name, number in pairs)
            return formats.segment_labels([formats.UntrimmedVideo("v", "v", "x", 1, None, segments)])

        assert labels(("b", None), ("a", None)) == {"a": 0, "b": 1}
        assert labels(("b", 0), ("a", 7), ("b", 0)) == {"b": 0, "a": 7}
        for bad in ([("a", 0), ("a", 1)], [("a", 0), ("b", 0)], [("a", 0), ("b", None)]):
            with pytest.raises(FormatError, match="one label_id for each label"):
                labels(*bad)


AVA_JSON = """{"images": [{"id": 3, "movie": "m", "timestamp": 902, "width": 200, "height": 100}],
"annotations": [{"image_id": 3,
"bbox": [20, 20, 80, 70], "action_ids": [12, 80]}]}"""


class TestAva:
    def test_as_released(self, file):
        text = "-5KQ66BBWC4,0902,0.077,0.151,0.283,0.811,80,1\nx,0903,,,,,,\nx,0904,0,0,1,1,12\n"
        first, second = formats.read_ava_csv(file(text))
        assert first == formats.AvaBox("-5KQ66BBWC4", 902.0, (0.077, 0.151, 0.283, 0.811), 80, 1)
        assert (second.action, second.person) == (12, None)

    def test_both_layouts_of_the_action_list(self, file):
        both = STAND + 'item {\n  name: "crawl {slowly}"\n  id: 2\n}\n'
        found = formats.read_ava_actions(file(both))
        assert found[0] == formats.AvaAction(1, "bend/bow (at the waist)", "PERSON_MOVEMENT")
        assert found[1] == formats.AvaAction(2, "crawl {slowly}", None)

    def test_as_alphaction_writes_it(self, file, tmp_path):
        """Two actions of one box are one annotation; pixels become shares."""
        images = {3: formats.AvaImage("m", 902.0, 200, 100)}
        boxes = [formats.AvaBox("m", 902.0, (0.1, 0.2, 0.5, 0.9), action, 0) for action in (12, 80)]
        formats.write_ava_json(tmp_path / "a.json", images, boxes)
        assert formats.read_ava_images(tmp_path / "a.json") == images
        assert '"action_ids": [\n    12' in (tmp_path / "a.json").read_text()
        assert formats.read_ava_truth(tmp_path / "a.json") == boxes
        assert formats.read_ava_truth(file("m,0902,0.1,0.2,0.5,0.9,12,0\n")) == boxes[:1]

    def test_boxes_of_a_detector(self, file, tmp_path):
        """In JSON by the number of the picture and in pixels, or in CSV with or without an action; what sticks out is cut."""
        images = {3: formats.AvaImage("m", 902.0, 200, 100)}
        people = [formats.PersonBox("m", 902.0, (0.1, 0.2, 0.5, 0.9), 0.75)]
        formats.write_ava_detections(tmp_path / "d.json", images, people)
        assert formats.read_ava_detections(tmp_path / "d.json", images) == people
        assert formats.check("ava_detections", tmp_path / "d.json") == 1
        for action in ("", "12"):
            assert formats.read_ava_detections(file(f"m,0902,0.1,0.2,0.5,0.9,{action},0.75\n")) == people
        (cut,) = formats.read_ava_detections(file('[{"image_id": 3, "bbox": [-10, 0, 60, 120], "score": 1}]'), images)
        assert cut.box == (0, 0, 0.25, 1)

    def test_an_action_that_the_list_does_not_have(self, file):
        with pytest.raises(FormatError, match=r":2: expected an action_id of the list of actions, which has no 81"):
            formats.read_ava_truth(file("x,0902,0,0,1,1,80,1\nx,0902,0,0,1,1,81,1\n"), {80})
        with pytest.raises(FormatError, match=r"action_ids\[0\]: expected an action of the list .* no 81"):
            formats.read_ava_truth(file(AVA_JSON.replace("12", "81")), {12, 80})

    @pytest.mark.parametrize("bad, says", [
        ("[10, 20, -5, 70]", "not two corners"), ("[0.1, 0.2, 0.4, 0.7]", "found shares"),
        ("[300, 20, 40, 70]", "in the picture of 200 x 100"), ("[10, 20]", "x, y, width, height"),
    ])  # fmt: skip
    def test_boxes_that_are_none(self, file, bad, says):
        with pytest.raises(FormatError, match=says) as caught:
            formats.read_ava_truth(file(AVA_JSON.replace("[20, 20, 80, 70]", bad)))
        assert caught.value.line == 3
        with formats.without_bad_rows() as left_out, pytest.raises(FormatError, match="none of its rows"):
            formats.read_ava_truth(file(AVA_JSON.replace("[20, 20, 80, 70]", bad)))
        assert left_out == []

    def test_a_picture_that_is_not_listed(self, file):
        with pytest.raises(FormatError, match="expected the id of one of the 1 images, found 4"):
            formats.read_ava_truth(file(AVA_JSON.replace('"image_id": 3', '"image_id": 4')))

    def test_no_excluded_timestamps(self, file):
        assert formats.read_ava_excluded(file("")) == []
        assert formats.read_ava_excluded(file("-5KQ66BBWC4,0902\n")) == [("-5KQ66BBWC4", 902.0)]


MSRVTT = {
    "videos": [{"video_id": "video0", "split": "train", "start time": 1.0}, {"video_id": "video1"}],
    "sentences": [
        {"sen_id": 0, "video_id": "video1", "caption": "b"},
        {"sen_id": 1, "video_id": "video0", "caption": "a"},
        {"sen_id": 2, "video_id": "video1", "caption": "c"},
    ],
}


class TestCaptions:
    def test_msrvtt(self, file):
        first, second = formats.read_msrvtt_json(file(json.dumps(MSRVTT)), "/msrvtt")
        assert first == formats.CaptionedVideo("video0", "/msrvtt/video0.mp4", ("a",), "train")
        assert second.captions == ("b", "c")

    def test_splits(self, file):
        test = "key,vid_key,video_id,sentence\nret0,msr9770,video9770,a person is connecting something to system\n"
        rows = formats.read_msrvtt_csv(file(test + 'ret1,msr1,video1,"a man, singing"\n'))
        assert [row.video_id for row in rows] == ["video9770", "video1"]
        assert rows[1].sentence == "a man, singing"
        assert formats.read_msrvtt_csv(file("video_id\nvideo0\n")) == [formats.SplitRow("video0")]

    def test_lsmdc(self, file):
        assert formats.read_lsmdc_table(file(f"{LSMDC}\tSOMEONE walks.\n"))[0].sentence == "SOMEONE walks."


class TestQuestions:
    def test_three_releases(self, file):
        msvd = json.dumps([{"video_id": 12, "question": "q", "answer": "a"}])
        tgif = '{"gif_name": "tumblr_xyz", "question": "q", "answer": "dog"}'
        assert formats.read_qa(file(QUESTION), "/v")[0].path == "/v/video0.mp4"
        assert formats.read_qa(file(msvd))[0].video_id == "12"
        assert formats.read_qa(file(tgif), "/v", suffix=".gif")[0].path == "/v/tumblr_xyz.gif"

    def test_answers_count_from_0_whatever_the_file_does(self, file):
        (msrvtt,) = formats.read_choice_jsonl(file(CHOICE))
        (lsmdc,) = formats.read_lsmdc_choice(file(f"{LSMDC}\ta\tb\tc\td\te\t3\n"))
        assert msrvtt.options[msrvtt.answer] == lsmdc.options[lsmdc.answer] == "c"


class TestOpenSet:
    def test_hmdb_folder(self, file, tmp_path):
        file("a.avi 1 \nb.avi 2 \nc.avi 0 \n", "brush_hair_test_split1.txt")
        file("d.avi 2 \n", "cartwheel_test_split1.txt")
        file("d.avi 1 \n", "cartwheel_test_split2.txt")
        found = formats.read_hmdb_splits(tmp_path, 1, "test", root="/hmdb")
        assert [(v.path, v.label) for v in found] == [("/hmdb/brush_hair/b.avi", 0), ("/hmdb/cartwheel/d.avi", 1)]
        assert len(formats.read_hmdb_splits(tmp_path, 1, "train")) == 1


RELEASED = "label,youtube_id,time_start,time_end,split\nabseiling,0347ZoDXyP0,10,20,train\n"

_CLIP = '{"videos": [{"split": "train", "clips": [{"clip_uid": "c", "video_start_sec": 0, "video_end_sec": 9, "annotations": [\n%s]}]}]}'
_OBJECT = '{"noun_categories": [], "verb_categories": [], "annotations": [\n{"uid": "u", "video_id": "v", "frame": 1, "objects": [%s]}]}'
MALFORMED = [  # kind, content, line, part of the message
    ("moments", _CLIP % '{"labels": [{"label": "x", "start_time": 3, "end_time": 2}]}', 2, "start_time <= end_time"),
    (
        "nlq",
        _CLIP % '{"language_queries": [{"query": "x", "clip_start_sec": 10, "clip_end_sec": 11}]}',
        2,
        "end of the clip at 9 s",
    ),
    ("sta", _OBJECT % '{"box": [0, 0, 1, 1], "noun_category_id": 1}', 2, "one of the 0 ids"),
    ("detections", '{"u":\n[{"box": [3, 0, 1, 1]}]}', 2, "x1 < x2"),
    ("hands", '{"clips": [{"clip_uid": "c", "frames": [\n{"pre_30": {}}]}]}', 2, "expected the key 'pre_45'"),
    ("changed", '{"categories": [], "images": [], "annotations": [\n{"bbox": [1, 2, 3]}]}', 2, "x, y, width, height"),
    ("kinetics_release", RELEASED.replace("youtube_id", "id"), 1, "no youtube_id found"),
    ("kinetics_release", RELEASED + "abseiling,#NAME?,10,20,train\n", 3, "YouTube id of 11 characters"),
    ("kinetics_release", RELEASED + "abseiling,-347ZoDXyP0,20,10,train\n", 3, "time_start < time_end"),
    ("kinetics_release", RELEASED + "abseiling,-347ZoDXyP0,10\n", 3, "expected 5 columns"),
    ("kinetics_release", RELEASED + '"abseiling,-347ZoDXyP0,10,20,train\n', 3, "comma-separated values"),
    ("pretrain_list", "a.mp4 0 -1 0\nb.mp4 0\n", 2, "start_frame total_frames"),
    ("video_list", "a.mp4 0 -1 0\nb.mp4 0\n", 2, "start_frame total_frames"),
    ("video_list", "a.mp4 0\nb.mp4 0 -1 0\n", 2, "expected two columns"),
    ("ssv2_list", "frames/1 117 0\nframes/2 0\n", 2, "total_frames label"),
    ("ssv2_list", "frames/1 0 3\n", 1, "total_frames label"),
    ("timed_list", "a.mp4 100 0 10 1\nb.mp4 100 10 10 1\n", 2, "start < end"),
    ("class_names", "a\nb\na\n", 3, "every class name once"),
    ("class_names", "a\n\nb\n", 2, "found a blank line"),
    ("ssv2_labels", '{"a": "0",\n "b": "0"}', 2, "every number once"),
    ("ssv2_labels", '{"a": "0",\n "b": "x"}', 2, "a label number"),
    ("ssv2_labels", '{"a": "0", "b": "2"}', 1, "without gaps"),
    ("activitynet_json", "{}", 1, "expected the key 'database'"),
    ("segments", '{"database":\n{"a": 3}}', 2, "database.a"),
    ("activitynet_json", '{"database":\n{"a": {"subset": "x",\n "duration": null}}}', 3, "database.a.duration"),
    ("activitynet_json", '{"database":\n{"a": {"subset": "x", "duration": NaN}}}', None, "NaN is not a number"),
    ("activitynet_json", '{"database":\n{"a": {}, "a": {}}}', None, "'a' occurs twice"),
    ("ava_csv", "x,0902,0.1,0.1,0.2,0.2,80,1\nx,0902,0.1,0.1,0.2\n", 2, "action_id,person_id"),
    ("ava_csv", "x,0902,10,10,200,200,80,1\n", 1, "this box is in pixels"),
    ("ava_csv", "x,0902,0.3,0.1,0.2,0.2,80,1\n", 1, "0 <= x1 <= x2 <= 1.* with its corners swapped"),
    ("video_scores", '{"a": [0.5],\n"b": []}', 2, "expected some scores, one a class, found 0"),
    ("ava_truth", '{"images": [],\n"annotations": {}}', 2, "annotations: expected a list"),
    ("ava_images", '{"images": [{"id": 1,\n"movie": "m", "timestamp": 9, "width": 0}]}', 2, "width"),
    ("ava_detections", "x,0902,0.1,0.1,0.2,0.2,80\n", 1, "leaves action_id empty"),
    ("ava_csv", "x,0902,0.1,0.1,0.2,0.2,0,1\n", 1, "action_id from 1"),
    ("ava_csv", "video_id,timestamp,x1,y1,x2,y2,action_id,person_id\n", 1, "expected"),
    ("ava_excluded", "x,0902\nx\n", 2, "video_id,timestamp"),
    ("ava_actions", STAND + "label {\n  name: stand\n  label_id: 2\n}\n", 6, "in this block"),
    ("ava_actions", STAND + f"label {{\n  name: 'x'\n  label_id: {'9' * 5000}\n}}\n", 6, "in this block"),
    ("ava_actions", STAND + "stand 12\n", 6, "found 'stand 12'"),
    ("ava_actions", STAND + "label {\n", 6, "found 'label {'"),
    ("msrvtt_csv", "video,sentence\nv,s\n", 1, "a header with video_id"),
    ("msrvtt_csv", "key,vid_key,video_id,sentence\nret0,msr1,video1\n", 2, "expected 4 columns"),
    ("msrvtt_csv", 'video_id\nvideo0\n"video1\n', 3, "comma-separated values"),
    ("msrvtt_json", '{"videos": [],\n"sentences": [{"video_id": "v", "caption": "c"}]}', 2, "list `videos`, found 'v'"),
    ("lsmdc_table", "clip\t0\t1\t0\t1\n", 1, "6 TAB-separated columns"),
    ("qa", QUESTION + '\n{"video_id": "v", "question": "q"}\n', 2, "expected the key 'answer'"),
    ("qa", QUESTION + "\nvideo0 what sing\n", 2, "expected JSON"),
    ("video_numbers", "mini1 vid1\nmini2 2\n", 2, "expected a video's name and its number"),
    ("qa", QUESTION + "\n" + QUESTION.replace("video0", " "), 2, "expected a name, found ' '"),
    ("qa", QUESTION + "\n" + QUESTION.replace("sing", ""), 2, "expected no empty question or answer"),
    ("ans2label", "{}", None, "expected answers, found none"),
    ("choice_jsonl", CHOICE.replace("video", "").replace("9770", ""), 1, "expected a name, found ''"),
    ("lsmdc_choice", f"{LSMDC}\ta\tb\t \td\te\t3\n", 1, "expected a sentence as the right option"),
    ("ans2label", '{"a": 0,\n"b": 0}', 2, "0 is also 'a'"),
    ("ans2label", '{"a": 0,\n"b": "1"}', 2, "a whole number from 0"),
    ("choice_jsonl", CHOICE + "\n" + CHOICE.replace("2}", "5}"), 2, "an answer from 0"),
    ("lsmdc_choice", f"{LSMDC}\ta\tb\tc\td\te\t0\n", 1, "answer from 1 to 5"),
    ("ucf_classes", "1 A\n3 B\n", 2, "`2 ClassName`"),
    ("ucf_classes", f"{'9' * 5000} A\n", 1, "`1 ClassName`"),
    ("caption_csv", "path,label\nx,1\n", 1, "a header with path and caption"),
    ("caption_json", '[{"path": "x",\n "caption": 3}]', 2, "expected text, found 3"),
    ("caption_json", '[{"path": "x", "caption": "c",\n "start": null, "end": 2}]', 1, "seconds start < end"),
    ("captions", '[{"path": "x"}]', 1, "expected the key 'caption'"),
    (
        "paragraphs",
        '{"v_a": {"duration": 9, "timestamps": [[0, 1]],\n"sentences": ["a", "b"]}}',
        1,
        "as many timestamps",
    ),
    ("paragraphs", '{"v_a": {"duration": 9, "timestamps": [],\n"sentences": []}}', 1, "expected sentences, found none"),
    (
        "didemo",
        '[{"video": "a.mov", "description": "x",\n"times": [[0, 0],\n[3, 2]]}]',
        3,
        "first <= last, found .3, 2.",
    ),
    ("didemo", '[{"video": "a.mov", "description": "x",\n"times": [[0]]}]', 2, "expected a pair of chunks"),
    ("vatex", '[{"videoID": "a", "enCap": ["x"]},\n{"videoID": "b"}]', 2, "expected the key 'enCap'"),
    ("vatex", '[\n{"videoID": "a", "enCap": []}]', 2, "captions in enCap, found none"),
    (
        "vln_episodes",
        '{"episodes": [\n{"episode_id": 1, "scene_id": "a.glb", "instruction": {"instruction_text": "go"},\n"start_position": [0, 1]}]}',
        3,
        "expected x, height and z, found 2 numbers",
    ),
    ("vln_truth", '{"1": {"locations": [[0, 0, 0]],\n"actions": [5]}}', 2, "an action from 0 to 3, found 5"),
]
KINDS = sorted({kind for kind, *_ in MALFORMED} | {"kinetics_csv"})
LENIENT = ("caption_csv", "caption_json", "captions")  # captions are read in whatever encoding they have


def reader(kind: str):
    return getattr(formats, f"read_{kind}")


@pytest.mark.parametrize(("kind", "content", "line", "message"), MALFORMED)
def test_malformed_files(file, kind, content, line, message):
    path = file(content)
    with pytest.raises(FormatError, match=message) as caught:
        reader(kind)(path)
    assert (caught.value.path, caught.value.line) == (str(path), line)
    assert "\n" not in str(caught.value)


def pickled(file, value):
    return file(pickle.dumps(value), "raw-captions.pkl")


class Runs:
    """Unpickling it would run a command."""

    def __reduce__(self):
        return os.mkdir, ("ran",)


class TestMsvd:
    def test_as_released(self, file, tmp_path):
        path = pickled(file, {"a_1_9": [["a", "man"], ["he"]], "b_0_3": [["a", "dog"]]})
        (video, _) = formats.read_msvd_captions(path)
        assert video == formats.CaptionedVideo("a_1_9", f"{tmp_path}/a_1_9.avi", ("a man", "he"))

    def test_text_of_python_2(self, file):
        """{'a': [['d']]} in protocol 0, with byte strings."""
        (video,) = formats.read_msvd_captions(file(b"(dS'a'\n((lS'd'\nals.", "raw-captions.pkl"))
        assert video.captions == ("d",)

    def test_nothing_is_executed(self, file, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        for hidden in (Runs(), {"a": [[Runs()]]}):
            with pytest.raises(FormatError, match="mkdir, which could run a program"):
                formats.read_msvd_captions(pickled(file, hidden))
        assert not (tmp_path / "ran").exists()

    @pytest.mark.parametrize(
        "value, message",
        [
            ([], "a dictionary of videos"),
            ({"a": "x"}, "'a': expected a name with a list of captions, found 'x'"),
            ({"a": [["x"], "y"]}, "'a': expected captions as lists of words, found 'y'"),
        ],
    )
    def test_another_layout_is_named(self, file, value, message):
        with pytest.raises(FormatError, match=message):
            formats.read_msvd_captions(pickled(file, value))

    @pytest.mark.parametrize("content", [b"", b"\x80\x04", b"caf\xe9", b"(dS'a'\n((lS'\xe9'\nals."])
    def test_a_damaged_file_is_one_line(self, file, content):
        with pytest.raises(FormatError, match=r"raw-captions\.pkl: expected a pickle of plain values"):
            formats.read_msvd_captions(file(content, "raw-captions.pkl"))


def test_paragraphs_are_the_sentences_in_a_row(file, tmp_path):
    moments = {"duration": 82.7, "timestamps": [[0.8, 19.8], [17, 60]], "sentences": ["A man. ", " He falls."]}
    (video,) = formats.read_paragraphs(file(json.dumps({"v_x": moments})))
    assert video == formats.CaptionedVideo("v_x", f"{tmp_path}/v_x.mp4", ("A man. He falls.",))


def test_didemo_gathers_the_descriptions_of_a_video(file, tmp_path):
    rows = [("a.mov", "a dog jumps"), ("b.mov", "rain"), ("a.mov", "it lands")]
    rows = [{"video": video, "description": text, "times": [[0, 0], [1, 1]]} for video, text in rows]
    first, _ = formats.read_didemo(file(json.dumps(rows)))
    assert (first.path, first.captions) == (f"{tmp_path}/a.mov", ("a dog jumps it lands",))
    assert (first.start, first.end) == (0, 31)


def test_a_split_takes_its_videos_in_its_order(file):
    videos = [formats.CaptionedVideo(name, name, ("x",)) for name in "abc"]
    assert [video.id for video in formats.of_ids(videos, file("c\na\n"))] == ["c", "a"]
    assert [video.id for video in formats.of_ids(videos, file('["b"]', "ids.json"))] == ["b"]
    with pytest.raises(FormatError, match=":2: expected a video that has captions, found 'd'"):
        formats.of_ids(videos, file("c\nd\n"))
    for line, twice in ((4, "a\nb\n\na\n"), (3, '["a",\n"b",\n"a"]')):
        with pytest.raises(FormatError, match=rf":{line}: .*expected every video once, found 'a' again"):
            formats.of_ids(videos, file(twice))


def test_every_kind_of_a_parameter_has_a_malformed_example():
    assert {reader(kind) for kind in KINDS} >= set(formats.READERS.values())


@pytest.mark.parametrize("kind", KINDS)
class TestEveryKind:
    def test_not_text(self, file, kind):
        with pytest.raises(FormatError, match="expected UTF-8 text, found binary data"):
            reader(kind)(file(b"\0\0\0\x20ftypisom" + bytes(5000)))

    def test_latin_1_text(self, file, kind):
        lenient = kind in LENIENT
        message = "expected (JSON|a header)" if lenient else "expected UTF-8 text, found the byte 0xe9"
        with pytest.raises(FormatError, match=message) as caught:
            reader(kind)(file(b"ok.mp4 0\nb.mp4 0\ncaf\xe9.mp4 1\n"))
        assert caught.value.line == (1 if lenient else 3)

    def test_missing_folder_and_empty(self, file, kind, tmp_path):
        for path, cause in ((tmp_path / "absent", "No such file"), (tmp_path, "directory")):
            with pytest.raises(FormatError, match=cause):
                reader(kind)(path)
        if kind != "ava_excluded":
            with pytest.raises(FormatError):
                reader(kind)(file(b"\n"))


@pytest.mark.parametrize("kind", ["ssv2_labels", "activitynet_json", "msrvtt_json", "qa"])
def test_json_nested_too_deeply_to_parse(file, kind):
    with pytest.raises(FormatError, match="expected JSON"):
        reader(kind)(file("[" * 100_000))


def test_an_unknown_kind_names_the_known_ones():
    with pytest.raises(ParameterError, match="'kinetics': must be one of kinetics_csv, "):
        formats.check("kinetics", "x.csv")


def test_a_single_video(file, tmp_path):
    from ivcore.video.writer import write_video

    write_video(tmp_path / "x.mp4", np.zeros((5, 32, 32, 3), np.uint8), 8)
    assert formats.check("video", tmp_path / "x.mp4") == 5
    with pytest.raises(VideoError):
        formats.check("video", file("a.mp4 0\n"))


def test_only_the_standard_library_is_imported():
    heavy = "import sys, ivcore.data.formats; print({'numpy', 'torch', 'pandas', 'decord', 'av'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_features_beside_a_video_do_not_take_its_place(tmp_path):
    (tmp_path / "x.mp4").write_bytes(b"video")
    (tmp_path / "x.npy").write_bytes(b"features")
    (tmp_path / "x.txt").write_text("notes")
    file = tmp_path / "annotations.json"
    entry = {"subset": "training", "duration": 9.0, "annotations": []}
    file.write_text(json.dumps({"database": {"x": entry}}))
    assert formats.read_segments(file, tmp_path)[0].path == f"{tmp_path}/x.mp4"


@pytest.mark.parametrize("digits", [400, 4000])
def test_a_number_of_hundreds_of_digits_is_a_bad_file(tmp_path, digits):
    file = tmp_path / "annotations.json"
    file.write_text('{"database": {"x": {"subset": "training", "duration": %s, "annotations": []}}}' % ("9" * digits))
    with pytest.raises(FormatError, match="a duration in seconds"):
        formats.read_segments(file, tmp_path)
