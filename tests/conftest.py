"""Options of the test run, and what several tests stand on."""

from __future__ import annotations

import os
import random
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from stepc.world.render import write
from stepc.world.scene import make_film

collect_ignore = [] if find_spec("torchvision") else ["vision"]  # make test-torchvision
torch.set_num_threads(1)  # as many workers as cores; threads beyond them only wait


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--bless` rewrites expected files; `--record` also the cassettes, from the embedded model."""
    parser.addoption("--bless", action="store_true", help="rewrite what golden cases expect")
    parser.addoption("--record", action="store_true", help="record cassettes anew (with --bless)")


@pytest.fixture(scope="session", autouse=True)
def own_store(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test finds what another run has kept."""
    os.environ["STEPC_STORE"] = str(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A rendered film of two clips."""
    path = tmp_path_factory.mktemp("films") / "film.mp4"
    write(make_film(random.Random("tests"), 2), path)
    return path
