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
    modules, _ = loaded_by(f"import ivcore.{module}")
    assert not modules.intersection(HEAVY)
