"""Measure the start of one test, 200 tests and a large manifest."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from statistics import median

from benchmarks.costs import (
    AUTONOMA_CI,
    FOLDER,
    compare_pairs,
    measure_command,
    measure_in_turn,
    processor_seconds,
    run_api_server,
    script_command,
)
from benchmarks.row import Row, with_comparison

ONE = Row("one test: bare requests script", "s", 1.1, how="median of 25 pairs")
ONE_CURL = Row("one test: curl in a shell", "s", how="the ratio is of processor time")
MANY = Row("200 tests: bare pool of threads", "s", 1.15, how="200 ms each, median of 5 pairs")
MANY_CURL = Row("200 tests: curl in a shell loop", "s", 0.1, how="200 ms each, theirs once")
READ = Row("10,000 tests in a manifest: time", "s", 3.0, absolute=True, how="the ratio is of processor time")
READ_MEMORY = Row("10,000 tests in a manifest: memory", "MiB", 300.0, absolute=True, how="peak; theirs: YAML read in C")
PLAN = Row("10,000 tests, 3,000 changed files: time", "s", 3.0, absolute=True, how="dry run, 500 lists of patterns")
PLAN_MEMORY = Row("10,000 tests, 3,000 changed files: memory", "MiB", 300.0, absolute=True, how="peak of the same run")
CURL = ("bash", str(FOLDER / "curl_loop.sh"))


def describe_missing_tools() -> str:
    """Return how to install missing tools of the curl loop, or ""."""
    missing = [name for name in ("bash", "curl", "jq") if not shutil.which(name)]
    return f"install {', '.join(missing)}" if missing else ""


def measure_one_start() -> list[Row]:
    """Measure the start of one test with an immediate response."""
    missing = describe_missing_tools()
    commands = [AUTONOMA_CI, script_command("bare_one.py")] + ([] if missing else [CURL])
    with run_api_server(0.0) as environ:
        ours, theirs, *curl = measure_in_turn(commands, {**environ, "AUTONOMA_TEST_IDS": "abc"}, 25)
    by_curl = (
        compare_pairs(ONE_CURL, ours, curl[0], ratio_of=processor_seconds) if curl else ONE_CURL._replace(how=missing)
    )
    return [compare_pairs(ONE, ours, theirs), by_curl]


def measure_many_starts() -> list[Row]:
    """Measure 200 tests at a server that responds after 200 ms.

    The concurrency of autonoma-ci is 32.
    """
    ids = ",".join(f"test{i}" for i in range(200))
    with run_api_server(0.2) as environ:
        environ |= {"AUTONOMA_TEST_IDS": ids, "AUTONOMA_CONCURRENCY": "32"}
        ours, theirs = measure_in_turn([AUTONOMA_CI, script_command("bare_pool.py")], environ, 5)
        if missing := describe_missing_tools():
            by_curl = MANY_CURL._replace(how=missing)
        else:
            # Measured once, because it needs most of a minute, nearly all of it in the server.
            by_curl = with_comparison(
                MANY_CURL, median(cost.seconds for cost in ours), measure_command(CURL, environ).seconds
            )
    return [compare_pairs(MANY, ours, theirs), by_curl]


def measure_manifest() -> list[Row]:
    """Measure the check of a manifest with 10,000 tests.

    The script beside it loads the same file without checks.
    """
    entries = [
        f"  - id: cmtest{i:018d}\n    name: Test {i}\n    groups: [g{i % 50}]\n    variables: {{ USER: user-{i} }}\n"
        for i in range(10_000)
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "autonoma.yml")
        path.write_text("version: 1\ntests:\n" + "".join(entries), encoding="utf-8")
        ours, theirs = measure_in_turn(
            [(*AUTONOMA_CI, "validate", str(path)), (*script_command("bare_yaml.py"), str(path))], {}, 9
        )
    return [
        compare_pairs(READ, ours, theirs, ratio_of=processor_seconds),
        compare_pairs(READ_MEMORY, ours, theirs, lambda cost: cost.peak_mebibytes),
    ]


def measure_changed_plan() -> list[Row]:
    """Measure the plan of 10,000 tests that depend on changed files.

    There is nothing to compare with, so the rows have limits only.

    Raises:
        RuntimeError: The plan has other entries than expected.

    """
    entries = [
        f"  - id: cmtest{i:018d}\n    name: Test {i}\n    when:\n"
        f"      changed: [services/s{i % 500}/**, 'libs/l{i % 500 % 40}/**/*.ts', '!**/*.md']\n"
        for i in range(10_000)
    ]
    # A third of the services have a file that counts, and all others have only documents.
    files = [f"services/s{i % 500}/src/f{i}.{'ts' if i % 500 < 170 else 'md'}" for i in range(3000)]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "autonoma.yml").write_text("version: 1\ntests:\n" + "".join(entries), encoding="utf-8")
        Path(folder, "files.txt").write_text("\n".join(files), encoding="utf-8")
        command = (*AUTONOMA_CI, "run", "--dry-run", "--changed-files", "@files.txt")
        costs = [measure_command(command, {}, Path(folder)) for _ in range(5)]
    expected = "6,600 of 10,000 entries left out: 6,600 unchanged."
    if expected not in costs[0].output:
        raise RuntimeError(f"wrong plan: {costs[0].output[:500]}")
    return [
        PLAN._replace(ours=median(cost.seconds for cost in costs)),
        PLAN_MEMORY._replace(ours=median(cost.peak_mebibytes for cost in costs)),
    ]
