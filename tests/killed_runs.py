"""Runs that are killed at moments drawn from a seed and started again, compared with runs that were left alone.

python tests/killed_runs.py OUT --kills 20 --seed 0

Each kill draws a stage, whom it hits (a kernel; the process of one of two ranks; who launched them), the signal and the moment. Afterwards
nothing half-written may be there to be read, and the next start has to end at the same metrics and the same weights, byte for byte. Prints a
line a kill and a summary; exit status 1 where anything differs. OUT/killed.jsonl keeps the numbers.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from ivcore.run import folder as run_folder
from ivcore.train.checkpoints import Checkpoints

ROOT = Path(__file__).parents[1]
# notebook -> what makes preset quick long enough to be hit
STAGES = {
    "10": ("epochs=30", "checkpoint_seconds=1"),
    "11": ("steps=40", "checkpoint_seconds=1"),
    "12": ("epochs=20", "checkpoint_seconds=1"),
    "13": ("epochs=20", "checkpoint_seconds=1"),
    "30": ("steps=60", "checkpoint_seconds=1"),
}
WHOM = ("kernel", "rank", "launcher")
OWN_TIME = (
    "wall_seconds",
    "seconds",
    "clips_per_s",
    "data_wait",
)  # of metrics: endings of what two equal runs differ in
LIMIT = 900  # seconds of one run


@dataclass(frozen=True)
class Kill:
    """`share`: of the lines that training logs when it is left alone; `wait`: seconds after that. `rank` is hit where there are two."""

    stage: str
    ranks: int
    whom: str
    signal: str
    share: float
    rank: int
    wait: float = 0.0


def draw(seed: int, kills: int, stages: list[str]) -> list[Kill]:
    """Every kind of kill and every stage comes as often as any other; the rest is chance."""
    dice = random.Random(seed)
    kinds = [(whom, name) for whom in WHOM for name in ("SIGKILL", "SIGTERM")]
    drawn = []
    for number in range(kills):
        if number % len(kinds) == 0:
            dice.shuffle(kinds)
        whom, name = kinds[number % len(kinds)]
        ranks = 2 if whom == "rank" or (whom == "launcher" and dice.random() < 0.5) else 1
        share, wait = dice.uniform(0, 1), dice.uniform(0, 1)
        drawn.append(Kill(stages[number % len(stages)], ranks, whom, name, share, dice.randrange(ranks), wait))
    return drawn


def start(stage: str, ranks: int, outputs: Path, settings: dict[str, tuple]) -> subprocess.Popen:
    words = ["ivcore.run", stage, "quick", *(word for setting in settings[stage] for word in ("-p", setting))]
    launcher = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks), "-m"] if ranks > 1 else []
    outputs.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"IVCORE_OUTPUTS": str(outputs), "OMP_NUM_THREADS": "1"}
    with open(outputs / "said.txt", "a") as said:
        return subprocess.Popen(
            [sys.executable, "-m", *launcher, *words], env=environment, stdout=said, stderr=said, start_new_session=True
        )


def family(process: subprocess.Popen) -> list[psutil.Process]:
    """All that it has started, from the outside in."""
    try:
        own = psutil.Process(process.pid)
        return [own, *own.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _is(process: psutil.Process, word: str) -> bool:
    try:
        return word in process.cmdline()
    except psutil.Error:
        return False


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:  # it went between the two questions
        return False


def victim(processes: list[psutil.Process], kill: Kill) -> psutil.Process | None:
    """None while it is not there yet."""
    if kill.whom == "launcher":
        return processes[0] if processes else None
    if kill.whom == "kernel":
        found = [each for each in processes if _is(each, "ipykernel_launcher")]
    else:
        found = [each for each in processes[1:] if _is(each, "ivcore.run") and not _is(each, "torch.distributed.run")]
    return found[kill.rank] if len(found) == kill.ranks else None


def progress(outputs: Path, stage: str) -> int:
    """Lines that the stage's trainings have logged."""
    return sum(path.read_text().count("\n") for path in outputs.glob(f"{stage}_*/*/**/train.jsonl"))


def strike(process: subprocess.Popen, outputs: Path, kill: Kill, lines: float) -> float | None:
    """Kill where training has logged so many lines. -> seconds until every other process is gone; None where the run ended before."""
    while progress(outputs, kill.stage) < lines and process.poll() is None:
        time.sleep(0.05)
    time.sleep(kill.wait)
    while (target := victim(everyone := family(process), kill)) is None:
        if process.poll() is not None:
            return None
        time.sleep(0.05)
    if process.poll() is not None:
        return None
    target.send_signal(getattr(signal, kill.signal))
    hit = time.monotonic()
    while time.monotonic() - hit < LIMIT:
        everyone += [each for each in family(process) if each not in everyone]
        process.poll()  # so that it is no zombie
        if not any(_lives(each) for each in everyone):
            break
        time.sleep(0.05)
    process.wait(LIMIT)
    return time.monotonic() - hit


def result(outputs: Path, stage: str) -> tuple[dict, dict]:
    """(metrics without times, content of each file of weights), of the run that is done."""
    (folder,) = [path for path in outputs.glob(f"{stage}_*/*") if run_folder.is_done(path) and not path.is_symlink()]
    metrics = {name: value for name, value in run_folder.read_metrics(folder).items() if not name.endswith(OWN_TIME)}
    weights = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.safetensors")}
    return metrics, weights


def half_written(outputs: Path, stage: str) -> list[str]:
    """Incomplete files that the next start, or anybody else, would read."""
    flaws = []
    for folder in outputs.glob(f"{stage}_*/*"):
        for path in folder.rglob("*.json"):
            try:
                json.loads(path.read_text())
            except ValueError as error:
                flaws.append(f"{path.name}: {error}")
        for place in folder.rglob("checkpoints"):
            checkpoints = Checkpoints(place)
            flaws += [f"step {step}: {flaw}" for step in checkpoints.steps() if (flaw := checkpoints.flaw(step))]
    return flaws


def with_upstream(reference: Path, outputs: Path, stage: str) -> Path:
    """A place for outputs in which all but the stage's own runs are those of the reference."""
    outputs.mkdir(parents=True)
    for folder in reference.iterdir():
        if folder.is_dir() and not folder.name.startswith(f"{stage}_"):
            (outputs / folder.name).symlink_to(folder)
    return outputs


def alone(out: Path, stage: str, ranks: int, upstream: Path | None, settings: dict[str, tuple]) -> tuple[Path, int]:
    """The run that nobody kills, and the lines it logs; made once."""
    outputs = out / f"alone-{stage}-{ranks}"
    if not outputs.exists() and upstream:
        with_upstream(upstream, outputs, stage)
    if start(stage, ranks, outputs, settings).wait(LIMIT):
        sys.exit(f"{stage} on {ranks} ranks failed: {(outputs / 'said.txt').read_text()[-2000:]}")
    return outputs, progress(outputs, stage)


def trial(out: Path, number: int, kill: Kill, whole: Path, lines: int, upstream: Path | None, settings) -> dict:
    """One kill and its outcome."""
    outputs, share = out / f"killed-{number}", kill.share
    ended = None
    while ended is None:
        shutil.rmtree(outputs, ignore_errors=True)
        if upstream:
            with_upstream(upstream, outputs, kill.stage)
        process = start(kill.stage, kill.ranks, outputs, settings)
        ended = strike(process, outputs, kill, share * lines)
        share /= 2
    flaws = half_written(outputs, kill.stage)
    said = (outputs / "said.txt").stat().st_size
    status = start(kill.stage, kill.ranks, outputs, settings).wait(LIMIT)
    after = (outputs / "said.txt").read_text()[said:]
    same = status == 0 and result(outputs, kill.stage) == result(whole, kill.stage)
    found = asdict(kill) | {
        "seconds_until_all_ended": round(ended, 1),
        "half_written": flaws + ["passed over"] * ("passed over" in after),
        "resumed": "resumed from step" in after,
        "same": same,
    }
    if same and not found["half_written"]:
        shutil.rmtree(outputs)
    return found


def run(out: Path, kills: list[Kill], settings: dict[str, tuple], upstream: Path | None = None) -> list[dict]:
    """The trials' findings. `upstream`: outputs with the runs that the stages start from."""
    wholes, found = {}, []
    for number, kill in enumerate(kills):
        key = (kill.stage, kill.ranks)
        if key not in wholes:
            wholes[key] = alone(out, *key, upstream, settings)
        found.append(trial(out, number, kill, *wholes[key], upstream, settings))
        print(json.dumps(found[-1]), flush=True)
        with open(out / "killed.jsonl", "a") as file:
            file.write(json.dumps(found[-1]) + "\n")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--first", type=int, default=0, help="go on with this kill of the draw")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--stages", nargs="+", default=list(STAGES), choices=STAGES)
    options = parser.parse_args()
    out = options.out.resolve()
    upstream = out / "upstream"
    for stage in ("13", "30"):  # their chains are 10, 11 and 12
        if start(stage, 1, upstream, dict.fromkeys(STAGES, ())).wait(LIMIT):
            sys.exit((upstream / "said.txt").read_text()[-2000:])
    kills = draw(options.seed, options.kills, options.stages)[options.first :]
    found = run(out, kills, STAGES, upstream)
    good = sum(each["same"] and not each["half_written"] for each in found)
    resumed, slowest = sum(each["resumed"] for each in found), max(each["seconds_until_all_ended"] for each in found)
    print(
        f"{good} of {len(found)} ended as if nothing had happened; {resumed} went on from a checkpoint; the others ended within {slowest} s"
    )
    return 0 if good == len(found) else 1


if __name__ == "__main__":
    sys.exit(main())
