"""Maps an engine's name to its class. Imports the libraries of an engine only when it is chosen."""

from ivcore.train.engine import Engine


def engine_of(name: str) -> type[Engine]:
    """The class of an engine named in `scaling.ENGINES`."""
    if name == "fsdp":
        from ivcore.train.fully_sharded import FullySharded  # slow to import, and only needed here

        return FullySharded
    if name.startswith("zero"):
        from ivcore.train.zero import Zero

        return Zero
    return Engine
