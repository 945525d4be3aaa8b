"""A minimal script that waits for runs with one polling thread each.

Each thread polls every 10 s until its run has ended.

Prints a line for each run: the id of its test, the seconds from its start to its verdict, the number of polls, the
verdict. With QUICK=5 the clock runs five times as fast.
"""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Semaphore

import requests
from requests.adapters import HTTPAdapter

BASE = os.environ["AUTONOMA_API_URL"]
REQUESTS = int(os.environ["AUTONOMA_CONCURRENCY"])
IDS = os.environ["AUTONOMA_TEST_IDS"].split(",")
SPEEDUP = float(os.environ.get("QUICK", "1"))

session = requests.Session()
session.mount("http://", HTTPAdapter(pool_maxsize=REQUESTS))
session.headers["autonoma-client-id"] = os.environ["AUTONOMA_CLIENT_ID"]
session.headers["autonoma-client-secret"] = os.environ["AUTONOMA_CLIENT_SECRET"]
sending = Semaphore(REQUESTS)


def run_to_end(test_id: str) -> str:
    """Start one test and poll until its run has ended."""
    with sending:
        started_at = time.monotonic()
        started = session.post(f"{BASE}/test/{test_id}/run", json={"id": test_id, "source": "cli"}, timeout=60)
    started.raise_for_status()
    status, polls = "pending", 0
    while status in {"pending", "running"}:
        time.sleep(10 / SPEEDUP)
        with sending:
            response = session.get(f"{BASE}/run/{started.json()['run_id']}/status", timeout=60)
        response.raise_for_status()
        status, polls = response.json()["status"], polls + 1
    return f"{test_id} {SPEEDUP * (time.monotonic() - started_at):.3f} {polls} {status}"


with ThreadPoolExecutor(len(IDS)) as pool:
    for line in pool.map(run_to_end, IDS):
        print(line)
