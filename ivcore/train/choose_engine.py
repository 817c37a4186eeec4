"""From an engine's name to its class; what only one of them needs is imported when it is chosen."""

from ivcore.train.engine import Engine


def engine_of(name: str) -> type[Engine]:
    """The class of an engine of `scaling.ENGINES`. UserError where DeepSpeed is not installed."""
    if name == "fsdp":
        from ivcore.train.fully_sharded import FullySharded  # slow to import, and only needed here

        return FullySharded
    if name.startswith("zero"):
        from ivcore.train.zero import Zero

        return Zero
    return Engine
