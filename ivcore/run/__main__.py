"""`python -m ivcore.run` is `iv run`."""

import sys

from ivcore.run.cli import main

sys.exit(main(["run", *sys.argv[1:]]))
