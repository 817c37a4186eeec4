"""The six retrieval datasets from their own files: who is trained on, chosen on and searched, by which sentences, and what is refused where."""

import json
import os
import pickle
import shutil
from dataclasses import replace

import pytest

from ivcore.data import formats
from ivcore.data.captions.releases import LAYOUTS, released_sets
from ivcore.errors import FormatError, ParameterError, UserError

MINIS = {layout: layout for layout in LAYOUTS} | {"activitynet": "activitynet_captions"}
PARTS = ("train", "val", "test")


def sets_of(written, layout, names=PARTS):
    return [*released_sets(written(MINIS[layout]), layout, names).values()]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_split_has_its_videos_and_shares_none(written, layout):
    sets = sets_of(written, layout)
    paths = [record.path for one in sets for record in one.records]
    assert all(map(len, sets)) and len({*paths}) == len(paths) and all(map(os.path.exists, paths))
    tested = {len(record.captions) for record in sets[2].records}
    assert (min(tested) > 1) == (layout in ("msvd", "vatex"))
    assert sets[2].queries == [record.captions[0] for record in sets[2].records]


def test_a_split_alone_is_the_same_videos(written):
    assert sets_of(written, "msrvtt", ("test",))[0] == sets_of(written, "msrvtt")[2]


def test_paragraphs_are_searched(written):
    videos = sets_of(written, "activitynet")[2].records
    told = json.loads((written("activitynet_captions") / "val_1.json").read_text())
    assert [video.captions for video in videos] == [(" ".join(told[v.id]["sentences"]),) for v in videos]


def test_a_test_sentence_of_msrvtt_is_the_one_of_its_list(written):
    rows = formats.read_msrvtt_csv(written("msrvtt") / "MSRVTT_JSFUSION_test.csv")
    assert sets_of(written, "msrvtt")[2].queries == [row.sentence for row in rows]


def test_videos_are_found_without_a_folder_of_that_name_and_without_v_(written, tmp_path):
    folder = shutil.copytree(written("activitynet_captions"), tmp_path / "net")
    (folder / "videos").rename(folder / "clips")
    for file in (folder / "clips").iterdir():
        file.rename(file.with_name(file.name.removeprefix("v_")))
    sets = released_sets(folder, "activitynet", PARTS)
    assert [len(one) for one in sets.values()] == [len(one) for one in sets_of(written, "activitynet")]


def test_missing_videos_are_counted_and_too_many_refused(written, tmp_path, capsys):
    folder = shutil.copytree(written("msvd"), tmp_path / "msvd")
    for gone in sets_of(written, "msvd")[2].records[:3]:
        os.remove(folder / "videos" / os.path.basename(gone.path))
    test = released_sets(folder, "msvd", ("test",), max_bad=0.5)["test"]
    assert (len(test), test.missing) == (5, 3) and "test: 3 of 8 files are not there" in capsys.readouterr().out
    with pytest.raises(UserError, match="max_bad"):
        released_sets(folder, "msvd", ("test",), max_bad=0.05)


def broken(written, tmp_path, layout, file, change):
    folder = shutil.copytree(written(MINIS[layout]), tmp_path / layout)
    text = (folder / file).read_text() if (folder / file).suffix != ".pkl" else ""
    (folder / file).write_text(change(text))
    return folder


REFUSED = [
    ("msrvtt", "MSRVTT_JSFUSION_test.csv", lambda t: t + "ret9,msr9,video9999,a man\n", ":10: .*found 'video9999'"),
    ("msrvtt", "MSRVTT_JSFUSION_test.csv", lambda t: t + t.splitlines()[2] + "\n", ":10: expected every row once, found that of line 3"),
    ("msrvtt", "MSRVTT_train.9k.csv", lambda t: t + t.splitlines()[1] + "\n", "expected every row once, found that of line 2"),
    ("vatex", "vatex_training_v1.0.json", lambda t: json.dumps([*json.loads(t), json.loads(t)[0]]), "expected every video once"),
    ("msvd", "raw-captions.pkl", lambda t: "cos\nsystem\n.", "raw-captions.pkl: .*os.system, which could run a program"),
    ("msvd", "val_list.txt", lambda t: t + "nobody\n", "val_list.txt:5: expected a video that has captions, found 'nobody'"),
    ("lsmdc", "LSMDC16_annos_val.csv", lambda t: t + "clip\ta man\n", ":5: expected 6 TAB-separated columns"),
    ("activitynet", "val_ids.json", lambda t: t.replace("v_", "w_", 1), "val_ids.json:2: .*a video that has captions"),
    ("activitynet", "train.json", lambda t: t.replace('"sentences"', '"words"', 1), "train.json:2: .*the key 'sentences'"),
    ("didemo", "test_data.json", lambda t: t.replace('"description"', '"text"', 1), "test_data.json:2: .*'description'"),
    ("vatex", "test_list.txt", lambda t: t + t.split()[0], "test_list.txt:9: expected every video once"),
]  # fmt: skip


@pytest.mark.parametrize(
    "layout, file, change, message", REFUSED, ids=[f"{row[0]} {row[1]} {n}" for n, row in enumerate(REFUSED)]
)
def test_a_bad_file_is_named_with_its_line(written, tmp_path, layout, file, change, message):
    with pytest.raises(FormatError, match=message):
        released_sets(broken(written, tmp_path, layout, file, change), layout, PARTS)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_file_that_is_not_there_is_named(tmp_path, layout):
    with pytest.raises(ParameterError, match=r"has no .*iv data mini --list"):
        released_sets(tmp_path, layout, PARTS)


def test_the_miniature_pickle_is_read_by_python_too(written):
    table = pickle.loads((written("msvd") / "raw-captions.pkl").read_bytes())
    (test,) = sets_of(written, "msvd", ("test",))
    assert [" ".join(words) for words in table[test.records[0].id]] == list(test.records[0].captions)


def test_a_pair_for_every_caption(written):
    (train,) = sets_of(written, "vatex", ("train",))
    pairs = train.pairs()
    assert len(pairs) == 10 * len(train) and {len(texts) for texts in pairs.captions} == {1}
    assert pairs.records[13].path == train.records[1].path and pairs.queries[13] == train.captions[1][3]


def test_captions_of_msrvtt_are_tested_on_the_split_of_its_own_file_and_all_of_them_count(written, tmp_path):
    listed = {video.id: video for video in formats.read_msrvtt_json(written("msrvtt") / "MSRVTT_data.json")}
    for layout in ("msrvtt", "msrvtt_1ka"):
        sets = [*released_sets(written("msrvtt"), layout, PARTS, captioning=True).values()]
        assert all(record.captions == listed[record.id].captions for one in sets for record in one.records)
        said = [{listed[record.id].split for record in one.records} for one in sets]
        assert said == [{"train"}, {"validate"}, {"test"}] or layout == "msrvtt_1ka"
    folder = shutil.copytree(written("msrvtt"), tmp_path / "msrvtt")
    formats.write_msrvtt_json(folder / "MSRVTT_data.json", [replace(video, split=None) for video in listed.values()])
    with pytest.raises(UserError, match="no video has the split train; release = msrvtt_1ka"):
        released_sets(folder, "msrvtt", PARTS, captioning=True)


HELD_OUT = ("msrvtt", "activitynet", "vatex")  # their validation videos are training videos, or those of the test


@pytest.mark.parametrize("layout", LAYOUTS)
def test_where_nothing_is_chosen_no_training_video_is_held_out(written, layout):
    chosen, whole = (released_sets(written(MINIS[layout]), layout, PARTS, chooses=each) for each in (True, False))
    assert list(chosen) == [*PARTS] and ("val" in whole) == (layout not in HELD_OUT)
    trained = {
        name: {record.path for record in some["train"].records} for name, some in (("chosen", chosen), ("whole", whole))
    }
    held_out = {record.path for record in chosen["val"].records} if layout in HELD_OUT else {*()}
    assert trained["whole"] == trained["chosen"] | held_out
    assert [record.path for record in whole["test"].records] == [record.path for record in chosen["test"].records]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_test_videos_alone_are_enough_to_test(written, tmp_path, layout):
    """No other video is there, and no list of others."""
    whole = released_sets(written(MINIS[layout]), layout, ("test",))["test"]
    folder = shutil.copytree(written(MINIS[layout]), tmp_path / layout)
    kept = {os.path.basename(record.path) for record in whole.records}
    for file in [*(folder / "videos").rglob("*.*"), *folder.glob("*train*"), *folder.glob("*val_list*")]:
        if file.name not in kept:
            file.unlink()
    alone = released_sets(folder, layout, ("test",))["test"]
    assert alone.queries == whole.queries and alone.missing == 0
    with pytest.raises(UserError):
        released_sets(folder, layout, PARTS)
