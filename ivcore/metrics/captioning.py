"""Captions against references: BLEU-1 to 4, ROUGE-L, CIDEr-D and exact match.

    scores = captioning(["a red square slides left"], [["a red square slides left", "here a red square slides left"]])

All follow the COCO caption evaluation, except for the splitting into words: here words are lower case and split at
everything except letters, digits, and apostrophes or hyphens inside a word. COCO's PTB tokenizer, a Java program, also
splits "don't" and the like. METEOR is left out: it needs WordNet and Java.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from ivcore.errors import ParameterError

LONGEST = 4  # longest n-gram, in words
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")

Words = list[str]


def words(text: str) -> Words:
    """'A red square, striped.' -> ['a', 'red', 'square', 'striped']"""
    return _WORD.findall(text.lower())


def captioning(
    generated: Sequence[str], references: Sequence[Sequence[str]], corpus: Sequence[Sequence[str]] | None = None
) -> dict[str, float]:
    """bleu1 to bleu4, rouge_l and exact_match in [0, 1], cider in [0, 10].

    references: one list of sentences for each clip. corpus: the references of all clips from which CIDEr counts how
    common a phrase is; by default those given here. ParameterError for unequal numbers and for a clip without a
    reference.
    """
    _check(generated, references)
    candidates = [words(text) for text in generated]
    references, corpus = (
        [[words(text) for text in texts] for texts in clips]
        for clips in (references, references if corpus is None else corpus)
    )
    scores = {f"bleu{n}": score for n, score in enumerate(bleu(candidates, references), 1)}
    scores["rouge_l"] = _mean(map(rouge_l, candidates, references))
    scores["cider"] = _mean(cider(candidates, references, corpus))
    return scores | {"exact_match": _mean(c in texts for c, texts in zip(candidates, references))}


def bleu(candidates: list[Words], references: list[list[Words]]) -> list[float]:
    """BLEU-1 to 4 of the whole corpus (Papineni et al., 2002), unsmoothed: geometric mean of clipped n-gram precisions
    x brevity penalty.

    The reference length of a clip is the one closest to the candidate's; on a tie the shorter.
    """
    right, total = [0] * LONGEST, [0] * LONGEST
    for candidate, texts in zip(candidates, references):
        for n in range(1, LONGEST + 1):
            most = Counter()
            for reference in texts:
                most |= ngrams(reference, n)
            phrases = ngrams(candidate, n)
            right[n - 1] += (phrases & most).total()
            total[n - 1] += phrases.total()
    length = sum(map(len, candidates))
    reference_length = sum(_closest(len(c), texts) for c, texts in zip(candidates, references))
    brevity = math.exp(min(0.0, 1 - reference_length / length)) if length else 0.0
    precisions = [r / t if t else 0.0 for r, t in zip(right, total)]
    return [brevity * math.prod(precisions[:n]) ** (1 / n) for n in range(1, LONGEST + 1)]


def rouge_l(candidate: Words, references: list[Words], beta: float = 1.2) -> float:
    """F-measure of the longest common subsequence (Lin, 2004), recall weighing beta² times precision; precision and
    recall are each the best over the references.
    """
    common = [(_common(candidate, reference), len(reference)) for reference in references]
    precision = max((same / len(candidate) for same, _ in common), default=0.0) if candidate else 0.0
    recall = max((same / length for same, length in common if length), default=0.0)
    if not precision or not recall:
        return 0.0
    return (1 + beta**2) * precision * recall / (recall + beta**2 * precision)


def cider(candidates: list[Words], references: list[list[Words]], corpus: list[list[Words]], sigma: float = 6.0) -> list[float]:  # fmt: skip
    """CIDEr-D of every clip (arXiv 1411.5726): cosine of tf-idf vectors of 1- to 4-grams, averaged over n and
    references, times 10.

    Counts of phrases that the candidate has more often than the reference are clipped. A length difference of d words
    multiplies the score by exp(-d²/(2 sigma²)). Phrases that occur with every clip of the corpus have weight 0, so a
    corpus of one clip scores 0.
    """
    vector = _vectors_of(corpus)

    def score(candidate: Words, texts: list[Words]) -> float:
        ours = vector(candidate)
        return _mean(
            math.exp(-((len(candidate) - len(text)) ** 2) / (2 * sigma**2))
            * _mean(map(_clipped_cosine, ours, vector(text)))
            for text in texts
        )

    return [10 * score(candidate, texts) for candidate, texts in zip(candidates, references)]


def cider_of_each(sentences: Sequence[str], references: Sequence[Sequence[str]], sigma: float = 6.0) -> list[float]:
    """For each sentence its mean `cider` if it were written about every clip; references and corpus as in `captioning`.

    The references are counted once, by phrase, for any number of sentences.
    """
    texts = [[words(text) for text in some] for some in references]
    vector = _vectors_of(texts)
    rows = [(text, 1 / (len(texts) * len(some))) for some in texts for text in some]
    lengths, shares = np.array([len(text) for text, _ in rows]), np.array([share for _, share in rows])
    found: dict[tuple, list[tuple[int, float]]] = {}
    norms = np.zeros((LONGEST, len(rows)))
    for row, (text, _) in enumerate(rows):
        for n, weights in enumerate(vector(text)):
            norms[n, row] = math.hypot(*weights.values())
            for phrase, weight in weights.items():
                found.setdefault(phrase, []).append((row, weight))
    index = {phrase: (np.array([row for row, _ in some]), np.array([weight for _, weight in some])) for phrase, some in found.items()}  # fmt: skip
    nowhere = np.zeros(0, int), np.zeros(0)

    def score(sentence: Words) -> float:
        total = np.zeros(len(rows))
        for n, weights in enumerate(vector(sentence)):
            same = np.zeros(len(rows))
            for phrase, weight in weights.items():
                where, theirs = index.get(phrase, nowhere)
                same[where] += np.minimum(weight, theirs) * theirs
            norm = norms[n] * math.hypot(*weights.values())
            total += np.divide(same, norm, out=np.zeros(len(rows)), where=norm > 0) / LONGEST
        return 10 * float((shares * total * np.exp(-((lengths - len(sentence)) ** 2) / (2 * sigma**2))).sum())

    return [score(words(sentence)) for sentence in sentences]


def _vectors_of(corpus: list[list[Words]]) -> Callable[[Words], list[dict]]:
    """A function: sentence -> its tf-idf vectors of 1- to 4-grams (phrase -> weight), with document frequencies from
    the clips of the corpus.
    """
    phrases = [frozenset().union(*(_all_ngrams(text) for text in texts)) for texts in corpus]
    clips, weight = Counter(phrase for of_clip in phrases for phrase in of_clip), math.log(max(len(corpus), 1))

    def vector(text: Words) -> list[dict]:
        counted = [ngrams(text, n) for n in range(1, LONGEST + 1)]
        return [{p: many * (weight - math.log(max(clips[p], 1))) for p, many in v.items()} for v in counted]

    return vector


def ngrams(sentence: Words, n: int) -> Counter:
    """Counts of each run of n words."""
    return Counter(zip(*(sentence[i:] for i in range(n))))


def _all_ngrams(sentence: Words) -> set:
    return {phrase for n in range(1, LONGEST + 1) for phrase in ngrams(sentence, n)}


def _clipped_cosine(candidate: dict, reference: dict) -> float:
    norms = math.hypot(*candidate.values()) * math.hypot(*reference.values())
    same = sum(
        min(candidate[phrase], reference[phrase]) * reference[phrase] for phrase in candidate if phrase in reference
    )
    return same / norms if norms else 0.0


def _closest(length: int, references: list[Words]) -> int:
    return min((abs(len(text) - length), len(text)) for text in references)[1]


def _common(a: Words, b: Words) -> int:
    """Length of the longest common subsequence."""
    row = [0] * (len(b) + 1)
    for word in a:
        before = row
        row = [0]
        for j, other in enumerate(b):
            row.append(before[j] + 1 if word == other else max(before[j + 1], row[j]))
    return row[-1]


def _mean(values) -> float:
    values = list(values)
    return sum(values) / len(values)


def _check(generated, references) -> None:
    if not generated or len(generated) != len(references):
        raise ParameterError(
            f"captions: {len(generated)} generated for {len(references)} clips; expected as many, and not 0"
        )
    for index, texts in enumerate(references):
        if isinstance(texts, str) or not texts:
            raise ParameterError(f"references: clip {index} needs a list of one or more sentences, got {texts!r}")
