"""The body plans. Each takes a generator and returns a body about one unit large, seen from the side or from above."""

import numpy as np

from ivcore.data.creatures.skeleton import Body


def person(rng) -> Body:
    body, thick = Body("person"), rng.uniform(0.02, 0.05)
    torso = body.add(-1, -90, rng.uniform(0.26, 0.38), thick * rng.uniform(1, 2.2), thick * rng.uniform(1, 2.5))
    body.limb(torso, (120, 80), rng.uniform(0.13, 0.22, 2), thick, at=0.9, far=True)
    body.limb(-1, (102, 96), rng.uniform(0.17, 0.27, 2), thick, far=True, leg=True)
    head = body.add(torso, -90, rng.uniform(0.08, 0.13), rng.uniform(0.05, 0.11), part="head", draw="ball")
    body.limb(-1, (76, 92), rng.uniform(0.17, 0.27, 2), thick, leg=True)
    body.limb(torso, (60, 40), rng.uniform(0.13, 0.22, 2), thick, at=0.9)
    body.head, body.bend, body.spread, body.chain = [torso], [torso], [0, 3], [torso, head]
    return body


def ostrich(rng) -> Body:
    body, thick = Body("ostrich"), rng.uniform(0.012, 0.03)
    trunk = body.add(-1, 0, rng.uniform(0.2, 0.34), rng.uniform(0.07, 0.14), rng.uniform(0.06, 0.12))
    legs = rng.uniform(0.18, 0.32, 2)
    body.limb(trunk, (70, 115), legs, thick, at=0.4, far=True, leg=True)
    body.limb(trunk, (180, 200), rng.uniform(0.08, 0.16, 2), thick * 2, 0.01, at=0.0, part="tail")
    neck = body.limb(trunk, (-70, -85), rng.uniform(0.1, 0.2, 2), thick * 1.3, part="head")
    body.add(neck[-1], 5, 0.06, rng.uniform(0.03, 0.055), 0.03, part="head")
    body.limb(trunk, (95, 100), legs, thick, at=0.5, leg=True)
    body.head, body.bend, body.spread, body.chain = neck, neck[:1], [0, 3], neck
    return body


def quadruped(rng) -> Body:
    body, thick = Body(str(rng.choice(["dog", "horse"]))), rng.uniform(0.015, 0.045)
    trunk = body.add(-1, rng.uniform(-8, 8), rng.uniform(0.4, 0.6), *rng.uniform(0.05, 0.13, 2))
    legs = rng.uniform(0.1, 0.24, 2)
    body.limb(trunk, (98, 84), legs, thick, at=0.05, far=True, leg=True)
    body.limb(trunk, (80, 96), legs, thick, at=0.95, far=True, leg=True)
    body.limb(trunk, rng.uniform(190, 250, 2), rng.uniform(0.08, 0.16, 2), thick * 0.8, 0.008, at=0.0, part="tail")
    neck = body.add(trunk, rng.uniform(-75, -30), rng.uniform(0.08, 0.24), 0.05, 0.04, part="head")
    head = body.add(neck, rng.uniform(0, 25), rng.uniform(0.08, 0.14), rng.uniform(0.04, 0.06), 0.03, part="head")
    body.add(head, -120, 0.06, 0.015, 0.01, at=0.1, part="head")
    body.limb(trunk, (82, 96), legs, thick, at=0.05, leg=True)
    body.limb(trunk, (96, 84), legs, thick, at=0.95, leg=True)
    body.head, body.bend, body.spread, body.chain = [neck], [neck], [0, 1, 3, 4], [trunk, neck, head]
    return body


def insect(rng) -> Body:
    spider = rng.random() < 0.4
    body, thick = Body("spider" if spider else "insect"), rng.uniform(0.008, 0.022)
    back = body.add(-1, 180, rng.uniform(0.12, 0.28), rng.uniform(0.05, 0.1), rng.uniform(0.04, 0.13))
    front = body.add(-1, 0, rng.uniform(0.12, 0.2), rng.uniform(0.05, 0.08), 0.045)
    head = body.add(front, 0, 0.08, rng.uniform(0.035, 0.07), part="head")
    count, lengths = (4 if spider else 3), rng.uniform(0.1, 0.22, 2 if rng.random() < 0.6 else 3)
    for k in range(count):
        lean = np.linspace(125, 50, count)[k]
        for side in (-1, 1):
            angles = [side * (lean + turn) for turn in (0, -25 if lean < 85 else 25, 0)]
            body.limb(front, angles[: len(lengths)], lengths, thick, at=k / count, leg=True, far=side < 0)
    if not spider:
        for side in (-1, 1):
            body.limb(head, (side * 35, side * 10), (0.09, 0.09), thick * 0.7, part="head")
    body.chain = [back]
    body.spread = list(range(2 * count))
    return body


def bird(rng) -> Body:
    body = Body(str(rng.choice(["bird", "bat", "butterfly"])))
    thick = {"bird": rng.uniform(0.025, 0.05), "bat": 0.03, "butterfly": rng.uniform(0.06, 0.11)}[body.name]
    trunk = body.add(-1, 90, rng.uniform(0.14, 0.28), rng.uniform(0.03, 0.08), rng.uniform(0.02, 0.07))
    lift, wing = rng.uniform(5, 40), rng.uniform(0.16, 0.3, 2)
    left = body.limb(
        trunk, (180 + lift, 180 - lift / 3), wing, thick, thick * rng.uniform(0.3, 1.2), at=0.2, part="wing"
    )
    right = body.limb(trunk, (-lift, lift / 3), wing, thick, body.bones[-1].radius[1], at=0.2, part="wing")
    if body.name != "bird":
        for limb, side in ((left, 1), (right, -1)):
            body.add(limb[0], 90 + side * 20, rng.uniform(0.1, 0.16), thick * 0.8, 0.02, part="wing")
    body.add(-1, -90, 0.06, rng.uniform(0.035, 0.06), part="head")
    body.limb(trunk, (rng.uniform(70, 110),), (rng.uniform(0.08, 0.16),), 0.02, 0.04, part="tail")
    body.spread, body.chain = [0, 1], [trunk, body.limbs[2][0]]
    return body


def fish(rng) -> Body:
    body, count = Body("fish"), int(rng.integers(4, 7))
    girth = rng.uniform(0.06, 0.16) * np.sin(np.linspace(0.25, 0.93, count + 1) * np.pi)
    chain = []
    for k in range(count):
        chain.append(body.add(chain[-1] if chain else -1, 180, rng.uniform(0.1, 0.15), girth[k], girth[k + 1]))
    body.limbs.append(chain)
    for side in (-1, 1):
        body.limb(chain[-1], (180 + side * rng.uniform(25, 50),), (rng.uniform(0.1, 0.2),), 0.03, 0.015, part="tail")
        body.limb(chain[1], (180 - side * 60,), (rng.uniform(0.06, 0.16),), 0.025, 0.012, part="wing", far=side < 0)
    body.add(-1, 60, 0.02, 0.018, part="eye", draw="ball")
    body.head, body.bend, body.chain = chain[:1], chain[:2], chain
    return body


def snake(rng) -> Body:
    body, count = Body(str(rng.choice(["snake", "worm", "rope"]))), int(rng.integers(6, 12))
    thick = rng.uniform(0.012, 0.05) * (1.6 if body.name == "worm" else 1)
    bends = 180 + np.cumsum(rng.uniform(-25, 25, count))
    body.limb(-1, bends, np.full(count, 1 / count), thick, thick * rng.uniform(0.3, 1), part="trunk")
    body.chain = body.limbs[0]
    body.head, body.bend = body.chain[:2], body.chain[: count // 2]
    if body.name != "rope":
        body.add(-1, 0, 0.02, thick * rng.uniform(1, 1.8), part="head", draw="ball")
    return body


def octopus(rng) -> Body:
    body = Body(str(rng.choice(["octopus", "jellyfish"])))
    arms, joints, thick = int(rng.integers(4, 9)), int(rng.integers(3, 5)), rng.uniform(0.01, 0.035)
    body.add(-1, -90, rng.uniform(0.08, 0.2), rng.uniform(0.08, 0.16), rng.uniform(0.1, 0.2), part="head")
    length, fan = rng.uniform(0.35, 0.55) / joints, rng.uniform(40, 80)
    for k in range(arms):
        lean = 90 + fan * (2 * k / (arms - 1) - 1)
        angles = lean + np.arange(joints) * rng.uniform(-12, 12)
        body.limb(-1, angles, np.full(joints, length), thick, thick * 0.5, far=bool(k % 2))
    body.chain = body.limbs[0]
    body.spread = list(range(arms))
    return body


def star(rng) -> Body:
    body, arms = Body("star"), int(rng.integers(3, 8))
    thick, length, begin = rng.uniform(0.02, 0.06), rng.uniform(0.15, 0.25), rng.uniform(0, 360)
    body.add(-1, 0, 0.01, thick * rng.uniform(1, 2))
    for k in range(arms):
        body.limb(-1, [begin + 360 * k / arms] * 2, (length, length), thick, thick * rng.uniform(0.3, 1))
    body.chain, body.spread = body.limbs[0], list(range(arms))
    return body


def tongs(rng) -> Body:
    body, thick = Body(str(rng.choice(["pair of scissors", "pair of tongs"]))), rng.uniform(0.012, 0.035)
    blade, handle, gap = rng.uniform(0.4, 0.6), rng.uniform(0.15, 0.35), rng.uniform(15, 35)
    for side in (-1, 1):
        if body.name == "pair of scissors":
            arm = body.limb(-1, (side * gap,), (blade,), thick, thick * 0.4)
            grip = body.add(arm[0], 180 + side * gap, handle, thick * 0.8, at=0.0, part="tail")
            body.add(grip, 180 + side * gap, 0.02, thick * 2, part="tail", draw="ball")
        else:
            body.limb(-1, (side * gap, -side * gap * 0.3), (blade * 0.6, blade * 0.5), thick, thick)
    body.add(-1, 0, 0.005, thick * 1.3, part="head")
    body.chain, body.spread = body.limbs[0], [0, 1]
    return body


def robot(rng) -> Body:
    body, thick = Body("robot arm"), rng.uniform(0.02, 0.05)
    body.add(-1, 90, 0.08, thick * 1.5, thick * 3, part="base")
    angles = (-90 + rng.uniform(-30, 10), -90 + rng.uniform(20, 60), rng.uniform(-20, 50))
    arm = body.limb(-1, angles, rng.uniform(0.18, 0.32, 3), thick, thick * 0.7)
    for k in arm:
        body.add(k, 0, 0.0, thick * 1.4, at=0.0, part="head")
    tip = np.rad2deg(body.bones[arm[-1]].angle)
    for side in (-1, 1):
        body.limb(arm[-1], (tip + side * 45, tip - side * 10), (0.09, 0.09), thick * 0.5, part="hand")
    body.head, body.bend, body.chain, body.spread = arm[1:2], arm[:2], arm, [1, 2]
    return body


def pendulum(rng) -> Body:
    body, joints = Body("pendulum"), int(rng.integers(1, 4))
    thick, lengths = rng.uniform(0.006, 0.02), rng.uniform(0.5, 1, joints)
    body.add(-1, 0, 0.0, thick * 2, part="base")
    body.limb(-1, [90] * joints, lengths / lengths.sum() * 0.9, thick)
    for k in body.limbs[0][-1:] if rng.random() < 0.6 else body.limbs[0]:
        body.add(k, 90, 0.02, rng.uniform(0.05, 0.12), part="head", draw="ball")
    body.bend, body.chain = body.limbs[0], body.limbs[0]
    return body


def plant(rng) -> Body:
    body, joints = Body(str(rng.choice(["tree", "flower"]))), int(rng.integers(2, 5))
    thick = rng.uniform(0.01, 0.045) * (1 if body.name == "tree" else 0.5)
    stem = body.limb(
        -1, -90 + rng.uniform(-12, 12, joints), np.full(joints, 0.7 / joints), thick, thick * 0.5, part="trunk"
    )
    for k in range(1, joints):
        for side in (-1, 1):
            angles = -90 + side * rng.uniform((30, 20), (70, 90))
            twig = body.limb(
                stem[k], angles, rng.uniform(0.08, 0.2, 2), thick * 0.7, thick * 0.4, at=rng.uniform(0, 0.8)
            )
            body.add(twig[-1], angles[1], 0.05, rng.uniform(0.015, 0.06), 0.01, part="leaf")
    body.add(stem[-1], -90, 0.04, rng.uniform(0.04, 0.15), part="head", draw="ball")
    body.bend, body.chain, body.head = stem[:2], stem, stem[-1:]
    body.spread = list(range(1, len(body.limbs)))
    return body


def wheel(rng) -> Body:
    body, spokes = Body(str(rng.choice(["wheel", "windmill"]))), int(rng.integers(3, 8))
    thick, begin, length = rng.uniform(0.008, 0.03), rng.uniform(0, 360), 0.45
    for k in range(spokes):
        angle = begin + 360 * k / spokes
        if body.name == "windmill":
            body.limb(-1, (angle,), (length,), thick, thick * rng.uniform(2, 4))
            continue
        spoke = body.limb(-1, (angle,), (length,), thick)
        body.add(spoke[0], angle + 90 + 180 / spokes, 2 * length * np.sin(np.pi / spokes), thick * 1.3, part="rim")
    body.add(-1, 0, 0.0, thick * rng.uniform(1.5, 4), part="head")
    body.spread, body.chain = list(range(spokes)), body.limbs[0]
    return body


def lamp(rng) -> Body:
    body, thick = Body("desk lamp"), rng.uniform(0.01, 0.03)
    body.add(-1, 180, 0.1, thick * 1.5, part="base")
    body.add(-1, 0, 0.1, thick * 1.5, part="base")
    angles = (-90 - rng.uniform(0, 35), -90 + rng.uniform(20, 60), rng.uniform(20, 70))
    arm = body.limb(-1, angles, (*rng.uniform(0.28, 0.4, 2), 0.04), thick, thick)
    body.add(arm[-1], np.rad2deg(body.bones[arm[-1]].angle), rng.uniform(0.1, 0.18), 0.03, 0.1, part="head")
    body.head, body.bend, body.chain = arm[1:2], arm[:2], arm
    return body


def balls(rng) -> Body:
    body, count = Body("bunch of balls"), int(rng.integers(3, 9))
    for k in range(count):
        angle, reach = 360 * k / count + rng.uniform(-15, 15), rng.uniform(0.15, 0.45)
        bone = body.add(-1, angle, reach, rng.uniform(0.03, 0.09), part=("limb", "head", "leaf")[k % 3], draw="ball")
        body.limbs.append([bone])
    body.spread, body.chain = list(range(count)), body.limbs[0]
    return body


def crab(rng) -> Body:
    body, thick = Body("crab"), rng.uniform(0.012, 0.03)
    width = rng.uniform(0.12, 0.22)
    left = body.add(-1, 180, width, rng.uniform(0.08, 0.13), 0.07)
    right = body.add(-1, 0, width, body.bones[0].radius[0], 0.07)
    legs = rng.uniform(0.08, 0.18, 2)
    for k in range(3):
        body.limb(left, (140 - 20 * k, 100), legs, thick, at=0.9 - 0.3 * k, leg=True, far=bool(k % 2))
        body.limb(right, (40 + 20 * k, 80), legs, thick, at=0.9 - 0.3 * k, leg=True, far=bool(k % 2))
    for trunk, side in ((left, -1), (right, 1)):
        claw = body.limb(trunk, (-90 + side * 50, -90 - side * 5), rng.uniform(0.12, 0.2, 2), thick * 1.3)
        body.add(claw[-1], -90 - side * 45, 0.1, thick * 2, thick, part="hand")
        body.add(claw[-1], -90 + side * 15, 0.1, thick * 2, thick, part="hand")
    body.spread, body.chain = [6, 7], body.limbs[6]
    return body


def hand(rng) -> Body:
    body, thick = Body("hand"), rng.uniform(0.025, 0.05)
    palm = body.add(-1, -90, rng.uniform(0.16, 0.26), rng.uniform(0.07, 0.12), rng.uniform(0.09, 0.14))
    body.add(-1, 90, rng.uniform(0.1, 0.3), rng.uniform(0.04, 0.08), part="base")
    for k, lean in enumerate((-70, -28, -8, 12, 34)):
        joints, length = (2 if k == 0 else 3), rng.uniform(0.09, 0.13)
        body.limb(palm, [lean - 90] * joints, [length] * joints, thick, thick * 0.8, at=0.3 if k == 0 else 1.0)
    body.spread, body.chain, body.bend, body.head = list(range(5)), body.limbs[2], [palm], [palm]
    return body


BODIES = {
    plan.__name__: plan
    for plan in (
        person, ostrich, quadruped, insect, bird, fish, snake, octopus, star, tongs, robot, pendulum, plant, wheel, lamp,
        balls, crab, hand,
    )
}  # fmt: skip
