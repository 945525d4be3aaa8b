"""What the image costs: its size, and the time to start it and to start a test with it."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from statistics import median

from benchmarks.costs import HERE, cost_of, in_turn, paired, server
from benchmarks.row import Row, set_beside
from tests.container.image import LAUNCHER, Image

COLD = Row("image: docker run, one test", "s", 1.15)
INSIDE = Row("image: one test, inside of it", "s", 1.15, how="median of 9 pairs")
SIZE = Row("image: size", "MiB", 1.25, how="theirs: its base image")
ADDED = Row("image: what it adds to its base", "MiB", 30.0, absolute=True, how="theirs: requests with what it needs")
ENTRYPOINT = "/opt/autonoma-ci/entrypoint.py"
TAG, BASE_TAG = "autonoma-ci:bench", "autonoma-ci:bench-base"
# The other way is a bare script, run by the very Python that the image has.
SCRIPT = (HERE / "bare_one.py").read_text("utf-8")
# Times a start of each from within a container, where the engine's own time to start one does not count.
WITHIN = """
import json, subprocess, sys, time
def seconds(command):
    began = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began
python = [sys.executable, "-I"]
ours, theirs = [*python, "/opt/autonoma-ci/entrypoint.py"], [*python, "-c", sys.argv[1]]
print(json.dumps([(seconds(ours), seconds(theirs)) for _ in range(10)][1:]))
"""
# In KiB; -x leaves out what is mounted from elsewhere.
WHOLE = "du -skx / | cut -f1"
NEEDED = (
    "cd /opt/autonoma-ci/lib/python3*/site-packages && du -sk requests* urllib3* idna* certifi* charset_normalizer*"
)


def image() -> list[Row]:
    """Measure the image through the docker command that DOCKER names."""
    docker = shlex.split(os.environ.get("DOCKER", "docker"))
    try:
        subprocess.run([*docker, "version"], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return [row._replace(how=f"no engine answers to {docker[0]}") for row in (COLD, INSIDE, SIZE, ADDED)]
    for tag, options in ((TAG, []), (BASE_TAG, ["--target", "base"])):
        cost_of([*docker, "build", "-t", tag, *options, str(HERE.parent)], os.environ)
    ours, base = (Image(tuple(docker), tag) for tag in (TAG, BASE_TAG))
    return [*_times(ours), *_sizes(ours, base)]


def _times(image: Image) -> list[Row]:
    with server(0.0) as environ:
        variables = [word for name, value in environ.items() for word in ("-e", f"{name}={value}")]
        variables += ["-e", "AUTONOMA_TEST_IDS=abc"]
        python = [*variables, "--entrypoint", LAUNCHER]
        commands = [
            # The image's own ENTRYPOINT, named here as the others' is: looking it up takes some engines a while.
            image.command(python, "-I", ENTRYPOINT),
            image.command(python, "-I", "-c", SCRIPT),
            image.command(["--entrypoint", "true"]),
        ]
        cold, script, nothing = in_turn(commands, os.environ, 7)
        within = json.loads(cost_of(image.command(python, "-I", "-c", WITHIN, SCRIPT), os.environ).printed)
    alone = median(cost.seconds for cost in nothing)
    return [
        paired(COLD, cold, script)._replace(how=f"the engine alone takes {alone:.2f} s"),
        INSIDE._replace(
            ours=median(mine for mine, _ in within),
            theirs=median(other for _, other in within),
            ratio=median(mine / other for mine, other in within),
        ),
    ]


def _sizes(ours: Image, base: Image) -> list[Row]:
    whole, below, needed = _mebibytes(ours, WHOLE), _mebibytes(base, WHOLE), _mebibytes(ours, NEEDED)
    return [set_beside(SIZE, whole, below), set_beside(ADDED, whole - below, needed)]


def _mebibytes(image: Image, script: str) -> float:
    printed = cost_of(image.command(["--entrypoint", "sh"], "-c", script), os.environ).printed
    return sum(int(line.split()[0]) for line in printed.splitlines()) / 1024
