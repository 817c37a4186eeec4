"""What an import costs: the library alone, and the command line before a kernel starts, load nothing heavy."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

HEAVY = (
    "torch",
    "decord",
    "timm",
    "torchvision",
    "deepspeed",
    "pandas",
    "matplotlib",
    "av",
    "papermill",
    "transformers",
)


def loaded_by(statement: str) -> tuple[set[str], float]:
    program = f"import sys, time\nt = time.perf_counter()\n{statement}\nprint(time.perf_counter() - t, *sys.modules)"
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    ).stdout
    seconds, *modules = said.split()
    return set(modules), float(seconds)


def test_importing_the_package_costs_under_half_a_second():
    modules, seconds = loaded_by("import ivcore")
    assert not modules.intersection(HEAVY)
    assert min(seconds, loaded_by("import ivcore")[1]) < 0.5


@pytest.mark.parametrize(
    "module",
    [
        "run.cli",
        "run.execute",
        "run.presets",
        "run.session",
        "run.board",
        "run.doctor",
        "data.formats",
        "errors",
        "paths",
    ],
)
def test_modules_of_the_command_line_are_light(module):
    modules, _ = loaded_by(f"import ivcore.{module}")
    assert not modules.intersection(HEAVY)


def test_a_wheel_holds_every_file_of_data():
    root = Path(__file__).parents[1]
    globs = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    installed = {file for package, names in globs.items() for name in names
                 for file in (root / package.replace(".", "/")).glob(name)}  # fmt: skip
    there = {
        file for file in (root / "ivcore").rglob("*") if file.is_file() and "__pycache__" not in file.parts
    }
    assert {file for file in there if file.suffix != ".py"} == installed
