"""What an import costs: the library alone, and the command line before a kernel starts, load nothing heavy."""

import subprocess
import sys

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


def loaded_by(statement: str) -> set[str]:
    program = f"import sys\n{statement}\nprint(*sys.modules)"
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    ).stdout
    return set(said.split())


def test_importing_the_package_loads_nothing_heavy():
    assert not loaded_by("import ivcore").intersection(HEAVY)


@pytest.mark.parametrize(
    "module",
    [
        "run.cli",
        "run.execute",
        "run.spec",
        "run.session",
        "run.board",
        "run.doctor",
        "data.formats",
        "data.shapes",
        "data.embedded",
        "errors",
        "paths",
    ],
)
def test_modules_of_the_command_line_are_light(module):
    assert not loaded_by(f"import ivcore.{module}").intersection(HEAVY)
