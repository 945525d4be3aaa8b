"""Explain missing, empty or equal credentials, with fixes for each CI system."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.config.options import OPTIONS
from autonoma_ci.errors import Diagnostic
from autonoma_ci.models import UntrustedSource

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autonoma_ci.ci.base import CISystem
    from autonoma_ci.config.settings import SecretReference, Settings
    from autonoma_ci.models import BuildContext

_CREDENTIAL_ENV_VARS = {
    option.name: option.env_var for option in OPTIONS if option.name in {"client-id", "client-secret"}
}


def can_skip_for_missing_credentials(settings: Settings, system: CISystem) -> bool:
    """Return whether the job step may be skipped for missing credentials.

    A reference in the syntax of another CI system is always a mistake, so the result is then False.
    """
    missing = _missing_options(settings)
    references = [settings.unresolved_references[name] for name in missing if name in settings.unresolved_references]
    return bool(missing) and all(reference.form == system.unset_reference for reference in references)


def describe_unresolved(references: Sequence[SecretReference]) -> str:
    """Return the error for options that are references instead of values."""
    named = " and ".join(reference.spelling for reference in references)
    verb = "has" if len(references) == 1 else "have"
    reason = "the variable is not set, or the syntax is of another CI system"
    return f"{named} {verb} an unresolved reference such as {references[0].form}: {reason}"


def _missing_options(settings: Settings) -> list[str]:
    return [name for name in _CREDENTIAL_ENV_VARS if name not in settings.explicitly_set]


def describe_missing_credentials(settings: Settings, context: BuildContext) -> str:
    """Return the likely cause of missing credentials."""
    missing = _missing_options(settings)
    if context.secrets_withheld_from is UntrustedSource.FORK:
        return "a job for a change from a fork gets no secrets"
    if context.secrets_withheld_from is UntrustedSource.DEPENDABOT:
        return "a job for a change by Dependabot gets only Dependabot secrets"
    if unresolved := [
        settings.unresolved_references[name] for name in missing if name in settings.unresolved_references
    ]:
        return describe_unresolved(unresolved)
    blank = [settings.blank_options[name] for name in missing if name in settings.blank_options]
    if blank == missing:
        value = "the value is" if len(missing) == 1 else "the values are"
        return f"{value} empty, as with a secret that is not set"
    if blank:
        verb = "is" if len(blank) == 1 else "are"
        return f"{' and '.join(blank)} {verb} empty, as with a secret that is not set"
    if len(missing) == 1:
        (other,) = _CREDENTIAL_ENV_VARS.keys() - missing
        return f"only {settings.spelling_of(other)} is set"
    return "no value is set"


def find_credential_errors(settings: Settings, system: CISystem, context: BuildContext) -> list[Diagnostic]:
    """Return at most one error in the credentials, with its fix on this CI system."""
    if missing := _missing_options(settings):
        verb = "is" if len(missing) == 1 else "are"
        text = f"{' and '.join(missing)} {verb} missing: {describe_missing_credentials(settings, context)}"
        return [Diagnostic(f"{text}. {_suggest_fix(missing, system, context)}.")]
    client_id, secret = settings.client_id, settings.client_secret
    if client_id and secret and client_id.reveal() == secret.reveal():
        both = " and ".join(map(settings.spelling_of, _CREDENTIAL_ENV_VARS))
        return [Diagnostic(f"{both} have the same value. Copy each from Autonoma into its own variable.")]
    return []


def _suggest_fix(missing: list[str], system: CISystem, context: BuildContext) -> str:
    skip = "set on-missing-credentials to skip"
    if context.secrets_withheld_from is UntrustedSource.FORK:
        return skip[0].upper() + skip[1:]
    variables = [_CREDENTIAL_ENV_VARS[name] for name in missing]
    names = " and ".join(variables)
    if context.secrets_withheld_from is UntrustedSource.DEPENDABOT:
        return f"Add {names} under Settings > Secrets and variables > Dependabot, or {skip}"
    inputs = f"the {'input' if len(missing) == 1 else 'inputs'} {' and '.join(missing)}"
    pronoun = "it" if len(missing) == 1 else "them"
    fix = system.secrets_help
    # Not `str.format`, because a fix can contain other braces.
    for field, text in (("names", names), ("pronoun", pronoun), ("inputs", inputs)):
        fix = fix.replace(f"{{{field}}}", text)
    return fix.replace("{values}", " ".join(f"{name}=…" for name in variables))
