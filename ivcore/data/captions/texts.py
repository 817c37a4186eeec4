"""What becomes of a caption on its way from a file to tokens, in one place for every source.

- Bytes are read as UTF-8; where they are not, as Windows-1252, or else Latin-1, which takes any byte: counted as `not_utf8`, never lost.
- Text is brought to Unicode's composed form (NFC); control characters and line breaks become blanks, runs of blanks one blank;
  invisible characters and unpaired surrogates are dropped. The names of CLIP's start and end tokens are taken out, for in a caption
  from the web they would end the sentence early.
- A sample left without any caption is skipped: counted as `empty` and listed with its key.
- A caption of more tokens than the text encoder takes is cut and ends in the end token: counted as `cut`.
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
    """Text of any bytes, and whether they are UTF-8 (a byte order mark is dropped)."""
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            return data.decode(encoding), encoding == "utf-8-sig"
        except UnicodeDecodeError:
            continue
    return data.decode("latin-1"), False


def clean(text: str) -> str:
    """A caption in one line, composed and without what cannot be seen. "" where nothing is left."""
    text = _CONTROL.sub(" ", unicodedata.normalize("NFC", _INVISIBLE.sub("", text)))
    return " ".join(text.split())


def read(caption: str | bytes) -> tuple[str, bool]:
    """The cleaned caption, and whether it was UTF-8.

    Bytes that Python's "surrogateescape" put into a text count as the bytes they were.
    """
    utf8 = True
    if isinstance(caption, str) and _holds_bytes(caption):
        caption = caption.encode("utf-8", "surrogateescape")
    if isinstance(caption, bytes | bytearray):
        caption, utf8 = decode(bytes(caption))
    return clean(caption), utf8


def _holds_bytes(text: str) -> bool:
    """Whether there are surrogates and all of them stand for bytes; JSON can write others."""
    surrogates = re.findall("[\ud800-\udfff]", text)
    return bool(surrogates) and all("\udc80" <= character <= "\udcff" for character in surrogates)


def tokens(text: str, tokenizer):
    """-> (int64 (L,), whether the caption was cut). `tokenizer` has `context`, `encode(text)` and is called on a list of texts."""
    room = tokenizer.context - 2  # start and end
    kept = text[: _LONGEST_TOKEN * tokenizer.context]  # or a word of a million letters would take minutes
    cut = len(kept) < len(text) or (len(kept.encode()) > room and len(tokenizer.encode(kept)) > room)
    return tokenizer([kept])[0], cut


def caption_id(captions: Iterable[str]) -> int:
    """A number that samples share when they have the same set of captions, on every rank and in every run. -> below 2**63"""
    joined = "\0".join(sorted({caption.casefold() for caption in captions}))
    return int.from_bytes(hashlib.blake2b(joined.encode(), digest_size=8).digest()) >> 1


class Captions:
    """The captions of a set: cleaned, with the samples that have none left out, counted and listed.

    captions: one tuple a sample. keys: what the samples are called in the list, by default their numbers.
    kept: int64 (N,), which samples have a caption; `texts` (N tuples) and `caption_ids` int64 (N,), see `caption_id`, are of those.
    counts: read (samples), empty, not_utf8 and cut (captions). The list is <run_dir>/skipped_captions.jsonl, one object a line.
    Raises UserError where no sample has a caption.
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
        """A token takes at least a byte, so that short captions, nearly all, need no tokenizer here."""
        times = Counter(text for texts in self.texts for text in texts)
        room = self.tokenizer.context - 2
        return sum(n for text, n in times.items() if len(text.encode()) > room and tokens(text, self.tokenizer)[1])

    def ids(self, text: str):
        """int64 (L,): the tokens of a caption; those of the captions of a small set are kept."""
        if text in self._ids:
            return self._ids[text]
        ids = tokens(text, self.tokenizer)[0]
        if len(self._ids) < _KEPT:
            self._ids[text] = ids
        return ids

    def first(self, sample: int) -> str:
        """The first caption of a sample, which has one."""
        return self.texts[int(np.searchsorted(self.kept, sample))][0]

    def choose(self, index: int, *key: int) -> str:
        """One of the captions of a sample, a function of its index and the key; without a key the first."""
        texts = self.texts[index]
        if not key or len(texts) == 1:
            return texts[0]
        return texts[np.random.default_rng((*key, 1)).integers(len(texts))]

    def _list(self, file: Path) -> None:
        rows = [{"key": key, "reason": "empty"} for key in self.skipped]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        if not file.is_file() or file.read_text(encoding="utf-8") != text:  # a finished run stays as it is
            write_text(file, text)
