"""Warn of environment variables that look like options but are unknown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.ci.detection import OVERRIDE_ENV_VAR, WITH_ACTIONS
from autonoma_ci.config.options import OPTIONS
from autonoma_ci.escaping import sanitize_line

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

_ENV_PREFIX, _INPUT_PREFIX = "AUTONOMA_", "INPUT_"
# Keys in `with:` of a container action that the runner uses itself.
_RUNNER_INPUTS = frozenset({"args", "entrypoint"})
# Variables of other programs of the vendor.
_VENDOR_NAMES = frozenset({"API_TOKEN", "APPLICATION_ID", "SHARED_SECRET", "DEBUG"})
# Build data besides the outputs (`ci.build_data`).
_BUILD_DATA_NAMES = ("WRITTEN_BY", "SEVERAL")
# Outputs without a suffix in build data. So a name such as RESULTS_DIRS is a mistake.
_OUTPUTS_WITHOUT_SUFFIX = frozenset({"RESULTS", "RESULTS_DIR"})
# Similarity of two names, from 0 to 1.
_MIN_SIMILARITY = 0.75
_MAX_SHOWN = 10


def find_unknown_names(environ: Mapping[str, str], ci: str) -> list[str]:
    """Return warnings about unknown variables and inputs.

    A warning suggests the option that was probably meant.

    Args:
        environ: The environment of the job.
        ci: The name of the CI system. Inputs are checked only if its runner passes them to containers.

    """
    warnings = _check_env_vars(environ)
    if ci in WITH_ACTIONS:
        warnings += _check_inputs(environ)
    return warnings


def _check_env_vars(environ: Mapping[str, str]) -> list[str]:
    known = {OVERRIDE_ENV_VAR, *(name for option in OPTIONS for name in (option.env_var, *option.env_var_aliases))}
    unknown = sorted(name for name in environ if name.startswith(_ENV_PREFIX) and name not in known)
    # Compared without the prefix, which would make all names similar.
    suffixes = [suffix for name in unknown if (suffix := name.removeprefix(_ENV_PREFIX)) and not _is_other_name(suffix)]
    known_suffixes = {name.removeprefix(_ENV_PREFIX) for name in known}
    suggestions: dict[str, str | None] = {}
    for suffix in suffixes:
        closest = _find_suggestion(suffix, known_suffixes)
        suggestions[f"{_ENV_PREFIX}{suffix}"] = None if closest is None else f"{_ENV_PREFIX}{closest}"
    return _format_warnings("variable", suggestions)


def _find_suggestion(name: str, known: Collection[str]) -> str | None:
    # Imported late, because most jobs have no unknown name.
    from autonoma_ci.config.suggestions import find_closest_match

    return find_closest_match(name, known, _MIN_SIMILARITY)


def _is_other_name(suffix: str) -> bool:
    """Return whether an output, build data or the vendor uses the name."""
    # Loaded only if there is such a name.
    from autonoma_ci.reports.outputs import OUTPUTS

    outputs = {output.name.upper().replace("-", "_") for output in OUTPUTS}
    with_suffix = tuple(f"{name}_" for name in (*(outputs - _OUTPUTS_WITHOUT_SUFFIX), *_BUILD_DATA_NAMES))
    return suffix in outputs | _VENDOR_NAMES or suffix in _BUILD_DATA_NAMES or suffix.startswith(with_suffix)


def _check_inputs(environ: Mapping[str, str]) -> list[str]:
    known = {name for option in OPTIONS for name in option.github_input_names}
    # In a step that runs a command, other programs can use such variables.
    is_action = any(name in environ for name in known if "-" in name)
    unknown = sorted(name for name in environ if name.startswith(_INPUT_PREFIX) and name not in known)
    names = [name.removeprefix(_INPUT_PREFIX).lower() for name in unknown]
    options = [option.name for option in OPTIONS]
    suggestions = {
        name: _find_suggestion(name.replace("_", "-"), options) for name in names if name and name not in _RUNNER_INPUTS
    }
    return _format_warnings("input", {name: option for name, option in suggestions.items() if option or is_action})


def _format_warnings(kind: str, suggestions: Mapping[str, str | None]) -> list[str]:
    warnings = [
        f"Unknown {kind}: {_format_names([name])}. Did you mean '{suggestion}'?"
        for name, suggestion in suggestions.items()
        if suggestion
    ]
    others = [name for name, suggestion in suggestions.items() if not suggestion]
    if others:
        reason = "No option has this name." if len(others) == 1 else "No options have these names."
        warnings.append(f"Unknown {kind if len(others) == 1 else f'{kind}s'}: {_format_names(others)}. {reason}")
    return warnings


def _format_names(names: Iterable[str]) -> str:
    names = list(names)
    shown = ", ".join(f"'{sanitize_line(name, 60)}'" for name in names[:_MAX_SHOWN])
    return shown + (f" and {len(names) - _MAX_SHOWN:,} more" if len(names) > _MAX_SHOWN else "")
