"""How a process treats the cores that it shares with others."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(("chosen", "expected"), [({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE")])
def test_commands_whose_processes_decode_leave_the_cores_to_them(chosen, expected):
    code = """
from ivcore.data import video_files
from ivcore.run import cli, classify_command, environment, features_command
environment.yield_cores()
import torch
"""
    clean = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    told = clean | {"OMP_DISPLAY_ENV": "true"} | chosen
    said = subprocess.run([sys.executable, "-c", code], env=told, capture_output=True, text=True, check=True).stderr
    if "OMP_WAIT_POLICY" not in said:
        pytest.skip("this torch's threads are not libgomp's, which says what it does")
    assert f"OMP_WAIT_POLICY = '{expected}'" in said
