"""Takes the numbers in README.md and docs/notes.md from finished runs; nobody types them.

    python docs/measured.py collect     copies what the tables need from the finished runs to docs/results.json
    python docs/measured.py write       fills the blocks `<!-- numbers: NAME -->` from these and docs/numbers/NAME.md

`make numbers` does both. A table is a Jinja template: `{{ of("30/tiny", "top1") }}` is one run's metric, `{{
over("13/sweep_seeds", "top1_ensemble") }}` mean ± standard deviation over the runs of a sweep, or of several names.
`masked_encoder="12/*"` after the metric selects the runs whose parameter matches. A number is stale if its run's
parameters have changed since it was measured; tests/test_measured.py rejects it. `{{ box() }}` is the card of the
models in ivcore/box, as `iv box` prints it.
"""

import json
import re
import statistics
import sys
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import jinja2

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs/results.json"
TABLES = ROOT / "docs/numbers"
TEXTS = ("README.md", "docs/notes.md", "docs/box.md")
BLOCK = re.compile(r"(<!-- numbers: (\w+) -->\n).*?(<!-- /numbers -->)", re.S)


class Missing(Exception):
    """A table asks for a run or a metric that is missing."""


@cache
def expected(name: str, pinned: bool = False) -> list[dict]:
    """The parameters of each run that `notebook/preset` describes today. pinned: encoders by the folders of their
    runs.
    """
    from ivcore.run.parameters import of_result
    from ivcore.run.spec import Spec

    number, preset = name.split("/", 1)
    preset, _, changes = preset.partition(":")
    overrides = dict(pair.split("=") for pair in changes.split(",")) if changes else {}
    spec = Spec.of(number)
    every = spec.expand(preset, overrides)
    return [of_result(spec.pin(values) if pinned else values) for values in every]


def differ(old: dict, new: dict) -> list[str]:
    """Parameters whose values differ; parameters that only one side has do not count."""
    return sorted(name for name in old.keys() & new.keys() if old[name] != new[name])


class Results:
    """Measured runs by name: {"30/tiny": [{"params", "metrics", "commit"}, …]}."""

    def __init__(self, runs: dict):
        self.runs, self.asked = runs, set()

    def named(self, name: str) -> list[dict]:
        self.asked.add(name)
        if name not in self.runs:
            raise Missing(f"{name} is not in {RESULTS.name}: run it, then `make numbers`")
        return self.runs[name]

    def chosen(self, names: str, only: dict) -> list[dict]:
        runs = [run for name in names.split() for run in self.named(name)]
        return [run for run in runs if all(fnmatch(str(run["params"][k]), str(v)) for k, v in only.items())]

    def values(self, name: str, metric: str, only: dict) -> list[float]:
        runs = self.chosen(name, only)
        if not runs or any(metric not in run["metrics"] for run in runs):
            raise Missing(f"{name}: no metric {metric!r} with {only}")
        return [run["metrics"][metric] for run in runs]

    def of(self, name: str, metric: str, digits: int = 3, **only) -> str:
        (value,) = self.values(name, metric, only)
        return f"{value:.{digits}f}"

    def over(self, name: str, metric: str, digits: int = 3, **only) -> str:
        values = self.values(name, metric, only)
        return f"{statistics.mean(values):.{digits}f} ± {statistics.stdev(values):.{digits}f}"

    def commit(self, *names: str) -> str:
        """The commit or commits of these runs."""
        return ", ".join(sorted({run["commit"][:7] for name in names for run in self.named(name)}))


def fill(text: str, results: Results) -> str:
    """The text with every block rewritten."""
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True, keep_trailing_newline=True)
    environment.globals |= {"of": results.of, "over": results.over, "commit": results.commit, "box": box}

    def block(match: re.Match) -> str:
        template = environment.from_string((TABLES / f"{match[2]}.md").read_text(encoding="utf-8"))
        return f"{match[1]}{template.render()}{match[3]}"

    return BLOCK.sub(block, text)


def box() -> str:
    """The card of the models in this checkout's box."""
    from ivcore.weights.box import text

    card = ROOT / "ivcore/box/card.json"
    return text(json.loads(card.read_text(encoding="utf-8"))) if card.is_file() else "This checkout carries no weights."


def read() -> Results:
    return Results(json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else {})


def names() -> list[str]:
    """The runs that the tables name."""
    text = "".join(path.read_text(encoding="utf-8") for path in sorted(TABLES.glob("*.md")))
    return sorted(
        {name for found in re.findall(r'[(,=] ?"(\d\d/[^"]+)"', text) for name in found.split() if "*" not in name}
    )


def measured(name: str) -> list[dict]:
    """The finished runs of a name. Raises Missing if one is not there."""
    import yaml

    from ivcore import paths
    from ivcore.run import notebook

    folders = sorted((paths.outputs() / notebook.find(name.split("/")[0]).stem).glob("*/metrics.json"))
    runs = []
    for values, places in zip(expected(name), expected(name, pinned=True), strict=True):
        for file in folders:
            params = yaml.safe_load((file.parent / "params.yaml").read_text(encoding="utf-8"))
            if places.keys() <= params.keys() and not differ(params, places):
                break
        else:
            raise Missing(f"{name}: a run of it is missing (seed {values.get('seed')})")
        found = json.loads(file.read_text(encoding="utf-8"))
        metrics = {key: round(value, 5) for key, value in found.items() if isinstance(value, int | float)}
        commit = json.loads((file.parent / "env.json").read_text(encoding="utf-8"))["commit"]
        if not commit or commit.endswith("+"):
            raise Missing(f"{file.parent.name}: made with edited files, or outside a checkout; run it at a commit")
        runs.append({"commit": commit, "params": values, "metrics": metrics})
    return runs


def collect() -> None:
    results = {name: measured(name) for name in names()}
    RESULTS.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    print(f"{RESULTS.relative_to(ROOT)}: {sum(map(len, results.values()))} runs")


def write() -> None:
    results = read()
    for name in TEXTS:
        file = ROOT / name
        file.write_text(fill(file.read_text(encoding="utf-8"), results), encoding="utf-8")
        print(name)


if __name__ == "__main__":
    try:
        {"collect": collect, "write": write}[sys.argv[1]]()
    except (Missing, KeyError, IndexError) as error:
        sys.exit(f"measured: {error}" if isinstance(error, Missing) else __doc__)
