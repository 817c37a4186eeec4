"""`make lab`: JupyterLab stands at the project's root, so that what a notebook links to opens."""

import importlib.util
import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from ivcore.run import cli, execute, report, tour_command
from ivcore.video.writer import write_video

ROOT = Path(__file__).parents[1]


def test_it_opens_the_tour_at_the_projects_root():
    _, _, program, *settings = tour_command.lab(["--no-browser"])
    assert program == "jupyterlab"
    given = dict(word.partition("=")[::2] for word in settings)
    assert Path(given["--ServerApp.root_dir"]) == ROOT and given["--LabApp.news_url"] == "None"
    assert (ROOT / given["--LabApp.default_url"].removeprefix("/lab/tree/")).is_file()
    assert (Path(given["--LabApp.app_settings_dir"]) / "page_config.json").is_file()
    assert settings[-1] == "--no-browser" and not any("token" in word for word in settings)  # Jupyter makes one
    assert ("--allow-root" in settings) == (os.getuid() == 0)


def test_make_lab_opens_the_tour_and_hands_options_on():
    make = ["make", "-n", "lab", "BIN=bin", "READY=", "ARGS=--no-browser --port 8899"]
    # Below `make test` a make of its own, which names no folders.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    shown = subprocess.run(make, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert shown.stdout.split() == ["bin/iv", "tour", "--", "--no-browser", "--port", "8899"]


def test_headless_it_runs_the_tour_with_ones_own_video_and_writes_the_page(monkeypatch, capsys, tmp_path):
    ran = []
    monkeypatch.setattr(execute, "execute", lambda job: ran.append(job))
    monkeypatch.setattr(report, "write", lambda: tmp_path / "index.html")
    write_video(tmp_path / "mine.mp4", np.zeros((16, 32, 32, 3), np.uint8), 8)
    assert cli.main(["tour", "--headless", "--video", str(tmp_path / "mine.mp4")]) == 0
    assert [(job.spec.stem, job.values["video"]) for job in ran] == [("00_tour", str(tmp_path / "mine.mp4"))]
    assert "index.html" in capsys.readouterr().out
    assert cli.main(["tour", "--video", "mine.mp4"]) == 2 and "needs --headless" in capsys.readouterr().err


def test_without_jupyterlab_it_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert cli.main(["tour"]) == 2
    assert "pip install 'ivcore[lab]'" in capsys.readouterr().err


@pytest.mark.slow
def test_links_to_source_and_text_open_with_the_token_alone(tmp_path):
    pytest.importorskip("jupyterlab")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folders = ("CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR")
    environment = os.environ | {f"JUPYTER_{name}": str(tmp_path / name) for name in folders}
    environment["JUPYTERLAB_WORKSPACES_DIR"] = str(tmp_path)
    own = ["--no-browser", f"--port={port}", "--ServerApp.port_retries=0", "--IdentityProvider.token=0123abcd"]
    started = tour_command.lab(own)
    with open(tmp_path / "log", "w") as log:
        server = subprocess.Popen(started, cwd=ROOT, env=environment, stdout=log, stderr=log)
    try:

        def get(path: str, token: str = "0123abcd"):
            request = urllib.request.Request(f"http://127.0.0.1:{port}/{path}")
            request.add_header("Authorization", f"token {token}")
            return urllib.request.urlopen(request, timeout=60).read().decode()

        deadline = time.monotonic() + 120
        while True:
            try:
                get("api/status")
                break
            except OSError:
                assert server.poll() is None and time.monotonic() < deadline, (tmp_path / "log").read_text()
                time.sleep(0.2)
        names = {entry["name"] for entry in json.loads(get("api/contents/"))["content"]}
        assert {"README.md", "docs", "ivcore", "notebooks"} <= names
        for file in ("ivcore/cma.py", "docs/notes.md", "README.md"):
            assert get(f"files/{file}") == (ROOT / file).read_text()
        page = get("lab/tree/notebooks/00_tour.ipynb")
        shown = json.loads(page.split('id="jupyter-config-data"')[1].split(">", 1)[1].split("</script>")[0])
        assert shown["news"] == {"disabled": True}
        assert shown["disabledExtensions"] == [
            "@jupyterlab/apputils-extension:announcements"
        ]  # it asks whether to show news
        with pytest.raises(urllib.error.HTTPError, match="403"):
            get("api/contents", token="another")
    finally:
        server.terminate()
        server.wait(30)
