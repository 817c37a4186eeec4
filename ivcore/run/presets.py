"""Typed parameters of a notebook: read from its parameters cell, overridden by a preset and by the user, checked.

The cell tagged `parameters` is the configuration: annotated literals, each with a comment that describes it and may
end in a constraint (see ivcore.run.constraints). `params/<notebook>/<preset>.yaml` holds only what differs. A preset with
`grid:` (every combination) or `runs:` (a list) is a sweep.
"""

import ast
import contextlib
import hashlib
import io
import itertools
import json
import math
import os
import tokenize
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ivcore import paths
from ivcore.data import formats
from ivcore.errors import ParameterError, shown
from ivcore.run import constraints, contradictions, notebook
from ivcore.run import types as literals

OWNED_BY_RUNNER = ("run_dir",)  # where a run lies is not part of what it is
FREE = (
    "num_workers",
    "in_memory",
    "device",
    "checkpoint_seconds",
)  # nor is how it is computed: a run may go on with others
SWEEP_KEYS = ("grid", "runs")
MOST_RUNS = 10_000  # of a sweep: who asks for more has mistyped


@dataclass(frozen=True)
class Parameter:
    name: str
    type: str
    default: object
    description: str = ""
    constraint: constraints.Constraint | None = None

    @property
    def annotation(self) -> ast.expr:
        return literals.parse_annotation(self.type)


def read(reference) -> dict[str, Parameter]:
    """The parameters of a notebook by name, in order; ParameterError where the cell is not as it must be."""
    path = notebook.find(reference)
    return dict(_read(path, notebook.parameters_cell(path)))


@lru_cache(maxsize=64)
def _read(path: Path, text: str) -> dict[str, Parameter]:
    try:
        tree = ast.parse(text)
        comments = _comments(text)
    except (SyntaxError, tokenize.TokenError) as error:
        raise ParameterError(f"{path.name}, parameters cell: {error}") from None
    found = [_parameter(node, comments, path.name) for node in tree.body]
    return {parameter.name: parameter for parameter in found}


def _comments(text: str) -> dict[int, str]:
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return {t.start[0]: t.string.lstrip("# ") for t in tokens if t.type == tokenize.COMMENT}


def _parameter(node: ast.stmt, comments: dict[int, str], where: str) -> Parameter:
    where = f"{where}, parameters cell, line {node.lineno}"
    if not (isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None):
        raise ParameterError(f"{where}: expected `name: type = literal  # description; constraint`")
    lines = range(node.lineno, node.end_lineno + 1)  # a formatter may have wrapped a long one in brackets
    comment = next((comments[line] for line in lines if line in comments), "")
    kind = ast.unparse(node.annotation)
    try:
        description, constraint = constraints.parse(comment)
        annotation = literals.parse_annotation(kind)
        default = literals.fit(_literal(node.value), annotation)
    except literals.Misfit:
        raise ParameterError(f"{where}: {node.target.id} = {ast.unparse(node.value)} is not {kind}") from None
    except ValueError as error:
        raise ParameterError(f"{where}: {node.target.id} {error}") from None
    return Parameter(node.target.id, kind, default, description, constraint)


def _literal(node: ast.expr):
    try:
        return ast.literal_eval(node)
    except ValueError:
        raise ValueError(f"= {ast.unparse(node)} is not a literal") from None


def presets(reference) -> list[str]:
    """Names of a notebook's presets; `tiny` needs no file, it is the defaults of the parameters cell."""
    folder = paths.presets() / notebook.find(reference).stem
    names = {path.stem for path in folder.glob("*.yaml") if not path.name.startswith("_")}
    order = ["quick", "tiny", "one_gpu", "paper"]
    return sorted(
        names | {"tiny"}, key=lambda name: (order.index(name) if name in order else len(order), name)
    )


def load(reference, preset: str) -> dict:
    """What a preset says, unchecked: {} for a `tiny` without a file. A path to a .yaml file is a preset too."""
    path = notebook.find(reference)
    file = paths.presets() / path.stem / f"{preset}.yaml"
    if str(preset).endswith((".yaml", ".yml")):
        file = next(filter(os.path.isfile, paths.candidates(preset)), paths.resolve(preset))
    elif preset not in presets(path):
        raise ParameterError(
            f"{path.stem} has no preset {shown(preset)}{notebook.nearest(preset, presets(path))}"
        )
    elif not file.is_file():
        return {}
    return _load_yaml(file)


def _load_yaml(file: Path) -> dict:
    # OmegaConf and not PyYAML: the latter reads 1e-4 as text. Its `${…}` stay as they are: a preset is data, and a stranger's
    # must not carry variables of the environment into params.yaml and figures.
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    try:
        values = OmegaConf.to_container(OmegaConf.load(file))
    except UnicodeDecodeError as error:
        raise ParameterError(f"{paths.short(file)}: not UTF-8 text, save it as UTF-8 ({error})") from None
    except (OSError, OmegaConfBaseException, YAMLError, ValueError, RecursionError) as error:
        raise ParameterError(f"{paths.short(file)}: {error}") from None
    if not isinstance(values, dict):
        raise ParameterError(f"{paths.short(file)}: expected `name: value` lines")
    return values


def label(reference, preset: str, values: dict, overrides: dict | None = None) -> str:
    """What a run's folder is called: the preset's name, with "+" when an override makes the run another one."""
    name = Path(preset).stem
    if not overrides:
        return name
    try:
        unchanged = {digest(reference, each) for each in expand(reference, preset)}
    except ParameterError:  # the preset alone does not do here: it wants one of the overrides
        unchanged = set()
    return name if digest(reference, values) in unchanged else f"{name}+"


def base(reference, preset: str) -> dict:
    """The values of a preset, unchecked; of a sweep, those that all its runs share; of one that is not known (any more) the cell's.

    ParameterError where the notebook has gone.
    """
    known = read(reference)
    loaded = load(reference, preset) if preset in presets(reference) else {}
    shared = {name: value for name, value in loaded.items() if name not in SWEEP_KEYS}
    return pin(reference, {name: shared.get(name, known[name].default) for name in known})


def is_sweep(reference, preset: str) -> bool:
    return any(key in load(reference, preset) for key in SWEEP_KEYS)


def points(values: dict) -> list[dict]:
    """The runs that a preset stands for: itself, or each combination of `grid` with each entry of `runs`."""
    common = {name: value for name, value in values.items() if name not in SWEEP_KEYS}
    grid, runs = values.get("grid") or {}, values.get("runs") or [{}]
    if not isinstance(grid, dict) or not all(isinstance(axis, list) for axis in grid.values()):
        raise ParameterError("grid: expected `name: [value, value]` lines")
    if not isinstance(runs, list) or not all(isinstance(run, dict) for run in runs):
        raise ParameterError("runs: expected a list of `name: value` groups")
    for name, axis in grid.items():
        if not axis:
            raise ParameterError(f"grid: {name} has no value")
    count = math.prod(map(len, grid.values())) * len(runs)
    if count > MOST_RUNS:
        raise ParameterError(f"a sweep of {count} runs, at most {MOST_RUNS} are allowed")
    products = itertools.product(*grid.values())
    steps = [dict(zip(grid, product)) for product in products]
    return [common | step | run for step in steps for run in runs]


def expand(reference, preset: str = "tiny", overrides: dict | None = None) -> list[dict]:
    """Complete, checked parameter values of every run a preset stands for; one, unless it is a sweep.

    `overrides` win over the preset, and epochs among them over its steps; text is read by the parameter's type ("1e-4" for a float).
    Encoders stay as written ("10/tiny"): see `resolve`.
    """
    path = notebook.find(reference)
    known = read(path)
    given = {name: _given(known, name, value, path) for name, value in (overrides or {}).items()}
    defaults = {name: parameter.default for name, parameter in known.items()}
    asked = load(path, preset)
    for name in OWNED_BY_RUNNER:
        if place := given.get(name) or asked.get(name):
            raise ParameterError(
                f"{name} = {shown(place)}: runs choose their own folder, $IVCORE_OUTPUTS moves all of them"
            )
    found = []
    for point in points(asked):
        meant = {n: placed(known[n], v, typed=False) if n in known else v for n, v in point.items()}
        values = contradictions.override(contradictions.override(defaults, meant), given)
        found.append(check(path, values, known))
    return list({digest(path, values, known): values for values in found}.values())


def one(reference, preset: str = "tiny", overrides: dict | None = None) -> dict:
    """The values of the one run that a preset stands for, see `expand`; ParameterError for a sweep."""
    found = expand(reference, preset, overrides)
    if is_sweep(reference, preset):
        raise ParameterError(
            f"preset {preset} of {notebook.find(reference).stem} is a sweep of {len(found)} runs"
        )
    return found[0]


def resolve(reference, preset: str = "tiny", overrides: dict | None = None) -> dict:
    """The values a run gets: defaults <- preset <- overrides, checked, encoders given as run folders.

    ParameterError, one line, for a name that is unknown, a value of the wrong type or outside its constraint,
    a file that is missing or malformed, or a preset that is a sweep.
    """
    return pin(reference, one(reference, preset, overrides))


def _given(known: dict[str, Parameter], name: str, value, path: Path):
    if name not in known:
        raise ParameterError(unknown(name, known, path))
    if not isinstance(value, str):
        return value
    try:
        return placed(known[name], literals.from_text(value, known[name].annotation), typed=True)
    except literals.Misfit:
        raise ParameterError(_misfit(known[name], value)) from None


def placed(parameter: Parameter, value, typed: bool):
    """The value; of a file, a folder or an encoder the place that is meant, see `paths.placed`."""
    constraint = parameter.constraint
    if constraint is None or constraint.kind not in ("file", "folder", "encoder"):
        return value
    if not isinstance(value, str) or value in ("", *constraint.detail):
        return value
    try:
        return paths.placed(value, typed)
    except ParameterError as error:
        raise ParameterError(f"{parameter.name} = {error}") from None


def places(known: dict[str, Parameter], values: dict) -> dict[str, str]:
    """The values that name a file or folder of the user's."""
    given = {
        n: p.constraint.detail
        for n, p in known.items()
        if p.constraint and p.constraint.kind in ("file", "folder")
    }
    return {name: values[name] for name, words in given.items() if values[name] not in (None, "", *words)}


def unknown(name: str, known, path: Path) -> str:
    allowed = [other for other in known if other not in OWNED_BY_RUNNER]
    return f"{str(name)[:160]} is not a parameter of {path.stem}{notebook.nearest(name, allowed)}"


def _misfit(parameter: Parameter, value) -> str:
    hint = _hint(value) if parameter.type.startswith("float") else ""
    return f"{parameter.name} = {shown(value)}: expected {parameter.type} ({parameter.description}){hint}"


def _hint(value) -> str:
    """What to write in place of something that is nearly a number."""
    try:
        if math.isnan(float(value)):
            return ", which nan is not"
    except (TypeError, ValueError, OverflowError):
        return ""
    return " (write 1.0e-4, not 1e-4, in a file that papermill reads)" if isinstance(value, str) else ""


def check(reference, values: dict, known: dict[str, Parameter] | None = None) -> dict:
    """The values in the cell's order and types; ParameterError for the first that is unknown, not allowed or contradicts another."""
    path = notebook.find(reference)
    known = known or read(path)
    for name in values:
        if name not in known:
            raise ParameterError(unknown(name, known, path))
    checked = {}
    for name, parameter in known.items():
        try:
            checked[name] = literals.fit(values.get(name, parameter.default), parameter.annotation)
        except literals.Misfit:
            raise ParameterError(_misfit(parameter, values[name])) from None
    rows = formats.without_bad_rows if values.get("drop_bad_rows") else contextlib.nullcontext
    with rows():
        for name, parameter in known.items():
            constraints.check(name, checked[name], parameter.constraint)
        contradictions.check(checked)
    _check_encoders(known, checked)
    return checked


def _check_encoders(known: dict[str, Parameter], values: dict) -> None:
    """Whether the encoders can read the clips that the other parameters ask for."""
    kinds = {name: each.constraint.detail for name, each in known.items() if _is_encoder(each)}
    if chosen := [name for name, allowed in kinds.items() if allowed and values[name]]:
        from ivcore.run import encoder_kinds, upstream

        encoder_kinds.check_sizes(values, {name: upstream.held(values[name]) for name in chosen})


def pin(reference, values: dict, known: dict[str, Parameter] | None = None) -> dict:
    """The values with each encoder "10/tiny" replaced by the folder of that run, which names its parameters' hash."""
    from ivcore.run import upstream

    known = known or read(reference)
    return {n: upstream.pin(v) if _is_encoder(known.get(n)) else v for n, v in values.items()}


def encoders(reference, values: dict) -> dict[str, str]:
    """The values of those parameters that take an encoder."""
    known = read(reference)
    return {name: value for name, value in values.items() if _is_encoder(known.get(name)) and value}


def _is_encoder(parameter: Parameter | None) -> bool:
    constraint = parameter and parameter.constraint
    return constraint is not None and constraint.kind == "encoder"


def of_result(values: dict) -> dict:
    """The parameters that a result depends on: neither where the run lies nor how it is computed."""
    return {name: value for name, value in values.items() if name not in (*OWNED_BY_RUNNER, *FREE)}


def digest(reference, values: dict, known: dict[str, Parameter] | None = None) -> str:
    """Eight hex digits that name a run by its parameters: the same values, the same run folder. What is FREE counts as the cell has it."""
    from ivcore.run import upstream

    known = known or read(reference)
    kept = {name: value for name, value in values.items() if name not in OWNED_BY_RUNNER}
    kept |= {name: known[name].default for name in FREE if name in known}
    kept = {n: upstream.identity(v) if _is_encoder(known.get(n)) else v for n, v in kept.items()}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:8]
