"""The graph of runs: expands lines of "notebook preset" to all runs that they need.

Edges are derived: a run needs the runs that its encoder parameters name ("10/tiny", "12/tiny:seed=1"), and the moving
shapes if it has `num_clips` and no file, folder or other `source`. workflow/stages.yaml lists the last runs of each
graph; workflow/Snakefile makes one job per node and knows nothing of notebooks.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ivcore import paths
from ivcore.errors import ParameterError
from ivcore.run import execute as run
from ivcore.run import folder as run_folder
from ivcore.run import notebook, provenance
from ivcore.run.spec import resolving_once

KEYS = ("graphs", "leaderboard", "shapes")


@dataclass(frozen=True)
class Node:
    """One run. needs: folders of the runs it starts from. num_clips: number of moving shapes, None without."""

    notebook: Path
    preset: str
    digest: str
    folder: Path
    needs: tuple[Path, ...] = ()
    num_clips: int | None = None
    one_of_many: bool = False  # part of a sweep
    overrides: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """ "30 tiny", "12 tiny seed=1", followed by the hash for a run of a sweep."""
        changed = [f"{name}={value}" for name, value in self.overrides]
        words = (notebook.number(self.notebook), self.preset, *changed, self.digest if self.one_of_many else "")
        return " ".join(filter(None, words))

    @property
    def rule(self) -> str:
        """The name for Snakemake, in letters, digits and underscores."""
        one = self.digest if self.one_of_many or self.overrides else ""
        return re.sub(r"\W", "_", " ".join(filter(None, (notebook.number(self.notebook), self.preset, one))))

    @property
    def command(self) -> str:
        """Arguments of `iv run`, quoted for a shell."""
        only = ["--only", self.digest] if self.one_of_many else []
        changed = [word for name, value in self.overrides for word in ("-p", f"{name}={value}")]
        return shlex.join([notebook.number(self.notebook), self.preset, *changed, *only])

    @property
    def metrics(self) -> Path:
        return self.folder / "metrics.json"


def stages(file: Path | None = None) -> dict:
    """Reads the table of stages: graphs (name -> lines), leaderboard (a line), shapes (their parts). ParameterError."""
    import yaml

    file = file or paths.ROOT / "workflow/stages.yaml"
    try:
        table = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    except (OSError, yaml.YAMLError) as error:
        raise ParameterError(f"{paths.short(file)}: {' '.join(str(error).split())}") from None
    if not isinstance(table, dict) or not isinstance(table.get("graphs"), dict) or set(table) - set(KEYS):
        raise ParameterError(f"{paths.short(file)}: expected the keys {', '.join(KEYS)}, and graphs by name")
    return table


def lines(name: str, table: dict | None = None) -> list[str]:
    """Lines of the last runs of a graph. ParameterError for an unknown name lists the graphs."""
    graphs = (table or stages())["graphs"]
    if name not in graphs:
        raise ParameterError(f"there is no graph {name!r}{notebook.nearest(name, graphs)}")
    return list(graphs[name] or ())


@resolving_once()
def collect(ends: Iterable[str]) -> list[Node]:
    """Nodes of "notebook preset" lines and of all runs that they need, each once, in order of need.

    A sweep has one node per run. ParameterError names a line that cannot be parsed.
    """
    nodes: dict[tuple, Node] = {}
    for line in ends:
        words = str(line).split()
        if len(words) != 2:
            raise ParameterError(f'{line!r}: expected "notebook preset", such as "30 tiny"')
        try:
            _add(run.jobs(*words), words[1], {}, nodes)
        except ParameterError as error:
            raise ParameterError(f"{line}: {error}") from None
    return list(nodes.values())


def refuse_braces(nodes: Iterable[Node]) -> None:
    """ParameterError for a path with braces: Snakemake takes them for wildcards, and they cannot be escaped."""
    for path in (paths.outputs(), paths.cache(), Path(sys.executable), *(node.folder for node in nodes)):
        if set("{}") & set(str(path)):
            raise ParameterError(
                f"{paths.short(path)}: a graph of runs does not work with braces in a path; `iv run` does, one run at a time"
            )


def _add(jobs: list[run.Job], preset: str, overrides: dict, nodes: dict[tuple, Node]) -> list[Path]:
    """Adds the jobs of a preset to `nodes`, after the runs that they need. Returns their folders."""
    folders = []
    for job in jobs:
        key = (job.spec.stem, job.digest)
        if key not in nodes:
            needs: dict[Path, None] = {}
            for reference in job.spec.references(job.values).values():
                needed = _add([run.named_job(reference)], reference.preset, reference.overrides, nodes)
                needs |= dict.fromkeys(needed)
            facts = (job.spec.path, preset, job.digest, job.folder, tuple(needs), _num_clips(job))
            nodes[key] = Node(*facts, len(jobs) > 1, tuple(overrides.items()))
        folders.append(nodes[key].folder)
    return folders


def _num_clips(job: run.Job) -> int | None:
    given = job.spec.files(job.values) or job.values.get("source", "shapes") != "shapes"
    return None if given else job.values.get("num_clips")


def shapes(num_clips: int, parts: Iterable[str]) -> tuple[Path, list[Path]]:
    """Folder of the moving shapes for a run with `num_clips`, and the files that mark its parts as complete."""
    from ivcore.data.shapes import with_training

    folder = with_training(num_clips).folder
    return folder, [folder / f"{part}.complete" for part in parts]


def threads(nodes: list[Node], cores: int) -> dict[Path, int]:
    """{folder: threads}: divides the cores between runs that may run at the same time.

    No core is assigned twice, because two processes with two threads each on two cores wait for each other most of the
    time. Unfinished runs at the same depth of the graph may run at the same time.
    """
    steps: dict[Path, int] = {}
    for node in nodes:
        steps[node.folder] = 1 + max((steps[need] for need in node.needs), default=-1)
    waiting = Counter(steps[node.folder] for node in nodes if not run_folder.is_done(node.folder))
    return {folder: max(1, cores // max(1, waiting[step])) for folder, step in steps.items()}


def weights(nodes: list[Node]) -> dict[Path, int]:
    """{folder: number of runs that wait for it}. If there is a choice, the largest starts first."""
    below: dict[Path, set[Path]] = {node.folder: set() for node in nodes}
    for node in reversed(nodes):
        for need in node.needs:
            below[need] |= {node.folder, *below[node.folder]}
    return {folder: len(waiting) for folder, waiting in below.items()}


def table(nodes: list[Node]) -> list[tuple[str, str, str, str]]:
    """(run, its needs, state, folder) of each node."""
    names = {node.folder: node.name for node in nodes}
    needs = [", ".join(names[need] for need in node.needs) for node in nodes]
    states = [provenance.state(node.folder) or "new" for node in nodes]
    return [(n.name, need, state, paths.short(n.folder)) for n, need, state in zip(nodes, needs, states)]


def unfinished(nodes: list[Node]) -> list[str]:
    """A line for each node without a result: its failure and where to look, or the runs it waits for."""
    missing = {node.folder: node for node in nodes if not run_folder.is_done(node.folder)}
    return [_why(node, [missing[need].name for need in node.needs if need in missing]) for node in missing.values()]


def _why(node: Node, waits: list[str]) -> str:
    if waits:
        return f"{node.name}: not run, it needs {', '.join(waits)}"
    if reason := run_folder.why(node.folder):
        return f"{node.name}: {reason} ({paths.short(node.folder / 'error.json')})"
    return f"{node.name}: not finished"
