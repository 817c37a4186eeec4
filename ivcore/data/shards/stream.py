"""Training from tar shards at the scale of WebVid and LAION: read from front to back, shuffled, split over ranks and workers.

A rank has several `streams`, each with its own shards: in each pass, a permutation given by (seed, pass) deals the shards in turn to the
streams of all ranks, and a buffer shuffles the samples of a stream. Batch k of a rank comes from its stream k mod streams. So a batch is a
function of (seed, rank, k): the number of workers does not matter, and a resumed run gets the same batches as an uninterrupted one.

    batches = Shards("/data/webvid/{00000..02048}.tar", tokenizer, 64, ClipSpec(8, 224), epoch_samples=2_500_000, seed=0)
    train(model, loss, batches, recipe, folder)

`data.shards.pack.write_shards` makes such shards from the user's files.
"""

import copy
import hashlib
import itertools
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from torch.utils.data import default_collate

from ivcore.data.batches import Batches
from ivcore.data.captions.clip_spec import ClipSpec
from ivcore.data.shards.buffer import shuffled
from ivcore.data.shards.log import Logged, ShardLog
from ivcore.data.shards.names import expand
from ivcore.data.shards.samples import Decoder
from ivcore.data.shards.tar import HARMLESS, Skipped, read_shard
from ivcore.errors import ParameterError, UserError

_LISTED = Skipped("", None, "listed", "")  # a bad sample that is already in the log
_SOON = 100  # samples after which the share of bad ones is checked, without waiting for the end of a pass


class Shards:
    """Batches dict(video uint8 (B, T, size, size, 3), ids int64 (B, L), text list, caption_id int64 (B,), path list); a `BatchStream`.

    urls: see `names.expand`. Members of a sample: a video or an image, and its caption in .txt or .json. spec: frames and crops.
    epoch_samples: samples of an epoch, over all ranks; the shards are read again and again without end.
    streams: by default one for each worker, else a multiple of num_workers; set it for a run that may continue with other workers.
    shuffle_buffer: samples of a stream to keep undecoded, up to 1 GiB; 0 keeps the order of the shards.
    rank, world: for your own training loop; batch_size is then that of this rank. `train` takes the whole batches and divides them
    itself, see `share`. max_bad: the largest share of samples that may be unusable.
    counts: read, cut and not_utf8 (captions), and samples left out by reason, see `Skipped`, in the batches given so far. With `run_dir`
    they include earlier attempts, and the log <name>-rank<r>.jsonl lists each sample left out. With the log, a resumed run skips the
    samples that it has had without decoding; without it, it decodes them again. Both give the same batches if the shards are unchanged.
    Raises UserError if there are fewer shards than streams, or too many bad samples; ParameterError for numbers out of range.
    """

    def __init__(
        self,
        urls,
        tokenizer,
        batch_size: int,
        spec: ClipSpec,
        *,
        epoch_samples: int,
        seed: int = 0,
        shuffle_buffer: int = 256,
        streams: int | None = None,
        num_workers: int = 0,
        rank: int = 0,
        world: int = 1,
        max_bad: float = 0.05,
        run_dir=None,
        name: str = "shards",
        timeout: float = 300.0,
    ):
        split = Split(rank, world, max(num_workers, 1) if streams is None else streams)
        split.check(num_workers)
        self.epoch_samples, self.counts = epoch_samples, Counter()
        self.run_dir, self.name = run_dir, name
        self.num_workers, self.timeout = num_workers, timeout
        steps = epoch_samples // max(batch_size * world, 1)
        decoder = Decoder(tokenizer, spec)
        self._read(ShardReader(expand(urls), split, decoder, batch_size, steps, seed, shuffle_buffer, max_bad))

    def _read(self, reader: "ShardReader") -> None:
        self.reader, self.batch_size = reader, reader.batch_size
        options = {"shuffle": False, "num_workers": self.num_workers, "timeout": self.timeout}
        self.batches = Batches(reader, reader.batch_size, reader.seed, **options)

    def share(self, rank: int, world: int) -> "Shards":
        """Batches of batch_size/world samples from the shards of rank `rank` of `world`. Both objects share `counts`, those of this rank.

        The samples differ from those of the whole batches, but are as many. ParameterError if a batch cannot be divided or is a share
        already, UserError if there are too few shards.
        """
        if self.reader.split.world > 1 or self.batch_size % world:
            why = "is one rank's already" if self.reader.split.world > 1 else "must divide"
            raise ParameterError(f"batch_size={self.batch_size}: {why}, to be shared by {world} ranks")
        part = copy.copy(self)
        part._read(self.reader.share(rank, world))
        return part

    def __len__(self) -> int:
        return len(self.batches)

    @property
    def left_out(self) -> int:
        """The number of samples and shards that could not be used; `counts` gives the reasons."""
        used = ("read", "cut", "not_utf8", *HARMLESS)
        return sum(number for reason, number in self.counts.items() if reason not in used)

    def indices(self, step: int) -> np.ndarray:
        """int64 (B,): the numbers of the step's samples on this rank, counted from the run's start."""
        return step * self.batch_size + np.arange(self.batch_size)

    def fetch(self, step: int) -> dict:
        """The batch of one step, made in this process, without counting and logging."""
        return self.batches.fetch(step)[0]

    def iter_from(self, step: int = 0, stop: int | None = None) -> Iterator[dict]:
        """Batches of steps step, step + 1, … (up to but not including `stop`)."""
        log = self.log()
        logged = log.before(step) if log else None
        self.counts.clear()
        self.counts.update(logged.counts if logged else ())
        self.reader.begin(logged)
        for number, (batch, line, skipped) in enumerate(self.batches.iter_from(step, stop), step):
            self.counts.update({name: line[name] for name in ("read", "cut", "not_utf8")})
            self.counts.update(row["reason"] for row in skipped)
            if log:
                log.write(number, line, skipped)
            yield batch

    def log(self) -> ShardLog | None:
        """Opens the log of this rank, or returns None without `run_dir`. Only called when reading begins; a log of other data is overwritten."""
        if self.run_dir is None:
            return None
        name = f"{self.name}-rank{self.reader.split.rank}.jsonl"
        return ShardLog(Path(self.run_dir) / name, self.identity())

    def identity(self) -> dict:
        """The settings that a resumed run must share with the run it continues."""
        urls, split = self.reader.urls, self.reader.split
        return {
            "shards": f"{len(urls)} {hashlib.sha256(chr(10).join(urls).encode()).hexdigest()[:8]}",
            "batch_size": self.batch_size,
            "epoch_samples": self.epoch_samples,
            "seed": self.reader.seed,
            "world": split.world,
            "streams": split.streams,
            "shuffle_buffer": self.reader.buffer,
        }


@dataclass(frozen=True)
class Split:
    """One rank's part of the shards, divided into `streams` parts."""

    rank: int
    world: int
    streams: int

    def check(self, num_workers: int) -> None:
        for name in ("world", "streams"):
            if getattr(self, name) < 1:
                raise ParameterError(f"{name}={getattr(self, name)}: must be 1 or more")
        if not 0 <= self.rank < self.world:
            raise ParameterError(f"rank={self.rank}: must be from 0 to {self.world - 1}")
        if self.streams % max(num_workers, 1):
            raise ParameterError(f"streams={self.streams}: must be a multiple of num_workers={num_workers}")

    def shards(self, urls: list[str], seed: int, number: int, stream: int) -> list[str]:
        """The shards of one stream in pass `number`, in order."""
        order = np.random.default_rng([seed, number]).permutation(len(urls))
        mine = order[self.rank * self.streams + stream :: self.world * self.streams]
        return [urls[i] for i in mine]


@dataclass
class ShardReader:
    """The source of the `Batches` in `Shards`. It remembers the position in each stream, and starts a stream again for an unexpected batch.

    It returns a batch with its line and its skipped samples for the log. steps: batches of an epoch; buffer and max_bad: as in `Shards`.
    """

    urls: list[str]
    split: Split
    decoder: Decoder
    batch_size: int
    steps: int
    seed: int
    buffer: int
    max_bad: float

    def __post_init__(self):
        world, streams = self.split.world, self.split.streams
        if world * streams > len(self.urls):
            raise UserError(
                f"{len(self.urls)} shards are too few for {world} ranks of {streams} streams: at least {world * streams}"
            )
        if not 0 <= self.max_bad <= 1 or self.buffer < 0:
            raise ParameterError(
                f"max_bad={self.max_bad}, shuffle_buffer={self.buffer}: must be a share from 0 to 1 and a count from 0"
            )
        self.begin(None)

    def share(self, rank: int, world: int) -> "ShardReader":
        """The reader for one rank's part of the batches. ParameterError as in `Split.check`, UserError for too few shards."""
        split = Split(rank, world, self.split.streams)
        split.check(1)
        return replace(self, split=split, batch_size=self.batch_size // world)

    def begin(self, logged: Logged | None) -> None:
        """Forgets all positions before workers start, because they must not share open files. logged: the log's content, or None."""
        self.logged = logged or Logged()
        self.flows: dict[int, Iterator] = {}  # stream -> its samples
        self.turns: dict[int, int] = {}  # stream -> its next batch

    def __len__(self) -> int:
        return self.steps * self.batch_size

    def batch(self, indices: np.ndarray, epoch: int) -> tuple[dict, dict, list[dict]]:
        step = epoch * self.steps + int(indices[0]) // self.batch_size
        turn, stream = divmod(step, self.split.streams)
        if self.turns.get(stream) != turn:
            self.flows[stream] = self._flow(stream, turn * self.batch_size)
        self.turns[stream] = None  # until the batch is complete
        samples, skipped, passes = [], [], []
        while len(samples) < self.batch_size:
            item, at = next(self.flows[stream])
            if isinstance(item, Skipped):
                skipped.append(item.as_dict() | {"at": at})
            elif item is None:
                passes.append(at)
            else:
                samples.append(item)
        self.turns[stream] = turn + 1
        line = {"read": len(samples), "cut": sum(sample.pop("cut") for sample in samples)}
        line |= {"not_utf8": sum(not sample.pop("utf8") for sample in samples), "passes": passes}
        return default_collate(samples), line, skipped

    def _flow(self, stream: int, skip: int) -> Iterator[tuple]:
        """Yields (sample, its place), (Skipped, its place) and at the end of a pass (None, its size), after the first `skip` samples."""
        sizes = self.logged.sizes
        sure = min(skip, len(range(stream, self.logged.step, self.split.streams)) * self.batch_size)
        first = 0
        while sizes.get((stream, first), sure + 1) <= sure:  # whole passes need not be read again
            skip, sure = (left - sizes[stream, first] for left in (skip, sure))
            first += 1
        for number in itertools.count(first):
            for item, at in self.one_pass(stream, number, skip, sure):
                size = at[-1] if item is None else 0
                if item is not None or size >= skip:
                    yield item, at
            skip, sure = max(skip - size, 0), max(sure - size, 0)

    def one_pass(self, stream: int, number: int, skip: int = 0, sure: int = 0) -> Iterator[tuple]:
        """One pass of a stream, without the first `skip` samples. Up to the `sure`th good sample, the log tells which samples are bad."""
        good = bad = 0
        last = None
        for place, raw in enumerate(self._raw(stream, number)):
            at = [stream, number, place]
            if isinstance(raw, Skipped):
                item = raw
            elif good < sure:
                item = _LISTED if tuple(at) in self.logged.bad else raw
            else:
                rng = np.random.default_rng([self.seed, self.split.rank, stream, number, good])
                item = self.decoder(raw, rng)
            if not isinstance(item, Skipped):
                good += 1
                if good > skip:
                    yield item, at
                continue
            last, bad = item, bad + (item.reason not in HARMLESS)
            self._judge(bad, good, last)
            if good >= skip:
                yield item, at
        self._judge(bad, good, last, at_end=True)
        yield None, [stream, number, good]

    def _raw(self, stream: int, number: int) -> Iterator[dict | Skipped]:
        """The samples of one pass of a stream, shuffled, not decoded."""
        shards = self.split.shards(self.urls, self.seed, number, stream)
        samples = itertools.chain.from_iterable(map(read_shard, shards))
        if not self.buffer:
            return samples
        return shuffled(samples, self.buffer, random.Random(f"{self.seed} {number} {self.split.rank} {stream}"))

    def _judge(self, bad: int, good: int, last: Skipped | None, at_end: bool = False) -> None:
        """UserError if the share of bad samples is too large; checked after _SOON samples, and at the end of a pass."""
        if not at_end and bad + good < _SOON:
            return
        example = f", e.g. {last.url}#{last.key}: {last.reason}, {last.cause}" if last else ""
        if at_end and not good:
            raise UserError(f"not one of {bad} samples can be used{example}")
        if bad > max(self.max_bad > 0, self.max_bad * (bad + good)):
            limit = f"more than max_bad={self.max_bad}"
            raise UserError(f"{bad} of {bad + good} samples cannot be used, {limit}{example}")
