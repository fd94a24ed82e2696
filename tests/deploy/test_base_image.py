"""deploy/base-image.sh, as far as it goes without a network: it says what is wrong in one line."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "deploy" / "base-image.sh"
NOBODY = "tcp://127.0.0.1:1"


def base_image(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    bash = shutil.which("bash")
    assert bash
    return subprocess.run(
        [bash, str(SCRIPT), *arguments],
        capture_output=True,
        text=True,
        env=os.environ | environment,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--frob",), "base-image: unknown option --frob; there is --force\n"),
        (("one", "two"), "base-image: one NAME, please\n"),
    ],
)
def test_a_mistake_in_the_arguments_is_told(arguments: tuple[str, ...], said: str) -> None:
    done = base_image(*arguments)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", said)


def test_without_docker_it_says_what_to_install(tmp_path: Path) -> None:
    done = base_image(PATH=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.startswith("base-image: there is no docker here; install")
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(shutil.which("docker") is None, reason="there is no docker command")
def test_without_an_engine_it_says_so_and_makes_nothing(tmp_path: Path) -> None:
    done = base_image(DOCKER_HOST=NOBODY, TMPDIR=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.startswith("base-image: no Docker engine answers; start it")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_its_help_is_its_own_heading() -> None:
    done = base_image("--help")
    assert done.returncode == 0
    assert done.stdout.startswith("Makes a base image")
    assert "--force" in done.stdout
