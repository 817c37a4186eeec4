"""Navigation as a stage: the agent's observations, walks by an expert, a planner or a baseline, and the training of the
planner (paper 4.3.2).
"""

from __future__ import annotations

import copy
import hashlib
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ivcore import distributed, distributed_evaluation, files, paths
from ivcore.data import formats
from ivcore.data.batches import Batches, fitting
from ivcore.data.formats import Episode
from ivcore.data.navigation.episodes import World
from ivcore.data.navigation.habitat import habitat
from ivcore.data.navigation.miniworld import MiniWorld
from ivcore.data.navigation.ray_caster import RayCaster
from ivcore.data.navigation.simulator import PlanSimulator, Simulator, Waypoint, expert_action
from ivcore.data.video_answers import VideoModel
from ivcore.encoders.tokenizer import Tokenizer
from ivcore.errors import UserError
from ivcore.heads.planner import Planner
from ivcore.losses.video_text import trimmed
from ivcore.metrics.navigation import MEASURES, SUCCESS_DISTANCE, dense, navigation_scores
from ivcore.stages.recipe import recipe_of
from ivcore.train import History, train

OBSERVATIONS = 16  # past positions in a video clip
DEPTH_SIDE = 4  # depth is averaged over a grid with this many cells a side
AT_ONCE = 128  # clips in a batch
KINDS = ("rgb", "depth", "video", "place")
STEP = (*KINDS, "taught", "chosen")
VERSION = "2"  # version of the cached observations on the expert's walks


def episodes_of(data: str, counts: Mapping[str, int]) -> dict[str, list[Episode]]:
    """Episodes for train, val (for choices), seen (other paths in the training plans) and test; `counts` of each, 0 for
    all of a dataset.

    data: a folder with R2R's files as published by VLN-CE. val and seen alternate over the episodes of val_seen; test
    is val_unseen. "": generated floor plans, where only `seen` shares plans with `train`. UserError if an episode has
    no goal or path, or a part would be empty.
    """
    if not data:
        if empty := [f"num_{name} = 0" for name, count in counts.items() if not count]:
            raise UserError(
                f"{', '.join(empty)}: floor plans of ours have no end, so 0 is not all of them; 1 or more without data"
            )
        world = World(counts["train"], counts["seen"], counts["val"], counts["test"])
        of_world = {"train": "train", "val": "val_unseen", "seen": "val_seen", "test": "test"}
        return {name: world.episodes(split) for name, split in of_world.items()}
    found = {}
    parts = {"train": ("train", slice(None)), "val": ("val_seen", slice(0, None, 2)), "seen": ("val_seen", slice(1, None, 2)), "test": ("val_unseen", slice(None))}  # fmt: skip
    for name, (split, which) in parts.items():
        file = Path(data) / split / f"{split}.json.gz"
        truth = file.with_name(f"{split}_gt.json.gz")
        listed = formats.read_vln_episodes(file, truth if truth.exists() else None)
        found[name] = (listed[which] or listed)[: counts[name] or None]  # a single episode serves both parts
        if any(each.goal is None or not each.reference for each in found[name]):
            raise UserError(f"{file}: an episode has no goal or no reference path, so nothing can be measured")
    return found


def simulators_of(kind: str, scenes: str, *, headings: int, image_size: int, fov: float, reach: float, at_once: int) -> list[Simulator]:  # fmt: skip
    """`at_once` simulators of this kind: plans, miniworld, or habitat, of which there is only one. UserError if a
    required package is missing.
    """
    if kind == "habitat":
        return [habitat(scenes, headings, image_size, fov, reach)]
    painter = (MiniWorld if kind == "miniworld" else RayCaster)(image_size, fov)
    return [PlanSimulator(painter, headings, reach) for _ in range(at_once)]


@dataclass(frozen=True)
class Step:
    """Observations before a decision: rgb (V, R), depth (V, 16), video (V, D) or None, place (V, 4). taught: the
    expert's choice (a view, or V to stop). chosen: the agent's choice.
    """

    rgb: np.ndarray
    depth: np.ndarray
    video: np.ndarray | None
    place: np.ndarray
    taught: int
    chosen: int = -1


@dataclass
class Walk:
    """One walked episode: positions, metres to the goal at each, and the steps if observations were made. It is sent
    between ranks without its simulator.
    """

    episode: Episode
    simulator: Simulator | None
    distances: list[float] = field(default_factory=list)
    path: list[np.ndarray] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    waypoints: list[Waypoint] = field(default_factory=list)
    stopped: bool = False
    collisions: int = 0
    decided: list[float] = field(default_factory=list)  # metres to the goal at each decision
    frames: dict[tuple[int, int], tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    @property
    def made(self) -> int:
        """Number of decisions."""
        return len(self.decided)

    def note(self) -> None:
        """Records the simulator's present position."""
        new = self.simulator.path[len(self.path) :]
        self.path += new
        self.distances += [self.simulator.geodesic(place) for place in new]
        self.collisions, self.waypoints = self.simulator.collisions, self.simulator.waypoints()

    def taught(self) -> int:
        """The expert's choice here: a view, or the number of views to stop."""
        best = expert_action(self.simulator, self.waypoints)
        return self.simulator.headings if best is None else best.view

    def places(self) -> np.ndarray:
        """float32 (V, 4): see `planner.PLACE`."""
        views = 2 * np.pi * np.arange(self.simulator.headings) / self.simulator.headings
        place = np.zeros((len(views), 4), np.float32)
        for way in self.waypoints:
            views[way.view], place[way.view, 2:] = way.heading, (way.distance, 1)
        turned = views - self.simulator.heading
        place[:, 0], place[:, 1] = np.sin(turned), np.cos(turned)
        return place

    def scores(self) -> dict[str, float]:
        """`navigation_scores`, and collisions."""
        told = navigation_scores(self.path, self.distances, self.stopped, dense(self.episode.reference))
        return told | {"collisions": self.collisions}


@dataclass(frozen=True)
class Eyes:
    """Frozen encoders. image: encodes single frames. video: encodes clips of the last 16 observations of each view;
    None for no video features.
    """

    image: VideoModel
    video: VideoModel | None = None

    @torch.inference_mode()
    def see(self, walks: Sequence[Walk], with_video: bool = True) -> list[dict[str, np.ndarray | None]]:
        """Each agent's observation at its position: rgb (V, R), depth (V, 16), video (V, D) or None."""
        clips = [self._clips(walk, with_video and self.video is not None) for walk in walks]
        views = clips[0][0].shape[0]
        now, depth = np.concatenate([clip[:, -1:] for clip, _ in clips]), np.concatenate([each for _, each in clips])
        rgb = self._asked(self.image, now).reshape(len(walks), views, -1)
        near = F.adaptive_avg_pool2d(torch.from_numpy(depth)[:, None], DEPTH_SIDE).flatten(1).log1p()
        video = [None] * len(walks)
        if with_video and self.video is not None:
            video = self._asked(self.video, np.concatenate([clip for clip, _ in clips])).reshape(len(walks), views, -1)
        return [{"rgb": r, "depth": d, "video": v} for r, d, v in zip(rgb, near.numpy().reshape(len(walks), views, -1), video)]  # fmt: skip

    def _clips(self, walk: Walk, video: bool) -> tuple[np.ndarray, np.ndarray]:
        """Frames uint8 (V, T, size, size, 3) of each view for the video encoder, from the last 16 observations, and the
        present depth (V, size, size).

        Without `video`, only the last frame. The first observation is repeated for times before the start.
        """
        last, views = len(walk.path) - 1, range(walk.simulator.headings)
        frames = self.video.usage.num_frames if video else 1
        back = (np.arange(frames) * OBSERVATIONS // frames)[::-1]
        rows = [max(0, last - step) for step in back.tolist()]
        wanted = [(row, view) for row in sorted(set(rows)) for view in views if (row, view) not in walk.frames]
        if wanted:
            seen = walk.simulator.look([walk.path[row] for row, _ in wanted], [view for _, view in wanted])
            walk.frames |= dict(zip(wanted, zip(*seen)))
        clips = np.stack([[walk.frames[row, view][0] for row in rows] for view in views])
        return clips, np.stack([walk.frames[last, view][1] for view in views])

    @staticmethod
    def _asked(model: VideoModel, clips: np.ndarray) -> np.ndarray:
        """Features float32 (n, D) of clips of any size (n, T, size, size, 3)."""
        device, size = next(model.model.parameters()).device, model.usage.image_size
        parts = [model.features(_sized(part.to(device), size)).float().cpu() for part in torch.from_numpy(clips).split(AT_ONCE)]  # fmt: skip
        return torch.cat(parts).numpy()


def _sized(clips: Tensor, size: int) -> Tensor:
    """Resizes uint8 (n, T, h, h, 3) to (n, T, size, size, 3)."""
    if clips.shape[2] == size:
        return clips
    frames = clips.flatten(0, 1).movedim(-1, 1).float()
    resized = F.interpolate(frames, (size, size), mode="bilinear", antialias=True).round().to(torch.uint8)
    return resized.movedim(1, -1).unflatten(0, clips.shape[:2])


def walk(
    simulators: Sequence[Simulator], episodes: Sequence[Episode], choose: Callable[[list[Walk]], list[int]], *,
    eyes: Eyes | None = None, with_video: bool = True, most_steps: int = 20, seed: int = 0,
) -> list[Walk]:  # fmt: skip
    """Walks all episodes, as many at once as there are simulators; ranks share the work, see `ivcore.distributed_evaluation`.

    choose: picks for each given walk a view, or the number of views to stop; it may use torch's generator, which is
    seeded by `seed`. An agent that has not stopped after `most_steps` decisions fails. Without `eyes` there are no
    observations and no steps.
    """

    def walked(some: Sequence[Episode]) -> list[Walk]:
        walks = [Walk(episode, simulator) for episode, simulator in zip(some, simulators)]
        for each in walks:
            each.simulator.reset(each.episode)
            each.note()
        going = walks
        while going := [each for each in going if not each.stopped and each.made < most_steps]:
            if eyes:
                for each, seen in zip(going, eyes.see(going, with_video)):
                    each.steps.append(Step(**seen, place=each.places(), taught=each.taught()))
            for each, chosen in zip(going, choose(going)):
                _go(each, int(chosen))
        return [replace(each, simulator=None, frames={}) for each in walks]

    groups = [episodes[begin : begin + len(simulators)] for begin in range(0, len(episodes), len(simulators))]
    told = distributed_evaluation.in_turns(
        walked, (groups[number] for number in distributed_evaluation.own(len(groups))), len(groups), seed
    )
    return [replace(each, simulator=simulator) for walks in told for each, simulator in zip(walks, simulators)]


def _go(each: Walk, chosen: int) -> None:
    if each.steps:
        each.steps[-1] = replace(each.steps[-1], chosen=chosen)
    each.decided.append(each.distances[-1])
    ways = {way.view: way for way in each.waypoints}
    each.stopped = chosen == each.simulator.headings
    if not each.stopped and chosen in ways:
        each.simulator.go_to(ways[chosen])
        each.note()


def expert(walks: list[Walk]) -> list[int]:
    """Chooses the shortest path."""
    return [each.taught() for each in walks]


def taught_walks(simulators: Sequence[Simulator], episodes: Sequence[Episode], eyes: Eyes, most_steps: int, setting: Mapping) -> list[Walk]:  # fmt: skip
    """The expert's walks with their observations, which are cached. setting: how the views are drawn; part of the
    cache's key.
    """
    encoders = [each.digest for each in (eyes.image, eyes.video) if each]
    told = json.dumps([VERSION, encoders, most_steps, dict(setting), list(map(repr, episodes))])
    file = paths.cache() / "navigation" / f"{hashlib.sha256(told.encode()).hexdigest()[:24]}.npz"
    there = all(distributed.all_gather_object(file.exists()))  # ranks may have separate caches
    walks = walk(simulators, episodes, expert, most_steps=most_steps, eyes=None if there else eyes)
    if there:
        with np.load(file) as kept:
            columns = {name: kept[name] for name in kept.files}
        rows = iter(range(len(columns["taught"])))
        for each in walks:
            each.steps = [Step(**{name: columns[name][row] if name in columns else None for name in STEP}) for row in itertools.islice(rows, each.made)]  # fmt: skip
        return walks
    steps = [step for each in walks for step in each.steps]
    columns = {name: np.stack([getattr(step, name) for step in steps]) for name in STEP if getattr(steps[0], name) is not None}  # fmt: skip
    files.write_atomic(file, lambda scratch: _savez(scratch, columns))  # runs with other seeds may write it too
    return walks


def _savez(path: Path, columns: Mapping[str, np.ndarray]) -> None:
    with open(path, "wb") as file:  # np.savez would append its suffix to a name
        np.savez(file, **columns)


def at_random(decisions: int) -> Callable[[list[Walk]], list[int]]:
    """Chooses a random waypoint, and stops after `decisions` decisions."""
    return _then_stop(decisions, lambda each: each.waypoints[int(torch.randint(len(each.waypoints), ()))].view)


def forward_only(decisions: int) -> Callable[[list[Walk]], list[int]]:
    """Chooses the waypoint nearest to straight ahead, and stops after `decisions` decisions."""

    def ahead(each: Walk) -> int:
        place = each.places()
        return int(np.where(place[:, 3] > 0, place[:, 1], -2).argmax())

    return _then_stop(decisions, ahead)


def usual_decisions(simulators: Sequence[Simulator], episodes: Sequence[Episode], agent: Callable[[int], Callable], most_steps: int, seed: int = 0) -> int:  # fmt: skip
    """The number of decisions after which `agent(decisions)` is most often near the goal in these episodes, which are
    not test episodes; the smallest on a tie.
    """
    near = np.zeros(most_steps)
    for each in walk(simulators, episodes, agent(most_steps), most_steps=most_steps, seed=seed):
        near[: each.made] += np.array(each.decided) <= SUCCESS_DISTANCE  # where a stop would succeed
    return int(near[1:].argmax()) + 1


def _then_stop(decisions: int, go: Callable[[Walk], int]) -> Callable[[list[Walk]], list[int]]:
    def choose(walks: list[Walk]) -> list[int]:
        return [go(each) if each.made < decisions and each.waypoints else each.simulator.headings for each in walks]

    return choose


def planned(planner: Planner, tokenizer: Tokenizer) -> Callable[[list[Walk]], list[int]]:
    """Chooses the view with the planner's highest score."""
    return lambda walks: scores_of(planner, tokenizer, walks).argmax(1).tolist()


def student(planner: Planner, tokenizer: Tokenizer, share: float) -> Callable[[list[Walk]], list[int]]:
    """With probability `share` samples from the planner's scores, otherwise takes the expert's choice. Every step also
    records the expert's choice as its label.
    """

    def choose(walks: list[Walk]) -> list[int]:
        drawn = scores_of(planner, tokenizer, walks).softmax(1).multinomial(1)[:, 0]
        own = torch.rand(len(walks)) < share
        return [int(d) if o else each.taught() for d, o, each in zip(drawn, own, walks)]

    return choose


def retold(episodes: Sequence[Episode], instructions: Sequence[str]) -> list[Episode]:
    """The same episodes with other instructions."""
    return [replace(each, instruction=told) for each, told in zip(episodes, instructions)]


def pictures(simulator: Simulator, walked: Walk, which: int) -> np.ndarray:
    """uint8 (V, size, size, 3): the views before a decision of a finished walk."""
    simulator.reset(walked.episode)
    for step in walked.steps[:which]:
        simulator.go_to(next(way for way in simulator.waypoints() if way.view == step.chosen))
    return simulator.look([simulator.path[-1]] * simulator.headings, range(simulator.headings))[0]


@torch.inference_mode()
def scores_of(planner: Planner, tokenizer: Tokenizer, walks: Sequence[Walk], which: int = -1) -> Tensor:
    """The planner's scores for one decision of each walk, by default the last: float (n, V + 1), on the CPU."""
    planner.eval()
    device = next(planner.parameters()).device
    batch = Decisions([(each, which % len(each.steps)) for each in walks], tokenizer, planner).all()
    return planner({name: value.to(device) for name, value in batch.items()}).float().cpu()


class Decisions:
    """Decisions of walks as a source of batches (`data.batches`): the inputs of `Planner`, and `action`, the expert's
    choice. decisions: (walk, number of the step).
    """

    def __init__(self, decisions: Sequence[tuple[Walk, int]], tokenizer: Tokenizer, planner: Planner):
        self.decisions, self.kinds = decisions, [k for k in KINDS if k != "video" or planner.video]
        texts = sorted({each.episode.instruction for each, _ in decisions})
        self.ids = dict(zip(texts, tokenizer(texts)[:, : planner.config["context"]]))

    @classmethod
    def of(cls, walks: Sequence[Walk], tokenizer: Tokenizer, planner: Planner) -> Decisions:
        return cls([(each, which) for each in walks for which in range(len(each.steps))], tokenizer, planner)

    def __len__(self) -> int:
        return len(self.decisions)

    def batch(self, indices: np.ndarray, epoch: int) -> dict[str, Tensor]:
        del epoch
        chosen = [self.decisions[k] for k in indices.tolist()]
        batch = {"ids": trimmed(torch.stack([self.ids[each.episode.instruction] for each, _ in chosen]))}
        batch["action"] = torch.tensor([each.steps[which].taught for each, which in chosen])
        longest = max(1, *(which for _, which in chosen))
        batch["past"] = torch.tensor([[k < which for k in range(longest)] for _, which in chosen])
        for kind in self.kinds:
            batch[kind] = torch.from_numpy(np.stack([getattr(each.steps[which], kind) for each, which in chosen]))
            past = batch[kind].new_zeros(len(chosen), longest, batch[kind].shape[-1])
            for row, (each, which) in enumerate(chosen):
                for k, step in enumerate(each.steps[:which]):
                    past[row, k] = torch.from_numpy(getattr(step, kind)[step.chosen])
            batch[f"past_{kind}"] = past
        return batch

    def all(self) -> dict[str, Tensor]:
        return self.batch(np.arange(len(self)), 0)


def planner_loss(planner: Planner, batch: dict, generator: torch.Generator | None = None) -> tuple[Tensor, dict]:
    """Behaviour cloning: cross-entropy with the expert's choice -> (scalar, {accuracy})."""
    scores, action = planner(batch), batch["action"]
    return F.cross_entropy(scores.float(), action), {"accuracy": (scores.argmax(1) == action).float().mean()}


def planner_of(tokenizer: Tokenizer, taught: Sequence[Walk], params: Mapping, with_video: bool, history: bool = True) -> Planner:  # fmt: skip
    """A new planner for the feature sizes of these walks. params: a notebook's `planner_width` and so on."""
    torch.manual_seed(params["seed"])
    seen = taught[0].steps[0]
    sizes = {
        "width": "planner_width",
        "heads": "planner_heads",
        "ffn_ratio": "planner_ratio",
        "dropout": "planner_drop",
    }
    sizes |= {name: name for name in ("text_layers", "cross_layers", "words_look", "most_steps")}
    features = seen.rgb.shape[1], seen.depth.shape[1], seen.video.shape[1] if with_video else 0
    return Planner(tokenizer.vocabulary, tokenizer.context, *features, history=history, **{name: params[key] for name, key in sizes.items()})  # fmt: skip


@dataclass(frozen=True)
class Round:
    """One round of training: the share of the planner's own choices, the training history, and the scores on the
    validation episodes afterwards.
    """

    share: float
    history: History
    on_val: dict[str, np.ndarray]


def learn(
    planner: Planner, tokenizer: Tokenizer, taught: Sequence[Walk], val: Sequence[Episode], simulators: Sequence[Simulator], eyes: Eyes, *,
    params: Mapping, folder: Path,
) -> list[Round]:  # fmt: skip
    """Behaviour cloning in rounds, one for each of the `student_shares` of `params`.

    The first walks are the expert's, `taught`. In a round with a share above 0, the planner also walks some of these
    episodes itself, labelled by the expert, and learns from all walks so far. Keeps the weights of the round with the
    most successes on `val`.
    """
    walks, rounds, best = list(taught), [], (-1.0, {})
    again = [each.episode for each in taught][: params["student_episodes"] or None]
    how = {"eyes": eyes, "with_video": bool(planner.video), "most_steps": params["most_steps"]}
    for number, share in enumerate(params["student_shares"]):
        if share:
            seed = params["seed"] + number
            walks += walk(simulators, again, student(planner, tokenizer, share), seed=seed, **how)
        source = Decisions.of(walks, tokenizer, planner)
        batches = Batches(source, fitting(params["batch_size"], len(source)), params["seed"] + number)
        history = train(planner, planner_loss, batches, recipe_of(params, batches), folder / f"round_{number}")
        rounds.append(Round(share, history, table(walk(simulators, val, planned(planner, tokenizer), **how))))
        success = float(rounds[-1].on_val["success"].mean())
        if success >= best[0]:
            best = success, copy.deepcopy(planner.state_dict())
    planner.load_state_dict(best[1])
    return rounds


def table(walks: Sequence[Walk]) -> dict[str, np.ndarray]:
    """measure -> float (episodes,)."""
    rows = [each.scores() for each in walks]
    return {name: np.array([row[name] for row in rows]) for name in (*MEASURES, "collisions")}


def interval(values: np.ndarray, seed: int = 0, draws: int = 2000, lowest: float = 0.0) -> tuple[float, float]:
    """95 % confidence interval of the mean of values in [lowest, 1], by bootstrap over episodes.

    If all n values are equal, the bootstrap would give an interval of width 0. The interval then is the Clopper-Pearson
    bound for zero observed events: 1 - 0.025^(1/n) to either side.
    """
    if np.ptp(values) == 0:
        unseen = 1 - 0.025 ** (1 / len(values))
        return max(lowest, float(values[0]) - unseen), min(1.0, float(values[0]) + unseen)
    rows = np.random.default_rng(seed).integers(len(values), size=(draws, len(values)))
    low, high = np.percentile(values[rows].mean(1), (2.5, 97.5))
    return float(low), float(high)


def gains(scores: Mapping[str, Mapping[str, np.ndarray]], who: str, seed: int = 0) -> dict[str, tuple[float, float, float]]:  # fmt: skip
    """agent -> how much more often `who` succeeds in the same episodes: the mean difference and its interval, for every
    other agent.
    """
    apart = {name: scores[who]["success"] - each["success"] for name, each in scores.items() if name != who}
    return {name: (float(each.mean()), *interval(each, seed, lowest=-1.0)) for name, each in apart.items()}


def metrics_of(
    scores: Mapping[str, Mapping[str, np.ndarray]], bounds: Mapping[str, tuple[float, float]]
) -> dict[str, float]:
    """Means of all measures and the bounds of success, flat: `spl` and `success_low` for the first agent,
    `spl_without_video` and so on for the others.
    """
    flat = {}
    for number, who in enumerate(scores):
        end = f"_{who.replace(' ', '_')}" if number else ""
        flat |= {f"{key}{end}": float(values.mean()) for key, values in scores[who].items()}
        flat |= {f"success_{side}{end}": bound for side, bound in zip(("low", "high"), bounds[who])}
    return flat
