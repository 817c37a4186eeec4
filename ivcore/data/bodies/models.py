"""The bodies: Gymnasium's models, their moving parts, and their XML on our stage."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

MOVER = "mover"  # the body without joints that carries the whole
_KEPT = ("compiler", "default")  # sections of a model that say how to read the rest


@dataclass(frozen=True)
class Body:
    """parts: the hinge of each moving part; neighbours in the body are neighbours here. A "-" reverses the hinge's direction.

    file: in Gymnasium's assets. noun: for captions. roots: joints that move the whole; the stage does so instead.
    flat: it lies rather than stands. heading: degrees about the vertical; it decides the side that the body falls to.
    """

    file: str
    noun: str
    parts: tuple[str, ...]
    roots: tuple[str, ...] = ()
    flat: bool = False
    heading: float = 0.0


_PLANAR = ("rootx", "rootz", "rooty")
BODIES = {
    "ant": Body(
        "ant.xml", "four-legged creature",
        ("hip_1", "hip_2", "hip_3", "hip_4", "ankle_1", "-ankle_2", "-ankle_3", "ankle_4"), ("root",), flat=True, heading=90,
    ),
    "cheetah": Body(
        "half_cheetah.xml", "long creature with two legs", ("bthigh", "fthigh", "bshin", "fshin", "bfoot", "ffoot"), _PLANAR
    ),
    "hopper": Body("hopper.xml", "figure with one leg", ("thigh_joint", "leg_joint", "foot_joint"), _PLANAR, heading=90),
    "humanoid": Body(
        "humanoid.xml", "human figure",
        (
            "abdomen_y", "right_shoulder1", "-left_shoulder1", "right_elbow", "left_elbow", "right_hip_y", "left_hip_y",
            "right_knee", "left_knee",
        ),
        ("root",), heading=90,
    ),
    "swimmer": Body(
        "swimmer.xml", "snake of three rods", ("motor1_rot", "motor2_rot"), ("slider1", "slider2", "free_body_rot"),
        flat=True, heading=-90,
    ),
    "walker": Body(
        "walker2d_v5.xml", "pair of legs",
        ("thigh_joint", "thigh_left_joint", "leg_joint", "leg_left_joint", "foot_joint", "foot_left_joint"),
        _PLANAR, heading=90,
    ),
    "arm": Body(
        "pusher_v5.xml", "robot arm with a fork",
        ("r_shoulder_pan_joint", "r_shoulder_lift_joint", "r_elbow_flex_joint", "r_wrist_flex_joint"), heading=90,
    ),
    "poles": Body("inverted_double_pendulum.xml", "pole on a pole", ("hinge", "hinge2"), ("slider",), heading=90),
}  # fmt: skip


def folder() -> Path:
    return Path(importlib.util.find_spec("gymnasium").origin).parent / "envs/mujoco/assets"


def staged(source: Path, body: Body, stage: str) -> str:
    """XML of the first body in the file `source` on `stage`, without its root joints, motors, materials, lights and cameras.

    stage: XML of the surroundings: assets, visual settings, and elements of the world.
    """
    model = ElementTree.parse(source).getroot()
    world = model.find("worldbody")
    top = world.find("body")
    for parent in (*top.iter(), *(e for e in model.iter("default"))):
        for child in list(parent):
            if child.tag in ("camera", "light", "site") or (child.tag == "joint" and child.get("name") in body.roots):
                parent.remove(child)
            child.attrib.pop("material", None)
    staged = ElementTree.fromstring(f"<mujoco>{stage}</mujoco>")
    staged.extend(section for section in model if section.tag in _KEPT)
    mover = ElementTree.SubElement(staged.find("worldbody"), "body", name=MOVER, mocap="true")
    mover.append(top)
    return ElementTree.tostring(staged, encoding="unicode")
