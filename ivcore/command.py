"""Entry point of the `iv` command: Ctrl-C during imports also ends it with one line."""

import sys


def main() -> int:
    """Runs `iv`. Returns the exit status."""
    try:
        from ivcore.run.cli import main as command
    except KeyboardInterrupt:
        print("iv: interrupted", file=sys.stderr)
        return 130
    return command()
