"""A file appears whole, or stays what it was."""

import pytest

from ivcore.files import write_atomic


def test_a_failing_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.json"
    write_atomic(path, lambda scratch: scratch.write_text("old"))

    def fail(scratch):
        scratch.write_text("ne")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomic(path, fail)
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]
    assert path.read_text() == "old"
