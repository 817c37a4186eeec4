"""A notebook as something that can be run: its parameters, its presets, the names of its runs and what they start from.

`Spec.of("10")` reads a notebook, once for as long as the file stays as it is. The parameters cell is the configuration (see
ivcore.run.parameters). `tiny.yaml` in `params/<notebook>/` holds what the measured run has otherwise, and every other preset what differs
from tiny. So the cell alone may be a short run, for who opens the notebook to look: the preset `look`, which has no file. A preset with
`grid:` (every combination) or `runs:` (a list) is a sweep. A run is named by a hash of its parameters.

The value of a parameter whose constraint is `encoder` is another run: "10/tiny" is notebook 10 at preset tiny, "10/tiny:seed=1,epochs=4"
the same with other parameters (`iv run 10 tiny -p seed=1 -p epochs=4`), whether it has run yet or not. Brackets hold together what belongs
to an encoder's own encoder: "12/tiny:encoder=(10/tiny:seed=1,epochs=4),seed=2". Or it is a finished run's folder, a checkpoint file or
folder, a published name ("OpenGVLab/…", owner and name), and "scratch" or "" for random weights.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import itertools
import json
import math
import os
import re
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ivcore import paths
from ivcore.data import formats, set_names
from ivcore.errors import ParameterError, UserError, shown
from ivcore.run import constraints, contradictions, encoder_kinds, notebook, parameters
from ivcore.run import folder as run_folder
from ivcore.run.contradictions import SCRATCH
from ivcore.run.encoder_kinds import Held
from ivcore.run.parameters import FREE, OWNED_BY_RUNNER, Parameter, of_result

SWEEP_KEYS = ("grid", "runs")
_LATER = {  # encoders to start from that notebooks did not have when there were runs already, which keep their names
    "10_masked_video_modeling": "masked_encoder",
    "11_video_language_contrastive": "multimodal_encoder",
}
MOST_RUNS = 10_000  # of a sweep: who asks for more has mistyped
TINY, LOOK = "tiny", "look"  # the measured run, and the parameters cell as it stands
_ORDER = (LOOK, "quick", TINY, "one_gpu", "paper")  # of presets, the others follow by name
_REFERENCE = re.compile(r"(\d\w*)/([\w-]+)(:.*)?")
_NEARLY = re.compile(r"(\d\w*)(?:\s*/\s*([\w-]+)|[\s:]+([\w-]+)(?![\w-]|\s*=))?\W*(.*)", re.DOTALL)  # see `_meant`
_PUBLISHED = re.compile(r"\w[\w.-]*/\w[\w.-]*", re.ASCII)
_NEXT = re.compile(r",(?=\s*\w+\s*=)")  # a comma separates where a name and = follow
OWNER = "ivcore/"  # of the models in the box; what else `weights.box` knows is imported with torch
_FILES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt")
_CHAIN: ContextVar[tuple[str, ...]] = ContextVar("chain", default=())  # runs whose encoders are being checked
_RESOLVED: ContextVar[dict | None] = ContextVar("resolved", default=None)  # see `resolving_once`


@contextlib.contextmanager
def resolving_once() -> Iterator[None]:
    """Within it a run that many encoders name is resolved once; what it depends on must stay as it is meanwhile."""
    token = _RESOLVED.set({}) if _RESOLVED.get() is None else None
    try:
        yield
    finally:
        if token:
            _RESOLVED.reset(token)


@dataclass(frozen=True)
class Spec:
    """A notebook and its parameters by name. All values of a run, where a method takes them, are a dict by name."""

    path: Path
    parameters: dict[str, Parameter]

    @classmethod
    def of(cls, reference) -> Spec:
        """By number ("10"), name or path; ParameterError for none, and for a parameters cell that is not as it must be."""
        path = notebook.find(reference)
        try:
            status = path.stat()
        except OSError:
            return _read(path)  # which says what is wrong
        return _read(path, status.st_mtime_ns, status.st_size)

    @property
    def stem(self) -> str:
        return self.path.stem

    @property
    def number(self) -> str:
        return notebook.number(self.path)

    # ---- presets

    @property
    def cell(self) -> dict:
        """The values of the parameters cell."""
        return {name: each.default for name, each in self.parameters.items()}

    @property
    def defaults(self) -> dict:
        """What a preset leaves open, and `iv run` begins with: the values of tiny, where that is silent those of the cell."""
        file = self._file(TINY)
        stated = load_yaml(file) if file.is_file() else {}
        return self.cell | {name: self.parameters[name].fit(stated[name]) for name in self.parameters if name in stated}

    def _file(self, preset: str) -> Path:
        return paths.presets() / self.stem / f"{preset}.yaml"

    def _look(self) -> dict:
        """What the parameters cell has otherwise than tiny."""
        measured = self.defaults
        return {name: value for name, value in self.cell.items() if value != measured[name]}

    def presets(self) -> list[str]:
        """Their names; `tiny` needs no file. `look` has none: it is the parameters cell, where that is not tiny itself."""
        files = (paths.presets() / self.stem).glob("*.yaml")
        names = {file.stem for file in files if not file.name.startswith("_")} | {TINY}
        names |= {LOOK} if self._look() else set()
        rank = {name: place for place, name in enumerate(_ORDER)}
        return sorted(names, key=lambda name: (rank.get(name, len(rank)), name))

    def load(self, preset: str) -> dict:
        """What a preset says, unchecked: {} for a `tiny` without a file. A path to a .yaml file is a preset too."""
        file = self._file(preset)
        if str(preset).endswith((".yaml", ".yml")):
            file = next(filter(os.path.isfile, paths.candidates(preset)), paths.resolve(preset))
        elif preset not in (names := self.presets()):
            raise ParameterError(f"{self.stem} has no preset {shown(preset)}{notebook.nearest(preset, names)}")
        elif not file.is_file():
            return self._look() if preset == LOOK else {}
        return load_yaml(file)

    def base(self, preset: str) -> dict:
        """The values of a preset, unchecked; of a sweep those that all its runs share; of one that is not known (any more) those of tiny."""
        given = self.load(preset) if preset in self.presets() else {}
        return self.pin({name: given.get(name, value) for name, value in self.defaults.items()})

    # ---- the values of runs

    @resolving_once()
    def expand(self, preset: str = TINY, overrides: dict | None = None) -> list[dict]:
        """Complete, checked values of every run that a preset stands for; one, unless it is a sweep.

        `overrides` win over the preset, and epochs among them over its steps; text is read by the parameter's type ("1e-4" for a
        float). Encoders stay as written ("10/tiny"): see `pin`.
        """
        given = {name: self._given(name, value) for name, value in (overrides or {}).items()}
        defaults = self.defaults
        asked = self.load(preset)
        for name in OWNED_BY_RUNNER:
            if place := given.get(name) or asked.get(name):
                raise ParameterError(
                    f"{name} = {shown(place)}: runs choose their own folder, $IVCORE_OUTPUTS moves all of them"
                )
        runs = []
        for point in points(asked):
            placed = {
                name: self.parameters[name].placed(value, typed=False) if name in self.parameters else value
                for name, value in point.items()
            }
            values = contradictions.override(contradictions.override(defaults, placed), given)
            runs.append(self.check(values))
        return list({self.digest(values): values for values in runs}.values())

    def one(self, preset: str = TINY, overrides: dict | None = None) -> dict:
        """The values of the one run that a preset stands for, see `expand`; ParameterError for a sweep."""
        runs = self.expand(preset, overrides)
        if any(key in self.load(preset) for key in SWEEP_KEYS):
            raise ParameterError(f"preset {preset} of {self.stem} is a sweep of {len(runs)} runs")
        return runs[0]

    def resolve(self, preset: str = TINY, overrides: dict | None = None) -> dict:
        """The values that one run gets: defaults <- preset <- overrides, checked, encoders given as run folders."""
        return self.pin(self.one(preset, overrides))

    def check(self, values: dict) -> dict:
        """The values in the cell's order and types; ParameterError for the first that is unknown, not allowed or contradicts another."""
        for name in values:
            self.require(name)
        given = values if self.parameters.keys() <= values.keys() else self.defaults | values
        checked = {name: each.fit(given[name]) for name, each in self.parameters.items()}
        rows = formats.without_bad_rows if values.get("drop_bad_rows") else contextlib.nullcontext
        held = {}
        with rows():
            for name, each in self.parameters.items():
                self._check(name, checked[name])
                if each.constraint:
                    checked[name] = each.constraint.normalised(checked[name])
                if each.kind == "encoder" and checked[name] is not None:
                    held[name] = _check_encoder(name, checked[name], each.constraint.detail)
            contradictions.check(checked)
        encoder_kinds.check_sizes(checked, {name: found for name, found in held.items() if found})
        return checked

    def _check(self, name: str, value) -> None:
        """Says of a file that is not there and is called like a generated set which parameter takes those."""
        each = self.parameters[name]
        try:
            constraints.check(name, value, each.constraint)
        except ParameterError as error:
            takes = [other for other, p in self.parameters.items() if p.kind == constraints.SET and p.type == "str"]
            if not (
                each.names_file
                and takes
                and not each.constraint.text.endswith(constraints.SET)
                and set_names.meant(value)
            ):
                raise
            raise ParameterError(
                f"{error}; generated sets go into {takes[0]}: {set_names.SHAPES}, {set_names.ALLOWED}"
            ) from None

    def require(self, name: str) -> None:
        """ParameterError, with the nearest name, for one that is no parameter."""
        if name not in self.parameters:
            allowed = [other for other in self.parameters if other not in OWNED_BY_RUNNER]
            nearest = notebook.nearest(name, allowed)
            raise ParameterError(f"{str(name)[:160]} is not a parameter of {self.stem}{nearest}")

    def _given(self, name: str, value):
        self.require(name)
        return self.parameters[name].from_text(value) if isinstance(value, str) else value

    def encoders(self, values: dict) -> dict[str, str]:
        """The values of those parameters that take an encoder, and have one."""
        takes = {name for name, each in self.parameters.items() if each.kind == "encoder"}
        return {name: value for name, value in values.items() if name in takes and value}

    def references(self, values: dict) -> dict[str, Reference]:
        """The runs that the values name as encoders, by parameter."""
        named = {name: Reference.of(value) for name, value in self.encoders(values).items()}
        return {name: reference for name, reference in named.items() if reference}

    def files(self, values: dict) -> dict[str, str]:
        """The values that name a file or folder of the user's."""
        places = {name: each.constraint for name, each in self.parameters.items() if each.names_file}
        return {n: values[n] for n, each in places.items() if values.get(n) and not each.names_set(values[n])}

    # ---- the names of runs

    def pin(self, values: dict) -> dict:
        """The values with each encoder "10/tiny" replaced by the folder of that run, which names its parameters' hash."""
        named = self.references(values)
        return values | {name: paths.short(reference.folder) for name, reference in named.items()}

    def digest(self, values: dict) -> str:
        """Eight hex digits that name a run by its parameters: the same values, the same run folder. What is FREE counts as the cell has it."""
        kept = {name: value for name, value in values.items() if name not in OWNED_BY_RUNNER}
        kept |= {name: self.parameters[name].default for name in FREE if name in self.parameters}
        kept |= {name: _identity(value) for name, value in self.encoders(values).items()}
        if kept.get(later := _LATER.get(self.stem)) in SCRATCH:
            kept.pop(later, None)
        return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:8]

    def label(self, preset: str, values: dict, overrides: dict | None = None) -> str:
        """What a run's folder is called: the preset's name, with "+" when an override makes the run another one."""
        name = Path(preset).stem
        if not overrides:
            return name
        try:
            unchanged = {self.digest(each) for each in self.expand(preset)}
        except ParameterError:  # the preset alone does not do here: it wants one of the overrides
            unchanged = set()
        return name if self.digest(values) in unchanged else f"{name}+"

    def folder(self, values: dict, label: str = "custom") -> Path:
        """The run's folder: the one that is there, whatever its label, else a new name."""
        return run_folder.locate(self.stem, self.digest(values), label)


@lru_cache(maxsize=128)
def _read(path: Path, *version) -> Spec:
    return Spec(path, parameters.parse(notebook.parameters_cell(path), path.name))


def load_yaml(file: Path) -> dict:
    """The values in a preset's file; ParameterError naming it where it does not read."""
    try:
        status = file.stat()
        return copy.deepcopy(_load_yaml(file, status.st_mtime_ns, status.st_size))
    except OSError as error:
        raise ParameterError(f"{paths.short(file)}: {error}") from None


@lru_cache(maxsize=512)
def _load_yaml(file: Path, *version) -> dict:
    # OmegaConf and not PyYAML: the latter reads 1e-4 as text. Its `${…}` stay as they are: a preset is data, and a stranger's
    # must not carry variables of the environment into params.yaml and figures.
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    try:
        values = OmegaConf.to_container(OmegaConf.load(file))
    except UnicodeDecodeError as error:
        raise ParameterError(f"{paths.short(file)}: not UTF-8 text, save it as UTF-8 ({error})") from None
    except (OmegaConfBaseException, YAMLError, ValueError, RecursionError) as error:
        raise ParameterError(f"{paths.short(file)}: {error}") from None
    if not isinstance(values, dict):
        raise ParameterError(f"{paths.short(file)}: expected `name: value` lines")
    return values


def points(preset: dict) -> list[dict]:
    """The runs that a preset stands for: itself, or each combination of `grid` with each entry of `runs`."""
    common = {name: value for name, value in preset.items() if name not in SWEEP_KEYS}
    grid, runs = preset.get("grid") or {}, preset.get("runs") or [{}]
    if not isinstance(grid, dict) or not all(isinstance(axis, list) for axis in grid.values()):
        raise ParameterError("grid: expected `name: [value, value]` lines")
    if not isinstance(runs, list) or not all(isinstance(run, dict) for run in runs):
        raise ParameterError("runs: expected a list of `name: value` groups")
    if empty := [name for name, axis in grid.items() if not axis]:
        raise ParameterError(f"grid: {empty[0]} has no value")
    count = math.prod(map(len, grid.values())) * len(runs)
    if count > MOST_RUNS:
        raise ParameterError(f"a sweep of {count} runs, at most {MOST_RUNS} are allowed")
    steps = [dict(zip(grid, product)) for product in itertools.product(*grid.values())]
    return [common | step | run for step in steps for run in runs]


@dataclass(frozen=True)
class Reference:
    """A run as an encoder's value names it; `overrides` are text, as in `iv run -p`."""

    spec: Spec
    preset: str
    overrides: dict[str, str]

    @classmethod
    def of(cls, value) -> Reference | None:
        """None for every other form of value. ParameterError for what looks like a run and names no notebook."""
        match = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
        if not match or os.path.exists(paths.resolve(value)):
            return None
        return cls(Spec.of(match[1]), match[2], _overrides(match[3]))

    def __str__(self) -> str:
        """ "10/tiny:seed=1" """
        changed = _written(self.overrides)
        return f"{self.spec.number}/{self.preset}" + (f":{changed}" if changed else "")

    @property
    def arguments(self) -> list[str]:
        """Of `iv run`."""
        changed = [word for name, value in self.overrides.items() for word in ("-p", f"{name}={value}")]
        return [self.spec.stem, self.preset, *changed]

    @property
    def values(self) -> dict:
        """Its parameters; ParameterError where one of its own encoders is the run that is asked about."""
        chain, this = _CHAIN.get(), str(self)
        if this in chain:
            raise ParameterError(f"it starts from itself ({' → '.join([*chain, this])})")
        token = _CHAIN.set((*chain, this))
        try:
            return self._once("values", lambda: self.spec.one(self.preset, self.overrides))
        finally:
            _CHAIN.reset(token)

    @property
    def digest(self) -> str:
        return self._once("digest", lambda: self.spec.digest(self.values))

    @property
    def holds(self) -> Held | None:
        """What the run leaves behind; None where that is not known."""

        def of_run():
            return encoder_kinds.of_run(self.spec.number, values, held(encoder_kinds.start_of(values)))

        values = self.values
        return self._once("holds", of_run)

    def _once(self, what: str, compute):
        resolved = _RESOLVED.get()
        if resolved is None:
            return compute()
        key = (what, self.spec.path, str(self))
        if key not in resolved:
            resolved[key] = compute()
        return resolved[key]

    @property
    def label(self) -> str:
        return self._once("label", lambda: self.spec.label(self.preset, self.values, self.overrides))

    @property
    def folder(self) -> Path:
        return run_folder.locate(self.spec.stem, self.digest, self.label)


def _overrides(text: str | None) -> dict[str, str]:
    """ ":seed=1,sizes=[8, 16]" -> {"seed": "1", "sizes": "[8, 16]"}; brackets around a whole value go.

    ParameterError where a name comes twice, and where it does not show to which run a parameter belongs.
    """
    overrides, rest = {}, text and text[1:]
    while rest is not None:
        name, equals, value = (part.strip() for part in rest.partition("="))
        if not (equals and name):
            raise ParameterError(f"{shown(name)}: expected NAME=VALUE after the colon, as in 12/tiny:seed=1")
        if name in overrides:
            raise ParameterError(f"{name} is given twice")
        if end := _closing(value):
            overrides[name], rest = value[1:end].strip(), value[end + 1 :].lstrip()
            if rest and not _NEXT.match(rest):
                raise ParameterError(f"{shown(rest)}: expected a comma and NAME=VALUE after a bracket")
            rest = rest[1:] or None
            continue
        if value.startswith("("):
            raise ParameterError(f"{name} = {shown(value)}: the bracket is not closed")
        value, *more = _NEXT.split(value, maxsplit=1)
        overrides[name], rest = value.strip(), more[0] if more else None
        if more and _changes(value):
            raise ParameterError(
                f"{shown(more[0])}: of which run? Put the inner one in brackets, as in {name}=({value})"
            )
    return overrides


def _written(overrides: dict[str, str]) -> str:
    """{"encoder": "10/tiny:seed=1", "lr": "0.1"} -> "encoder=(10/tiny:seed=1),lr=0.1", what `_overrides` reads."""
    together = {name: _changes(value) or _NEXT.search(value) or _closing(value) for name, value in overrides.items()}
    return ",".join(f"{name}=({value})" if together[name] else f"{name}={value}" for name, value in overrides.items())


def _changes(value: str) -> bool:
    """Whether it names a run with other parameters."""
    match = _REFERENCE.fullmatch(value)
    return bool(match and match[3])


def _closing(value: str) -> int:
    """Where the bracket with which a value begins is closed; 0 where it begins with none, or none closes it."""
    depth = 0
    for place, character in enumerate(value if value.startswith("(") else ""):
        depth += (character == "(") - (character == ")")
        if not depth:
            return place
    return 0


def _identity(value: str) -> str:
    """What of an encoder's value tells runs apart: of a run its notebook and hash, not the place or label of its folder."""
    if reference := Reference.of(value):
        return f"{reference.spec.stem}/{reference.digest}"
    path = Path(value)
    return f"{path.parent.name}/{digest}" if (digest := run_folder.digest_of(path)) else value


def _check_encoder(name: str, value: str, allowed: tuple[str, ...]) -> Held | None:
    """What the value holds, as far as the parameter cares (`allowed` kinds).

    ParameterError where it can already be seen to lead nowhere, back to itself, or to another kind of encoder.
    """
    holds = None
    try:
        if allowed:
            holds = held(value)
        else:
            _leads_to(value)
    except UserError as error:
        raise ParameterError(f"{name} = {shown(value)}: {error}") from None
    except OSError as error:
        raise ParameterError(f"{name} = {shown(value)}: cannot be read: {error.strerror}") from None
    if allowed:
        encoder_kinds.check(name, value, allowed, holds)
    return holds


def held(value: str | None) -> Held | None:
    """What the value holds; None for scratch and for what would have to be fetched. UserError where it leads nowhere or does not load."""
    reference, place = _leads_to(value)
    return reference.holds if reference else encoder_kinds.of_place(place) if place else None


def _leads_to(value: str | None) -> tuple[Reference | None, Path | None]:
    """The run that is named, whose values are as they must be, or the place where there is one."""
    if value in SCRATCH:
        return None, None
    if reference := Reference.of(value):
        return reference if reference.values else None, None
    path = place_of(value)
    if not path.exists() and _looks_like_path(value):
        looked = " or ".join(map(str, paths.candidates(value)))
        raise ParameterError(f"there is no such file or folder, looked for {looked}{_meant(value)}")
    if not path.exists() and not _is_published(value):
        meant = _meant(value) or "; a run is written as in 12/tiny:seed=1"
        raise ParameterError(f"no run, no file or folder here, and no published name (owner/name){meant}")
    if run_folder.is_one(path) and not run_folder.is_done(path):
        raise ParameterError("that run is not finished (no metrics.json in it)")
    return None, path if path.exists() else None


def place_of(value: str) -> Path:
    """The path that an encoder's value means: of a model of the box its file. UserError where the box has none of this name."""
    path = paths.resolve(value)
    if not value.startswith(OWNER) or path.exists():
        return path
    from ivcore.weights import box

    return box.place(value) if box.is_name(value) else path


def _is_published(value: str) -> bool:
    """Whether it may be a name on the hub, and does not begin with one of the notebooks here."""
    owner, _, _ = value.partition("/")
    own = owner in {name for path in notebook.every() for name in (path.stem, notebook.number(path))}
    return bool(_PUBLISHED.fullmatch(value)) and not own


def _meant(value: str) -> str:
    """ "; did you mean 12/quick:seed=1?" for "12/quick seed=1"; "" where no run is near."""
    text = value.strip(" \t\r\n/;,:=")
    text = text[1:-1] if 0 < _closing(text) == len(text) - 1 else text
    if not (match := _NEARLY.fullmatch(text)):
        return ""
    number, preset, changed = match[1], match[2] or match[3] or TINY, match[4]
    changed = re.sub(r"[\s;,:]+(?=\w+\s*=)", ",", changed) if "=" in changed else ""
    near = f"{number}/{preset}:{changed}" if changed else f"{number}/{preset}"
    try:
        reference = Reference.of(near)
        return f"; did you mean {reference}?" if reference and reference.values else ""
    except UserError:
        return ""


def _looks_like_path(value: str) -> bool:
    return value.endswith(_FILES) or value.startswith(("/", ".", "~")) or value.count("/") > 1


def brief(value) -> str:
    """A parameter as people write it: "10/tiny" or "10/tiny:seed=1" for a run's folder, of another path the last two parts."""
    if not isinstance(value, str) or "/" not in value:
        return str(value)
    path = Path(value)
    if run_folder.digest_of(path):
        label = run_folder.label_of(path)
        return f"{path.parent.name.split('_')[0]}/{label.rstrip('+')}{_changed(path) if label.endswith('+') else ''}"
    return "/".join(path.parts[-2:])


def _changed(path: Path) -> str:
    """ ":seed=1,lr=0.1", in what a run with a "+" in its folder's name differs from its preset; "+" where that is not known, or does
    not read back: text with half a pair of brackets."""
    place = paths.resolve(path)
    try:
        values = of_result(run_folder.read_params(place))
        preset = Spec.of(place.parent.name).base(run_folder.label_of(place).rstrip("+"))
        changed = {name: value for name, value in values.items() if preset.get(name, value) != value}
        runs = {name for name, value in changed.items() if run_folder.digest_of(Path(str(value)))}
        texts = {name: brief(value) if name in runs else str(value) for name, value in changed.items()}
        text = ":" + _written(texts)
        return text if _overrides(text) == texts else "+"
    except UserError:
        return "+"
