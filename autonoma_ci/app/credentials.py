"""Explain missing, empty or equal credentials, with fixes for each CI system."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.config.options import OPTIONS
from autonoma_ci.errors import Diagnostic

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autonoma_ci.config.settings import SecretReference, Settings
    from autonoma_ci.models import BuildContext

_CREDENTIAL_ENV_VARS = {
    option.name: option.env_var for option in OPTIONS if option.name in {"client-id", "client-secret"}
}
# The text that these systems pass for an unset variable, for example for a secret in a job without secrets.
# Source: Azure's documentation, "Define variables"; GitLab's, "Where variables can be used".
_UNSET_REFERENCES = {"azure": "$(NAME)", "gitlab": "$NAME"}
_AS_INPUTS = "and pass {pronoun} as {inputs}"
# Where each CI system stores secrets, and how to pass them to a job.
# Source: the documentation of each system.
_FIX_BY_CI_NAME = {
    "github": f"Add {{names}} under Settings > Secrets and variables > Actions, {_AS_INPUTS}",
    "gitea": f"Add {{names}} under Settings > Actions > Secrets, {_AS_INPUTS}",
    "forgejo": f"Add {{names}} under Settings > Actions > Secrets, {_AS_INPUTS}",
    "gitlab": "Add {names} under Settings > CI/CD > Variables, masked; a protected variable is only for protected "
    "branches",
    "jenkins": "Add {names} under Manage Jenkins > Credentials, and bind {pronoun} with withCredentials",
    "azure": "Add {names} as secret variables of the pipeline or a variable group, and map {pronoun} under `env:`",
    "circleci": "Add {names} under Project Settings > Environment Variables, or in a context of the job",
    "bitbucket": "Add {names} under Repository settings > Repository variables, secured",
    "buildkite": "Add {names} as Buildkite secrets and list {pronoun} under `secrets:`, or export {pronoun} in an "
    "agent hook",
    "teamcity": "Add {names} as parameters of type Password, such as env.AUTONOMA_CLIENT_ID",
    "travis": "Add {names} under Settings > Environment Variables, not shown in the log",
    "appveyor": "Add {names} as encrypted values under `environment: secure`",
    "woodpecker": "Add {names} under Settings > Secrets, and pass {pronoun} with `from_secret`",
    "harness": 'Add {names} under Project Settings > Secrets, and pass {pronoun} with <+secrets.getValue("…")>',
    "drone": "Add {names} under Settings > Secrets, and pass {pronoun} with `from_secret`",
    "semaphore": "Add a secret with {names}, and list it under `secrets:` of the block",
    "bitrise": "Add {names} in the Workflow Editor under Secrets",
    "codefresh": "Add {names} as encrypted variables of the pipeline, or in a shared configuration",
    "codebuild": "Add {names} to AWS Secrets Manager, and map {pronoun} under `env: secrets-manager`",
    "cloudbuild": "Add {names} to Secret Manager, and map {pronoun} under `availableSecrets` and `secretEnv`",
    "ci": "Add {names} to the secrets of the CI system, and pass {pronoun} to the job",
    # Source: docs.autonoma.app, "API Overview".
    "cli": "Create client id and secret in Autonoma under the account's API settings, then type: export {values}",
}


def can_skip_for_missing_credentials(settings: Settings, context: BuildContext) -> bool:
    """Return whether the job step may be skipped for missing credentials.

    A reference in the syntax of another CI system is always a mistake, so the result is then False.
    """
    missing, unset_reference = _missing_options(settings), _UNSET_REFERENCES.get(context.ci_name)
    references = [settings.unresolved_references[name] for name in missing if name in settings.unresolved_references]
    return bool(missing) and all(reference.form == unset_reference for reference in references)


def describe_unresolved(references: Sequence[SecretReference]) -> str:
    """Return the error for options that are references instead of values."""
    named = " and ".join(reference.spelling for reference in references)
    verb = "holds a reference" if len(references) == 1 else "hold references"
    reason = "the variable is not set, or this CI system writes references in another way"
    return f"{named} {verb} such as {references[0].form} in place of a value: {reason}"


def _missing_options(settings: Settings) -> list[str]:
    return [name for name in _CREDENTIAL_ENV_VARS if name not in settings.explicitly_set]


def describe_missing_credentials(settings: Settings, context: BuildContext) -> str:
    """Return the likely cause of missing credentials."""
    missing = _missing_options(settings)
    if context.secrets_withheld_from == "fork":
        return "this change comes from a fork, and such a job gets no secrets"
    if context.secrets_withheld_from == "dependabot":
        return "this change is Dependabot's, and such a job gets only Dependabot secrets"
    if unresolved := [
        settings.unresolved_references[name] for name in missing if name in settings.unresolved_references
    ]:
        return describe_unresolved(unresolved)
    blank = [settings.blank_options[name] for name in missing if name in settings.blank_options]
    if blank == missing:
        value = "the value is" if len(missing) == 1 else "the values are"
        return f"{value} empty, and a secret that is not set arrives empty"
    if blank:
        verb = "is" if len(blank) == 1 else "are"
        return f"{' and '.join(blank)} {verb} empty, and a secret that is not set arrives empty"
    if len(missing) == 1:
        (other,) = _CREDENTIAL_ENV_VARS.keys() - missing
        return f"only {settings.spelling_of(other)} is set"
    return "they are not set here"


def find_credential_errors(settings: Settings, context: BuildContext) -> list[Diagnostic]:
    """Return at most one error in the credentials, with its fix."""
    if missing := _missing_options(settings):
        verb = "is" if len(missing) == 1 else "are"
        text = f"{' and '.join(missing)} {verb} missing: {describe_missing_credentials(settings, context)}"
        return [Diagnostic(f"{text}. {_suggest_fix(missing, context)}.")]
    client_id, secret = settings.client_id, settings.client_secret
    if client_id and secret and client_id.reveal() == secret.reveal():
        both = " and ".join(map(settings.spelling_of, _CREDENTIAL_ENV_VARS))
        return [Diagnostic(f"{both} have the same value: copy both from Autonoma again, each into its own variable.")]
    return []


def _suggest_fix(missing: list[str], context: BuildContext) -> str:
    skip = "set on-missing-credentials to skip, so that the step is skipped"
    if context.secrets_withheld_from == "fork":
        return skip[0].upper() + skip[1:]
    variables = [_CREDENTIAL_ENV_VARS[name] for name in missing]
    names = " and ".join(variables)
    if context.secrets_withheld_from == "dependabot":
        return f"Add {names} under Settings > Secrets and variables > Dependabot, or {skip}"
    inputs = f"the {'input' if len(missing) == 1 else 'inputs'} {' and '.join(missing)}"
    pronoun = "it" if len(missing) == 1 else "them"
    fix = _FIX_BY_CI_NAME.get(context.ci_name, _FIX_BY_CI_NAME["ci"])
    # Not `str.format`, because a fix can contain other braces.
    for field, text in (("names", names), ("pronoun", pronoun), ("inputs", inputs)):
        fix = fix.replace(f"{{{field}}}", text)
    return fix.replace("{values}", " ".join(f"{name}=…" for name in variables))
