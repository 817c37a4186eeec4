"""The book: a small one is built, and read as a browser would without a network."""

import base64
import io
import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from PIL import Image

from ivcore import paths
from ivcore.run import notebook

STEMS = ("02_masking", "05_alignment")
ALT = "Three masks beside each other."


@pytest.fixture(scope="module")
def book():
    """The modules of docs/book."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(paths.ROOT / "docs/book"))
        import build
        import executed
        import pages
        import pictures
        import runs

        yield {module.__name__: module for module in (build, executed, pages, pictures, runs)}


def run_of(outputs: Path, stem: str, label: str, began="2026-11-01T10:00:00+00:00", **changes) -> Path:
    """A finished run of a notebook: every code cell has printed a place, and the first has drawn a picture."""
    folder = outputs / stem / f"{label}-{len(list(outputs.glob(f'{stem}/*'))):08x}"
    folder.mkdir(parents=True)
    content = json.loads((paths.notebooks() / f"{stem}.ipynb").read_text(encoding="utf-8"))
    buffer = io.BytesIO()
    Image.new("RGB", (600, 90), "white").save(buffer, "PNG")
    picture = {"image/png": base64.b64encode(buffer.getvalue()).decode()}
    drawn = {"output_type": "display_data", "data": picture, "metadata": {"image/png": {"alt": ALT, "width": 300}}}
    code = [cell for cell in content["cells"] if cell["cell_type"] == "code"]
    for cell in code:
        cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": f"written to {folder}\n"}]
    code[0]["outputs"].append(drawn)
    code[-1]["source"] = changes.get("source", code[-1]["source"])
    (folder / "notebook.ipynb").write_text(json.dumps(content))
    (folder / "params.yaml").write_text("seed: 0\n")
    preset = label.rstrip("+")
    facts = {
        "began": began,
        "command": f"cli.py run {stem[:2]} {preset} --wait",
        "device": "cpu (2 cores)",
        "commit": "abc",
    }
    (folder / "env.json").write_text(json.dumps(facts))
    (folder / "metrics.json").write_text(json.dumps({"notebook": stem, "preset": preset, "wall_seconds": 65.0}))
    return folder


@pytest.fixture
def outputs(tmp_path, monkeypatch):
    monkeypatch.setenv("IVCORE_OUTPUTS", str(tmp_path))
    return tmp_path


# ---- which run is shown


def test_the_notebooks_own_preset_is_shown_then_another_then_quick(book, outputs):
    chosen = book["runs"].chosen
    assert chosen("02_masking") is None
    for label in ("quick", "tiny+", "paper", "small", "tiny"):
        began = "2026-11-03" if label == "paper" else "2026-11-02"
        run = run_of(outputs, "02_masking", label, began=began)
        if label != "small":  # of two others the later one
            assert chosen("02_masking") == run
    (run / "notebook.ipynb").unlink()  # a run from JupyterLab leaves no copy
    assert chosen("02_masking").name.startswith("paper-")


def test_what_is_missing_is_run_and_the_leaderboard_last(book, outputs):
    missing = book["runs"].missing()
    assert "02 quick" in missing and "13 quick" in missing and "90 quick" not in missing
    run_of(outputs, "02_masking", "tiny")
    assert "02 quick" not in book["runs"].missing()
    for path in notebook.every():
        if notebook.number(path) != "90":
            run_of(outputs, path.stem, "quick")
    assert book["runs"].missing() == ["90 quick"]


# ---- pages


def test_links_lead_to_pages_and_paths_in_backticks_are_links(book, tmp_path):
    pages, here = book["pages"].Pages(tmp_path), paths.notebooks()
    pages.documents = {here / "02_masking.ipynb"}
    text = "[m](../ivcore/masking.py) [n](02_masking.ipynb#x) [o](13_gone.ipynb) `ivcore.cma.Coordinated` `ivcore/nothing.py`"
    assert pages.linked(text, here) == (
        "[m](../ivcore/masking.py.md) [n](02_masking.ipynb#x) o [`ivcore.cma.Coordinated`](../ivcore/cma.py.md) `ivcore/nothing.py`"
    )
    assert pages.linked("[`a`](../ivcore/cma.py) `ivcore/data/shapes/`", here) == (
        "[`a`](../ivcore/cma.py.md) [`ivcore/data/shapes/`](../ivcore/data/shapes/__init__.py.md)"
    )
    assert pages.linked("```\n`ivcore/cma.py`\n```", here) == "```\n`ivcore/cma.py`\n```"


def test_a_page_says_which_run_it_shows(book, outputs):
    content = book["executed"].content
    path = notebook.find("02")
    _, words = content(path, run_of(outputs, "02_masking", "tiny"))
    assert words == "Preset **tiny**, made on 2026-11-01 by `iv run 02 tiny` in 1 min 5 s, cpu (2 cores), commit abc."
    _, words = content(path, run_of(outputs, "02_masking", "quick", source="print('another cell')"))
    assert "its scores say nothing" in words and words.endswith("have changed since.")
    _, words = content(path, None)
    assert "has not been run" in words


def test_executed_copies_name_no_place_on_this_machine(book, outputs):
    run_of(outputs, "02_masking", "tiny")
    book["executed"].write(outputs / "executed", [notebook.find("02"), notebook.find("05")])
    (copy,) = (outputs / "executed").iterdir()
    text = copy.read_text(encoding="utf-8")
    assert (
        copy.name == "02_masking.ipynb" and str(outputs) not in text and "written to outputs/02_masking/tiny-" in text
    )
    assert "iv run 02 tiny" in text and ALT in text and '"image/png"' in text


def test_film_becomes_a_jpeg_and_a_drawing_stays_as_it_is(book):
    def png(image) -> bytes:
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        return buffer.getvalue()

    noise = Image.frombytes("RGB", (60, 60), os.urandom(60 * 60 * 3)).resize((900, 900), Image.Resampling.BICUBIC)
    form, smaller = book["pictures"].png_or_jpeg(png(noise))
    assert form == "image/jpeg" and 3 * len(smaller) < len(png(noise))
    drawing = Image.new("RGB", (900, 900), "white")
    form, same = book["pictures"].png_or_jpeg(png(drawing))
    assert form == "image/png"
    with Image.open(io.BytesIO(same)) as image:
        assert image.size == (900, 900) and image.convert("RGB").getpixel((5, 5)) == (255, 255, 255)


# ---- the site


class Page(HTMLParser):
    """The pictures, links and link targets of a page."""

    def __init__(self, file: Path):
        super().__init__()
        self.file, self.pictures, self.loaded, self.links, self.places = file, [], [], [], set()
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.places |= {found[name] for name in ("id", "name") if found.get(name)}
        if tag == "img":
            self.pictures.append(found)
        if tag in ("img", "script", "source", "video") and "src" in found:
            self.loaded.append(found["src"])
        if tag == "link" and found.get("rel") != "canonical":
            self.loaded.append(found["href"])
        if tag == "a" and "href" in found:
            self.links.append(found["href"])


@pytest.fixture(scope="module")
def site(book, tmp_path_factory):
    """A book of two notebooks, one of which has been run, two docs and two modules."""
    outputs = tmp_path_factory.mktemp("outputs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IVCORE_OUTPUTS", str(outputs))
        run_of(outputs, STEMS[0], "tiny")
        docs = [paths.ROOT / "docs/workflow.md", paths.ROOT / "docs/box.md"]
        modules = [paths.ROOT / "ivcore/masking.py", paths.ROOT / "ivcore/cma.py"]
        notebooks = [notebook.find(stem) for stem in STEMS]
        return book["build"].build(outputs / "book", notebooks, docs, modules)


@pytest.fixture(scope="module")
def read(site):
    return {file: Page(file) for file in site.rglob("*.html")}


@pytest.mark.slow
def test_search_finds_words_of_prose_code_and_docs(site):
    text = (site / "searchindex.js").read_text(encoding="utf-8")
    index = json.loads(re.fullmatch(r"Search\.setIndex\((.*)\)\s*", text, re.S)[1])
    for word, page in (
        ("tubelet", f"notebooks/{STEMS[0]}"),
        ("crossmodelattent", "ivcore/cma.py"),
        ("torchrun", "docs/workflow"),
    ):
        found = index["terms"][word]
        assert index["docnames"].index(page) in (found if isinstance(found, list) else [found])


@pytest.mark.slow
def test_every_picture_has_words_and_nothing_comes_from_the_network(read):
    pictures = [picture for page in read.values() for picture in page.pictures]
    assert any(picture["alt"] == ALT and picture["width"] == "300" for picture in pictures)
    assert not [picture for picture in pictures if not picture.get("alt")]
    assert not [source for page in read.values() for source in page.loaded if urlsplit(source).netloc]
    styles = [file.read_text(encoding="utf-8") for file in next(iter(read)).parent.rglob("*.css")]
    assert not [style for style in styles if re.search(r"@import|url\(['\"]?(https?:)?//", style)]


@pytest.mark.slow
def test_every_link_leads_somewhere(site, read):
    broken = []
    for file, page in read.items():
        for link in (*page.links, *page.loaded):
            parts = urlsplit(link)
            if parts.scheme or link == "#":
                continue
            target = Path(os.path.normpath(file.parent / unquote(parts.path))) if parts.path else file
            known = read.get(target)
            if not target.is_file() or (known and parts.fragment and unquote(parts.fragment) not in known.places):
                broken.append((str(file.relative_to(site)), link))
    assert not broken


@pytest.mark.slow
def test_notebooks_and_source_know_each_other_and_equations_are_mathml(site):
    page = (site / f"notebooks/{STEMS[0]}.html").read_text(encoding="utf-8")
    assert 'href="../ivcore/masking.py.html"' in page and "made on 2026-11-01" in page
    assert f'href="../notebooks/{STEMS[0]}.html"' in (site / "ivcore/masking.py.html").read_text(encoding="utf-8")
    unrun = (site / f"notebooks/{STEMS[1]}.html").read_text(encoding="utf-8")
    assert "has not been run" in unrun and "<math " in unrun and "<mfrac>" in unrun
