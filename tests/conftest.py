"""Fixtures for all tests: numbers of the published implementations (tests/golden, small copies)."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("busy machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy machine")

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="session")
def golden():
    """golden("name") -> .config, .weights, .inputs, .outputs of one published model; golden("name.json") -> its content."""

    def read(name):
        if name.endswith(".json"):
            return json.loads((GOLDEN / name).read_text())
        from safetensors import safe_open

        with safe_open(GOLDEN / f"{name}.safetensors", "pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            config = json.loads((file.metadata() or {}).get("config", "{}"))
        parts = {
            p: {k[len(p) :]: v for k, v in tensors.items() if k.startswith(p)} for p in ("weights/", "in/", "out/")
        }
        return SimpleNamespace(
            config=config, weights=parts["weights/"], inputs=parts["in/"], outputs=parts["out/"], all=tensors
        )

    return read


@pytest.fixture(scope="session")
def close():
    """close(got, published, 1e-4): largest difference relative to the largest published value."""

    def check(got, published, tolerance=1e-4):
        assert got.shape == published.shape
        difference = (got.detach() - published).abs().max() / published.abs().max().clamp_min(1e-30)
        assert float(difference) <= tolerance, f"relative difference {float(difference):.2e}"

    return check


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """written("k400") -> the folder of that dataset in miniature, written once; to be read only."""
    from ivcore.data import mini

    root, made = tmp_path_factory.mktemp("released"), {}

    def write(name: str) -> Path:
        if name not in made:
            made[name] = mini.write(name, root / name)
        return made[name]

    return write


@pytest.fixture(scope="session")
def ranks():
    """ranks("two_ranks.py", folder): runs that script beside this file, which starts ranks that write to the folder; returns what they printed."""

    def run(script: str, folder: Path) -> str:
        here = Path(__file__).parent
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": f"{here}:{here.parent}"}
        done = subprocess.run(
            [sys.executable, str(here / script), str(folder)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=500,
        )
        assert done.returncode == 0, done.stderr[-12_000:]
        return done.stdout

    return run
