"""The shipped label sets without their videos, which no test of lists needs."""

import pytest

from ivcore.data import shapes
from ivcore.data.labels.sets import united_sets


@pytest.fixture(scope="session")
def shipped(tmp_path_factory):
    """The lists as notebooks 12 and 13 read them, of empty files."""
    root = tmp_path_factory.mktemp("shipped")
    (root / "videos").mkdir()
    for video, _ in shapes.groups(shapes.Shapes()):
        (root / video.file).touch()
    shapes.label_sets.write(shapes.Shapes(), root / "sets", root)
    return united_sets(str(root / "sets"), str(root))
