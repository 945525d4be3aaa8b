"""A minimal script for many tests with threads that share a session."""

import os
from concurrent.futures import ThreadPoolExecutor

import requests
from requests.adapters import HTTPAdapter

BASE = os.environ["AUTONOMA_API_URL"]
WORKERS = int(os.environ["AUTONOMA_CONCURRENCY"])

session = requests.Session()
session.mount("http://", HTTPAdapter(pool_maxsize=WORKERS))
session.headers["autonoma-client-id"] = os.environ["AUTONOMA_CLIENT_ID"]
session.headers["autonoma-client-secret"] = os.environ["AUTONOMA_CLIENT_SECRET"]


def start(test_id: str) -> str:
    """Start one test and return the link of its run."""
    response = session.post(f"{BASE}/test/{test_id}/run", json={"id": test_id, "source": "cli"}, timeout=60)
    response.raise_for_status()
    return str(response.json()["url"])


with ThreadPoolExecutor(WORKERS) as pool:
    for url in pool.map(start, os.environ["AUTONOMA_TEST_IDS"].split(",")):
        print(url)
