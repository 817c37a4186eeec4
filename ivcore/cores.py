"""How many processor cores there are to use."""

import os


def cores() -> int:
    """The cores that this process may use. A batch system may allow fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
