"""The report: one file that needs nothing beside it, says what each run is about, and can be read by everyone."""

import base64
import io
import re
from html.parser import HTMLParser

import pytest
from PIL import Image, PngImagePlugin
from workbook import Workbook

from ivcore import files
from ivcore.run import board, notebook, report
from ivcore.run import execute as run
from ivcore.run import folder as run_folder
from ivcore.run.spec import Spec

TASK = """\
seed: int = 0  # of every generator
lr: float = 0.1  # peak
masked_encoder: str = "10/tiny"  # what to start from; encoder
"""


@pytest.fixture
def book(tmp_path, monkeypatch):
    made = Workbook(tmp_path, monkeypatch)
    made.notebook("10_stage")
    made.notebook("30_task", "## Curves\n\nThe *loss* falls, see [10](10.ipynb). More.", 'run.figure(draw(), "the_loss")', parameters=TASK)  # fmt: skip
    return made


def finished(notebook, metrics, *pictures, **overrides):
    job = run.jobs(notebook, "tiny", overrides)[0]
    run_folder.write_params(job.folder, job.spec.pin(job.values))
    (job.folder / "notebook.ipynb").write_bytes(job.spec.path.read_bytes())
    for name, colour in pictures:
        file = job.folder / f"figures/{name}.png"
        file.parent.mkdir(exist_ok=True)
        Image.new("RGB", (300, 150), colour).save(file)
    common = {"wall_seconds": 90.0, "notebook": job.spec.stem, "preset": "tiny", "data": "moving shapes"}
    files.write_json(job.folder / "metrics.json", metrics | common)
    return job.folder


class Page(HTMLParser):
    """Open tags, all tags with their attributes, and whether tags are closed in order."""

    VOID = ("meta", "link", "img", "br")

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text = [], [], text
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def page(book) -> Page:
    return Page(report.write().read_text())


def figures(page: Page) -> list[dict]:
    """The pictures of runs; the first picture of the page shows the chain."""
    return page.all("img")[1:]


def words(folder, name, caption, alt):
    files.write_json(folder / f"figures/{name}.json", {"caption": caption, "alt": alt})


def test_it_needs_nothing_beside_it(book):
    finished("10", {"loss": 1.0}, ("curve", "red"))
    finished("30", {"top1": 0.5}, ("the_loss", "blue"))
    found = page(book)
    assert not found.all("link") and not found.all("script") and "@import" not in found.text
    assert all(each["src"].startswith("data:image/") for each in found.all("img"))
    assert not re.search(r"url\(|https?://", found.text)
    assert not list((book.root / "outputs/report").glob("*.tmp"))


def test_figures_are_what_was_drawn(book):
    finished("30", {"top1": 0.5}, ("the_loss", "blue"))
    (image,) = figures(page(book))
    opened = Image.open(io.BytesIO(base64.b64decode(image["src"].split(",")[1])))
    assert opened.size == (300, 150) and opened.convert("RGB").getpixel((9, 9))[2] > 240
    assert (image["width"], image["height"]) == ("192", "96")  # at 96 dots an inch


def test_everyone_can_read_it(book):
    finished("10", {"loss": 1.0}, ("curve", "red"))
    finished("30", {"top1": 0.5}, ("the_loss", "blue"))
    found = page(book)
    assert found.all("html")[0]["lang"] == "en" and found.all("meta")[1]["name"] == "viewport"
    assert "prefers-color-scheme: dark" in found.text
    assert all(each["scope"] in ("row", "col") for each in found.all("th")) and len(found.all("caption")) == len(
        found.all("table")
    )
    assert found.all("img")[0]["alt"].startswith("video clips as tubelets")
    assert figures(found)[1]["alt"] == "The loss (run 30 tiny)"
    ids = [each["id"] for _, each in found.tags if "id" in each]
    assert len(ids) == len(set(ids))
    inner = [each["href"][1:] for each in found.all("a") if each["href"].startswith("#")]
    assert inner and set(inner) <= set(ids)
    labels = [each["aria-labelledby"] for _, each in found.tags if "aria-labelledby" in each]
    assert labels and set(labels) <= set(ids)


def test_links_lead_to_files(book):
    finished("10", {"loss": 1.0})
    found = page(book)
    outer = [each["href"] for each in found.all("a") if not each["href"].startswith("#")]
    assert len(outer) == 2 and all((book.root / "outputs/report" / href).exists() for href in outer)
    assert outer[0].endswith("notebook.ipynb")


def test_a_run_shows_claim_parameters_metrics_and_time(book):
    upstream = finished("10", {"loss": 1.0})
    finished("30", {"top1": 0.75}, masked_encoder="scratch", lr=0.3)
    finished("30", {"top1": 0.5})
    text = page(book).text
    assert "<blockquote>It shows that notebooks run.</blockquote>" in text and "1.5 min" in text
    assert '<th scope="row">lr</th><td class="words">0.3</td><td class="words">0.1</td>' in text
    assert '<th scope="row">masked encoder</th>' not in text  # parameters are spelled as they are typed
    assert '<th scope="row">masked_encoder</th><td class="words">scratch</td><td class="words">10/tiny</td>' in text
    assert "notebook&#39;s defaults" in text or "notebook's defaults" in text  # 10, which changed nothing
    assert '<th scope="row">top-1</th><td>0.75</td>' in text
    assert text.index("Leaderboard</h2>") < text.index("<blockquote>")
    assert f'id="10_stage-{upstream.name}"' in text and "nothing about Kinetics" in text


def test_an_encoder_of_another_run_is_a_link_to_it(book):
    finished("10", {"loss": 1.0})
    other = finished("10", {"loss": 2.0}, lr=0.5)
    finished("30", {"top1": 0.5}, masked_encoder=str(other))
    assert f'<a href="#10_stage-{other.name.replace("+", "")}">10/tiny:lr=0.5</a>' in page(book).text


def test_seeds_are_one_entry(book):
    for seed, top1 in ((0, 0.5), (1, 0.6), (2, 0.7)):
        finished("30", {"top1": top1}, ("the_loss", "blue"), seed=seed)
    found = page(book)
    assert len(found.all("article")) == 1 and len(figures(found)) == 1
    assert "0.6 ± 0.1" in found.text and "mean of 3 seeds" in found.text


def test_what_has_no_result_is_listed_and_escaped(book):
    job = run.jobs("30", "tiny", {"lr": "0.7"})[0]
    run_folder.write_params(job.folder, job.values)
    error = {"kind": "failed", "exception": "ValueError", "message": "<b>1 & 2</b>"}
    files.write_json(job.folder / "error.json", error)
    text = page(book).text
    assert "No run has finished yet" in text and "ValueError: &lt;b&gt;1 &amp; 2&lt;/b&gt;" in text


def test_results_of_a_notebook_that_has_gone_stay(book):
    folder = finished("30", {"top1": 0.5}, ("the_loss", "blue"))
    (book.root / "notebooks/30_task.ipynb").unlink()
    (folder / "notebook.ipynb").unlink()
    found = page(book)
    assert "top-1" in found.text and len(figures(found)) == 1


def test_what_is_said_of_a_figure_comes_from_who_drew_it(book):
    folder = finished("30", {"top1": 0.5}, ("the_loss", "blue"), ("plain", "red"), ("titled", "green"))
    words(folder, "the_loss", "The loss falls & stays.", "A curve from 1 to 0.2.")
    title = PngImagePlugin.PngInfo()
    title.add_text("Title", "What it is called")
    Image.new("RGB", (30, 15)).save(folder / "figures/titled.png", pnginfo=title)
    found = page(book)
    alts = [image["alt"] for image in figures(found)]
    assert sorted(alts) == ["A curve from 1 to 0.2.", "Plain (run 30 tiny)", "What it is called (run 30 tiny)"]
    assert "<figcaption>The loss falls &amp; stays. " in found.text and "The loss falls, see" not in found.text


def test_a_picture_opens_large_and_closes_where_it_stands(book):
    folder = finished("30", {"top1": 0.5}, ("the_loss", "blue"))
    figure = page(book).all("figure")[1]["id"]
    text = page(book).text
    assert figure == f"30_task-{folder.name}-the_loss" and f'<a href="#{figure}"><img' in text
    assert f'<a class="close" href="#30_task-{folder.name}">' in text and "figure:target" in text


def test_a_picture_that_many_runs_draw_stands_there_once(book):
    for lr in (0.1, 0.2, 0.3):
        finished("30", {"top1": 0.5}, ("clips", "blue"), ("curve", (int(lr * 100), 0, 0)), lr=lr)
    assert len(figures(page(book))) == 4


def test_it_begins_with_what_came_out(book):
    for seed, probe in ((0, 0.5), (1, 0.7)):
        finished("10", {"probe_top1_before": 0.25, "probe_top1": probe, "chance": 0.125}, seed=seed)
    finished("30", {"top1": 0.5})  # without what its sentence says
    text = page(book).text
    story = text.split('<ul class="story">')[1].split("</ul>")[0]
    assert "from 25.0% to 60.0% (guessing: 12.5%)" in story and "mean of 2 seeds" in story
    assert story.count("<li>") == 1 and text.index("</ul>") < text.index("Leaderboard</h2>")


def test_the_story_has_the_leaderboards_groups(book):
    """A sweep that repeats a preset with other seeds, also of its encoders, is of its group on the board: so it is in the story."""
    book.notebook("13_joined", parameters=TASK)
    names = ("top1_coordinated", "top1_ensemble", "top1_masked", "top1_multimodal")
    for seed, top1 in ((0, 0.875), (1, 0.885)):
        up = finished("10", {"probe_top1_before": 0.25, "probe_top1": 0.5, "chance": 0.125}, seed=seed)
        finished("13", dict.fromkeys(names, top1), masked_encoder=str(up), seed=seed)
    (group,) = board.grouped(board.rows("13"))
    story = page(book).text.split('<ul class="story">')[1].split("</ul>")[0]
    assert len(group) == 2 and "88.0%" in story and "87.5%" not in story and story.count("mean of 2 seeds") == 2


def test_the_story_says_where_there_is_one_seed(book):
    finished("10", {"probe_top1_before": 0.25, "probe_top1": 0.5, "chance": 0.125})
    finished("30", {"top1": 0.5, "order_accuracy": 0.5}, lr=0.3)  # no preset as it is: of it nothing is said
    story = page(book).text.split('<ul class="story">')[1].split("</ul>")[0]
    assert "10 tiny</a>, one seed</li>" in story and story.count("<li>") == 1


def test_the_story_tells_of_metrics_and_presets_that_there_are():
    for number, preset, sentence in report.story():
        assert preset in Spec.of(number).presets()
        cells = "".join(notebook.source(cell) for cell in notebook.cells(notebook.find(number)))
        names = re.findall(r"\{(\w+)", sentence)
        # A name may be put together: top1_masked of f"top1_{name}".
        assert names and all(name in cells or name.split("_")[0] in cells for name in names)


def test_the_board_has_the_headline_and_a_run_all_metrics(book):
    finished("30", {"other": 0.25, "top1": 0.5, "headline": ["top1"]})
    text = page(book).text
    board, run_ = text.split("Leaderboard</h2>")[1].split("<blockquote>")
    assert '<th scope="col">top-1</th>' in board and "other" not in board and "headline" not in text
    assert run_.index('<th scope="row">top-1</th>') < run_.index('<th scope="row">other</th>')


@pytest.mark.parametrize("text", ["", "{", "[]", "\x89PNG\r\n"])
@pytest.mark.parametrize("file", ["env.json", "notebook.ipynb", "figures/curve.png"])
def test_what_does_not_read_is_left_out(book, capsys, file, text):
    damaged = finished("10", {"loss": 1.0}, ("curve", "red"))
    finished("30", {"top1": 0.5}, ("the_loss", "blue"))
    (damaged / file).write_text(text)
    found = page(book)
    assert len(found.all("article")) == 2 and len(figures(found)) == (1 if "png" in file else 2)
    assert ("curve.png does not read" in capsys.readouterr().err) == ("png" in file)


@pytest.mark.parametrize("seconds, says", [(0.4, "0 s"), (59, "59 s"), (466, "7 min 46 s"), (7300, "2 h 1 min")])
def test_durations_are_words(seconds, says):
    assert report.duration(seconds) == says


def test_the_command_says_where_it_is(book, capsys):
    finished("10", {"loss": 1.0})
    assert book.iv("report") == 0 and capsys.readouterr().out == "outputs/report/index.html\n"
    assert book.iv("report", "-o", "elsewhere/page.html") == 0
    assert (book.root / "elsewhere/page.html").is_file()
