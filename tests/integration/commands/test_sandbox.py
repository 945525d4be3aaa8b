"""The command sandbox as a process."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import requests

from tests.support.invoke_command import invoke
from tests.support.sandbox_client import CREDENTIALS

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("flags", "contract", "status", "field"),
    [
        ((), "2025-06", 200, "run_id"),
        (("--contract", "2025-06"), "2025-06", 200, "run_id"),
        (("--contract", "2026-01"), "2026-01", 201, "runID"),
    ],
)
def test_sandbox_serves_named_contract(
    flags: tuple[str, ...], contract: str, status: int, field: str, tmp_path: Path
) -> None:
    """The flag selects the contract, and the first line of output shows URL and contract."""
    command = [sys.executable, "-u", "-m", "autonoma_ci", "sandbox", "--port", "0", *flags]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(command, cwd=tmp_path, env=environ, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            first = process.stdout.readline()
            found = re.match(r"Sandbox at (http://\S+/api), contract (\S+);", first)
            assert found, first
            body = {"id": "a", "source": "cli"}
            answer = requests.post(f"{found[1]}/test/a/run", json=body, headers=CREDENTIALS, timeout=60)
            assert (found[2], answer.status_code, field in answer.json()) == (contract, status, True)
        finally:
            process.kill()


def test_unknown_contract_lists_known_ones(tmp_path: Path) -> None:
    """An unknown contract is an error that lists the known contracts."""
    ended = invoke(tmp_path, "sandbox", "--contract", "2024-01")
    assert ended.code == 2
    assert [error for error in ended.errors if error.startswith("--contract: ") and "2025-06" in error]
