"""The shipped label sets without their videos, which no test of lists needs."""

import pytest

from ivcore.data.labels.sets import united_sets
from ivcore.data.shapes import config as shapes
from ivcore.data.shapes import label_sets as shape_label_sets


@pytest.fixture(scope="session")
def shipped(tmp_path_factory):
    """The lists as notebooks 12 and 13 read them, of empty files."""
    root = tmp_path_factory.mktemp("shipped")
    (root / "videos").mkdir()
    for video, _ in shapes.groups(shapes.Shapes()):
        (root / video.file).touch()
    shape_label_sets.write(shapes.Shapes(), root / "sets", root)
    return united_sets(str(root / "sets"), str(root))
