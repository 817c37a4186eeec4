"""A model file becomes one body on our stage. The file here is made up; the simulator is not needed."""

from xml.etree import ElementTree

import numpy as np
import pytest

from ivcore.data.bodies import look, models, stage

FILE = """
<mujoco model="made up">
  <compiler angle="degree"/>
  <default><joint limited="true"/><geom material="paint" rgba="1 0 0 1"/></default>
  <asset><material name="paint"/></asset>
  <worldbody>
    <light/>
    <geom name="floor" type="plane" size="1 1 1"/>
    <body name="trunk">
      <camera name="track"/>
      <joint name="rootx" type="slide"/>
      <geom name="trunk" material="paint" size="0.1"/>
      <body name="leg"><joint name="hip" type="hinge" range="-30 30"/><geom name="leg" size="0.1"/></body>
    </body>
    <body name="target"><geom name="target" size="0.1"/></body>
  </worldbody>
  <actuator><motor joint="hip"/></actuator>
</mujoco>
"""
BODY = models.Body("made_up.xml", "thing", ("hip",), ("rootx",))


@pytest.fixture
def staged(tmp_path):
    file = tmp_path / "made_up.xml"
    file.write_text(FILE)
    return ElementTree.fromstring(models.staged(file, BODY, stage.around(look.draw(np.random.default_rng(0)), 32)))


def test_only_the_first_body_is_left_on_the_stages_ground(staged):
    world = staged.find("worldbody")
    assert [geom.get("name") for geom in world.iter("geom")] == ["ground", "trunk", "leg"]
    assert [joint.get("name") for joint in world.iter("joint")] == ["hip"]
    (mover,) = world.findall("body")
    assert mover.get("mocap") == "true" and mover.find("body").get("name") == "trunk"


def test_nothing_drives_films_or_paints_it(staged):
    assert not [*staged.iter("actuator"), *staged.iter("camera")]
    assert [geom.get("material") for geom in staged.iter("geom")] == ["ground", None, None, None]
    assert staged.find("compiler").get("angle") == "degree" and staged.find("default/joint").get("limited") == "true"


def test_paint_stands_out_from_the_ground():
    for seed in range(50):
        drawn = look.draw(np.random.default_rng(seed))
        for paint in (look.COLOURS[drawn.colour], drawn.second or look.COLOURS[drawn.colour]):
            assert abs((np.array(paint) - drawn.ground) @ [0.3, 0.59, 0.11]) > 0.2
