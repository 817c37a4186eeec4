"""The book: executed notebooks, docs and source as a static site with its own search; it needs no network.

python docs/book/build.py               everything, into outputs/book/site
python docs/book/build.py 02 13         only these notebooks, to check a change

This does not run notebooks; `make book` first runs what is missing (runs.py), and pages.py writes Sphinx's input.
"""

import sys
import time
from pathlib import Path

import executed
from pages import Pages

from ivcore import paths
from ivcore.run import notebook

HERE = Path(__file__).parent


def build(folder: Path, notebooks: list[Path], docs: list[Path], modules: list[Path]) -> Path:
    """Builds the site and returns its folder; RuntimeError, after building, if Sphinx has warned."""
    from sphinx.cmd.build import main

    source, site = folder / "source", folder / "site"
    Pages(source).write(notebooks, docs, modules)
    static = f"html_static_path={HERE / 'static'},{source / '_static'}"
    options = ["-q", "-W", "--keep-going", "-j", "auto", "-c", str(HERE), "-d", str(folder / "read"), "-D", static]
    if main([*options, str(source), str(site)]):
        raise RuntimeError(f"{paths.short(site)} stands, but Sphinx warned of what is written above")
    return site


def everything() -> tuple[list[Path], list[Path], list[Path]]:
    """Notebooks, docs and modules of the repository."""
    return notebook.every(), sorted((paths.ROOT / "docs").glob("*.md")), sorted((paths.ROOT / "ivcore").rglob("*.py"))


if __name__ == "__main__":
    began = time.monotonic()
    notebooks, docs, modules = everything()
    if some := [notebook.find(number) for number in sys.argv[1:]]:  # separate from the whole book, which is not changed
        site = build(paths.outputs() / "book/part", some, docs, modules)
    else:
        site = build(paths.outputs() / "book", notebooks, docs, modules)
        executed.write(paths.outputs() / "book/executed", notebooks)
    megabytes = sum(file.stat().st_size for file in site.rglob("*")) / 1e6
    print(f"{paths.short(site / 'index.html')}: {megabytes:.0f} MB in {time.monotonic() - began:.0f} s")
