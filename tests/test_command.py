"""`iv` before it is there: what happens while it is imported."""

import subprocess
import sys
import tomllib
from pathlib import Path

INTERRUPTED = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it for what runs in the background
class AtImport:
    def find_spec(self, name, *_):
        if name == "ivcore.run.cli":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, AtImport())
from ivcore.command import main
sys.exit(main())
"""


def test_ctrl_c_while_it_is_imported_is_one_line():
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "iv: interrupted\n")


def test_it_is_what_the_package_installs():
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {"iv": "ivcore.command:main"}
    call = "import sys; from ivcore.command import main; sys.exit(main())"
    done = subprocess.run([sys.executable, "-c", call, "run", "nothing"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and done.stderr.startswith("iv: ") and "Traceback" not in done.stderr
