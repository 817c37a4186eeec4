"""A fixed number of views of each clip, drawn once: what a frozen encoder computes of them can be kept for every epoch."""


class CachedViews:
    """Item v * N + i is clip i of a source of N clips as the source shows it in epoch v, for `cached_views` epochs.

    source: has `item(index, epoch)` and `paths`, such as `data.sources.training_clips` gives.
    """

    def __init__(self, source, cached_views: int = 1):
        self.source, self.cached_views = source, cached_views

    def __len__(self) -> int:
        return self.cached_views * len(self.source)

    @property
    def paths(self) -> list[str]:
        """The file of every view."""
        return self.source.paths * self.cached_views

    def item(self, index: int, epoch: int = 0) -> dict:
        """The same in every epoch: nothing is drawn anew."""
        del epoch
        view, row = divmod(index, len(self.source))
        return self.source.item(row, view)
