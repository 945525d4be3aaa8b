"""Say what a run of mutmut comes to, module by module, and fail where a mutant lives that is not accounted for.

Run by `make mutation`, after mutmut. A mutant counts as killed if a test failed or hung because of it.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SURVIVORS = Path(__file__).with_name("survivors.toml")
LEAST = 90.0
KILLED = {"killed", "timeout"}


class Change(NamedTuple):
    """What a mutant changes: the function, its lines before, and its lines after."""

    function: str
    was: str
    becomes: str


def function_of(mutant: str) -> str:
    """Return the function of a mutant by its own name; mutmut writes `x_name` and `xǁClassǁname`."""
    module, _, mangled = mutant.partition("__mutmut_")[0].rpartition(".")
    name = mangled.removeprefix("x_") if mangled.startswith("x_") else mangled.removeprefix("xǁ").replace("ǁ", ".")
    return f"{module}.{name}"


def change_of(mutant: str, diff: str) -> Change:
    """Return what the mutant changes, from its diff."""

    def lines(sign: str) -> str:
        found = [line[1:].strip() for line in diff.splitlines() if line.startswith(sign)]
        return "\n".join(found[1:])  # the first is the head of the diff

    return Change(function_of(mutant), lines("-"), lines("+"))


def judge(
    statuses: dict[str, str], show: Callable[[str], str], listed: Iterable[Change]
) -> tuple[list[str], list[str]]:
    """Return the table, and what is wrong; `show` gives the diff of a mutant."""
    total: Counter[str] = Counter()
    killed: Counter[str] = Counter()
    living: dict[Change, str] = {}
    for mutant, status in statuses.items():
        module = mutant.partition("__mutmut_")[0].rpartition(".")[0]
        total[module] += 1
        if status in KILLED:
            killed[module] += 1
        else:
            living[change_of(mutant, show(mutant))] = f"{mutant} ({status})"
    table = [f"{'module':36} {'mutants':>7} {'killed':>7} {'survived':>8} {'share':>8}"]
    wrong = [] if total else ["there are no mutants at all"]
    for module, number in [*total.items(), ("all", total.total())]:
        dead = killed.total() if module == "all" else killed[module]
        share = 100 * dead / max(number, 1)
        table.append(f"{module:36} {number:7} {dead:7} {number - dead:8} {share:6.1f} %")
        if share < LEAST:
            wrong.append(f"{module}: {share:.1f} % of the mutants are killed, fewer than {LEAST:.0f} %")
    listed = list(listed)
    wrong += [
        f"{mutant} lives and is not listed:\n  - {change.was}\n  + {change.becomes}"
        for change, mutant in living.items()
        if change not in listed
    ]
    wrong += [
        f"{change.function} is listed with a change that is killed or gone:\n  + {change.becomes}"
        for change in listed
        if change not in living
    ]
    return table, wrong


def mutmut(*arguments: str) -> str:
    """Return what mutmut prints."""
    program = Path(sys.executable).with_name("mutmut")
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=True).stdout


def main() -> int:
    """Judge the run whose results are in the folder `mutants`; return the exit code."""
    statuses = dict(re.findall(r"^\s*(\S+): (.+)$", mutmut("results", "--all", "true"), re.MULTILINE))
    entries = tomllib.loads(SURVIVORS.read_text("utf-8"))["survivor"]
    listed = [Change(entry["function"], entry["was"].strip(), entry["becomes"].strip()) for entry in entries]
    table, wrong = judge(statuses, lambda mutant: mutmut("show", mutant), listed)
    sys.stdout.write("\n".join([*table, *wrong, ""]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
