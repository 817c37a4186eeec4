"""Text in figures has nine points or more, wherever its size is written."""

import re
from pathlib import Path

import matplotlib
import pytest

from ivcore import paths
from ivcore.run import notebook
from ivcore.show import style

LEAST = 9
SIZE = re.compile(r"(?:font|label|title)_?size[\"']?\s*[:=]\s*([^\s,)}]+)")
FILES = [*sorted((paths.ROOT / "ivcore").rglob("*.py")), *notebook.every()]


def sizes(path: Path) -> list[str]:
    """Every size of text that a file writes down as a number or as a word."""
    return [size for size in SIZE.findall(path.read_text(encoding="utf-8")) if re.match(r"[\d\"'\\]", size)]


@pytest.mark.parametrize("path", [path for path in FILES if sizes(path)], ids=lambda path: path.name)
def test_no_text_is_smaller(path):
    assert [size for size in sizes(path) if not re.match(r"[\d.]+$", size) or float(size) < LEAST] == []


def test_default_text_sizes_are_readable():
    with matplotlib.rc_context():
        style.apply()
        assert all(matplotlib.rcParams[name] >= LEAST for name in style._SIZES)


def test_a_small_text_is_found(tmp_path):
    (tmp_path / "a.py").write_text(
        "axes.text(0, 0, 'x', fontsize=6.5)\naxes.legend(**{'fontsize': 'small'})\nx(fontsize=FONT)"
    )
    assert sizes(tmp_path / "a.py") == ["6.5", "'small'"]
