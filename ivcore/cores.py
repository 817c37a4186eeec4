"""The number of usable processor cores."""

import os


def cores() -> int:
    """Number of cores that this process may use. A batch system may allow fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
