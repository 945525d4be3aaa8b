"""What is wrong with the pair of credentials: one problem, with one cure that fits the cause."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autonoma_ci.config.options import OPTIONS
from autonoma_ci.errors import Diagnostic

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autonoma_ci.config.settings import SecretReference, Settings
    from autonoma_ci.models import BuildContext

_VARIABLES = {option.name: option.env_var for option in OPTIONS if option.name in {"client-id", "client-secret"}}
# What these systems leave of a variable that is not set, as a secret in a job that gets none.
# Source: Azure's documentation, "Define variables"; GitLab's, "Where variables can be used".
_OF_UNSET = {"azure": "$(NAME)", "gitlab": "$NAME"}
_ACTIONS = "and pass {them} as {inputs}"
# Where each CI system keeps secrets, by its name, and how a job gets them.
# Source: the documentation of each system.
_CURES = {
    "github": f"Add {{names}} under Settings > Secrets and variables > Actions, {_ACTIONS}",
    "gitea": f"Add {{names}} under Settings > Actions > Secrets, {_ACTIONS}",
    "forgejo": f"Add {{names}} under Settings > Actions > Secrets, {_ACTIONS}",
    "gitlab": "Add {names} under Settings > CI/CD > Variables, masked; a protected variable is only for protected "
    "branches",
    "jenkins": "Add {names} under Manage Jenkins > Credentials, and bind {them} with withCredentials",
    "azure": "Add {names} as secret variables of the pipeline or a variable group, and map {them} under `env:`",
    "circleci": "Add {names} under Project Settings > Environment Variables, or in a context of the job",
    "bitbucket": "Add {names} under Repository settings > Repository variables, secured",
    "buildkite": "Add {names} as Buildkite secrets and list {them} under `secrets:`, or export {them} in an agent hook",
    "teamcity": "Add {names} as parameters of type Password, such as env.AUTONOMA_CLIENT_ID",
    "travis": "Add {names} under Settings > Environment Variables, not shown in the log",
    "appveyor": "Add {names} as encrypted values under `environment: secure`",
    "woodpecker": "Add {names} under Settings > Secrets, and pass {them} with `from_secret`",
    "harness": 'Add {names} under Project Settings > Secrets, and pass {them} with <+secrets.getValue("…")>',
    "drone": "Add {names} under Settings > Secrets, and pass {them} with `from_secret`",
    "semaphore": "Add a secret with {names}, and list it under `secrets:` of the block",
    "bitrise": "Add {names} in the Workflow Editor under Secrets",
    "codefresh": "Add {names} as encrypted variables of the pipeline, or in a shared configuration",
    "codebuild": "Add {names} to AWS Secrets Manager, and map {them} under `env: secrets-manager`",
    "cloudbuild": "Add {names} to Secret Manager, and map {them} under `availableSecrets` and `secretEnv`",
    "ci": "Add {names} to the secrets of the CI system, and pass {them} to the job",
    # Source: docs.autonoma.app, "API Overview".
    "cli": "Create client id and secret in Autonoma under the account's API settings, then type: export {values}",
}


def may_skip_without_credentials(settings: Settings, context: BuildContext) -> bool:
    """Return whether credentials are missing in a way that may be meant.

    A reference in the form of another CI system never is.
    """
    missing, usual = _missing(settings), _OF_UNSET.get(context.ci_name)
    references = [settings.unresolved_references[name] for name in missing if name in settings.unresolved_references]
    return bool(missing) and all(reference.form == usual for reference in references)


def describe_unresolved(references: Sequence[SecretReference]) -> str:
    """Return what is wrong with options that hold references in place of values."""
    named = " and ".join(reference.spelling for reference in references)
    held = "holds a reference" if len(references) == 1 else "hold references"
    why = "the variable is not set, or this CI system writes references in another way"
    return f"{named} {held} such as {references[0].form} in place of a value: {why}"


def _missing(settings: Settings) -> list[str]:
    return [name for name in _VARIABLES if name not in settings.explicitly_set]


def describe_missing_credentials(settings: Settings, context: BuildContext) -> str:
    """Return the likely cause of missing credentials, in the words of this job."""
    missing = _missing(settings)
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
        (other,) = _VARIABLES.keys() - missing
        return f"only {settings.spelling_of(other)} is set"
    return "they are not set here"


def find_credential_errors(settings: Settings, context: BuildContext) -> list[Diagnostic]:
    """Return what is wrong with the credentials: one problem with its cure, or none."""
    if missing := _missing(settings):
        verb = "is" if len(missing) == 1 else "are"
        text = f"{' and '.join(missing)} {verb} missing: {describe_missing_credentials(settings, context)}"
        return [Diagnostic(f"{text}. {_cure(missing, context)}.")]
    client_id, secret = settings.client_id, settings.client_secret
    if client_id and secret and client_id.reveal() == secret.reveal():
        both = " and ".join(map(settings.spelling_of, _VARIABLES))
        return [Diagnostic(f"{both} have the same value: copy both from Autonoma again, each into its own variable.")]
    return []


def _cure(missing: list[str], context: BuildContext) -> str:
    skip = "set on-missing-credentials to skip, so that the step is skipped"
    if context.secrets_withheld_from == "fork":
        return skip[0].upper() + skip[1:]
    variables = [_VARIABLES[name] for name in missing]
    names = " and ".join(variables)
    if context.secrets_withheld_from == "dependabot":
        return f"Add {names} under Settings > Secrets and variables > Dependabot, or {skip}"
    inputs = f"the {'input' if len(missing) == 1 else 'inputs'} {' and '.join(missing)}"
    them = "it" if len(missing) == 1 else "them"
    cure = _CURES.get(context.ci_name, _CURES["ci"])
    # A cure can have braces of its own.
    for field, text in (("names", names), ("them", them), ("inputs", inputs)):
        cure = cure.replace(f"{{{field}}}", text)
    return cure.replace("{values}", " ".join(f"{name}=…" for name in variables))
