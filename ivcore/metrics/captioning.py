"""Captions against references: BLEU-1 to 4, ROUGE-L, CIDEr-D and exact match.

    scores = captioning(["a red square slides left"], [["a red square slides left", "here a red square slides left"]])

All are the definitions of the COCO caption evaluation, up to the words: those here are lower case, split at anything that is neither a
letter, a digit nor an apostrophe or hyphen inside a word. COCO's PTB tokenizer, a Java program, also splits "don't" and the like. METEOR is left
out: it needs WordNet and Java.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

from ivcore.errors import ParameterError

LONGEST = 4  # words of an n-gram
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")

Words = list[str]


def words(text: str) -> Words:
    """'A red square, striped.' -> ['a', 'red', 'square', 'striped']"""
    return _WORD.findall(text.lower())


def captioning(
    generated: Sequence[str],
    references: Sequence[Sequence[str]],
    corpus: Sequence[Sequence[str]] | None = None,
) -> dict[str, float]:
    """bleu1 to bleu4, rouge_l and exact_match in [0, 1], cider in [0, 10].

    references: one list of sentences a clip. corpus: the references of all clips from which CIDEr counts how common a phrase is; by default
    those given here. Errors: ParameterError for unequal numbers and for a clip without a reference.
    """
    _check(generated, references)
    said, meant = [words(text) for text in generated], [[words(text) for text in each] for each in references]
    counted = meant if corpus is None else [[words(text) for text in each] for each in corpus]
    scores = {f"bleu{n}": score for n, score in enumerate(bleu(said, meant), 1)}
    scores["rouge_l"] = _mean(map(rouge_l, said, meant))
    scores["cider"] = _mean(cider(said, meant, counted))
    return scores | {"exact_match": _mean(one in each for one, each in zip(said, meant))}


def bleu(said: list[Words], meant: list[list[Words]]) -> list[float]:
    """BLEU-1 to 4 of the whole corpus (Papineni et al., 2002), unsmoothed: geometric mean of clipped n-gram precisions x brevity penalty.

    The reference length of a clip is the one closest to what was said, the shorter of two as close.
    """
    right, total = [0] * LONGEST, [0] * LONGEST
    for one, each in zip(said, meant):
        for n in range(1, LONGEST + 1):
            most = Counter()
            for reference in each:
                most |= ngrams(reference, n)
            found = ngrams(one, n)
            right[n - 1] += (found & most).total()
            total[n - 1] += found.total()
    length = sum(map(len, said))
    wanted = sum(_closest(len(one), each) for one, each in zip(said, meant))
    brevity = math.exp(min(0.0, 1 - wanted / length)) if length else 0.0
    precisions = [r / t if t else 0.0 for r, t in zip(right, total)]
    return [brevity * math.prod(precisions[:n]) ** (1 / n) for n in range(1, LONGEST + 1)]


def rouge_l(said: Words, meant: list[Words], beta: float = 1.2) -> float:
    """F-measure of the longest common subsequence (Lin, 2004), recall weighing beta² times precision; each the best of the references."""
    common = [(_common(said, each), len(each)) for each in meant]
    precision = max((same / len(said) for same, _ in common), default=0.0) if said else 0.0
    recall = max((same / length for same, length in common if length), default=0.0)
    if not precision or not recall:
        return 0.0
    return (1 + beta**2) * precision * recall / (recall + beta**2 * precision)


def cider(said: list[Words], meant: list[list[Words]], corpus: list[list[Words]], sigma: float = 6.0) -> list[float]:  # fmt: skip
    """CIDEr-D of every clip (arXiv 1411.5726): cosine of tf-idf vectors of 1- to 4-grams, averaged over n and references, times 10.

    What is said more often than in the reference is clipped, and a length that differs by d words costs exp(-d²/(2 sigma²)). Phrases that
    occur with every clip of the corpus weigh nothing, so the score of a corpus of one clip is 0.
    """
    phrases = [frozenset().union(*(_all_ngrams(sentence) for sentence in each)) for each in corpus]
    clips = Counter(phrase for each in phrases for phrase in each)

    def vector(sentence: Words) -> list[dict]:
        weight = math.log(max(len(corpus), 1))
        vectors = [ngrams(sentence, n) for n in range(1, LONGEST + 1)]
        return [{p: many * (weight - math.log(max(clips[p], 1))) for p, many in v.items()} for v in vectors]

    def score(one: Words, each: list[Words]) -> float:
        mine, theirs = vector(one), [(len(reference), vector(reference)) for reference in each]
        return _mean(
            math.exp(-((len(one) - length) ** 2) / (2 * sigma**2)) * _mean(map(_clipped_cosine, mine, other))
            for length, other in theirs
        )

    return [10 * score(one, each) for one, each in zip(said, meant)]


def ngrams(sentence: Words, n: int) -> Counter:
    """How often each run of n words occurs."""
    return Counter(zip(*(sentence[i:] for i in range(n))))


def _all_ngrams(sentence: Words) -> set:
    return {phrase for n in range(1, LONGEST + 1) for phrase in ngrams(sentence, n)}


def _clipped_cosine(said: dict, meant: dict) -> float:
    norms = math.hypot(*said.values()) * math.hypot(*meant.values())
    same = sum(
        min(weight, meant[phrase]) * meant[phrase] for phrase, weight in said.items() if phrase in meant
    )
    return same / norms if norms else 0.0


def _closest(length: int, references: list[Words]) -> int:
    return min((abs(len(each) - length), len(each)) for each in references)[1]


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
    for index, each in enumerate(references):
        if isinstance(each, str) or not each:
            raise ParameterError(
                f"references: clip {index} needs a list of one or more sentences, got {each!r}"
            )
