"""Turns captions into tokens, the same way for every source.

- Bytes are read as UTF-8. If they are not UTF-8, they are read as Windows-1252, or else as Latin-1, which takes any byte; counted as `not_utf8`.
- Text is brought to Unicode's composed form (NFC); control characters and line breaks become blanks, runs of blanks one blank;
  invisible characters and unpaired surrogates are dropped. The names of CLIP's start and end tokens are removed, because in a caption
  from the web they would end the sentence early.
- A sample without a caption after this is skipped, counted as `empty` and listed with its key.
- A caption with more tokens than the text encoder takes is cut, and ends with the end token; counted as `cut`.
"""

import hashlib
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from ivcore.errors import ParameterError, UserError
from ivcore.files import write_text

_INVISIBLE = re.compile("[\u00ad\u200b\u2060\ufeff\ud800-\udfff]")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]|<\\|(?:start|end)oftext\\|>", re.IGNORECASE)
_KEPT = 100_000  # captions whose tokens are kept
_LONGEST_TOKEN = 40  # characters; CLIP's vocabulary has none of more than 32 bytes


def decode(data: bytes) -> tuple[str, bool]:
    """Returns (text of any bytes, whether they are UTF-8). Drops a byte order mark."""
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            return data.decode(encoding), encoding == "utf-8-sig"
        except UnicodeDecodeError:
            continue
    return data.decode("latin-1"), False


def clean(text: str) -> str:
    """The caption in one line, composed (NFC), without invisible characters; "" if nothing is left."""
    text = _CONTROL.sub(" ", unicodedata.normalize("NFC", _INVISIBLE.sub("", text)))
    return " ".join(text.split())


def read(caption: str | bytes) -> tuple[str, bool]:
    """Returns (the cleaned caption, whether it was UTF-8).

    Surrogates from Python's "surrogateescape" are turned back into the original bytes first.
    """
    utf8 = True
    if isinstance(caption, str) and _holds_bytes(caption):
        caption = caption.encode("utf-8", "surrogateescape")
    if isinstance(caption, bytes | bytearray):
        caption, utf8 = decode(bytes(caption))
    return clean(caption), utf8


def _holds_bytes(text: str) -> bool:
    """Whether the text has surrogates and all of them stand for bytes; JSON can contain others."""
    surrogates = re.findall("[\ud800-\udfff]", text)
    return bool(surrogates) and all("\udc80" <= character <= "\udcff" for character in surrogates)


def tokens(text: str, tokenizer):
    """Returns (tokens int64 (L,), whether the caption was cut). `tokenizer` has `context`, `encode(text)` and is called on a list of texts."""
    room = tokenizer.context - 2  # start and end
    kept = text[: _LONGEST_TOKEN * tokenizer.context]  # else a word of a million letters would take minutes
    cut = len(kept) < len(text) or (len(kept.encode()) > room and len(tokenizer.encode(kept)) > room)
    return tokenizer([kept])[0], cut


def caption_id(captions: Iterable[str]) -> int:
    """A number below 2**63, equal for samples with the same set of captions, on every rank and in every run."""
    joined = "\0".join(sorted({caption.casefold() for caption in captions}))
    return int.from_bytes(hashlib.blake2b(joined.encode(), digest_size=8).digest()) >> 1


class Captions:
    """The cleaned captions of a set. Samples without a caption are left out, counted and listed.

    captions: one tuple a sample. keys: the samples' names in the list, by default their numbers.
    kept: int64 (N,), the samples with a caption; `texts` (N tuples) and `caption_ids` int64 (N,), see `caption_id`, belong to them.
    counts: read (samples), empty, not_utf8 and cut (captions). The list is <run_dir>/skipped_captions.jsonl, one object a line.
    Raises UserError if no sample has a caption, ParameterError if a sample has a text and not a tuple.
    """

    def __init__(self, captions: Sequence[Sequence[str | bytes]], tokenizer, keys=None, run_dir=None):
        self.tokenizer, self._ids = tokenizer, {}
        self.counts = dict.fromkeys(("read", "empty", "not_utf8", "cut"), 0)
        cleaned = [self._cleaned(several) for several in captions]
        self.kept = np.array([i for i, texts in enumerate(cleaned) if texts], np.int64)
        self.texts = [cleaned[i] for i in self.kept]
        self.caption_ids = np.array([caption_id(texts) for texts in self.texts], np.int64)
        self.counts |= {"read": len(cleaned), "empty": len(cleaned) - len(self.kept)}
        self.counts["cut"] = self._count_cut()
        self.skipped = [keys[i] if keys else i for i, texts in enumerate(cleaned) if not texts]
        if run_dir is not None:
            self._list(Path(run_dir) / "skipped_captions.jsonl")
        if not self.texts:
            raise UserError(f"none of the {len(cleaned)} samples has a caption")

    def __len__(self) -> int:
        return len(self.texts)

    def _cleaned(self, captions) -> tuple[str, ...]:
        if isinstance(captions, str | bytes):
            raise ParameterError(f"captions: every sample has a tuple of captions, found {captions!r:.60}")
        pairs = [read(caption) for caption in captions]
        self.counts["not_utf8"] += sum(not utf8 for _, utf8 in pairs)
        return tuple(text for text, _ in pairs if text)

    def _count_cut(self) -> int:
        """The number of captions that are cut. A token takes at least one byte, so short captions (nearly all) need no tokenizer here."""
        times = Counter(text for texts in self.texts for text in texts)
        room = self.tokenizer.context - 2
        return sum(n for text, n in times.items() if len(text.encode()) > room and tokens(text, self.tokenizer)[1])

    def ids(self, text: str):
        """int64 (L,): the tokens of a caption; the first _KEPT captions are cached."""
        if text in self._ids:
            return self._ids[text]
        ids = tokens(text, self.tokenizer)[0]
        if len(self._ids) < _KEPT:
            self._ids[text] = ids
        return ids

    def first(self, sample: int) -> str:
        """The first caption of a sample; the sample must have one."""
        return self.texts[int(np.searchsorted(self.kept, sample))][0]

    def choose(self, index: int, *key: int) -> str:
        """One caption of a sample: a function of its index and the key, or the first caption if no key is given."""
        texts = self.texts[index]
        if not key or len(texts) == 1:
            return texts[0]
        return texts[np.random.default_rng((*key, 1)).integers(len(texts))]

    def _list(self, file: Path) -> None:
        rows = [{"key": key, "reason": "empty"} for key in self.skipped]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        if not file.is_file() or file.read_text(encoding="utf-8") != text:  # a finished run stays as it is
            write_text(file, text)
