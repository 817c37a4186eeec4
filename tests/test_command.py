"""`iv` before it is there: what happens while it is imported."""

import subprocess
import sys

INTERRUPTED = """
import os, signal, sys
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
    done = subprocess.run(
        [sys.executable, "-c", "import sys; from ivcore.command import main; sys.exit(main())", "list", "nothing"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2 and done.stderr.count("Traceback") == 0
