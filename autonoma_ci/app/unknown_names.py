"""Warnings about names in the environment that look like options and are none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.ci.detection import OVERRIDE_ENV_VAR, WITH_ACTIONS
from autonoma_ci.config.options import OPTIONS
from autonoma_ci.config.settings import closest_match
from autonoma_ci.escaping import sanitize_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_VARIABLE, _INPUT = "AUTONOMA_", "INPUT_"
# What a runner takes from `with:` of a container action itself.
_OF_RUNNER = frozenset({"args", "entrypoint"})
# Names of other programs of the vendor.
_OF_VENDOR = frozenset({"API_TOKEN", "APPLICATION_ID", "SHARED_SECRET", "DEBUG"})
# What the data of a build has beside the outputs (`ci.build_data`).
_OF_BUILD = ("WRITTEN_BY", "SEVERAL")
# Outputs that build data does not have with a suffix, so that a name such as RESULTS_DIRS is a mistake.
_WITHOUT_SUFFIX = frozenset({"RESULTS", "RESULTS_DIR"})
# How much of two names must be alike, as a part of 1.
_ALIKE = 0.75
_SHOWN = 10


def find_unknown_names(environ: Mapping[str, str], ci: str) -> list[str]:
    """Return a warning for each variable or input that is not known, with the option that was probably meant.

    Args:
        environ: The environment of the job.
        ci: The name of the CI system. Inputs are looked at only where its runner passes them on.

    """
    warnings = _of_variables(environ)
    if ci in WITH_ACTIONS:
        warnings += _of_inputs(environ)
    return warnings


def _of_variables(environ: Mapping[str, str]) -> list[str]:
    known = {OVERRIDE_ENV_VAR, *(name for option in OPTIONS for name in (option.env_var, *option.env_var_aliases))}
    unknown = sorted(name for name in environ if name.startswith(_VARIABLE) and name not in known)
    # What all have in common would make any two of them look alike.
    ends = [end for name in unknown if (end := name.removeprefix(_VARIABLE)) and not _is_of_others(end)]
    ends_of_known = {name.removeprefix(_VARIABLE) for name in known}
    near = {end: closest_match(end, ends_of_known, _ALIKE) for end in ends}
    return _told("variable", {f"{_VARIABLE}{end}": near[end] and f"{_VARIABLE}{near[end]}" for end in ends})


def _is_of_others(end: str) -> bool:
    """Return whether a name is an output of an earlier step, data of the build, or of the vendor."""
    # Loaded only where there is such a name.
    from autonoma_ci.reports.outputs import OUTPUTS

    outputs = {output.name.upper().replace("-", "_") for output in OUTPUTS}
    with_suffix = tuple(f"{name}_" for name in (*(outputs - _WITHOUT_SUFFIX), *_OF_BUILD))
    return end in outputs | _OF_VENDOR or end in _OF_BUILD or end.startswith(with_suffix)


def _of_inputs(environ: Mapping[str, str]) -> list[str]:
    known = {name for option in OPTIONS for name in option.github_input_names}
    # In a step that runs a command, other programs can have such variables.
    is_action = any(name in environ for name in known if "-" in name)
    found = sorted(name for name in environ if name.startswith(_INPUT) and name not in known)
    names = [name.removeprefix(_INPUT).lower() for name in found]
    options = [option.name for option in OPTIONS]
    near = {
        name: closest_match(name.replace("_", "-"), options, _ALIKE)
        for name in names
        if name and name not in _OF_RUNNER
    }
    return _told("input", {name: option for name, option in near.items() if option or is_action})


def _told(kind: str, near: Mapping[str, str]) -> list[str]:
    warnings = [f"unknown {kind} {_shown([name])}: did you mean {meant}?" for name, meant in near.items() if meant]
    others = [name for name, meant in near.items() if not meant]
    if others:
        why = "no option has this name." if len(others) == 1 else "no options have these names."
        warnings.append(f"unknown {kind if len(others) == 1 else f'{kind}s'} {_shown(others)}: {why}")
    return warnings


def _shown(names: Iterable[str]) -> str:
    names = list(names)
    shown = ", ".join(sanitize_line(name, 60) for name in names[:_SHOWN])
    return shown + (f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else "")
