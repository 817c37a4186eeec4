"""Every notebook: its source is clean, and at preset `quick` it runs through the same runner as users'."""

import json
import math
from collections import Counter

import hygiene
import pytest
from workbook import START, Workbook, as_notebook

from ivcore import notebook, run

NOTEBOOKS = notebook.every()
by_name = pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])


@by_name
def test_source_is_clean(path):
    found = hygiene.complaints(path)
    assert not found, "\n".join([path.name, *found])


def test_no_function_is_defined_in_two_notebooks():
    counted = Counter(name for path in NOTEBOOKS for name in hygiene.functions(path))
    twice = [name for name, times in counted.items() if times > 1]
    assert not twice, f"defined in more than one notebook, move to ivcore: {twice}"


@pytest.fixture(scope="session")
def outputs(tmp_path_factory):
    """One outputs folder for all, so that a notebook finds the runs of those before it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IVCORE_OUTPUTS", str(tmp_path_factory.mktemp("outputs")))
        patch.delenv("IVCORE_CACHE", raising=False)
        yield


@pytest.mark.slow
@by_name
def test_runs_at_quick(path, outputs):
    folder = run.execute(run.jobs(path, "quick")[0], timeout=300)
    metrics = json.loads((folder / "metrics.json").read_text())
    bad = {k: v for k, v in metrics.items() if isinstance(v, float) and not math.isfinite(v)}
    assert len(metrics) > 3 and not bad
    missing = [name for name in hygiene.figures(path) if not (folder / f"figures/{name}.png").is_file()]
    assert not missing


# The checks above can fail: one good notebook, and one for each way to be bad.

GOOD = ["# 10 · Good\n\n> It is good.", "seed: int = 0  # of every generator", START.format(name="10_good")]


@pytest.fixture
def write(tmp_path, monkeypatch):
    book = Workbook(tmp_path, monkeypatch)

    def write(change=None, cells=(), name="10_good"):
        content = as_notebook([*GOOD, *cells])
        if change:
            change(content)
        path = book.root / "notebooks" / f"{name}.ipynb"
        path.write_text(json.dumps(content))
        return path

    return write


def test_a_good_notebook_has_no_complaints(write):
    path = write(
        cells=["## More\n\n[itself](10_good.ipynb), [a page](https://example.org)", "x = 1\n" * 24 + "x"]
    )
    assert hygiene.complaints(path) == []


def _set(*keys, value):
    def change(content):
        for key in keys[:-1]:
            content = content[key]
        content[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    "change, says",
    [
        (
            _set("cells", 2, "outputs", value=[{"output_type": "stream", "name": "stdout", "text": "x"}]),
            "nbstripout",
        ),
        (_set("cells", 2, "execution_count", value=3), "nbstripout"),
        (_set("metadata", "papermill", value={}), "metadata ['papermill']"),
        (_set("cells", 2, "metadata", "papermill", value={}), "metadata ['papermill']"),
        (_set("metadata", "kernelspec", "name", value="conda-env-x-py"), "python3"),
        (_set("cells", 2, "id", value="cell-1"), "cell ids"),
        (_set("cells", 0, "source", value="# 11 · Good\n\n> It is good."), "beginning `# 10 `"),
        (_set("cells", 0, "source", value="# 10 · Good\n\n> It is good.\n\n# Again"), "exactly one"),
        (_set("cells", 0, "source", value="# 10 · Good"), "`> ` line"),
        (_set("cells", 1, "metadata", value={}), "0 cells have the tag"),
        (_set("cells", 2, "metadata", value={"tags": ["parameters"]}), "2 cells have the tag"),
        (
            _set("cells", 2, "source", value='run = start("11_other", globals())'),
            'start("10_good", globals())',
        ),
        (
            _set("cells", 2, "source", value=START.format(name="10_good") + "\nx = 1" * 25),
            "cell 2 has 27 lines",
        ),
        (
            _set("cells", 0, "source", value="# 10 · Good\n\n> It is. [gone](09_gone.ipynb)"),
            "links to 09_gone.ipynb",
        ),
    ],
)
def test_each_way_to_be_bad_is_seen(write, change, says):
    (found,) = hygiene.complaints(write(change))
    assert says in found


def test_functions_and_figures_are_found(write):
    path = write(
        cells=[
            "%matplotlib inline\ndef f():\n    class G: pass",
            'run.figure(draw(1, "x"), "grid")\nrun.figure(fig, name)',
        ]
    )
    assert hygiene.functions(path) == {"f", "G"} and hygiene.figures(path) == {"grid"}
