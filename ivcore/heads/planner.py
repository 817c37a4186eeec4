"""The history-enhanced planner (paper 4.3.2; after HAMT, Chen et al. 2021, arXiv 2110.13309): instruction, history and
views in one cross-modal transformer.

A view's embedding sums projections of three inputs: the frozen features of its image and of the video that ends in it,
its depth, and its position. A past step is embedded like the view that was chosen. The published planner puts video and
RGB through one linear layer, 1024 + 512 -> 768.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

PLACE = 4  # sine and cosine of a view's heading relative to the agent's, metres to its waypoint, and whether it has one


class Planner(nn.Module):
    """`m(batch)` scores the next action: float (B, V + 1) for V views and, last, for stopping; -inf for a view without
    a waypoint.

    rgb, depth, video: numbers of features of a view; video 0 for a planner without it. history: whether past steps are
    used. text_layers and cross_layers: depths of the instruction's encoder and of the cross-modal one. words_look:
    whether words also attend to views and history; without, the planner costs about half (HAMT's code has the same
    option).
    """

    def __init__(
        self, vocabulary: int, context: int, rgb: int, depth: int, video: int = 0, *, history: bool = True, width: int = 64, heads: int = 4,
        text_layers: int = 1, cross_layers: int = 2, ffn_ratio: int = 2, most_steps: int = 20, dropout: float = 0.1, words_look: bool = True,
    ):  # fmt: skip
        super().__init__()
        self.config = {
            "vocabulary": vocabulary, "context": context, "rgb": rgb, "depth": depth, "video": video, "history": history, "width": width,
            "heads": heads, "text_layers": text_layers, "cross_layers": cross_layers, "ffn_ratio": ffn_ratio, "most_steps": most_steps, "dropout": dropout, "words_look": words_look,
        }  # fmt: skip
        self.video, self.history = video, history
        self.words = nn.Embedding(vocabulary, width)
        self.word_positions = nn.Parameter(0.02 * torch.randn(context, width))
        self.text = nn.ModuleList(_block(width, heads, ffn_ratio, dropout) for _ in range(text_layers))
        self.image, self.depth = nn.Linear(video + rgb, width), nn.Linear(depth, width)
        self.place, self.norm = nn.Linear(PLACE, width), nn.LayerNorm(width)
        self.steps = nn.Embedding(most_steps + 1, width)  # the last is the present
        self.stop = nn.Parameter(0.02 * torch.randn(width))
        self.cross = nn.ModuleList(_Cross(width, heads, ffn_ratio, dropout, words_look) for _ in range(cross_layers))
        self.score = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.LayerNorm(width), nn.Dropout(dropout), nn.Linear(width, 1))  # fmt: skip
        self.dropout = nn.Dropout(dropout)

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        """Scores (B, V + 1) of a batch: ids (B, L), 0 after the end of a text; rgb, depth, video (B, V, …) and place
        (B, V, PLACE) of the views; past_rgb … past_place (B, T, …) of the views chosen before, earliest first; past (B,
        T), whether there was such a step.
        """
        ids = batch["ids"]
        said = self.dropout(self.words(ids) + self.word_positions[: ids.shape[1]])
        silent = ids == 0
        for block in self.text:
            said = block(said, src_key_padding_mask=silent)
        views = self._seen(batch) + self.steps.weight[-1]
        seen = torch.cat([views, self.stop.expand(len(ids), 1, -1)], 1)
        nothing = seen.new_zeros(seen.shape[:2], dtype=torch.bool)
        if self.history:
            past = self._seen(batch, "past_") + self.steps.weight[: batch["past"].shape[1]]
            seen, nothing = torch.cat([past, seen], 1), torch.cat([~batch["past"], nothing], 1)
        for layer in self.cross:
            said, seen = layer(said, silent, seen, nothing)
        here = seen[:, -views.shape[1] - 1 :] * said[:, :1]
        scores = self.score(here).squeeze(-1)
        closed = batch["place"][..., -1] == 0
        return scores.masked_fill(torch.cat([closed, closed.new_zeros(len(ids), 1)], 1), -torch.inf)

    def _seen(self, batch: dict[str, Tensor], which: str = "") -> Tensor:
        image = batch[f"{which}rgb"]
        if self.video:
            image = torch.cat([batch[f"{which}video"], image], -1)
        embedded = self.image(image) + self.depth(batch[f"{which}depth"]) + self.place(batch[f"{which}place"])
        return self.dropout(self.norm(embedded))


class _Cross(nn.Module):
    """Views and history attend to the words, then to each other; with `words_look` the words do likewise."""

    def __init__(self, width: int, heads: int, ffn_ratio: int, dropout: float, words_look: bool):
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.to_said = nn.MultiheadAttention(width, heads, dropout, batch_first=True)
        self.seen = _block(width, heads, ffn_ratio, dropout)
        self.to_seen = nn.MultiheadAttention(width, heads, dropout, batch_first=True) if words_look else None
        self.said = _block(width, heads, ffn_ratio, dropout) if words_look else None

    def forward(self, said: Tensor, silent: Tensor, seen: Tensor, nothing: Tensor) -> tuple[Tensor, Tensor]:
        """Words said (B, L, C), silent (B, L) True for padding; views and history seen (B, S, C), nothing (B, S) True
        for padding.
        """
        a, b = self.norms[0](said), self.norms[1](seen)
        seen = seen + self.to_said(b, a, a, key_padding_mask=silent, need_weights=False)[0]
        if self.to_seen is not None:
            said = said + self.to_seen(a, b, b, key_padding_mask=nothing, need_weights=False)[0]
            said = self.said(said, src_key_padding_mask=silent)
        return said, self.seen(seen, src_key_padding_mask=nothing)


def _block(width: int, heads: int, ffn_ratio: int, dropout: float) -> nn.TransformerEncoderLayer:
    return nn.TransformerEncoderLayer(width, heads, ffn_ratio * width, dropout, "gelu", batch_first=True, norm_first=True)  # fmt: skip
