"""The documented commands for a user's own videos and label sets, as they are written, on folders such as are shown there."""

import json
import os
import re
import shlex
import subprocess
import sys

import numpy as np
import pytest

from ivcore import paths
from ivcore.video.writer import write_video

LEAST = {  # what makes the runs short, put behind each command
    "10": "-p epochs=1.0 -p warmup_epochs=0.0",
    "12": "-p epochs=1.0 -p warmup_epochs=0.0",
    "13": "-p epochs=1.0 -p warmup_epochs=0.0 -p cached_views=1",
    "30": "-p steps=2 -p warmup_steps=0",
}
ACTIONS = ("jump", "wave")


def commands() -> list[str]:
    return [*commands_of("README.md", "Your own videos"), *commands_of("docs/data.md", "Several label sets")]


def commands_of(page: str, section: str) -> list[str]:
    """The `iv run` lines of the code blocks in a section of a page, continued lines joined and comments cut off."""
    text = (paths.ROOT / page).read_text()
    (body,) = re.findall(rf"^## {section}\n(.*?)(?=^## )", text, re.M | re.S)
    blocks = re.findall(r"^```\n(.*?)^```", body, re.M | re.S)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [line.split("  #")[0].strip() for line in lines if line.startswith("iv run")]


def video(number: int) -> np.ndarray:
    """Sixteen frames of noise that moves, another one for each number."""
    rng = np.random.default_rng(number)
    picture = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
    return np.stack([np.roll(picture, 2 * t * (1 + number % 2), 1) for t in range(16)])


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A clone with my_videos and my_sets in it, and without any run."""
    root = tmp_path_factory.mktemp("clone")
    for name in ("notebooks", "params"):
        (root / name).symlink_to(paths.ROOT / name)
    videos, sets = root / "my_videos", root / "my_sets"
    videos.mkdir()
    for number in range(1, 10):
        for label, action in enumerate(ACTIONS):
            write_video(videos / f"{action}_{number}.mp4", video(2 * number + label), 8)
    write_lists(videos, {"train": range(1, 6), "val": range(6, 8), "test": range(8, 10)})
    for shift, name in enumerate(("k400", "k600", "k700")):
        (sets / name).mkdir(parents=True)
        write_lists(sets / name, {"train": range(1 + shift, 5 + shift), "val": [8], "test": [9]})
        (sets / name / "classes.txt").write_text("".join(f"{action}\n" for action in ACTIONS))
    return root


def write_lists(folder, splits):
    for split, numbers in splits.items():
        lines = [f"{action}_{n}.mp4 {label}\n" for n in numbers for label, action in enumerate(ACTIONS)]
        (folder / f"{split}.csv").write_text("".join(lines))


def test_the_commands_are_found():
    numbers = [command.split()[2] for command in commands()]
    assert numbers == ["10", "30", "12", "12", "13"]


@pytest.mark.slow
def test_the_commands_run_as_they_are_written(root):
    """Behind each stand a few steps and, for notebook 12, encoders that are there: 10 and 11 at `tiny` would be made first."""

    def run(command: str) -> str:
        """The folder that it printed, below outputs/."""
        environment = os.environ | {"IVCORE_ROOT": str(root), "OMP_NUM_THREADS": "1"}
        environment.pop("IVCORE_OUTPUTS", None)
        call = [sys.executable, "-m", "ivcore.run.cli", *shlex.split(command)[1:]]
        done = subprocess.run(call, cwd=root, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        return re.findall(r"→ (outputs/\S+)", done.stdout)[-1]

    first, second, *labelled, last = commands()
    masked = run(f"{first} {LEAST['10']}")
    multimodal = run("iv run 11 quick")
    assert "outputs/10_masked_video_modeling/RUN" in second
    run(f"{second.replace('outputs/10_masked_video_modeling/RUN', masked)} {LEAST['30']}")
    found = [
        run(f"{command} {LEAST['12']} -p encoder={encoder}")
        for command, encoder in zip(labelled, (masked, multimodal), strict=True)
    ]
    for placeholder, folder in zip(("RUN2", "RUN"), reversed(found), strict=True):
        last = last.replace(f"outputs/12_supervised_post_pretraining/{placeholder}", folder, 1)
    joined = root / run(f"{last} {LEAST['13']}") / "metrics.json"
    assert {"top1_coordinated", "top1_ensemble"} <= set(json.loads(joined.read_text()))
