"""Fuzz each harness for a fixed number of seconds (make fuzz).

Usage: `python -m tests.fuzz.fuzz SECONDS [NAME...]`

New inputs stay in .fuzz/NAME for the next run. Inputs that fail are written to .fuzz/found. Move them to
tests/fuzz/corpus/NAME once the error is fixed.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).parents[2]
CORPUS = ROOT / "tests" / "fuzz" / "corpus"
KEPT = ROOT / ".fuzz"
FOUND = KEPT / "found"
# In bytes: of addresses, as libFuzzer's own limit is looked at once a second only, and of an input.
_MEMORY = 4 * 1024**3
_LONGEST = 8192


def fuzz(name: str, seconds: int) -> None:
    """Fuzz one harness in this process, which ends with it."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    atheris = import_module("atheris")
    with atheris.instrument_imports(include=["autonoma_ci"]):
        harnesses = import_module("tests.fuzz.harnesses")
        # So that what is loaded only where it is needed is watched too.
        for path in sorted((CORPUS / name).iterdir()):
            harnesses.check(name, path.read_bytes())
    for folder in (KEPT / name, FOUND):
        folder.mkdir(parents=True, exist_ok=True)
    options = {
        "max_total_time": seconds,
        "max_len": _LONGEST,
        # The harness itself fails after a second of work: this is for what never ends.
        "timeout": 20,
        "rss_limit_mb": 1024,
        "artifact_prefix": f"{FOUND}/{name}-",
        "print_final_stats": 1,
        "verbosity": 0,
    }
    flags = [f"-{option}={value}" for option, value in options.items()]
    atheris.Setup([name, *flags, str(KEPT / name), str(CORPUS / name)], lambda data: harnesses.check(name, data))
    atheris.Fuzz()


def main(arguments: list[str]) -> int:
    """Fuzz these harnesses, or all, each in a process of its own; return 1 if any of them found something."""
    seconds, *names = arguments
    failed = []
    for name in names or sorted(path.name for path in CORPUS.iterdir()):
        command = [sys.executable, "-m", "tests.fuzz.fuzz", "--one", name, seconds]
        try:
            ran = subprocess.run(
                command,
                cwd=ROOT,
                check=False,
                timeout=int(seconds) + 90,
                stderr=subprocess.STDOUT,
                stdout=subprocess.PIPE,
                text=True,
                errors="replace",
            )
            code, said = ran.returncode, ran.stdout
        except subprocess.TimeoutExpired as error:
            code, said = 1, f"{error}"
        tried = next((line.split()[-1] for line in said.splitlines() if "number_of_executed_units" in line), "?")
        sys.stdout.write(f"{name}: {tried} inputs, {'FAILED' if code else 'nothing found'}\n")
        if code:
            failed.append(name)
            sys.stdout.write(said[-6000:])
        sys.stdout.flush()
    return 1 if failed else 0


if __name__ == "__main__":
    if sys.argv[1] == "--one":
        fuzz(sys.argv[2], int(sys.argv[3]))
    else:
        sys.exit(main(sys.argv[1:]))
