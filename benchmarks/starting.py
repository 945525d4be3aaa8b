"""What starting costs: one test, two hundred, and a manifest of ten thousand."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from statistics import median

from benchmarks.costs import HERE, OURS, bare, cost_of, in_turn, paired, processor, server
from benchmarks.row import Row, set_beside

ONE = Row("one test: bare requests script", "s", 1.15, how="median of 25 pairs")
ONE_CURL = Row("one test: curl in a shell", "s", how="the ratio is of processor time")
MANY = Row("200 tests: bare pool of threads", "s", 1.15, how="200 ms each, median of 5 pairs")
MANY_CURL = Row("200 tests: curl in a shell loop", "s", 0.1, how="200 ms each, theirs once")
READ = Row("10,000 tests in a manifest: time", "s", 3.0, absolute=True, how="the ratio is of processor time")
READ_MEMORY = Row("10,000 tests in a manifest: memory", "MiB", 300.0, absolute=True, how="peak; theirs: YAML read in C")
CURL = ("bash", str(HERE / "curl_loop.sh"))


def without() -> str:
    """Return what the loop with curl needs and this machine does not have, and how to get it; or ""."""
    missing = [name for name in ("bash", "curl", "jq") if not shutil.which(name)]
    return f"install {', '.join(missing)}" if missing else ""


def one() -> list[Row]:
    """Measure the start of one test, at a server that answers at once."""
    missing = without()
    commands = [OURS, bare("bare_one.py")] + ([] if missing else [CURL])
    with server(0.0) as environ:
        ours, theirs, *curl = in_turn(commands, {**environ, "AUTONOMA_TEST_IDS": "abc"}, 25)
    by_curl = paired(ONE_CURL, ours, curl[0], ratio_of=processor) if curl else ONE_CURL._replace(how=missing)
    return [paired(ONE, ours, theirs), by_curl]


def many() -> list[Row]:
    """Measure two hundred tests at a server that takes 200 ms for each, ours with a concurrency of 32."""
    ids = ",".join(f"test{i}" for i in range(200))
    with server(0.2) as environ:
        environ |= {"AUTONOMA_TEST_IDS": ids, "AUTONOMA_CONCURRENCY": "32"}
        ours, theirs = in_turn([OURS, bare("bare_pool.py")], environ, 5)
        if missing := without():
            by_curl = MANY_CURL._replace(how=missing)
        else:
            # Once: it takes the better part of a minute, of which nearly all is the server's.
            by_curl = set_beside(MANY_CURL, median(cost.seconds for cost in ours), cost_of(CURL, environ).seconds)
    return [paired(MANY, ours, theirs), by_curl]


def manifest() -> list[Row]:
    """Measure the check of a manifest with 10,000 tests, beside a loader that checks nothing."""
    entries = [
        f"  - id: cmtest{i:018d}\n    name: Test {i}\n    groups: [g{i % 50}]\n    variables: {{ USER: user-{i} }}\n"
        for i in range(10_000)
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "autonoma.yml")
        path.write_text("version: 1\ntests:\n" + "".join(entries), encoding="utf-8")
        ours, theirs = in_turn([(*OURS, "validate", str(path)), (*bare("bare_yaml.py"), str(path))], {}, 9)
    return [
        paired(READ, ours, theirs, ratio_of=processor),
        paired(READ_MEMORY, ours, theirs, lambda cost: cost.megabytes),
    ]
