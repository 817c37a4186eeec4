"""A fixed number of views of each clip, drawn once, so that a frozen encoder's outputs can be kept for all epochs."""


class CachedViews:
    """Item v * N + i is clip i of a source of N clips in the view that the source gives in epoch v < `cached_views`.

    source: has `item(index, epoch)` and `paths`, such as that of `data.sources.training_clips`.
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
        """The same item in every epoch: nothing is drawn again."""
        del epoch
        view, row = divmod(index, len(self.source))
        return self.source.item(row, view)
