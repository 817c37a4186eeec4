"""R2R's episodes for continuous environments: read back as written, and bad files told in a line."""

import gzip
import json
import math

import pytest

from ivcore.data import formats, mini
from ivcore.errors import FormatError

ENTRY = {
    "episode_id": 7,
    "scene_id": "mp3d/17DRP5sb8fy/17DRP5sb8fy.glb",
    "start_position": [10.2, 0.1, 0.06],
    "start_rotation": [0.0, 0.0, 0.0, 1.0],
    "goals": [{"position": [12.2, 0.1, -3.5], "radius": 3.0}],
    "instruction": {"instruction_text": "Leave the bathroom.\n", "instruction_tokens": [2, 5]},
    "reference_path": [[10.2, 0.1, 0.06], [12.2, 0.1, -3.5]],
}


def written(folder, entries, packed=True):
    path = folder / "train.json.gz"
    text = json.dumps({"episodes": entries}).encode()
    path.write_bytes(gzip.compress(text) if packed else text)
    return path


@pytest.mark.parametrize("packed", [True, False])
def test_an_episode_as_published(tmp_path, packed):
    (episode,) = formats.read_vln_episodes(written(tmp_path, [ENTRY], packed))
    assert (episode.name, episode.scene, episode.instruction) == ("7", ENTRY["scene_id"], "Leave the bathroom.")
    assert episode.heading == pytest.approx(-math.pi / 2)  # along -z
    assert episode.goal == (12.2, 0.1, -3.5) and len(episode.reference) == 2


@pytest.mark.parametrize("turn", [0.3, 2.0, -1.2])
def test_a_rotation_about_the_vertical_turns_to_the_left(tmp_path, turn):
    turned = ENTRY | {"start_rotation": [0.0, math.sin(turn / 2), 0.0, math.cos(turn / 2)]}
    (episode,) = formats.read_vln_episodes(written(tmp_path, [turned]))
    assert (math.cos(episode.heading), math.sin(episode.heading)) == pytest.approx((-math.sin(turn), -math.cos(turn)))


def test_a_test_keeps_goals_back(tmp_path):
    bare = {name: value for name, value in ENTRY.items() if name not in ("goals", "reference_path")}
    (episode,) = formats.read_vln_episodes(written(tmp_path, [bare]))
    assert episode.goal is None and episode.reference == ()


def test_the_miniature_reads_back(tmp_path):
    folder = mini.write("r2r_vlnce", tmp_path / "r2r")
    for split, count in (("train", 10), ("val_seen", 5), ("val_unseen", 5)):
        episodes = formats.read_vln_episodes(folder / split / f"{split}.json.gz", folder / split / f"{split}_gt.json.gz")  # fmt: skip
        assert len(episodes) == count
        assert all(each.actions[-1] == 0 and set(each.actions) <= {0, 1, 2, 3} for each in episodes)
        formats.write_vln_episodes(tmp_path / "again.json.gz", episodes)
        formats.write_vln_truth(tmp_path / "again_gt.json.gz", episodes)
        again = formats.read_vln_episodes(tmp_path / "again.json.gz", tmp_path / "again_gt.json.gz")
        assert [each.reference for each in again] == [each.reference for each in episodes]
        assert [each.heading for each in again] == pytest.approx([each.heading for each in episodes])
    assert all(each.goal is None for each in formats.read_vln_episodes(folder / "test" / "test.json.gz"))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"start_position": [1.0, 2.0]}, "start_position: expected x, height and z, found 2 numbers"),
        ({"start_position": [1.0, "a", 2.0]}, "expected a number, found 'a'"),
        ({"start_rotation": [0.5, 0.5, 0.5, 0.5]}, "about the vertical"),
        ({"instruction": {"instruction_text": " "}}, "says something"),
        ({"instruction": {}}, "expected the key 'instruction_text'"),
        ({"goals": 3}, "expected a list"),
        ({"reference_path": []}, "at least one position"),
    ],
)
def test_a_bad_entry_is_told_in_a_line(tmp_path, change, told):
    path = written(tmp_path, [ENTRY, ENTRY | change])
    with pytest.raises(FormatError, match=told) as caught:
        formats.read_vln_episodes(path)
    assert str(caught.value).startswith(f"{path}:1: episodes[1]")
    with formats.without_bad_rows() as left_out:
        assert len(formats.read_vln_episodes(path)) == 1
    assert len(left_out) == 1


def test_bad_files_are_told_in_a_line(tmp_path):
    path = tmp_path / "a.json.gz"
    with pytest.raises(FormatError, match="cannot be read"):
        formats.read_vln_episodes(path)
    path.write_bytes(gzip.compress(b'{"episodes": []}' * 40)[:-20])
    with pytest.raises(FormatError, match="expected JSON in gzip"):
        formats.read_vln_episodes(path)
    path.write_bytes(gzip.compress(b'{"7": {"locations": [[0, 0, 0]], "actions": [5]}}'))
    with pytest.raises(FormatError, match=r"7\.actions.*from 0 to 3, found 5"):
        formats.read_vln_truth(path)
    path.write_bytes(gzip.compress(b'{"8": {"locations": [[0, 0, 0]], "actions": [0]}}'))
    with pytest.raises(FormatError, match="expected the episode '7'"):
        formats.read_vln_episodes(written(tmp_path, [ENTRY]), path)
