"""A minimal script for one test.

It imports requests, posts once and prints the link.
"""

import os

import requests

response = requests.post(
    os.environ["AUTONOMA_API_URL"] + "/test/abc/run",
    json={"id": "abc", "source": "cli"},
    headers={
        "autonoma-client-id": os.environ["AUTONOMA_CLIENT_ID"],
        "autonoma-client-secret": os.environ["AUTONOMA_CLIENT_SECRET"],
    },
    timeout=60,
)
response.raise_for_status()
print(response.json()["url"])
