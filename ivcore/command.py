"""The `iv` command while it is being imported: Ctrl-C ends it in one line then too."""

import sys


def main() -> int:
    """-> exit status"""
    try:
        from ivcore.run.cli import main as command
    except KeyboardInterrupt:
        print("iv: interrupted", file=sys.stderr)
        return 130
    return command()
