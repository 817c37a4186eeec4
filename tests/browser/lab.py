"""A JupyterLab of its own on a copy of the notebooks, and a headless Chromium that looks at it."""

import json
import os
import re
import shutil
import socket
import subprocess
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

from ivcore import paths
from ivcore.run import tour_command

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
PATIENCE = 1000 * int(os.environ.get("IVCORE_BROWSER_SECONDS", "600"))  # milliseconds, for a machine that others use
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"]  # fmt: skip
RUN_ALL = """async () => { const app = window.jupyterapp, panel = app.shell.currentWidget;
    await panel.context.ready; await panel.sessionContext.ready; await panel.sessionContext.session.kernel.info;
    app.commands.execute('notebook:run-all-cells'); }"""


@contextmanager
def server(folder: Path):
    """-> (address, token) of a JupyterLab whose root is `folder`, where copies of the notebooks lie: Lab saves what it runs."""
    shutil.copytree(paths.ROOT / "notebooks", folder / "notebooks", dirs_exist_ok=True)
    settings = folder / "settings"
    tracker = settings / "@jupyterlab" / "notebook-extension" / "tracker.jupyterlab-settings"
    tracker.parent.mkdir(parents=True)
    tracker.write_text(json.dumps({"windowingMode": "none"}))  # every cell is on the page, also one that is far below
    places = {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime", "IPYTHONDIR": "ipython",
              "JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces"}  # fmt: skip
    environment = os.environ | {name: str(folder / place) for name, place in places.items()}
    environment.pop("IVCORE_HEADLESS", None)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = ["--no-browser", f"--port={port}", "--ServerApp.port_retries=0", "--IdentityProvider.token=0123abcd",
           f"--ServerApp.root_dir={folder}", "--LabApp.expose_app_in_browser=True"]  # fmt: skip
    with open(folder / "lab.log", "w") as log:
        process = subprocess.Popen(tour_command.lab(own), env=environment, stdout=log, stderr=log)
    try:
        address = f"http://127.0.0.1:{port}"
        _await(process, f"{address}/api/status?token=0123abcd", folder / "lab.log")
        yield address, "0123abcd"
    finally:
        process.terminate()
        process.wait(30)


def _await(process, address: str, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE / 1000
    while True:
        try:
            return urllib.request.urlopen(address, timeout=5).close()
        except OSError:
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.3)


def at_preset(notebook: Path, preset: str) -> None:
    """The copy of a notebook starts at a preset."""
    text = notebook.read_text()
    changed = re.sub(r'(start\(\\"[^"]+\\", globals\(\))\)', rf'\1, preset=\\"{preset}\\")', text)
    assert changed != text, f"{notebook}: no start(…) was found"
    notebook.write_text(changed)


class Page:
    """A notebook on a page, and what the console says."""

    def __init__(self, browser, address: str, token: str, name: str, width: int = 1300):
        self.page, self.errors = browser.new_page(viewport={"width": width, "height": 1000}), []
        self.page.set_default_timeout(PATIENCE)
        self.page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(f"uncaught: {error}"))
        self.page.goto(f"{address}/doc/tree/notebooks/{name}.ipynb?token={token}&reset")
        self.page.locator(".jp-NotebookPanel").wait_for()
        self.page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").first.wait_for()

    def run_all(self) -> dict[str, float]:
        """Runs all cells. -> seconds until the first figure was there, and until the last cell was done."""
        began, seconds = time.monotonic(), {}
        self.page.evaluate(RUN_ALL)
        figures = self.page.locator(".jp-OutputArea-output img")
        deadline = began + PATIENCE / 1000
        while time.monotonic() < deadline:
            if "figure" not in seconds and figures.count():
                seconds["figure"] = time.monotonic() - began
            broken = self.page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.error']")
            assert not broken.count(), broken.first.inner_text()[-2000:]
            if self._idle():
                return seconds | {"all": time.monotonic() - began}
            self.page.wait_for_timeout(200)
        raise TimeoutError(f"cells still running: {seconds}")

    def _idle(self) -> bool:
        prompts = self.page.locator(".jp-CodeCell .jp-InputArea-prompt").all_inner_texts()
        return all(re.fullmatch(r"\[\d+\]:", prompt.strip()) for prompt in prompts)

    def explorers(self) -> list["Explorer"]:
        found = self.page.locator(".jp-OutputArea-output .iv-explorer")
        return [Explorer(self.page, found.nth(number)) for number in range(found.count())]


class Explorer:
    """One explorer on the page: its figure, its line below the controls, and its controls."""

    def __init__(self, page, root):
        self.page, self.root = page, root

    @property
    def figure(self) -> str:
        return self.root.locator("img").last.get_attribute("src")

    @property
    def alt(self) -> str:
        return self.root.locator("img").last.get_attribute("alt")

    @property
    def said(self) -> str:
        return self.root.locator("[role=status]").inner_text()

    @property
    def milliseconds(self) -> int:
        return int(re.search(r"answered in (\d+) ms$", self.said)[1])

    @property
    def times(self) -> int:
        """How often it has answered."""
        return int(self.root.locator("[role=status]").get_attribute("data-times"))

    def await_answer(self, before: int) -> None:
        """Waits until it has answered more often than `before`, and another picture is there."""
        deadline = time.monotonic() + PATIENCE / 1000
        while self.times <= before:
            assert time.monotonic() < deadline, f"no answer: {self.said}"
            self.page.wait_for_timeout(50)

    def moved(self, act) -> int:
        """Does something, waits for the answer. -> the milliseconds that the explorer says it took; the figure must be another."""
        figure, times = self.figure, self.times
        act()
        self.await_answer(times)
        assert self.figure != figure, f"the same picture as before: {self.alt}"
        return self.milliseconds

    def slide(self, number: int, key: str):
        handle = self.root.locator(".widget-slider .noUi-handle").nth(number)
        handle.scroll_into_view_if_needed()
        return lambda: (handle.focus(), self.page.keyboard.press(key))

    def click_patch(self, number: int):
        button = self.root.locator(".iv-patch button").nth(number)
        button.scroll_into_view_if_needed()
        return button.click

    def choose(self, number: int, label: str):
        return lambda: self.root.locator("select").nth(number).select_option(label=label)

    def upload(self, file):
        def act():
            with self.page.expect_file_chooser() as chooser:
                self.root.locator(".widget-upload").first.click()
            chooser.value.set_files(str(file))

        return act

    def write(self, number: int, text: str):
        field = self.root.locator("input[type=text]").nth(number)
        return lambda: (field.fill(text), field.press("Enter"))
