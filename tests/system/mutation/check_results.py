"""Check the number of surviving mutants per module.

`make mutation` runs it after mutmut. A mutant is killed if a test failed or hung because of it.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ACCEPTED_FILE = Path(__file__).with_name("accepted_mutants.toml")
# Every other status, such as `no tests`, counts as survived.
KILLED_STATUSES = {"killed", "timeout"}
# Percent of all mutants.
MIN_KILLED_PERCENT = 95.0


class ModuleResult(NamedTuple):
    """The mutants of one module."""

    name: str
    total: int
    survivors: tuple[str, ...]

    @property
    def killed_percent(self) -> float:
        """Return the percentage of killed mutants, or 0 without mutants."""
        return 100 * (self.total - len(self.survivors)) / self.total if self.total else 0.0


def build_module_results(statuses: Mapping[str, str]) -> list[ModuleResult]:
    """Return the result of each module that has mutants.

    Args:
        statuses: The status of each mutant by its name, such as `autonoma_ci.escaping.x_truncate__mutmut_1`.
    """
    mutants_by_module: dict[str, list[str]] = {}
    for mutant in statuses:
        module = mutant.removeprefix("autonoma_ci.").rpartition(".")[0]
        mutants_by_module.setdefault(module, []).append(mutant)
    return [
        ModuleResult(module, len(mutants), tuple(name for name in mutants if statuses[name] not in KILLED_STATUSES))
        for module, mutants in sorted(mutants_by_module.items())
    ]


def find_errors(modules: Sequence[ModuleResult], accepted: Mapping[str, int]) -> list[str]:
    """Return the errors of the check.

    Args:
        modules: All modules that have mutants.
        accepted: The number of survivors by module. For other modules it is 0.
    """
    errors = [f"{name} has no mutants" for name in sorted(set(accepted) - {module.name for module in modules})]
    for module in modules:
        count, limit = len(module.survivors), accepted.get(module.name, 0)
        if count > limit:
            errors.append(
                f"{module.name}: {count} mutants survived, {limit} are accepted: {', '.join(module.survivors)}"
            )
        elif count < limit:
            errors.append(f"{module.name}: {count} mutants survived, so lower the accepted number from {limit}")
    total, killed_count = sum(module.total for module in modules), sum(m.total - len(m.survivors) for m in modules)
    if not total:
        errors.append("there are no mutants")
    elif 100 * killed_count / total < MIN_KILLED_PERCENT:
        errors.append(
            f"{100 * killed_count / total:.1f} % of the mutants are killed, fewer than {MIN_KILLED_PERCENT:.0f} %"
        )
    return errors


def format_table(modules: Sequence[ModuleResult]) -> list[str]:
    """Return the lines of a table with one row per module."""
    rows = [f"{'module':30} {'mutants':>8} {'survived':>8} {'killed':>8}"]
    rows += [
        f"{module.name:30} {module.total:8} {len(module.survivors):8} {module.killed_percent:6.1f} %"
        for module in modules
    ]
    total, survivor_count = sum(module.total for module in modules), sum(len(module.survivors) for module in modules)
    rows.append(f"{'all':30} {total:8} {survivor_count:8} {100 * (total - survivor_count) / max(total, 1):6.1f} %")
    return rows


def read_statuses() -> dict[str, str]:
    """Read the status of each mutant of the last run."""
    command = [str(Path(sys.executable).with_name("mutmut")), "results", "--all", "true"]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return dict(re.findall(r"^\s*(\S+): (.+)$", output, re.MULTILINE))


def main() -> int:
    """Print the table and the errors, and return the exit code."""
    accepted = tomllib.loads(ACCEPTED_FILE.read_text("utf-8"))["accepted"]
    modules = build_module_results(read_statuses())
    errors = find_errors(modules, accepted)
    sys.stdout.write("\n".join([*format_table(modules), *errors, ""]))
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
