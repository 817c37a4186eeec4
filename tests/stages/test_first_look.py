"""The first picture of a notebook."""

import subprocess
import sys

import matplotlib.pyplot as plt
import pytest

from ivcore.errors import ParameterError
from ivcore.run import notebook
from ivcore.run.notebook import source
from ivcore.stages.first_look import LOOKS, first_look

CALL = "first_look(run, "
SHOWN = {path.stem: cells for path in notebook.every() if CALL in str(cells := notebook.cells(path))}


class Run:
    """The part of a run that a picture needs."""

    def figure(self, fig, name, caption, alt):
        self.size, self.axes, self.name, self.words = fig.get_size_inches(), len(fig.axes), name, (caption, alt)
        plt.close(fig)


@pytest.mark.parametrize("about", LOOKS)
def test_every_picture_is_drawn_and_says_one_thing(about, capsys):
    run = Run()
    first_look(run, about)
    assert capsys.readouterr().out == f"{run.words[0]}\n"
    assert run.name == "first_look" and run.axes and 1 < run.size[1] < 8 and 4 < run.size[0] < 11
    assert all(text.endswith(".") and len(text) < 130 for text in run.words)


def test_no_two_pictures_say_the_same():
    assert len({(look.caption, look.alt) for look in LOOKS.values()}) == len(LOOKS)


def test_an_unknown_picture_is_refused():
    with pytest.raises(ParameterError, match=r"about = 'faces': must be one of actions, sentences"):
        first_look(Run(), "faces")


def test_it_needs_no_network_and_renders_no_video(tmp_path):
    code = (
        "import sys; from ivcore.stages.first_look import LOOKS\n"
        "for name, look in LOOKS.items():\n    name == 'masks' or look.draw()\n"
        "print([name for name in ('torch', 'timm', 'av') if name in sys.modules])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={"IVCORE_CACHE": str(tmp_path), "MPLBACKEND": "agg", "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert ran.stdout == "[]\n", ran.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("stem", SHOWN)
def test_it_comes_before_all_else_is_imported(stem):
    code = [
        source(cell) for cell in SHOWN[stem] if cell["cell_type"] == "code" and "parameters" not in notebook.tags(cell)
    ]
    started, shown = code[:2]
    imports = [line for line in started.splitlines() if "import" in line]
    assert imports == ["from ivcore.run import start", "from ivcore.stages.first_look import first_look"]
    assert shown.startswith(CALL) and shown.split('"')[1] in LOOKS
