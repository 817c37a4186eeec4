"""What pyproject.toml declares: every library that is imported, in ranges that hold the versions of constraints.txt."""

import ast
import itertools
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
EXTRAS = PROJECT["optional-dependencies"]
BESIDE = {"ipython", "jupyter-client", "traitlets"}  # come with ipykernel
NOT_INSTALLED = {
    "metaworld": "metaworld",
    "mujoco": "mujoco",
    "miniworld": "miniworld",
}  # where nobody has asked for the simulator
FROM_CONDA = {"habitat-sim"}  # which has no package that pip installs
NEEDS_RUN = {"run", "show", "stages"}  # folders that are of use to notebooks only


def requirements(lines) -> dict[str, Requirement]:
    """name -> requirement; those that name other extras of this project are left out."""
    listed = [Requirement(line) for line in lines]
    return {canonicalize_name(one.name): one for one in listed if one.name != PROJECT["name"]}


BASE = requirements(PROJECT["dependencies"])
EVERYTHING = BASE | requirements(itertools.chain(*EXTRAS.values()))


def constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


def imported(file: Path) -> set[str]:
    """Top-level names of the libraries that a module imports, inside functions too."""
    nodes = list(ast.walk(ast.parse(file.read_text())))
    whole = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    parts = [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
    return {name.split(".")[0] for name in whole + parts} - sys.stdlib_module_names - {"ivcore"}


def distributions(files) -> set[str]:
    """The packages that these modules import."""
    names = {name for file in files for name in imported(file)}
    of_module = packages_distributions()
    return {canonicalize_name((of_module.get(n) or [NOT_INSTALLED.get(n, n)])[0]) for n in names} - BESIDE - FROM_CONDA


def test_every_version_is_a_range_and_its_pin_lies_in_it():
    pins = constraints()
    for name, requirement in EVERYTHING.items():
        assert not [one for one in requirement.specifier if one.operator == "=="], f"{name}: a pin"
        assert [one for one in requirement.specifier if one.operator in ("<", "<=")], f"{name}: no upper bound"
        assert requirement.specifier.contains(pins[name]), f"{name}: {pins[name]} is not {requirement.specifier}"
    assert list(pins) == sorted(pins)
    assert all(Version(pin).local is None for pin in pins.values())


def test_python_and_the_named_packages():
    python = Requirement(f"python{PROJECT['requires-python']}").specifier
    assert [minor for minor in range(8, 17) if python.contains(f"3.{minor}.1")] == [11, 12, 13]
    named = [
        "deepspeed",
        "torch",
        "jupyterlab",
        "papermill",
        "timm",
        "decord",
        "matplotlib",
        "ipywidgets",
        "einops",
        "snakemake",
    ]
    assert EVERYTHING.keys() >= set(named)
    assert not BASE.keys() & {"snakemake", "jupyterlab", "papermill", "deepspeed", "ipywidgets"}


def test_a_wheel_holds_every_file_of_data():
    data = PYPROJECT["tool"]["setuptools"]["package-data"]
    files = [path for path in (ROOT / "ivcore").rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")]
    anywhere, patterns = data["*"], data["*"] + [f"ivcore/{pattern}" for pattern in data["ivcore"]]
    assert files and not [file for file in files if not any(file.match(pattern) for pattern in patterns)]
    folders = {file.parent for file in (ROOT / "ivcore").rglob("*.py")}
    named = {file.parent for file in files if any(file.match(pattern) for pattern in anywhere)}
    assert all((folder / "__init__.py").is_file() for folder in folders | named)


def test_what_is_imported_is_declared():
    """The library alone needs nothing of the extras; what runs notebooks needs `run` and nothing of the lab or Snakemake."""
    files = list((ROOT / "ivcore").rglob("*.py"))
    library = [file for file in files if file.relative_to(ROOT).parts[1] not in NEEDS_RUN]
    optional = requirements(
        EXTRAS["sim"] + EXTRAS["deepspeed"]
    )  # a source of videos or an engine, imported when it is chosen
    assert distributions(library) <= (BASE | optional).keys()
    assert distributions(files) <= (BASE | optional | requirements(EXTRAS["run"])).keys()


@pytest.mark.parametrize("module", ["ivcore", "ivcore.weights", "ivcore.train", "ivcore.cma", "ivcore.run.cli"])
def test_the_library_imports_nothing_of_the_lab(module):
    absent = [
        "snakemake",
        "papermill",
        "jupyterlab",
        "ipywidgets",
        "pandas",
        "matplotlib",
        "omegaconf",
        "tabulate",
        "psutil",
    ]
    program = f"import sys; sys.modules |= dict.fromkeys({absent}); import {module}"  # None: importing it fails
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
