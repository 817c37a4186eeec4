"""Models of the box in the place of runs that are not there: what stands in, what is said of it, and that it is never taken for the run."""

import boxed
import pytest
import yaml

from ivcore.errors import ParameterError
from ivcore.run import execute, provenance, session
from ivcore.run import folder as run_folder
from ivcore.run.spec import Spec
from ivcore.run.stand_in import stand_in, told
from ivcore.weights import box


@pytest.fixture
def empty(tmp_path, monkeypatch):
    """A full box, and no run."""
    monkeypatch.delenv("IVCORE_RUN_DIR", raising=False)
    card = boxed.packed(monkeypatch, tmp_path / "box", tmp_path / "before")
    monkeypatch.setenv("IVCORE_OUTPUTS", str(tmp_path / "outputs"))
    return card


def values(number, preset="quick", **overrides):
    return Spec.of(number).one(preset, overrides)


def test_each_kind_of_run_has_its_model(empty):
    of_12 = stand_in(Spec.of("12"), values("12"))
    assert of_12 == {"encoder": "ivcore/small-masked"}
    assert stand_in(Spec.of("12"), values("12", "quick_multimodal")) == {"encoder": "ivcore/small-multimodal"}
    assert stand_in(Spec.of("13"), values("13")) == {
        "masked_encoder": "ivcore/small-masked-classifier",
        "multimodal_encoder": "ivcore/small-multimodal-classifier",
    }
    line = "10/quick has not run: ivcore/small-masked from the box stands in; `iv run 10 quick` makes it"
    assert told(Spec.of("12"), values("12"), of_12) == line


def test_nothing_stands_in_for_a_run_that_is_there(empty, tmp_path, monkeypatch):
    boxed.runs(monkeypatch, tmp_path / "others")
    assert stand_in(Spec.of("12"), values("12", num_clips=90)) == {}


def test_nothing_stands_in_for_a_run_with_parameters_of_its_own(empty):
    assert stand_in(Spec.of("12"), values("12", encoder="10/quick:seed=1")) == {}
    assert stand_in(Spec.of("30"), values("30", masked_encoder="scratch")) == {}


def test_nothing_stands_in_where_the_run_itself_is_done(empty, tmp_path, monkeypatch):
    runs = boxed.runs(monkeypatch, tmp_path / "others")
    (runs["12/quick"] / "metrics.json").unlink()
    assert stand_in(Spec.of("13"), values("13")) == {}


def test_an_empty_box_lets_runs_run(empty, tmp_path, monkeypatch):
    monkeypatch.setenv("IVCORE_BOX", str(tmp_path / "none"))
    assert stand_in(Spec.of("13"), values("13")) == {}


def test_a_run_with_a_stand_in_is_another_run(empty, capsys):
    (alone,), (chained,) = (execute.jobs("12", "quick", box=yes) for yes in (True, False))
    assert alone.values == chained.values | {"encoder": "ivcore/small-masked"}
    assert alone.digest != chained.digest and alone.label == "quick+"
    assert "ivcore/small-masked from the box stands in" in capsys.readouterr().out


def namespace(number, **changed):
    return {name: each.default for name, each in Spec.of(number).parameters.items()} | changed


def test_an_open_notebook_begins_with_the_box_and_says_so_first(empty, capsys, monkeypatch):
    shown = namespace("30", masked_encoder="10/quick", num_clips=60)
    run = session.start("30_action_recognition", shown)
    first, *_, last = capsys.readouterr().out.splitlines()
    assert last == "starts from the box: ivcore/small-masked"
    assert first == "10/quick has not run: ivcore/small-masked from the box stands in; `iv run 10 quick` makes it"
    assert run.upstream("masked_encoder") == shown["masked_encoder"] == "ivcore/small-masked"
    assert yaml.safe_load((run.dir / "params.yaml").read_text())["masked_encoder"] == "ivcore/small-masked"
    assert run.label.endswith("+")
    run.finish({"top1": 0.5})
    assert run_folder.read_metrics(run.dir)["box"] == "ivcore/small-masked"


def test_once_the_real_run_is_there_the_setup_cell_takes_it(empty, tmp_path, monkeypatch):
    shown = namespace("30", masked_encoder="10/quick", num_clips=60)
    session.start("30_action_recognition", shown)
    runs = boxed.runs(monkeypatch, tmp_path / "others")
    run = session.start("30_action_recognition", shown)
    assert shown["masked_encoder"] == "10/quick" and run.upstream("masked_encoder") == runs["10/quick"]


def test_a_new_box_makes_the_run_stale(empty, monkeypatch):
    run = session.start("30_action_recognition", namespace("30", masked_encoder="ivcore/small-masked", num_clips=60))
    run.finish({"top1": 0.5})
    assert provenance.is_current(run.dir)
    file = box.place("ivcore/small-masked")
    file.write_bytes(file.read_bytes() + b"\0")
    (changed,) = provenance.changes(run.dir)
    assert "small-masked.safetensors has changed" in changed


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ivcore/foo", "not in the box; there are ivcore/small-masked, "),
        ("ivcore/small-coordinated", "holds a coordinated model"),
    ],
)
def test_a_name_that_does_not_fit_is_refused_before_anything_starts(empty, name, said):
    with pytest.raises(ParameterError, match=f"^encoder = '{name}': .*{said}"):
        values("12", encoder=name)
