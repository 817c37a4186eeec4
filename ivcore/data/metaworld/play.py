"""A scripted expert solves a task in the simulator. The state at every step is kept for filming."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from ivcore.data import offscreen

LONGEST = 250  # steps, of the 500 that the simulator allows; longer plays mostly hover
_BEFORE = 20  # steps in which the robot waits until things that the reset dropped lie still; not filmed
_WAIT = np.array([0.0, 0.0, 0.0, -1.0])  # stay, and open the gripper
_AFTER = 12  # steps filmed after the task is solved


def require_simulator() -> None:
    """UserError that says what to install, unless Meta-World and a GL library that draws without a screen are installed."""
    offscreen.require("metaworld", "Meta-World")


@dataclass(frozen=True)
class Play:
    """model: the simulator's, with things placed for this goal. poses (S, Q): all joints. opening (S,): of the gripper, 0 to 1.

    solved: the step at which the task was solved, None if it was not.
    """

    model: Any
    poses: np.ndarray
    hand: np.ndarray
    opening: np.ndarray
    solved: int | None


def play(task: str, seed: int) -> Play:
    """The expert plays one goal, drawn from the seed, until `_AFTER` steps after the solution. The same seed gives the same play."""
    env, expert = _environment(task, seed)
    env.reset()
    for _ in range(_BEFORE):
        observation = env.step(_WAIT)[0]
    poses, hand, opening, solved = [], [], [], None
    for step in range(LONGEST):
        poses.append(env.data.qpos.copy())
        hand.append(env.tcp_center.copy())
        opening.append(float(observation[3]))
        if solved is not None and step >= solved + _AFTER:
            break
        observation, _, _, _, info = env.step(_action(expert, observation))
        if solved is None and info["success"]:
            solved = step + 1
    return Play(env.model, np.array(poses), np.array(hand), np.array(opening), solved)


def _action(expert, observation: np.ndarray) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "constant(s) may be too high", at every step of some experts
        return np.clip(expert.get_action(observation), -1, 1)


def _environment(task: str, seed: int):
    from metaworld.env_dict import ALL_V3_ENVIRONMENTS_GOAL_OBSERVABLE as environments
    from metaworld.policies import ENV_POLICY_MAP as experts

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return environments[f"{task}-v3-goal-observable"](seed=seed), experts[f"{task}-v3"]()
