"""Every params/<notebook>/<preset>.yaml fits its notebook, without running it."""

import re

import pytest
import yaml

from ivcore import paths
from ivcore.run import notebook
from ivcore.run.parameters import FREE, OWNED_BY_RUNNER
from ivcore.run.spec import Spec, points

FILES = sorted(path for path in paths.presets().glob("*/*.yaml") if not path.name.startswith("_"))
by_file = pytest.mark.parametrize("file", FILES, ids=[f"{path.parent.name}/{path.stem}" for path in FILES])


def test_every_notebook_has_the_presets_quick_and_tiny():
    wanted = [paths.presets() / path.stem / f"{name}.yaml" for path in notebook.every() for name in ("quick", "tiny")]
    missing = [paths.short(path) for path in wanted if not path.is_file()]
    assert not missing, f"write them, comments alone will do: {missing}"


@pytest.mark.parametrize("path", notebook.every(), ids=lambda path: path.stem)
def test_tiny_says_what_the_measured_run_has_otherwise_than_the_short_one_of_the_cell(path):
    """All that it says counts, and nothing of how a run is computed: that belongs to no result."""
    spec = Spec.of(path)
    measured = spec.load("tiny")
    assert measured.keys() == {name for name in measured if measured[name] != spec.cell[name]}
    assert not measured.keys() & {*FREE, *OWNED_BY_RUNNER, "seed"}
    assert ("look" in spec.presets()) == bool(measured)
    assert (
        (paths.presets() / path.stem / "tiny.yaml").read_text().startswith(f"# iv run {notebook.number(path)} tiny\n")
    )


@pytest.mark.parametrize("path", notebook.every(), ids=lambda path: path.stem)
def test_the_short_run_of_the_cell_is_one_that_runs(path):
    spec = Spec.of(path)
    if "look" in spec.presets():
        assert spec.one("look") == spec.check(spec.cell)


GROUPS = ["change these first", "data", "model", "optimisation", "run"]


@pytest.mark.parametrize("path", notebook.every(), ids=lambda path: path.stem)
def test_parameters_stand_under_headings(path):
    groups = [each.group for each in Spec.of(path).parameters.values()]
    assert sorted(groups, key=GROUPS.index) == groups and groups[-1] == "run"
    assert 1 <= groups.count("change these first") <= 6


OF_BEFORE = (
    "base_lr accumulate recompute takes warmup frames clip chunk compare context source amounts kinds ratios".split()
)


def test_one_concept_has_one_spelling_and_one_type():
    types = {}
    for path in notebook.every():
        for name, each in Spec.of(path).parameters.items():
            types.setdefault(name, set()).add(each.type)
    assert not types.keys() & set(OF_BEFORE)
    assert {name: found for name, found in types.items() if len(found) > 1} == {}


@pytest.mark.parametrize("path", notebook.every(), ids=lambda path: path.stem)
def test_every_number_has_a_range_and_every_device_is_checked(path):
    for name, each in Spec.of(path).parameters.items():
        kind = each.constraint and each.constraint.kind
        if re.search(r"\b(int|float)\b", each.type):
            assert kind in ("interval", "choice"), f"{name}: {each.type} without a constraint"
        assert (kind == "device") == (name == "device")


@by_file
def test_names_types_and_constraints_fit(file, tmp_path):
    """Files and folders are the user's own, and not on this machine; everything else must be right."""
    known, loaded = Spec.of(file.parent.name).parameters, Spec.of(file.parent.name).load(file.stem)
    kinds = {n: p.constraint.kind for n, p in known.items() if p.constraint}
    paths_of_users = {n: "" for n, kind in kinds.items() if kind in ("file", "shards")}
    paths_of_users |= {n: "owner/published" for n, kind in kinds.items() if kind == "encoder" and loaded.get(n)}
    paths_of_users |= {n: str(tmp_path) for n in loaded if kinds.get(n) == "folder"}
    (tmp_path / "train.csv").write_text("a.mp4 0\n")  # where label sets are looked for
    (tmp_path / "classes.txt").write_text("run\n")
    assert Spec.of(file.parent.name).expand(file.stem, paths_of_users)


@by_file
def test_encoders_name_a_notebook_and_one_of_its_presets(file):
    spec = Spec.of(file.parent.name)
    for point in points(spec.load(file.stem)):
        for run in spec.references(point).values():
            assert run.preset in run.spec.presets() and run.overrides.keys() <= run.spec.parameters.keys()


def test_both_encoders_make_the_same_steps_where_they_are_compared():
    """`12 sweep_labels` asks which encoder is better with few labels: a lead must not be one of training."""
    runs = points(Spec.of("12_supervised_post_pretraining").load("sweep_labels"))
    runs = [Spec.of("12_supervised_post_pretraining").defaults | run for run in runs]
    seen = {(r["encoder"], r["seed"], r["num_clips"]): (r["epochs"], r["batch_size"], r["repeats"]) for r in runs}
    sides = [{k[1:]: v for k, v in seen.items() if k[0] == encoder} for encoder in ("10/tiny", "11/tiny")]
    assert sides[0] == sides[1] and len(sides[0]) == 9 and len(runs) == 18
    assert len({r["epochs"] * r["num_clips"] for r in runs}) == 1


@by_file
def test_papermill_reads_the_same_values(file):
    read_by_papermill = yaml.safe_load(file.read_text()) or {}
    assert read_by_papermill == Spec.of(file.parent.name).load(file.stem), "write 1.0e-4, not 1e-4"


@by_file
def test_the_head_says_the_command(file):
    head = "\n".join(line for line in file.read_text().splitlines() if line.startswith("#"))
    command = f"iv run {notebook.number(notebook.find(file.parent.name))} {file.stem}"
    assert re.search(rf"{re.escape(command)}\b", head), f"the comment at its head must contain: {command}"
