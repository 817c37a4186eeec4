"""Floor plans, episodes in them, and the simulator that walks there."""

import itertools

import numpy as np
import pytest

from ivcore.data.navigation import grid, instructions
from ivcore.data.navigation.episodes import World
from ivcore.data.navigation.plans import plan_named
from ivcore.data.navigation.ray_caster import PAINT, RayCaster
from ivcore.data.navigation.simulator import STEP, PlanSimulator, Waypoint, along, distances_to, expert_action
from ivcore.errors import UserError

WORLD = World(train=10, val_seen=5, val_unseen=5, test=5)


@pytest.fixture(scope="module")
def episodes():
    return WORLD.episodes("train")


def small_grid(solid=()) -> grid.Grid:
    return grid.Grid((4.0, 4.0), [((0, 0), (0, 4), 0.0), *solid])


def test_a_plan_is_a_function_of_its_name():
    plan_named.cache_clear()
    first, again = plan_named("plan-0-0-0003"), None
    plan_named.cache_clear()
    again = plan_named("plan-0-0-0003")
    assert (first.rooms, first.doors, first.landmarks) == (again.rooms, again.doors, again.landmarks)
    assert first.doors != plan_named("plan-0-0-0004").doors
    with pytest.raises(UserError, match="is no floor plan of ours"):
        plan_named("mp3d/house.glb")


@pytest.mark.parametrize("number", range(6))
def test_every_room_is_reached_and_its_doors_differ(number):
    plan = plan_named(f"plan-1-0-{number}")
    assert {room for door in plan.doors for room in door.rooms} == set(range(9))
    for room in range(9):
        for each in (plan.doors_of(room), [thing for thing in plan.landmarks if thing.room == room]):
            colours = [one.colour for one in each]
            assert len(set(colours)) == len(colours) >= 1
    far = distances_to(plan, tuple(plan.grid.nearest_free(plan.landmarks[0].middle).tolist()))
    assert all(np.isfinite(far[plan.grid.cell(plan.grid.nearest_free(room.middle))]) for room in plan.rooms)


def test_distances_are_those_of_the_plane_and_go_around_walls():
    free, walled = small_grid(), small_grid([((2.0, 0.0), (2.0, 3.0), 0.15)])
    goal, start = (0.9, 0.5), (3.3, 0.5)
    straight, around = (each.distances([goal])[0][each.cell(start)] for each in (free, walled))
    assert straight == pytest.approx(2.4)
    over = np.hypot(1.1, 2.6) + np.hypot(1.3, 2.6)  # over the end of the wall
    assert over < around < 1.2 * over
    diagonal = free.distances([(0.5, 0.5)])[0][free.cell((2.5, 3.5))]
    assert np.hypot(2, 3) <= diagonal < 1.03 * np.hypot(2, 3)


def test_distances_satisfy_the_triangle_inequality_of_neighbours():
    each = plan_named("plan-0-0-0000").grid
    far = each.distances([each.nearest_free((2.0, 2.0))])[0]
    for (i, j), passable in each._open.items():
        here, there = grid._overlap(i, each.shape[0]), grid._overlap(j, each.shape[1])
        a, b = far[here[0], there[0]], far[here[1], there[1]]
        assert (a[passable] <= b[passable] + grid.CELL * np.hypot(i, j) + 1e-9).all()


def test_a_path_leads_to_its_goal_through_free_cells(episodes):
    for episode in episodes:
        plan, way = plan_named(episode.scene), np.array(episode.reference)[:, ::2]
        assert all(plan.grid.clear(a, b) for a, b in itertools.pairwise(way))
        length = np.linalg.norm(np.diff(way, axis=0), axis=1).sum()
        far = distances_to(plan, (episode.goal[0], episode.goal[2]))
        assert 0.9 * far[plan.grid.cell(way[0])] < length <= far[plan.grid.cell(way[0])] + grid.CELL


def test_instructions_name_the_doors_on_the_way(episodes):
    named = 0
    for episode in episodes:
        plan, way = plan_named(episode.scene), np.array(episode.reference)[:, ::2]
        close = np.concatenate([a + (b - a) * np.linspace(0, 1, 50)[:, None] for a, b in itertools.pairwise(way)])
        rooms = [plan.room_at(place) for place in close]
        crossed = [(a, b) for a, b in itertools.pairwise(rooms) if a != b]
        colours = [next(d.colour for d in plan.doors if set(d.rooms) == set(pair)) for pair in crossed]
        told = [part for part in episode.instruction.split(", ") if "door" in part]
        assert len(told) == len(colours)
        assert all(f"{colour} door" in part or "door on your" in part for colour, part in zip(colours, told))
        goal = min(plan.landmarks, key=lambda thing: np.hypot(*(thing.middle - way[-1])))
        assert episode.instruction.endswith(goal.words) or goal.words in episode.instruction.split(", ")[-1]
        named += len(told)
    assert named >= len(episodes)


def test_sides_are_those_of_the_walker():
    plan = plan_named("plan-0-0-0000")
    thing = plan.landmarks[0]
    beside = thing.middle + np.array([0.0, 0.8])  # z lies to the right of x: who walks along x there has it on the left
    way = beside + np.stack([np.linspace(-1, 1, 21), np.zeros(21)], 1)
    other = next(each for each in plan.landmarks if each.room != thing.room)
    passed = instructions._passed(plan, way, thing.room, other)
    assert passed == (thing, "left") and instructions._passed(plan, way[::-1], thing.room, other) == (thing, "right")


def test_splits_share_plans_only_where_they_are_said_to():
    scenes = {split: {each.scene for each in WORLD.episodes(split)} for split in ("train", "val_seen", "val_unseen", "test")}  # fmt: skip
    assert scenes["val_seen"] <= scenes["train"]
    assert not scenes["train"] & scenes["test"] and not scenes["val_unseen"] & (scenes["test"] | scenes["train"])
    seen = {(each.scene, each.start, each.goal) for each in WORLD.episodes("train")}
    assert not seen & {(each.scene, each.start, each.goal) for each in WORLD.episodes("val_seen")}


def test_a_landmark_is_drawn_at_its_place():
    plan, caster = plan_named("plan-0-0-0000"), RayCaster(33, 60)
    thing = next(each for each in plan.landmarks if each.kind in ("ball", "box", "pillar"))
    room = plan.rooms[thing.room]
    apart = room.middle - thing.middle
    place = thing.middle + 1.5 * apart / np.linalg.norm(apart)
    toward = float(np.arctan2(*(thing.middle - place)[::-1]))
    rgb, depth = caster.draw(plan, [place, place], [toward, toward + np.pi])
    low = 30  # a row below the horizon
    assert depth[0, low, 16] == pytest.approx(1.5, abs=0.02)
    np.testing.assert_allclose(rgb[0, low, 16] / 255, PAINT[thing.colour], atol=0.02)
    assert np.abs(rgb[1, low, 16] / 255 - PAINT[thing.colour]).max() > 0.05


def test_depth_of_a_wall_ahead_is_its_distance():
    plan = plan_named("plan-0-0-0001")
    corner = np.array([1.0, 1.0])
    _, depth = RayCaster(9, 40).draw(plan, [corner, corner], [np.pi, -np.pi / 2])
    np.testing.assert_allclose(depth[:, 4, 4], 1.0, atol=1e-4)


def test_the_expert_arrives(episodes):
    simulator, arrived = PlanSimulator(None), 0
    for episode in episodes:
        simulator.reset(episode)
        for _ in range(20):
            best = expert_action(simulator, simulator.waypoints())
            if best is None:
                break
            simulator.go_to(best)
        arrived += simulator.geodesic(simulator.path[-1]) <= 3.0
        steps = np.linalg.norm(np.diff(simulator.path, axis=0), axis=1)
        assert (steps <= STEP + 1e-9).all() and simulator.plan.grid.is_free(np.array(simulator.path)[:, ::2]).all()
    assert arrived >= len(episodes) - 1


def test_the_expert_never_advises_a_stop_far_from_the_goal(episodes):
    told, rng = [], np.random.default_rng(0)
    for episode in episodes:
        simulator = PlanSimulator(None)
        simulator.reset(episode)
        for _ in range(12):
            ways = simulator.waypoints()
            best = expert_action(simulator, ways)
            told.append((simulator.geodesic(simulator.path[-1]), best))
            astray = best is None or rng.random() < 0.3
            simulator.go_to(ways[rng.integers(len(ways))] if astray else best)
    assert {best is None for _, best in told} == {True, False}
    assert all(far <= 3.0 for far, best in told if best is None)
    assert all(best is None for far, best in told if far <= 1.0)


def test_an_agent_at_a_wall_slides_or_stops(episodes):
    simulator = PlanSimulator(None)
    simulator.reset(episodes[0])
    for _ in range(3):
        simulator.go_to(Waypoint(0, 0.6, 8.0))
    assert simulator.collisions > 0
    assert simulator.plan.grid.is_free(np.array(simulator.path)[:, ::2]).all()


def test_waypoints_can_be_walked_to(episodes):
    simulator = PlanSimulator(None)
    for episode in episodes[:4]:
        simulator.reset(episode)
        ways = simulator.waypoints()
        assert 2 <= len(ways) <= 8 and len({way.view for way in ways}) == len(ways)
        for way in ways:
            off = (way.heading - 2 * np.pi * way.view / 8 + np.pi) % (2 * np.pi) - np.pi
            assert abs(off) <= np.pi / 8
            simulator.reset(episode)
            simulator.go_to(way)
            end = np.array(episode.start) + way.distance * along(way.heading)
            np.testing.assert_allclose(simulator.path[-1], end, atol=0.15)
