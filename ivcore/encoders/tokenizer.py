"""CLIP's byte-pair tokenizer, from open_clip (vocabulary and merges included), with OpenAI's names of the special tokens."""

from __future__ import annotations

import re
from functools import cache

import torch
from torch import Tensor

from ivcore.errors import ParameterError

START, END = "<|startoftext|>", "<|endoftext|>"
_SPECIAL = re.compile(f"({re.escape(START)}|{re.escape(END)})", re.IGNORECASE)


class Tokenizer:
    """`tokenizer(texts)` gives ids (B, context): start, text, end, then zeros. Long texts are cut and still end in the end token."""

    def __init__(self, context: int = 77):
        self.context = context
        self._bpe = _open_clip_tokenizer()
        self.start, self.end = self._bpe.sot_token_id, self._bpe.eot_token_id

    def encode(self, text: str) -> list[int]:
        """Ids of a text, without start and end."""
        special = {START: self.start, END: self.end}
        parts = _SPECIAL.split(text)
        return [
            i
            for part in parts
            for i in ([special[part.lower()]] if part.lower() in special else self._bpe.encode(part))
        ]

    def decode(self, ids) -> str:
        """The text of ids (a list or a tensor of one text); words come out followed by a space, as CLIP's decoder does it."""
        return re.sub(r"<start_of_text>", START, self._bpe.decode([int(i) for i in ids])).replace(
            "<end_of_text>", END
        )

    def caption(self, ids) -> str:
        """As decode, up to the end token, without special tokens and outer spaces."""
        ids = [int(i) for i in ids]
        ids = ids[: ids.index(self.end)] if self.end in ids else ids
        return self.decode([i for i in ids if i != self.start]).strip()

    def __call__(self, texts: str | list[str], truncate: bool = True) -> Tensor:
        """Texts -> int64 (B, context). truncate=False raises ParameterError for a text that does not fit."""
        texts = [texts] if isinstance(texts, str) else list(texts)
        result = torch.zeros(len(texts), self.context, dtype=torch.long)
        for row, text in zip(result, texts, strict=True):
            ids = [self.start, *self.encode(text), self.end]
            if len(ids) > self.context:
                if not truncate:
                    raise ParameterError(
                        f"text: {len(ids)} tokens do not fit into {self.context}: {text[:60]!r}"
                    )
                ids = [*ids[: self.context - 1], self.end]
            row[: len(ids)] = torch.tensor(ids)
        return result

    def padding(self, ids: Tensor) -> Tensor:
        """ids (B, L) -> bool (B, L), True after the end token."""
        return torch.arange(ids.shape[1], device=ids.device) > ids.argmax(-1, keepdim=True)


@cache
def _open_clip_tokenizer():
    from ivcore import torchvision_ops  # noqa: F401  (open_clip imports torchvision)
    from open_clip.tokenizer import SimpleTokenizer  # isort: skip

    return SimpleTokenizer()
