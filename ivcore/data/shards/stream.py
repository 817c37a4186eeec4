"""Training from tar shards at the scale of WebVid and LAION: read from front to back, shuffled, split over ranks and workers.

A rank's samples come in `streams`, each with shards of its own: in every pass the streams of all ranks take turns at a permutation of the
shards that (seed, pass) decides, and a buffer shuffles a stream's samples. Batch k of a rank comes from its stream k mod streams. So what
a batch holds is a function of (seed, rank, k): the number of workers does not matter, and a resumed run gets what an uninterrupted one
would have got.

    batches = Shards("/data/webvid/{00000..02048}.tar", tokenizer, 64, ClipSpec(8, 224), epoch_samples=2_500_000, seed=0)
    train(model, loss, batches, recipe, folder)

`data.pack.write_shards` makes such shards from one's own files.
"""

import copy
import hashlib
import itertools
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ivcore.data.batches import Batches
from ivcore.data.captions.clip_spec import ClipSpec
from ivcore.data.shards.buffer import shuffled
from ivcore.data.shards.log import Known, ShardLog
from ivcore.data.shards.names import expand
from ivcore.data.shards.samples import Decoder
from ivcore.data.shards.tar import HARMLESS, Skipped, read_shard
from ivcore.errors import ParameterError, UserError

_KNOWN = Skipped("", None, "known", "")  # a bad sample that is listed already
_SOON = 100  # samples after which the share of bad ones is judged before the end of a pass


class Shards:
    """Batches dict(video uint8 (B, T, size, size, 3), ids int64 (B, L), text list, caption_id int64 (B,), path list), with the interface of `Batches`.

    urls: see `shard_names.expand`. Members of a sample: a video or an image, and its caption in .txt or .json.
    epoch_samples: what is called an epoch, over all ranks; the shards are passed over without end.
    streams: by default one for each worker, else a multiple of num_workers; set it for a run that may go on with other workers.
    shuffle_buffer: samples of a stream, kept undecoded up to 1 GiB; 0 keeps the order of the shards. spec: frames and crops.
    rank, world: for a loop of one's own, batch_size is then this rank's. `train` is given the joined batches and takes shares of them by
    itself, see `share`. max_bad: the largest share of samples that may be unusable.
    counts: read, cut and not_utf8 (captions), and samples left out by reason, see `Skipped`, in the batches given so far; those of
    earlier attempts too with `run_dir`, where the log <name>-rank<r>.jsonl lists every one of them. With the log a resumed run passes over
    what it has had without decoding it; without, it decodes again. It gets the same batches either way, as long as the shards are the same.
    Raises UserError where there are fewer shards than streams, and where too many samples are bad.
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
        decoder = Decoder(tokenizer, spec)
        self.epoch_samples, self.counts = epoch_samples, Counter()
        self.run_dir, self.name = run_dir, name
        self.num_workers, self.timeout = num_workers, timeout
        steps = epoch_samples // max(batch_size * world, 1)
        self._read(Walk(expand(urls), split, decoder, batch_size, steps, seed, shuffle_buffer, max_bad))

    def _read(self, walk: "Walk") -> None:
        self.walk, self.batch_size = walk, walk.batch_size
        options = {"shuffle": False, "num_workers": self.num_workers, "timeout": self.timeout}
        self.batches = Batches(walk, walk.batch_size, walk.seed, **options)

    def share(self, rank: int, world: int) -> "Shards":
        """Batches of batch_size/world samples from the shards of rank `rank` of `world`; `counts`, of this rank, are common to both.

        Other samples than those of the whole batches, but as many. Errors: ParameterError where a batch does not divide or is a
        share already, UserError where the shards are too few.
        """
        if self.walk.split.world > 1 or self.batch_size % world:
            why = "is one rank's already" if self.walk.split.world > 1 else "must divide"
            raise ParameterError(f"batch_size={self.batch_size}: {why}, to be shared by {world} ranks")
        part = copy.copy(self)
        part._read(self.walk.share(rank, world))
        return part

    def __len__(self) -> int:
        return len(self.batches)

    @property
    def left_out(self) -> int:
        """Samples, and shards, of which nothing could be used; `counts` says why."""
        told = ("read", "cut", "not_utf8", *HARMLESS)
        return sum(number for reason, number in self.counts.items() if reason not in told)

    def indices(self, step: int) -> np.ndarray:
        """int64 (B,): the numbers of the step's samples, counted from the run's start on this rank."""
        return step * self.batch_size + np.arange(self.batch_size)

    def fetch(self, step: int) -> dict:
        """The batch of one step, made in this process; it is neither counted nor logged."""
        return self.batches.fetch(step)[0]

    def iter_from(self, step: int = 0, stop: int | None = None) -> Iterator[dict]:
        """Batches of steps step, step + 1, … (up to but not including `stop`)."""
        log = self._log()
        known = log.known(step) if log else None
        self.counts.clear()
        self.counts.update(known.counts if known else ())
        self.walk.begin(known)
        for number, (batch, line, skipped) in enumerate(self.batches.iter_from(step, stop), step):
            self.counts.update({name: line[name] for name in ("read", "cut", "not_utf8")})
            self.counts.update(row["reason"] for row in skipped)
            if log:
                log.write(number, line, skipped)
            yield batch

    def _log(self) -> ShardLog | None:
        """Opened when reading begins: one of other data is begun anew, and what is only to be shared has none."""
        if self.run_dir is None:
            return None
        name = f"{self.name}-rank{self.walk.split.rank}.jsonl"
        return ShardLog(Path(self.run_dir) / name, self.identity())

    def __iter__(self) -> Iterator[dict]:
        """One epoch, the first."""
        return self.iter_from(0, len(self))

    def one_pass(self) -> Iterator[dict | Skipped]:
        """Every sample of this rank once, and in between, what is left out: to look at shards before training on them."""
        for stream in range(self.walk.split.streams):
            yield from (item for item, _ in self.walk.one_pass(stream, 0) if item is not None)

    def identity(self) -> dict:
        """What a resumed run must have in common with the run it continues."""
        walk = self.walk
        return {
            "shards": f"{len(walk.urls)} {hashlib.sha256(chr(10).join(walk.urls).encode()).hexdigest()[:8]}",
            "batch_size": self.batch_size,
            "epoch_samples": self.epoch_samples,
            "seed": walk.seed,
            "world": walk.split.world,
            "streams": walk.split.streams,
            "shuffle_buffer": walk.buffer,
        }


@dataclass(frozen=True)
class Split:
    """One rank's part of the shards, in `streams` parts."""

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


class Walk:
    """The source of `Batches` behind `Shards`: a walk that remembers where it is, and starts again where something else is asked for.

    A batch comes with its line and its skipped samples for the log.
    """

    def __init__(self, urls, split, decoder, batch_size, steps, seed, buffer, max_bad):
        if (needed := split.world * split.streams) > len(urls):
            raise UserError(
                f"{len(urls)} shards are too few for {split.world} ranks of {split.streams} streams: at least {needed}"
            )
        if not 0 <= max_bad <= 1 or buffer < 0:
            raise ParameterError(
                f"max_bad={max_bad}, shuffle_buffer={buffer}: must be a share from 0 to 1 and a count from 0"
            )
        self.urls, self.split, self.decoder = urls, split, decoder
        self.batch_size, self.steps, self.seed = batch_size, steps, seed
        self.buffer, self.max_bad = buffer, max_bad
        self.begin(None)

    def share(self, rank: int, world: int) -> "Walk":
        """The walk of one rank of several, for its part of the batches."""
        split = Split(rank, world, self.split.streams)
        split.check(1)
        size = self.batch_size // world
        return Walk(self.urls, split, self.decoder, size, self.steps, self.seed, self.buffer, self.max_bad)

    def begin(self, known: Known | None) -> None:
        """Forgets where it is, for workers about to start: they must not share open files. `known`: what the log tells, or None."""
        self.known = known
        self.flows: dict[int, Iterator] = {}  # of each stream
        self.turns: dict[int, int] = {}  # the batch that each is about to give

    def __len__(self) -> int:
        return self.steps * self.batch_size

    def batch(self, indices: np.ndarray, epoch: int) -> tuple[dict, dict, list[dict]]:
        step = epoch * self.steps + int(indices[0]) // self.batch_size
        turn, stream = divmod(step, self.split.streams)
        if self.turns.get(stream) != turn:
            self.flows[stream] = self._flow(stream, turn * self.batch_size)
        self.turns[stream] = None  # until the batch is whole
        made = self._take(self.flows[stream])
        self.turns[stream] = turn + 1
        return made

    def _take(self, flow: Iterator) -> tuple[dict, dict, list[dict]]:
        samples, skipped, passes = [], [], []
        while len(samples) < self.batch_size:
            item, at = next(flow)
            if isinstance(item, Skipped):
                skipped.append(item.as_dict() | {"at": at})
            elif item is None:
                passes.append(at)
            else:
                samples.append(item)
        return _collated(samples), _line(samples, passes), skipped

    def _flow(self, stream: int, skip: int) -> Iterator[tuple]:
        """(sample, its place), (Skipped, its place) and at the end of a pass (None, its size), after the first `skip` samples."""
        known = self.known or Known()
        sure = min(skip, len(range(stream, known.step, self.split.streams)) * self.batch_size)
        first = 0
        while known.sizes.get((stream, first), sure + 1) <= sure:  # whole passes need not be read again
            skip, sure = (left - known.sizes[stream, first] for left in (skip, sure))
            first += 1
        for number in itertools.count(first):
            for item, at in self.one_pass(stream, number, skip, sure):
                size = at[-1] if item is None else 0
                if item is not None or size >= skip:
                    yield item, at
            skip, sure = max(skip - size, 0), max(sure - size, 0)

    def one_pass(self, stream: int, number: int, skip: int = 0, sure: int = 0) -> Iterator[tuple]:
        """One pass of a stream, without the first `skip` samples; the log knows the bad ones among the first `sure` of these."""
        good = bad = 0
        last = None
        for place, raw in enumerate(self._raw(stream, number)):
            at = [stream, number, place]
            if good < sure:
                item = raw if isinstance(raw, Skipped) or tuple(at) not in self.known.bad else _KNOWN
            else:
                item = raw if isinstance(raw, Skipped) else self._decoded(raw, stream, number, good)
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
        """Samples of a stream's pass, shuffled and not decoded."""
        shards = self.split.shards(self.urls, self.seed, number, stream)
        samples = itertools.chain.from_iterable(map(read_shard, shards))
        if not self.buffer:
            return samples
        rng = random.Random(f"{self.seed} {number} {self.split.rank} {stream}")
        return shuffled(samples, self.buffer, rng)

    def _decoded(self, raw: dict, stream: int, number: int, count: int) -> dict | Skipped:
        return self.decoder(raw, np.random.default_rng([self.seed, self.split.rank, stream, number, count]))

    def _judge(self, bad: int, good: int, last: Skipped | None, at_end: bool = False) -> None:
        """UserError for too large a share of bad samples, judged once there are enough of them, and at the end of a pass."""
        if not at_end and bad + good < _SOON:
            return
        example = f", e.g. {last.url}#{last.key}: {last.reason}, {last.cause}" if last else ""
        if at_end and not good:
            raise UserError(f"not one of {bad} samples can be used{example}")
        if bad > max(self.max_bad > 0, self.max_bad * (bad + good)):
            limit = f"more than max_bad={self.max_bad}"
            raise UserError(f"{bad} of {bad + good} samples cannot be used, {limit}{example}")


def _line(samples: list[dict], passes: list) -> dict:
    cut, other = sum(s["cut"] for s in samples), sum(not s["utf8"] for s in samples)
    return {"read": len(samples), "cut": cut, "not_utf8": other, "passes": passes}


def _collated(samples: list[dict]) -> dict:
    import torch

    return {
        "video": torch.from_numpy(np.stack([sample["video"] for sample in samples])),
        "ids": torch.stack([sample["ids"] for sample in samples]),
        "text": [sample["text"] for sample in samples],
        "caption_id": torch.tensor([sample["caption_id"] for sample in samples]),
        "path": [sample["path"] for sample in samples],
    }
