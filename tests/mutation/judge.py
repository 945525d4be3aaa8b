"""Say what a run of mutmut comes to, module by module, and fail where a mutant lives that is not accounted for.

Run by `make mutation`, after mutmut. A mutant counts as killed if a test failed or hung because of it; those that hung
are told once more in a column of their own. A module of the six that has no mutants at all fails too.
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
# What the promises rest on; a module of a package counts for the package.
REQUIRED = ("text", "secret", "manifest", "engine.fire", "engine.wait", "engine.verdict")


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
    hung: Counter[str] = Counter()
    living: dict[Change, str] = {}
    for mutant, status in statuses.items():
        module = mutant.partition("__mutmut_")[0].rpartition(".")[0]
        for name in (module, "all"):
            total[name] += 1
            killed[name] += status in KILLED
            hung[name] += status == "timeout"
        if status not in KILLED:
            living[change_of(mutant, show(mutant))] = f"{mutant} ({status})"
    table = [f"{'module':36} {'mutants':>7} {'killed':>7} {'timeout':>7} {'survived':>8} {'share':>8}"]
    wrong = [f"autonoma_ci.{name} has no mutants" for name in REQUIRED if not _has(total, f"autonoma_ci.{name}")]
    for module in [*sorted(total.keys() - {"all"}), "all"]:
        number, dead = total[module], killed[module]
        share = 100 * dead / max(number, 1)
        table.append(f"{module:36} {number:7} {dead:7} {hung[module]:7} {number - dead:8} {share:6.1f} %")
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


def _has(modules: Iterable[str], name: str) -> bool:
    return any(module == name or module.startswith(f"{name}.") for module in modules)


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
