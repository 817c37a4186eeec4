"""`iv tour`: opens the tour of the notebooks in JupyterLab, or runs it without a browser and writes its page."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Sequence

from ivcore import paths
from ivcore.errors import ParameterError, UserError

TOUR = "00_tour"
EXAMPLES = ("iv tour", "iv tour --headless --video clip.mp4", "iv tour -- --no-browser --port 8899")
STATUS = "0 JupyterLab was closed, or the page is written; 1 a cell failed; 2 a wrong argument or parameter"
MOST_BYTES = 200 * 2**20  # largest message from the browser: it sends an uploaded video as one message


def add(add_command: Callable) -> None:
    """Adds the command. add_command(name, function, summary, *examples, status=…) -> parser, see `ivcore.run.cli`."""
    parser = add_command("tour", _tour, "ten minutes with the trained models, in JupyterLab", *EXAMPLES, status=STATUS)
    parser.add_argument("--headless", action="store_true", help="run it without a browser, and write its page")
    parser.add_argument("--video", metavar="FILE", help="with --headless: a video of your own, shown beside the embedded clips")  # fmt: skip
    parser.add_argument("lab", nargs="*", metavar="-- OPTION", help="options of JupyterLab, after --")


def lab(options: Sequence[str] = ()) -> list[str]:
    """The command that opens JupyterLab at the tour. options: further options, which replace those set here.

    The root is the project, so that links from the notebooks to ivcore/, docs/ and outputs/ work.
    .jupyterlab/page_config.json turns off the extension that asks about news, because it covers a corner of the window
    even without a news_url.
    """
    settings = {
        "ServerApp.root_dir": paths.ROOT,
        "ServerApp.tornado_settings": {"websocket_max_message_size": MOST_BYTES},
        "LabApp.default_url": f"/lab/tree/notebooks/{TOUR}.ipynb",
        "LabApp.app_settings_dir": paths.ROOT / ".jupyterlab",
        "LabApp.news_url": None,
        "LabApp.check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
    }
    given = {option.partition("=")[0] for option in options}
    own = [f"--{name}={value}" for name, value in settings.items() if f"--{name}" not in given]
    return [sys.executable, "-m", "jupyterlab", *own, *(["--allow-root"] if os.getuid() == 0 else []), *options]


def _tour(options) -> int:
    if options.headless:
        return _page({"video": options.video} if options.video else {})
    if options.video:
        raise ParameterError("--video: needs --headless; in JupyterLab each explorer has a field for it")
    if importlib.util.find_spec("jupyterlab") is None:
        raise UserError("JupyterLab is not installed: pip install 'ivcore[lab]', or iv tour --headless")
    return subprocess.run(lab(options.lab)).returncode


def _page(overrides: dict[str, str]) -> int:
    from ivcore.run import execute, report

    (job,) = execute.jobs(TOUR, "tiny", overrides)
    try:
        execute.execute(job)
    except execute.RunFailed as error:
        print(*error.lines(), sep="\n", file=sys.stderr)
        return error.failure.status
    print(paths.short(report.write()))
    return 0
