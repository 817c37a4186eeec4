"""Makes one episode of Meta-World: plays until the expert solves a goal, films it, and writes a video and a record of its contents."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from ivcore.data.metaworld import look as looks
from ivcore.data.metaworld import phases
from ivcore.data.metaworld.config import Episode, MetaWorld
from ivcore.data.metaworld.film import Film, gap
from ivcore.data.metaworld.play import Play, play
from ivcore.data.metaworld.tasks import TASKS
from ivcore.files import write_text
from ivcore.video.writer import write_video


def make(config: MetaWorld, episode: Episode, folder: Path, film: Film | None = None) -> Film | None:
    """Plays one episode and writes its video and, last, its record. Returns the film for the next episode, which uses or closes it."""
    record = {"id": episode.id, "task": episode.task, "solved": False}
    for attempt, goal in enumerate(episode.goals, 1):
        record |= {"goal": goal, "attempts": attempt}
        played = play(episode.task, _seed(config, episode.task, goal))
        if played.solved is not None:
            film = _film_for(episode.task, played.model, config.size, film)
            frames, contents = _shoot(config, episode, played, film)
            write_video(folder / episode.video, frames, config.fps)
            record |= {"solved": True, **contents}
            break
    write_text(folder / episode.record, json.dumps(record) + "\n")
    return film


def _seed(config: MetaWorld, task: str, goal: int) -> int:
    return int(np.random.SeedSequence((config.seed, list(TASKS).index(task), goal)).generate_state(1)[0])


def _film_for(task: str, model, size: int, film: Film | None) -> Film:
    if film is not None and film.task.name == task:
        return film
    if film is not None:
        film.close()
    return Film(task, model, size)


def _shoot(config: MetaWorld, episode: Episode, played: Play, film: Film) -> tuple[np.ndarray, dict]:
    seed = (config.seed, list(TASKS).index(episode.task), episode.number)
    look = looks.draw(seed, (played.hand.min(0) + played.hand.max(0)) / 2)
    steps = np.linspace(0, len(played.poses) - 1, config.frames).round().astype(int)
    film.dress(played.model, look)
    frames = film.shoot(played.poses[steps], look)
    gripper, things = film.outlines(played.poses[steps])
    away = gap(played.hand[steps], things)
    moves = phases.motion(things)
    outlines = {"gripper": gripper} | dict(zip(film.task.bodies, things))
    contents = {
        "steps": len(played.poses),
        "colour": look.colour,
        "side": looks.side(look, things[0][0]),
        "phases": phases.segments(away, played.opening[steps], moves),
        "boxes": {name: [looks.box(look, c) for c in corners] for name, corners in outlines.items()},
        "look": asdict(look),
    }
    return frames, contents
