"""The specification of a notebook: parameters, presets, names of its runs, and the runs they start from.

`Spec.of("10")` reads a notebook, again only after the file has changed. The parameters cell is the configuration (see
ivcore.run.parameters). `tiny.yaml` in `params/<notebook>/` holds the values in which the measured run differs from the
cell; every other preset holds differences from tiny. The cell alone may be a short demonstration: the preset `look`,
which has no file. A preset with `grid:` (every combination) or `runs:` (a list) is a sweep. A hash of its parameters
names a run.

The value of a parameter with constraint `encoder` is another run, finished or not: "10/tiny" is notebook 10 at preset
tiny, "10/tiny:seed=1,epochs=4" the same with other parameters (`iv run 10 tiny -p seed=1 -p epochs=4`). Brackets
enclose the value of an encoder's own encoder: "12/tiny:encoder=(10/tiny:seed=1,epochs=4),seed=2". It may also be the
folder of a finished run, a checkpoint file or folder, a published name ("OpenGVLab/…", owner and name), or "scratch" or
"" for random weights.
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
_LATER = {  # encoder parameters added after the first runs; if unset they do not enter the hash
    "10_masked_video_modeling": "masked_encoder",
    "11_video_language_contrastive": "multimodal_encoder",
}
MOST_RUNS = 10_000  # of a sweep; more is taken for a typing error
TINY, LOOK = "tiny", "look"  # the measured run, and the unchanged parameters cell
_ORDER = (LOOK, "quick", TINY, "one_gpu", "paper")  # order of presets; others follow by name
_REFERENCE = re.compile(r"(\d\w*)/([\w-]+)(:.*)?")
_NEARLY = re.compile(r"(\d\w*)(?:\s*/\s*([\w-]+)|[\s:]+([\w-]+)(?![\w-]|\s*=))?\W*(.*)", re.DOTALL)  # see `_meant`
_PUBLISHED = re.compile(r"\w[\w.-]*/\w[\w.-]*", re.ASCII)
_NEXT = re.compile(r",(?=\s*\w+\s*=)")  # a comma separates if a name and = follow
OWNER = "ivcore/"  # owner of the box's models; importing `weights.box` would import torch
_FILES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt")
_CHAIN: ContextVar[tuple[str, ...]] = ContextVar("chain", default=())  # runs whose encoders are being checked
_RESOLVED: ContextVar[dict | None] = ContextVar("resolved", default=None)  # see `resolving_once`


@contextlib.contextmanager
def resolving_once() -> Iterator[None]:
    """Inside the block each named run is resolved once; the files that it depends on must not change meanwhile."""
    token = _RESOLVED.set({}) if _RESOLVED.get() is None else None
    try:
        yield
    finally:
        if token:
            _RESOLVED.reset(token)


@dataclass(frozen=True)
class Spec:
    """A notebook and its parameters by name. Methods take the values of a run as {name: value}."""

    path: Path
    parameters: dict[str, Parameter]

    @classmethod
    def of(cls, reference) -> Spec:
        """Reads a notebook by number ("10"), name or path. ParameterError without it or its parameters cell."""
        path = notebook.find(reference)
        try:
            status = path.stat()
        except OSError:
            return _read(path)  # raises an error that says what is wrong
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
        """Values that presets override and `iv run` starts with: those of tiny.yaml, otherwise those of the cell."""
        file = self._file(TINY)
        stated = load_yaml(file) if file.is_file() else {}
        return self.cell | {name: self.parameters[name].fit(stated[name]) for name in self.parameters if name in stated}

    def _file(self, preset: str) -> Path:
        return paths.presets() / self.stem / f"{preset}.yaml"

    def _look(self) -> dict:
        """Values of the parameters cell that differ from tiny."""
        measured = self.defaults
        return {name: value for name, value in self.cell.items() if value != measured[name]}

    def presets(self) -> list[str]:
        """Names of presets. `tiny` needs no file; `look` has none: it is the cell, if that differs from tiny."""
        files = (paths.presets() / self.stem).glob("*.yaml")
        names = {file.stem for file in files if not file.name.startswith("_")} | {TINY}
        names |= {LOOK} if self._look() else set()
        rank = {name: place for place, name in enumerate(_ORDER)}
        return sorted(names, key=lambda name: (rank.get(name, len(rank)), name))

    def load(self, preset: str) -> dict:
        """Values in a preset, unchecked; {} for a `tiny` without a file. A path to a .yaml file is also a preset."""
        file = self._file(preset)
        if str(preset).endswith((".yaml", ".yml")):
            file = next(filter(os.path.isfile, paths.candidates(preset)), paths.resolve(preset))
        elif preset not in (names := self.presets()):
            raise ParameterError(f"{self.stem} has no preset {shown(preset)}{notebook.nearest(preset, names)}")
        elif not file.is_file():
            return self._look() if preset == LOOK else {}
        return load_yaml(file)

    def base(self, preset: str) -> dict:
        """All values of a preset, unchecked; of a sweep those shared by its runs, of an unknown preset tiny's."""
        given = self.load(preset) if preset in self.presets() else {}
        return self.pin({name: given.get(name, value) for name, value in self.defaults.items()})

    # ---- the values of runs

    @resolving_once()
    def expand(self, preset: str = TINY, overrides: dict | None = None) -> list[dict]:
        """Complete, checked values of every run of a preset: one, unless it is a sweep. ParameterError.

        `overrides` win over the preset; epochs in them replace its steps. Text is parsed by the parameter's type
        ("1e-4" for a float).
        Encoders stay as written ("10/tiny"), see `pin`.
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
        """Values of the single run of a preset, see `expand`. ParameterError for a sweep."""
        runs = self.expand(preset, overrides)
        if any(key in self.load(preset) for key in SWEEP_KEYS):
            raise ParameterError(f"preset {preset} of {self.stem} is a sweep of {len(runs)} runs")
        return runs[0]

    def resolve(self, preset: str = TINY, overrides: dict | None = None) -> dict:
        """Values of a run: defaults <- preset <- overrides, checked, with encoders as run folders."""
        return self.pin(self.one(preset, overrides))

    def check(self, values: dict) -> dict:
        """The values in the cell's order and types. ParameterError for unknown, forbidden or contradicting ones."""
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
        """Checks one value. If a missing file is named like a generated set, the error names the right parameter."""
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
        """ParameterError, with the nearest name, if there is no such parameter."""
        if name not in self.parameters:
            allowed = [other for other in self.parameters if other not in OWNED_BY_RUNNER]
            nearest = notebook.nearest(name, allowed)
            raise ParameterError(f"{str(name)[:160]} is not a parameter of {self.stem}{nearest}")

    def _given(self, name: str, value):
        self.require(name)
        return self.parameters[name].from_text(value) if isinstance(value, str) else value

    def encoders(self, values: dict) -> dict[str, str]:
        """{name: value} of the parameters that hold an encoder."""
        takes = {name for name, each in self.parameters.items() if each.kind == "encoder"}
        return {name: value for name, value in values.items() if name in takes and value}

    def references(self, values: dict) -> dict[str, Reference]:
        """{parameter: run} of the encoders that are runs."""
        named = {name: Reference.of(value) for name, value in self.encoders(values).items()}
        return {name: reference for name, reference in named.items() if reference}

    def files(self, values: dict) -> dict[str, str]:
        """{name: value} of the parameters that hold a file or folder of the user."""
        places = {name: each.constraint for name, each in self.parameters.items() if each.names_file}
        return {n: values[n] for n, each in places.items() if values.get(n) and not each.names_set(values[n])}

    # ---- the names of runs

    def pin(self, values: dict) -> dict:
        """The values with each encoder such as "10/tiny" replaced by that run's folder, whose name holds its hash."""
        named = self.references(values)
        return values | {name: paths.short(reference.folder) for name, reference in named.items()}

    def digest(self, values: dict) -> str:
        """Hash of a run's values, eight hex digits: same values, same folder. FREE ones count as in the cell."""
        kept = {name: value for name, value in values.items() if name not in OWNED_BY_RUNNER}
        kept |= {name: self.parameters[name].default for name in FREE if name in self.parameters}
        kept |= {name: _identity(value) for name, value in self.encoders(values).items()}
        if kept.get(later := _LATER.get(self.stem)) in SCRATCH:
            kept.pop(later, None)
        return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:8]

    def label(self, preset: str, values: dict, overrides: dict | None = None) -> str:
        """Label in a run folder's name: the preset, with "+" if overrides change the run."""
        name = Path(preset).stem
        if not overrides:
            return name
        try:
            unchanged = {self.digest(each) for each in self.expand(preset)}
        except ParameterError:  # the preset is invalid without the overrides
            unchanged = set()
        return name if self.digest(values) in unchanged else f"{name}+"

    def folder(self, values: dict, label: str = "custom") -> Path:
        """The run's folder: an existing one with any label, else a new path."""
        return run_folder.locate(self.stem, self.digest(values), label)


@lru_cache(maxsize=128)
def _read(path: Path, *version) -> Spec:
    return Spec(path, parameters.parse(notebook.parameters_cell(path), path.name))


def load_yaml(file: Path) -> dict:
    """The values in a preset's file. ParameterError names the file if it cannot be read."""
    try:
        status = file.stat()
        return copy.deepcopy(_load_yaml(file, status.st_mtime_ns, status.st_size))
    except OSError as error:
        raise ParameterError(f"{paths.short(file)}: {error}") from None


@lru_cache(maxsize=512)
def _load_yaml(file: Path, *version) -> dict:
    # OmegaConf, because PyYAML reads 1e-4 as text. `${…}` is not expanded: a stranger's preset must not copy
    # environment variables into params.yaml and figures.
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
    """Values of a preset's runs: itself, or each combination of `grid` with each entry of `runs`. ParameterError."""
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
    """A run named by an encoder's value. overrides: text, as in `iv run -p`."""

    spec: Spec
    preset: str
    overrides: dict[str, str]

    @classmethod
    def of(cls, value) -> Reference | None:
        """Parses a value; None if it is not a run's name. ParameterError if it looks like one but names no notebook."""
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
        """Arguments of `iv run` for this run."""
        changed = [word for name, value in self.overrides.items() for word in ("-p", f"{name}={value}")]
        return [self.spec.stem, self.preset, *changed]

    @property
    def values(self) -> dict:
        """Values of the run. ParameterError if it starts from itself through its encoders."""
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
        """The model that the run saves; None if unknown."""

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
    """ ":seed=1,sizes=[8, 16]" -> {"seed": "1", "sizes": "[8, 16]"}; removes brackets around a whole value.

    ParameterError for a repeated name, and if it is unclear to which run a parameter belongs.
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
    """{"encoder": "10/tiny:seed=1", "lr": "0.1"} -> "encoder=(10/tiny:seed=1),lr=0.1"; `_overrides` reads it back."""
    together = {name: _changes(value) or _NEXT.search(value) or _closing(value) for name, value in overrides.items()}
    return ",".join(f"{name}=({value})" if together[name] else f"{name}={value}" for name, value in overrides.items())


def _changes(value: str) -> bool:
    """True for the name of a run with changed parameters."""
    match = _REFERENCE.fullmatch(value)
    return bool(match and match[3])


def _closing(value: str) -> int:
    """Index of the bracket that closes the first character; 0 if that is no bracket or is not closed."""
    depth = 0
    for place, character in enumerate(value if value.startswith("(") else ""):
        depth += (character == "(") - (character == ")")
        if not depth:
            return place
    return 0


def _identity(value: str) -> str:
    """Part of an encoder's value that enters a hash: notebook and hash of a run, not its folder's place or label."""
    if reference := Reference.of(value):
        return f"{reference.spec.stem}/{reference.digest}"
    path = Path(value)
    return f"{path.parent.name}/{digest}" if (digest := run_folder.digest_of(path)) else value


def _check_encoder(name: str, value: str, allowed: tuple[str, ...]) -> Held | None:
    """The model behind an encoder's value; None if unknown, or if all kinds are allowed.

    ParameterError if it does not exist, starts from itself, or is not of an `allowed` kind.
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
    """The model behind a value; None for scratch and published names. UserError if it is missing or does not load."""
    reference, place = _leads_to(value)
    return reference.holds if reference else encoder_kinds.of_place(place) if place else None


def _leads_to(value: str | None) -> tuple[Reference | None, Path | None]:
    """(the named run, checked, or None; the existing path, or None). UserError if the value leads nowhere."""
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
    """Path of an encoder's value; for a model of the box its file. UserError if the box has no such model."""
    path = paths.resolve(value)
    if not value.startswith(OWNER) or path.exists():
        return path
    from ivcore.weights import box

    return box.place(value) if box.is_name(value) else path


def _is_published(value: str) -> bool:
    """True if the value may be a name on the hub, and its owner is not a notebook here."""
    owner, _, _ = value.partition("/")
    own = owner in {name for path in notebook.every() for name in (path.stem, notebook.number(path))}
    return bool(_PUBLISHED.fullmatch(value)) and not own


def _meant(value: str) -> str:
    """ "; did you mean 12/quick:seed=1?" for "12/quick seed=1"; "" if no run is similar."""
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
    """Short text of a value: "10/tiny" or "10/tiny:seed=1" for a run's folder, the last two parts of another path."""
    if not isinstance(value, str) or "/" not in value:
        return str(value)
    path = Path(value)
    if run_folder.digest_of(path):
        label = run_folder.label_of(path)
        return f"{path.parent.name.split('_')[0]}/{label.rstrip('+')}{_changed(path) if label.endswith('+') else ''}"
    return "/".join(path.parts[-2:])


def _changed(path: Path) -> str:
    """ ":seed=1,lr=0.1": changes of a run with "+" in its folder's name from its preset; "+" if they are unknown, or
    cannot be parsed again because of an unpaired bracket."""
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
