"""Measures the memory that each training rank holds and the time of a step: `python -m torch.distributed.run … -m
ivcore.stages.rank_memory FILE engine=zero1`.

Every rank trains a masked encoder on clips of noise. Rank 0 writes the results of all ranks to FILE. Notebook 60 starts
it and shows the result.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from ivcore import distributed, files
from ivcore.data.batches import Batches, InMemory
from ivcore.encoders.videomae import MaskedAutoencoder
from ivcore.errors import UserError
from ivcore.masking import tube
from ivcore.stages import masked
from ivcore.train import Recipe, train

PARTS = ("weights", "gradients", "moments")
_PATIENCE = 600  # seconds for a measurement
_MEASURED = 3  # the step at which tensors are counted; the optimizer's moments exist by then


@dataclass(frozen=True)
class Told:
    """The end of a launch: status of torchrun, time, its output, and the results that rank 0 wrote (None if it wrote
    none).
    """

    status: int
    ended: float  # as of time.time()
    said: str
    found: dict | None


def launched(ranks: int, folder: Path, **how) -> Told:
    """Runs this module on this many ranks of this machine, one thread each. how: arguments of `measure`."""
    file = Path(folder) / f"held-{'-'.join(map(str, how.values()))}-{ranks}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    words = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc-per-node",
        str(ranks),
        "--master-port",
        str(_free_port()),
        "-m",
        __name__,
    ]
    ended = subprocess.run([*words, str(file), *(f"{name}={value}" for name, value in how.items())], text=True, timeout=_PATIENCE,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=os.environ | {"OMP_NUM_THREADS": "1"})  # fmt: skip
    found = json.loads(file.read_text()) if file.exists() else None
    return Told(ended.returncode, time.time(), ended.stdout, found)


def measured(ranks: int, folder: Path, **how) -> dict:
    """The results of `launched`; UserError with the last printed line if a rank failed."""
    told = launched(ranks, folder, **how)
    if told.found is None or told.status:
        raise UserError(
            f"{how} on {ranks} ranks ended with status {told.status}: {told.said.strip().splitlines()[-1:]}"
        )
    return told.found


def measure(
    file: str, engine: str = "ddp", size: str = "tiny", batch: int = 16, steps: int = 12, dies: int = 0
) -> None:
    """Trains and measures; runs on every rank. dies: the step at which the last rank kills itself, 0 for none."""
    distributed.init_process_group()
    torch.manual_seed(0)
    before = _alive()
    model = MaskedAutoencoder(size)
    shape = model.size
    clips = torch.randint(0, 256, (batch, shape.frames, shape.image, shape.image, 3), dtype=torch.uint8)
    batches = Batches(InMemory(video=clips, path=[f"{i}.mp4" for i in range(batch)]), batch)
    loss, seen, spent = masked.masked_loss(lambda count, grid, generator: tube(count, grid, 0.75, generator)), [], []

    def watched(model, batch, generator):
        seen.append(time.monotonic())
        spent.append(time.process_time())
        if dies and len(seen) == dies and distributed.rank() == distributed.world() - 1:
            _say(file, died=time.time())
            os.kill(os.getpid(), signal.SIGKILL)
        if len(seen) == _MEASURED:
            held.append(_alive() - before)
        return loss(model, batch, generator)

    held: list[int] = []
    recipe = Recipe(batch_size=batch, lr=1e-4, steps=steps, engine=engine, log_every=steps)
    with tempfile.TemporaryDirectory() as folder:
        folder = distributed.broadcast_object(lambda: folder)
        history = train(model, watched, batches, recipe, folder, label=engine)
        distributed.barrier()
    parameters = sum(p.numel() for p in model.parameters())
    # fsdp and zero train a copy and keep the caller's model in host memory.
    held[0] -= 4 * parameters if engine.startswith(("fsdp", "zero")) else 0
    a_step = {name: (at[-1] - at[2]) / (len(at) - 3) for name, at in (("seconds", seen), ("processor_seconds", spent))}
    rows = distributed.all_gather_object({"held": held[0], **a_step})
    if distributed.rank() == 0:
        _say(file, ranks=rows, parameters=parameters, loss=history.last("loss"))


def _alive() -> int:
    """Bytes of all live tensors, each storage counted once."""
    gc.collect()
    storages = {}
    for each in gc.get_objects():
        if isinstance(each, torch.Tensor) and each.device.type != "meta":
            local = each.to_local() if hasattr(each, "to_local") else each
            storages[local.untyped_storage()._cdata] = local.untyped_storage().nbytes()
    return sum(storages.values())


def _say(file: str, **facts) -> None:
    files.write_text(Path(file), json.dumps(facts))


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


if __name__ == "__main__":
    given = dict(word.split("=", 1) for word in sys.argv[2:])
    measure(sys.argv[1], **{name: int(value) if value.isdigit() else value for name, value in given.items()})
