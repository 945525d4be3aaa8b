"""Fuzz each harness for a fixed number of seconds (make fuzz).

Usage: `python -m tests.system.fuzz.fuzz SECONDS [NAME...]`

New inputs stay in .fuzz/NAME for the next run. Inputs that fail are written to .fuzz/found. Move them to
tests/system/fuzz/corpus/NAME once the error is fixed.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).parents[3]
CORPUS = ROOT / "tests" / "system" / "fuzz" / "corpus"
FUZZ_DIR = ROOT / ".fuzz"
FINDINGS_DIR = FUZZ_DIR / "found"
# In bytes. The address space is limited, because libFuzzer checks its own limit only once per second.
_MAX_MEMORY_BYTES = 4 * 1024**3
_MAX_INPUT_BYTES = 8192


def fuzz_harness(name: str, seconds: int) -> None:
    """Fuzz one harness and end this process."""
    resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY_BYTES, _MAX_MEMORY_BYTES))
    atheris = import_module("atheris")
    with atheris.instrument_imports(include=["autonoma_ci"]):
        harnesses = import_module("tests.system.fuzz.harnesses")
        # Lazy imports happen here, so that they are instrumented too.
        for path in sorted((CORPUS / name).iterdir()):
            harnesses.check_input(name, path.read_bytes())
    for folder in (FUZZ_DIR / name, FINDINGS_DIR):
        folder.mkdir(parents=True, exist_ok=True)
    options = {
        "max_total_time": seconds,
        "max_len": _MAX_INPUT_BYTES,
        # The harness itself fails after 1 s of work. This limit is for input that never ends.
        "timeout": 20,
        "rss_limit_mb": 1024,
        "artifact_prefix": f"{FINDINGS_DIR}/{name}-",
        "print_final_stats": 1,
        "verbosity": 0,
    }
    flags = [f"-{option}={value}" for option, value in options.items()]
    atheris.Setup(
        [name, *flags, str(FUZZ_DIR / name), str(CORPUS / name)], lambda data: harnesses.check_input(name, data)
    )
    atheris.Fuzz()


def main(arguments: list[str]) -> int:
    """Fuzz these harnesses, or all, in one process each.

    Returns:
        1 if any harness found an error.
    """
    seconds, *names = arguments
    failed_names = []
    for name in names or sorted(path.name for path in CORPUS.iterdir()):
        command = [sys.executable, "-m", "tests.system.fuzz.fuzz", "--one", name, seconds]
        try:
            result = subprocess.run(
                command,
                cwd=ROOT,
                check=False,
                timeout=int(seconds) + 90,
                stderr=subprocess.STDOUT,
                stdout=subprocess.PIPE,
                text=True,
                errors="replace",
            )
            code, output = result.returncode, result.stdout
        except subprocess.TimeoutExpired as error:
            code, output = 1, f"{error}"
        input_count = next(
            (line.split()[-1] for line in output.splitlines() if "number_of_executed_units" in line), "?"
        )
        sys.stdout.write(f"{name}: {input_count} inputs, {'FAILED' if code else 'nothing found'}\n")
        if code:
            failed_names.append(name)
            sys.stdout.write(output[-6000:])
        sys.stdout.flush()
    return 1 if failed_names else 0


if __name__ == "__main__":
    if sys.argv[1] == "--one":
        fuzz_harness(sys.argv[2], int(sys.argv[3]))
    else:
        sys.exit(main(sys.argv[1:]))
