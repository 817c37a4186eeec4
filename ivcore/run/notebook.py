"""Notebook files: find one by number, read its title, claim and parameters cell.

Read with `json`, because importing nbformat takes longer than the checks before a run may take.
"""

import difflib
import json
import re
from pathlib import Path

from ivcore import paths
from ivcore.errors import ParameterError, shown

# Former or foreign names of parameters -> names here, the likeliest first.
_ELSEWHERE = {
    name: here.split()
    for here, names in {
        "lr": "base_lr learning_rate peak_lr",
        "micro_batch": "grad_accum_steps accumulate accum_iter update_freq gradient_accumulation_steps",
        "activation_checkpointing": "recompute checkpoint_activations gradient_checkpointing use_checkpoint",
        "warmup_epochs warmup_steps": "warmup warmup_ratio warmup_share",
        "frame_sampling": "frames sampler sampling",
        "cached_views": "takes",
        "clip_weights": "clip",
        "clip_grad": "max_norm max_grad_norm",
        "context_length": "context",
        "similarity_chunk": "chunk",
        "baseline_share": "compare",
        "data_sizes": "amounts",
        "mask_kinds mask_kind": "kinds",
        "mask_ratios mask_ratio": "ratios",
        "data": "source dataset",
        "encoder masked_encoder": "checkpoint pretrained finetune",
        "steps epochs": "max_steps num_steps epochs",
    }.items()
    for name in names.split()
}


def nearest(word: str, names, list_all: bool = True) -> str:
    """End of an error message: "; did you mean x?" for a similar or foreign name, else a list of all names."""
    names = [str(name) for name in names]
    if here := [name for name in _ELSEWHERE.get(str(word), ()) if name in names]:
        return f"; did you mean {here[0]}?"
    if near := difflib.get_close_matches(str(word), names, n=1, cutoff=0.6):
        return f"; did you mean {near[0]}?"
    if not list_all:
        return ""
    return f"; known: {', '.join(names)}" if names else "; there are none"


def every() -> list[Path]:
    """Paths of the workbook's notebooks in order, without files that have no number in their name."""
    return sorted(p for p in paths.notebooks().glob("*.ipynb") if re.match(r"\d", p.name))


def find(reference) -> Path:
    """Finds a notebook by number ("10"), name ("10_masked_video_modeling") or path. ParameterError suggests one."""
    text = str(reference)
    if text.endswith(".ipynb"):
        for path in paths.candidates(text):
            if path.is_file():
                return path
    stem = text.removesuffix(".ipynb")
    notebooks = every()
    for path in notebooks:
        if stem in (path.stem, number(path)):
            return path
    names = [number(path) if stem.isdigit() else path.stem for path in notebooks]
    raise ParameterError(f"there is no notebook {shown(text)}{nearest(stem, names)}")


def number(notebook: Path) -> str:
    return notebook.stem.split("_")[0]


def cells(notebook: Path) -> list[dict]:
    """Cells with type and source. ParameterError for a file that cannot be read or is no notebook."""
    try:
        found = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        for cell in found:
            cell["cell_type"], source(cell), tags(cell)
    except OSError as error:
        raise ParameterError(f"{paths.short(notebook)}: cannot be read ({error.strerror})") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ParameterError(f"{paths.short(notebook)}: not a notebook ({shown(error)})") from None
    return found


def source(cell: dict) -> str:
    return "".join(cell["source"])


def tags(cell: dict) -> list[str]:
    return list(cell.get("metadata", {}).get("tags", []))


def parameters_cell(notebook: Path) -> str:
    """Source of the cell tagged `parameters`. ParameterError unless there is exactly one."""
    found = [cell for cell in cells(notebook) if "parameters" in tags(cell)]
    if len(found) != 1:
        raise ParameterError(f"{paths.short(notebook)}: {len(found)} cells tagged `parameters`, expected one")
    return source(found[0])


def title(notebook: Path) -> str:
    """Text of the first heading without its number, such as "Masked video modeling"; the file name if there is none."""
    heading = re.search(r"^#[ \t]+(.*)$", _prose(notebook), re.M)
    return (heading and re.sub(r"^\d+\w*\s*[·:.\-–—]?\s*", "", heading[1])) or notebook.stem


def claim(notebook: Path) -> str:
    """The first quote, which says what the notebook shows, as one line."""
    quote = re.search(r"^>.*(?:\n>.*)*", _prose(notebook), re.M)
    return " ".join(re.findall(r"^>[ \t]*(.*\S)", quote[0], re.M)) if quote else ""


def _prose(notebook: Path) -> str:
    """Text of all Markdown cells, with stripped lines."""
    texts = [source(cell) for cell in cells(notebook) if cell["cell_type"] == "markdown"]
    return "\n\n".join("\n".join(line.strip() for line in text.splitlines()) for text in texts)


def cell_name(notebook_cells: list[dict], index: int) -> str:
    """Name of a cell: the nearest heading above it, or ""."""
    for cell in reversed(notebook_cells[: index + 1]):
        if cell["cell_type"] == "markdown":
            headings = re.findall(r"^#+\s+(.*)$", source(cell), flags=re.MULTILINE)
            if headings:
                return headings[-1]
    return ""
