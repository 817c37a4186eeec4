"""Short-term anticipation (Ego4D, arXiv 2211.09529): for each box of a detector, what will be touched, how and when;
and the scores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from ivcore import paths
from ivcore.data import formats
from ivcore.data.formats import NextObject, Picture
from ivcore.data.keyframes import KeyframeClips
from ivcore.errors import ParameterError
from ivcore.heads.interaction import Interaction
from ivcore.metrics.anticipation import Interactions, top5_map
from ivcore.metrics.frame_map import iou
from ivcore.stages import first_person
from ivcore.stages.evenly import evenly
from ivcore.stages.first_person import Frames, Track

NOTHING = Interactions(np.zeros((0, 4)), *(np.zeros(0, int),) * 2, *(np.zeros(0),) * 2)
MATCHED = 0.5  # IoU from which a detector's box counts as a thing that will be touched


def read(params: Mapping, run_dir=None) -> tuple[Track, dict[str, Frames], Interaction, dict[str, list]]:
    """Reads the track: its parts with boxes and labels, the layout of the answers, and picture id -> detections (box in
    pixels, row of the noun, score).

    Training uses the true boxes and the detector's. A detected box that matches no true box is labelled as not touched.
    Validation and test use the detector's boxes alone. ParameterError if the file of detections is missing.
    """
    track = first_person.track(params, "fho_sta", formats.read_sta, run_dir)
    file = (
        paths.resolve(params["detections"])
        if params["detections"]
        else track.folder / "annotations/object_detections.json"
    )
    if not file.exists():
        raise ParameterError(f"detections: {file} is missing; it must hold the boxes to test")
    layout = Interaction(len(track.nouns), len(track.verbs))
    rows = {
        name: {number: row for row, number in enumerate(known)}
        for name, known in (("noun", track.nouns), ("verb", track.verbs))
    }

    found_there = formats.read_detections(file).items()
    boxes = {
        uid: [(box, rows["noun"][noun], score) for box, noun, score in each if noun in rows["noun"]]
        for uid, each in found_there
    }

    def target(picture: Picture, size, learn: bool) -> tuple:
        real = np.array([thing.box for thing in picture.things]).reshape(-1, 4)
        wanted = np.zeros((len(real), layout.nouns + layout.verbs + 1), np.float32)
        for each, thing in zip(wanted, picture.things):
            each[rows["noun"][thing.noun]] = each[layout.nouns + rows["verb"][thing.verb]] = 1
            each[-1] = thing.seconds
        given = np.array([box for box, *_ in boxes.get(picture.id, [])]).reshape(-1, 4)
        if not learn:
            return given, np.zeros((len(given), wanted.shape[1]))
        overlap = iou(given[:, None], real[None]) if len(given) else np.zeros((0, len(real)))
        same = overlap.argmax(1) if len(real) else np.zeros(len(given), int)
        near = overlap.max(1, initial=0) >= MATCHED
        labels = np.where(near[:, None], wanted[same], 0) if len(real) else np.zeros((len(given), wanted.shape[1]))
        return np.concatenate([real, given]), np.concatenate([wanted, labels])

    parts = {
        name: first_person.frames(pictures, lambda picture, size, learn=name == "train": target(picture, size, learn))
        for name, pictures in track.parts.items()
    }
    return track, parts, layout, boxes


def truth(frames: Frames, track: Track) -> list[Interactions]:
    """The true interactions of each picture, with nouns and verbs numbered as in the layout."""
    nouns, verbs = list(track.nouns), list(track.verbs)
    return [
        Interactions(np.array([t.box for t in p.things]).reshape(-1, 4), np.array([nouns.index(t.noun) for t in p.things], int),
                     np.array([verbs.index(t.verb) for t in p.things], int), np.array([t.seconds for t in p.things], float))
        for p in frames.pictures
    ]  # fmt: skip


def found(model, clips: KeyframeClips, frames: Frames, layout: Interaction, named: Mapping[str, Sequence] | None = None, usual: Tensor | None = None, **how) -> dict[str, Interactions]:  # fmt: skip
    """Predicts an interaction for each box: picture id -> interactions.

    named: the detections. If given, their nouns are used, and each score is the detection's score times the probability
    that the box is touched. Otherwise the noun is the head's likeliest. usual: see `usual_verbs`. If given, the verb is
    the likeliest by head and noun together, otherwise by the head alone.
    """

    def answer(batch: dict) -> list:
        logits = (
            model(model.prepare(batch["video"]), batch["boxes"], batch["there"])
            if batch["there"].any()
            else torch.zeros(0, layout.outputs)
        )
        best, verbs = torch.stack([column.float() for column in layout.best(logits)], 1), layout.parts(logits)[1]
        each = torch.cat([best, verbs.log_softmax(1)], 1).cpu().numpy()
        return np.split(each, batch["there"].sum(1).cumsum(0)[:-1].cpu().numpy())

    said = first_person.answers(model, clips, answer, **how)
    shown = {k.name: k.boxes * np.tile(size, 2) for k, size in zip(frames.keyframes, frames.sizes)}
    answers = {}
    for name, rows in said.items():
        noun, verb, seconds, chance, touched = rows[:, :5].T
        if named is not None:
            given = named.get(name, [])
            noun, chance = np.array([each for _, each, _ in given], int), np.array([s for *_, s in given]) * touched
            verb = verb if usual is None else (rows[:, 5:] + usual.numpy()[noun]).argmax(1)
        answers[name] = Interactions(shown[name], noun.astype(int), verb.astype(int), seconds, chance)
    return answers


def usual_verbs(train: Frames, track: Track) -> Tensor:
    """(nouns, verbs): log-probability of each verb for each noun in training, with add-one smoothing."""
    counts = torch.ones(len(track.nouns), len(track.verbs))
    for thing in (thing for picture in train.pictures for thing in picture.things):
        counts[list(track.nouns).index(thing.noun), list(track.verbs).index(thing.verb)] += 1
    return (counts / counts.sum(1, keepdim=True)).log()


def scored(frames: Frames, track: Track, said: Mapping[str, Interactions]) -> dict[str, float]:
    """Top-5 mAP in its four variants, and the same with k=1 as top1_…, where every wrong prediction counts. The things
    of an unreadable clip count as missed.
    """
    real, given = truth(frames, track), [said.get(p.id, NOTHING) for p in frames.pictures]
    return top5_map(real, given) | {f"top1_{name}": value for name, value in top5_map(real, given, k=1).items()}


def prior(frames: Frames, train: Frames, track: Track, detections: Mapping[str, list]) -> dict[str, Interactions]:
    """A baseline from the detector alone: every detected box is touched, with the noun's commonest verb in training and
    its median time. A noun without a training example gets the commonest verb and median time of all nouns.
    """
    things = [t for p in train.pictures for t in p.things]
    usual = {noun: _usual([t for t in things if t.noun == noun] or things, track) for noun in track.nouns}
    verb, seconds = np.array(list(usual.values())).T
    said = {}
    for picture in frames.pictures:
        given = detections.get(picture.id, [])
        named, score = np.array([noun for _, noun, _ in given], int), np.array([score for *_, score in given], float)
        box = np.array([box for box, *_ in given]).reshape(-1, 4)
        said[picture.id] = Interactions(box, named, verb[named].astype(int), seconds[named], score)
    return said


def _usual(things: Sequence[NextObject], track: Track) -> tuple[int, float]:
    """The row of the commonest verb (the first on a tie), and the median time."""
    verbs = [thing.verb for thing in things]
    return max(range(len(track.verbs)), key=lambda row: verbs.count(list(track.verbs)[row])), float(
        np.median([thing.seconds for thing in things])
    )


def samples(
    clips: KeyframeClips, frames: Frames, track: Track, found_in: Mapping[str, Interactions], count: int = 8
) -> tuple:
    """For `show.boxes`: the last frame of `count` clips, the things that will be touched, and the likeliest predicted
    boxes.
    """
    nouns, verbs = list(track.nouns.values()), list(track.verbs.values())
    by_id = dict(track.nouns), dict(track.verbs)
    rows = [row for row, p in enumerate(frames.pictures) if p.id in found_in and len(found_in[p.id])]
    rows = evenly(rows, count)
    pictures, real, guessed = [], [], []
    for row in rows:
        picture, size, found_here = (
            frames.pictures[row],
            np.tile(frames.sizes[row], 2),
            found_in[frames.pictures[row].id],
        )
        pictures.append(clips.in_order().item(row)["video"][-1])
        real.append(
            [
                (np.array(t.box) / size, f"{by_id[1][t.verb]} {by_id[0][t.noun]}, {t.seconds:.1f} s")
                for t in picture.things
            ]
        )
        best = int(found_here.score.argmax())
        words = f"{verbs[found_here.verb[best]]} {nouns[found_here.noun[best]]}, {found_here.seconds[best]:.1f} s"
        guessed.append([(found_here.box[best] / size, words)])
    return pictures, real, guessed
