"""Measure the size of the image and the time to start it."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from statistics import median

from benchmarks.costs import FOLDER, compare_pairs, measure_command, measure_in_turn, run_api_server
from benchmarks.row import Row, with_comparison
from tests.system.container.image import LAUNCHER, Image

COLD = Row("image: docker run, one test", "s", 1.15)
INSIDE = Row("image: one test, inside of it", "s", 1.15, how="median of 9 pairs")
SIZE = Row("image: size", "MiB", 1.25, how="theirs: its base image")
ADDED = Row("image: what it adds to its base", "MiB", 30.0, absolute=True, how="theirs: requests with what it needs")
ENTRYPOINT = "/opt/autonoma-ci/entrypoint.py"
TAG, BASE_TAG = "autonoma-ci:bench", "autonoma-ci:bench-base"
# The script to compare with. The image's own Python runs it.
SCRIPT = (FOLDER / "bare_one.py").read_text("utf-8")
# Measures both from within a container, because there the container engine's start time does not count.
START_TIMES_SCRIPT = """
import json, subprocess, sys, time
def seconds(command):
    began = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began
python = [sys.executable, "-I"]
ours, theirs = [*python, "/opt/autonoma-ci/entrypoint.py"], [*python, "-c", sys.argv[1]]
print(json.dumps([(seconds(ours), seconds(theirs)) for _ in range(10)][1:]))
"""
# Size in KiB. -x leaves out mounted file systems.
FILESYSTEM_SIZE_SCRIPT = "du -skx / | cut -f1"
REQUESTS_SIZE_SCRIPT = (
    "cd /opt/autonoma-ci/lib/python3*/site-packages && du -sk requests* urllib3* idna* certifi* charset_normalizer*"
)


def measure_image() -> list[Row]:
    """Measure the image with the command in the variable DOCKER."""
    docker = shlex.split(os.environ.get("DOCKER", "docker"))
    try:
        subprocess.run([*docker, "version"], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return [row._replace(how=f"no engine answers to {docker[0]}") for row in (COLD, INSIDE, SIZE, ADDED)]
    for tag, options in ((TAG, []), (BASE_TAG, ["--target", "base"])):
        measure_command([*docker, "build", "-t", tag, *options, str(FOLDER.parent)], os.environ)
    ours, base = (Image(tuple(docker), tag) for tag in (TAG, BASE_TAG))
    return [*_measure_times(ours), *_measure_sizes(ours, base)]


def _measure_times(image: Image) -> list[Row]:
    with run_api_server(0.0) as environ:
        variables = [word for name, value in environ.items() for word in ("-e", f"{name}={value}")]
        variables += ["-e", "AUTONOMA_TEST_IDS=abc"]
        python = [*variables, "--entrypoint", LAUNCHER]
        commands = [
            # The image's own ENTRYPOINT, named as in the other commands, because some engines look it up slowly.
            image.build_command(python, "-I", ENTRYPOINT),
            image.build_command(python, "-I", "-c", SCRIPT),
            image.build_command(["--entrypoint", "true"]),
        ]
        ours, theirs, empty = measure_in_turn(commands, os.environ, 7)
        inside = json.loads(
            measure_command(image.build_command(python, "-I", "-c", START_TIMES_SCRIPT, SCRIPT), os.environ).output
        )
    engine_seconds = median(cost.seconds for cost in empty)
    return [
        compare_pairs(COLD, ours, theirs)._replace(how=f"the engine alone takes {engine_seconds:.2f} s"),
        INSIDE._replace(
            ours=median(mine for mine, _ in inside),
            theirs=median(other for _, other in inside),
            ratio=median(mine / other for mine, other in inside),
        ),
    ]


def _measure_sizes(ours: Image, base: Image) -> list[Row]:
    image_size, base_size, requests_size = (
        _measure_mebibytes(ours, FILESYSTEM_SIZE_SCRIPT),
        _measure_mebibytes(base, FILESYSTEM_SIZE_SCRIPT),
        _measure_mebibytes(ours, REQUESTS_SIZE_SCRIPT),
    )
    return [with_comparison(SIZE, image_size, base_size), with_comparison(ADDED, image_size - base_size, requests_size)]


def _measure_mebibytes(image: Image, script: str) -> float:
    output = measure_command(image.build_command(["--entrypoint", "sh"], "-c", script), os.environ).output
    return sum(int(line.split()[0]) for line in output.splitlines()) / 1024
