"""`iv submit`: writes a Slurm job that runs a notebook on one or several nodes, from a file of facts about the cluster.

srun starts one torchrun per node, and torchrun starts the ranks. Shortly before the end of its time, or if Slurm
preempts the job, the ranks write a checkpoint and end. The job is then queued again and continues from the checkpoint.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path

from ivcore import files, paths
from ivcore.errors import ParameterError, UserError
from ivcore.run import parameters

EXAMPLES = ("iv submit 10 paper --cluster ours.yaml", "iv submit 10 paper --cluster ours.yaml -p nodes=8 --dry",
            "iv submit 12 quick --cluster ours.yaml -p gpus_per_node=0")  # fmt: skip
STATUS = "0 submitted; 1 sbatch refused; 2 a wrong argument or parameter"


@dataclass(frozen=True)
class Cluster:
    """The keys of workflow/cluster.yaml, which explains them. ParameterError for a wrong value."""

    nodes: int = 1
    gpus_per_node: int = 8
    ranks_per_node: int = 0
    cpus_per_node: int = 64
    memory_per_node: str = "0"
    minutes: int = 1440
    seconds_to_save: int = 180
    partition: str = ""
    account: str = ""
    qos: str = ""
    port: int = 29400
    network: str = ""
    sbatch: list[str] = field(default_factory=list)
    setup: list[str] = field(default_factory=list)

    def __post_init__(self):
        least = dict(
            nodes=1, gpus_per_node=0, ranks_per_node=0, cpus_per_node=1, minutes=1, seconds_to_save=10, port=1024
        )
        for name, smallest in least.items():
            if not smallest <= getattr(self, name) <= 65535:
                raise ParameterError(f"{name}={getattr(self, name)}: must be in [{smallest}, 65535]")
        for name in ("memory_per_node", "partition", "account", "qos", "network", "sbatch", "setup"):
            value = getattr(self, name)
            for line in [value] if isinstance(value, str) else value:
                if "\n" in line:
                    raise ParameterError(f"{name}={line!r}: must be one line")
        if self.seconds_to_save >= 60 * self.minutes:
            raise ParameterError(f"seconds_to_save={self.seconds_to_save}: must be less than minutes={self.minutes}")

    @property
    def ranks(self) -> int:
        """Ranks of a node."""
        return self.ranks_per_node or self.gpus_per_node or 1


def read(path: str | None, given: list[str]) -> Cluster:
    """Reads a file of facts; NAME=VALUE in `given` override them. UserError names a wrong entry."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    if path and not Path(path).is_file():
        raise UserError(f"--cluster {path}: there is no such file; workflow/cluster.yaml is an example")
    try:
        own = OmegaConf.load(path) if path else OmegaConf.create()
        return OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Cluster), own, OmegaConf.from_dotlist(given)))
    except (OmegaConfBaseException, ValueError, OSError) as error:
        if isinstance(error, UserError):
            raise
        known = ", ".join(each.name for each in fields(Cluster))
        raise UserError(f"{path or '-p'}: {str(error).splitlines()[0]} (a cluster has: {known})") from None


def script(cluster: Cluster, arguments: list[str], name: str, folder: Path) -> str:
    """Text of the job script: `iv run` with these arguments on every node, output in `folder`."""
    options = {
        "job-name": name,
        "nodes": cluster.nodes,
        "ntasks-per-node": 1,
        "cpus-per-task": cluster.cpus_per_node,
        "gpus-per-node": cluster.gpus_per_node,
        "mem": cluster.memory_per_node,
        "time": cluster.minutes,
        "signal": f"B:USR1@{cluster.seconds_to_save}",
        "output": f"{folder}/%x-%j.out",
        "partition": cluster.partition,
        "account": cluster.account,
        "qos": cluster.qos,
    }
    kept_at_0 = ("mem",)
    head = [f"--{key}={value}" for key, value in options.items() if value or (key in kept_at_0 and value == "0")]
    lines = [f"#SBATCH {option}" for option in (*head, "--requeue", "--open-mode=append", *cluster.sbatch)]
    network = [f"export NCCL_SOCKET_IFNAME={cluster.network} GLOO_SOCKET_IFNAME={cluster.network}"] * bool(
        cluster.network
    )
    threads = max(1, cluster.cpus_per_node // cluster.ranks) if not cluster.gpus_per_node else 1
    places = {key: os.environ[key] for key in ("IVCORE_OUTPUTS", "IVCORE_CACHE", "IVCORE_ROOT") if key in os.environ}
    exports = [f"export {key}={shlex.quote(value)}" for key, value in places.items()]
    torchrun = shlex.join([sys.executable, "-m", "torch.distributed.run"])
    return "\n".join([
        "#!/bin/bash", *lines, "set -u", *cluster.setup, *network, *exports, f"export OMP_NUM_THREADS={threads}",
        f"cd {shlex.quote(str(paths.ROOT))}",
        'export HEAD=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1) AGAIN=${SLURM_RESTART_COUNT:-0}',
        "# A checkpoint on request: scancel --signal=USR1 JOB.0. torchrun would end of that signal, and passes over it.",
        f"""srun --kill-on-bad-exit=1 bash -c 'trap "" USR1; exec "$@"' job {torchrun} \\""",
        f"""  --nnodes "$SLURM_NNODES" --nproc-per-node {cluster.ranks} --rdzv-backend c10d --rdzv-id "$SLURM_JOB_ID.$AGAIN" \\""",
        f"""  --rdzv-endpoint "$HEAD:{cluster.port}" -m ivcore.run {shlex.join(arguments)} --wait &""",
        "step=$!; again=",
        # Slurm sends USR1 shortly before the end. The ranks save their state before the job is queued again.
        """trap 'again=1; scancel --signal=TERM "$SLURM_JOB_ID.0"' USR1""",
        'while kill -0 "$step" 2> /dev/null; do wait "$step"; status=$?; done',
        'if [ -n "$again" ] && [ "$status" != 0 ]; then scontrol requeue "$SLURM_JOB_ID"; fi',
        'exit "$status"', ""])  # fmt: skip


def add(add_command: Callable) -> None:
    """Adds the command. add_command(name, function, summary, *examples, status=…) -> parser, see `ivcore.run.cli`."""
    summary = "run a notebook on the nodes of a cluster with Slurm; a requeued job continues"
    parser = add_command("submit", _submit, summary, *EXAMPLES, status=STATUS)
    parser.add_argument("notebook", help='its number ("10"), name or path')
    parser.add_argument("preset", nargs="?", default="tiny", help="a preset's name or a .yaml file (tiny)")
    parser.add_argument("--cluster", default=os.environ.get("IVCORE_CLUSTER"), metavar="FILE", help="facts of the cluster, as workflow/cluster.yaml ($IVCORE_CLUSTER)")  # fmt: skip
    parser.add_argument("-p", action="append", default=[], metavar="NAME=VALUE", help="a parameter of the notebook or a fact of the cluster, repeatable")  # fmt: skip
    parser.add_argument("--dry", action="store_true", help="show the job, and submit nothing")


def _submit(options) -> int:
    from ivcore.run import execute

    facts = {each.name for each in fields(Cluster)}
    about_cluster = [text for text in options.p if text.partition("=")[0] in facts]
    overrides = [text for text in options.p if text not in about_cluster]
    cluster = read(options.cluster, about_cluster)
    jobs = execute.jobs(options.notebook, options.preset, parameters.given(overrides))
    folder = paths.outputs() / "slurm"
    name = f"iv-{jobs[0].spec.stem[:2]}-{Path(options.preset).stem}"
    arguments = [options.notebook, options.preset, *(word for text in overrides for word in ("-p", text))]
    job = script(cluster, arguments, name, folder)
    if options.dry:
        print(job, end="")
        return 0
    place = folder / f"{name}.sbatch"
    files.write_text(place, job)
    try:
        return min(1, subprocess.run(["sbatch", str(place)]).returncode)
    except FileNotFoundError:
        raise UserError("sbatch is not installed here; --dry shows the job, to submit it elsewhere") from None
