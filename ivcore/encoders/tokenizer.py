"""CLIP's byte-pair tokenizer, from open_clip (with vocabulary and merges), with OpenAI's names of the special tokens."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache

import torch
from torch import Tensor

from ivcore.errors import ParameterError

START, END = "<|startoftext|>", "<|endoftext|>"
_WORD_END = "</w>"  # suffix of a piece that ends a word
_BYTES = 512  # the first ids: each byte, inside a word and at its end
_SPECIAL = re.compile(f"({re.escape(START)}|{re.escape(END)})", re.IGNORECASE)


class Tokenizer:
    """`tokenizer(texts)` gives ids (B, context): start, text, end, then zeros. Long texts are cut and still end with the end token.

    kept: the published ids of a smaller vocabulary, renumbered in their order (see `for_texts`); None for all.
    """

    def __init__(self, context: int = 77, kept: Sequence[int] | None = None):
        self.context = context
        self._bpe = _open_clip_tokenizer()
        ends = (self._bpe.sot_token_id, self._bpe.eot_token_id)
        self.kept = None if kept is None else sorted({*range(_BYTES), *(int(i) for i in kept), *ends})
        self._new = None if self.kept is None else {old: new for new, old in enumerate(self.kept)}
        self.start, self.end = ends if self._new is None else (self._new[i] for i in ends)

    @classmethod
    def for_texts(cls, texts: Iterable[str], context: int = 77) -> Tokenizer:
        """A tokenizer with only the vocabulary of `texts`, for small domains, where 49,408 rows would be most of the model.

        It keeps the 512 one-byte pieces, so that it can encode any other text without loss.
        """
        whole = cls(context)
        return cls(context, {i for text in set(texts) for i in whole.encode(text)})

    @property
    def vocabulary(self) -> int:
        """The number of ids."""
        return self._bpe.vocab_size if self.kept is None else len(self.kept)

    @property
    def config(self) -> dict:
        """The arguments of this tokenizer: `Tokenizer(**config)` makes it again."""
        return {"context": self.context, "kept": self.kept}

    def encode(self, text: str) -> list[int]:
        """Ids of a text, without start and end."""
        special = {START: self.start, END: self.end}
        pieces = _SPECIAL.split(text)
        return [
            i
            for piece in pieces
            for i in ([special[piece.lower()]] if piece.lower() in special else self._words(piece))
        ]

    def _words(self, text: str) -> list[int]:
        ids = self._bpe.encode(text)
        return ids if self._new is None else [new for old in ids for new in self._renumbered(old)]

    def _renumbered(self, old: int) -> list[int]:
        """The new ids of a published id: one if it was kept, else one for each byte."""
        if old in self._new:
            return [self._new[old]]
        piece, end = self._bpe.decoder[old], ""
        if piece.endswith(_WORD_END):
            piece, end = piece.removesuffix(_WORD_END), _WORD_END
        return [self._bpe.encoder[letter] for letter in piece[:-1]] + [self._bpe.encoder[piece[-1] + end]]

    def unknown(self, text: str) -> list[str]:
        """The words of a text that are not in the smaller vocabulary and are encoded byte by byte."""
        return (
            [word for word in text.split() if not all(i in self._new for i in self._bpe.encode(word))]
            if self._new
            else []
        )

    def decode(self, ids) -> str:
        """The text of the ids of one text (list or tensor); each word is followed by a space, as in CLIP's decoder."""
        ids = [int(i) if self.kept is None else self.kept[int(i)] for i in ids]
        return re.sub(r"<start_of_text>", START, self._bpe.decode(ids)).replace("<end_of_text>", END)

    def caption(self, ids) -> str:
        """As `decode`, but only up to the end token, without special tokens and outer spaces."""
        ids = [int(i) for i in ids]
        ids = ids[: ids.index(self.end)] if self.end in ids else ids
        return self.decode([i for i in ids if i != self.start]).strip()

    def __call__(self, texts: str | list[str], truncate: bool = True) -> Tensor:
        """Texts -> int64 (B, context). With truncate=False, ParameterError for a text that does not fit."""
        texts = [texts] if isinstance(texts, str) else list(texts)
        result = torch.zeros(len(texts), self.context, dtype=torch.long)
        for row, text in zip(result, texts, strict=True):
            ids = [self.start, *self.encode(text), self.end]
            if len(ids) > self.context:
                if not truncate:
                    raise ParameterError(f"text: {len(ids)} tokens do not fit into {self.context}: {text[:60]!r}")
                ids = [*ids[: self.context - 1], self.end]
            row[: len(ids)] = torch.tensor(ids)
        return result


@cache
def _open_clip_tokenizer():
    from open_clip.tokenizer import SimpleTokenizer

    return SimpleTokenizer()
