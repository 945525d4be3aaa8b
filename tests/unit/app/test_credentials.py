"""Tests of errors in the credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from autonoma_ci.app.credentials import (
    can_skip_for_missing_credentials,
    describe_missing_credentials,
    describe_unresolved,
    find_credential_errors,
)
from autonoma_ci.ci.base import CISystem
from autonoma_ci.ci.detection import DETECTION_RULES, load_system
from autonoma_ci.config.settings import SecretReference, load_settings
from autonoma_ci.models import BuildContext, UntrustedSource

if TYPE_CHECKING:
    from collections.abc import Mapping

BOTH = "client-id and client-secret are missing: "
FORK, DEPENDABOT = UntrustedSource.FORK, UntrustedSource.DEPENDABOT
ID, SECRET = "AUTONOMA_CLIENT_ID", "AUTONOMA_CLIENT_SECRET"
SYSTEMS = {row.name: load_system(row) for row in DETECTION_RULES}
LOCAL = SYSTEMS["cli"]


class OtherSystem(CISystem):
    """A CI system with nothing but its name."""

    def build_context(self, environ: Mapping[str, str]) -> BuildContext:
        """Return the name alone."""
        return BuildContext(ci_name="other")


def get_credential_error(
    environ: dict[str, str], ci: str = "gitlab", withheld_from: UntrustedSource | None = None
) -> str:
    """Return the only error about the credentials."""
    settings, problems = load_settings({}, (), environ)
    assert not problems
    system = SYSTEMS.get(ci, OtherSystem())
    (problem,) = find_credential_errors(settings, system, BuildContext(ci, secrets_withheld_from=withheld_from))
    return str(problem)


@pytest.mark.parametrize(
    ("environ", "ci", "withheld_from", "cause", "fix"),
    [
        ({}, "github", FORK, f"{BOTH}a job for a change from a fork", "Set on-missing-credentials to skip"),
        ({}, "gitlab", FORK, f"{BOTH}a job for a change from a fork", "Set on-missing-credentials to skip"),
        ({}, "github", DEPENDABOT, f"{BOTH}a job for a change by Dependabot", "Secrets and variables > Dependabot"),
        ({}, "github", None, f"{BOTH}no value is set.", "Secrets and variables > Actions"),
        ({}, "gitlab", None, f"{BOTH}no value is set.", "Settings > CI/CD > Variables, masked"),
        ({}, "jenkins", None, f"{BOTH}no value is set.", "Manage Jenkins > Credentials"),
        ({}, "ci", None, f"{BOTH}no value is set.", "the secrets of the CI system"),
        ({}, "cli", None, f"{BOTH}no value is set.", f"Run `export {ID}=… {SECRET}=…`"),
        ({"INPUT_CLIENT-ID": "", "INPUT_CLIENT-SECRET": ""}, "github", None, f"{BOTH}the values are empty", "Actions"),
        ({ID: "", SECRET: " "}, "gitlab", None, f"{BOTH}{ID} and {SECRET} are empty", "masked"),
        ({"INPUT_CLIENT-ID": ""}, "github", None, f"{BOTH}client-id is empty, as with a secret", "Actions"),
        (
            {ID: f"$({ID})", SECRET: "$(SECRET)"}, "azure", None,
            f"{BOTH}{ID} and {SECRET} have an unresolved reference such as $(NAME)", "map them under `env:`",
        ),
        ({ID: "an-id"}, "gitlab", None, f"client-secret is missing: only {ID} is set.", f"Add {SECRET} under"),
        ({SECRET: "a-secret"}, "cli", None, f"client-id is missing: only {SECRET} is set.", f"Run `export {ID}=…`"),
        ({"AUTONOMA_SECRET_ID": "a-secret"}, "cli", None, "client-id is missing: only AUTONOMA_SECRET_ID is set.", ID),
        ({ID: "an-id", SECRET: ""}, "gitlab", None, f"client-secret is missing: {SECRET} is empty", f"Add {SECRET}"),
    ],
)  # fmt: skip
def test_missing_credentials_are_one_error(
    environ: dict[str, str], ci: str, withheld_from: UntrustedSource | None, cause: str, fix: str
) -> None:
    """The error names first the cause and then the fix."""
    text = get_credential_error(environ, ci, withheld_from)
    assert text.startswith(cause)
    assert fix in text
    assert text.count("is missing") + text.count("are missing") == 1


@pytest.mark.parametrize("ci", sorted(SYSTEMS))
def test_each_system_has_own_advice(ci: str) -> None:
    """Each CI system stores secrets in another place."""
    text = get_credential_error({}, ci)
    assert ID in text
    assert SECRET in text
    assert not {"{names}", "{them}", "{inputs}", "{values}"} & set(text.split())
    other_errors = [
        get_credential_error({}, other) for other in SYSTEMS.keys() - {ci, "gitea", "forgejo", "drone", "woodpecker"}
    ]
    assert text not in other_errors


def test_equal_id_and_secret_are_refused() -> None:
    """One was copied into both options, and the API would explain less."""
    text = get_credential_error({ID: "sentinel-of-both", "INPUT_CLIENT-SECRET": "sentinel-of-both"})
    assert text.startswith(f"{ID} and client-secret have the same value. Copy each from Autonoma")
    assert "sentinel" not in text


@pytest.mark.parametrize("secret", ["s3cret-value", "AN-ID", "an-id "])
def test_credentials_with_values_have_no_error(secret: str) -> None:
    """Two different values are valid."""
    settings, _ = load_settings({}, (), {ID: "an-id-", SECRET: secret})
    assert find_credential_errors(settings, LOCAL, BuildContext()) == []


@pytest.mark.parametrize(
    ("environ", "input_names"),
    [
        ({ID: "an-id"}, "it as the input client-secret"),
        ({SECRET: "s3cret-value"}, "it as the input client-id"),
        ({}, "them as the inputs client-id and client-secret"),
    ],
)
def test_action_advice_names_inputs(environ: dict[str, str], input_names: str) -> None:
    """On systems with actions the advice names the missing inputs."""
    for ci in ("github", "gitea", "forgejo"):
        assert get_credential_error(environ, ci).endswith(f", and pass {input_names}.")


def test_harness_advice_has_reference_syntax() -> None:
    """The expression of Harness stays as it is beside the replaced fields."""
    assert get_credential_error({}, "harness").endswith('and pass them with <+secrets.getValue("…")>.')


def test_unnamed_system_has_general_advice() -> None:
    """A system without advice of its own has the advice for any CI system."""
    assert get_credential_error({}, "other") == get_credential_error({}, "ci")


@pytest.mark.parametrize(
    ("environ", "names"),
    [({}, f"{ID} and {SECRET}"), ({ID: "an-id"}, SECRET), ({SECRET: "s3cret-value"}, ID)],
)
def test_dependabot_advice_names_variables(environ: dict[str, str], names: str) -> None:
    """Secrets of Dependabot are separate, and skipping is the other way."""
    assert get_credential_error(environ, "github", DEPENDABOT).endswith(
        f"Add {names} under Settings > Secrets and variables > Dependabot, or set on-missing-credentials to skip."
    )


def test_fork_explanation_precedes_values() -> None:
    """In a change of a fork empty values and references have the same cause."""
    for text in ("", "$(NAME)"):
        error = get_credential_error({ID: text, SECRET: text}, "azure", FORK)
        assert error.startswith(f"{BOTH}a job for a change from a fork gets no secrets.")
        assert "Add " not in error


def test_error_never_shows_set_credential() -> None:
    """The error about a missing secret hides the id that is set."""
    for withheld_from in (None, *UntrustedSource):
        assert "s3cret-value" not in get_credential_error({ID: "s3cret-value"}, "github", withheld_from)


# Causes


@pytest.mark.parametrize(
    ("environ", "cause"),
    [
        ({}, "no value is set"),
        ({ID: "an-id"}, f"only {ID} is set"),
        ({"INPUT_CLIENT-SECRET": "s3cret-value"}, "only client-secret is set"),
        ({ID: "an-id", "INPUT_CLIENT-SECRET": " "}, "the value is empty, as with a secret that is not set"),
        (
            {"INPUT_CLIENT-ID": "", "INPUT_CLIENT-SECRET": ""},
            "the values are empty, as with a secret that is not set",
        ),
        ({SECRET: ""}, f"{SECRET} is empty, as with a secret that is not set"),
    ],
)
def test_missing_credentials_cause(environ: dict[str, str], cause: str) -> None:
    """The cause distinguishes empty values from missing variables."""
    settings, _ = load_settings({}, (), environ)
    assert describe_missing_credentials(settings, BuildContext()) == cause


@pytest.mark.parametrize(
    ("environ", "expected_start"),
    [
        ({ID: "$(X)"}, f"{ID} has an unresolved reference such as $(NAME)"),
        ({ID: "$(X)", SECRET: ""}, f"{ID} has an unresolved reference such as $(NAME)"),
        ({ID: "an-id", SECRET: "%X%"}, f"{SECRET} has an unresolved reference such as %NAME%"),
        ({ID: "${X}", SECRET: "$X"}, f"{ID} and {SECRET} have an unresolved reference such as ${{NAME}}"),
    ],
)
def test_reference_explanation_names_variables(environ: dict[str, str], expected_start: str) -> None:
    """A reference in place of a value is a stronger hint than an empty value."""
    settings, _ = load_settings({}, (), environ)
    assert describe_missing_credentials(settings, BuildContext()).startswith(f"{expected_start}: ")


def test_reference_explanation_shows_no_value() -> None:
    """Only the form of the reference is shown, because the text can be a credential."""
    settings, _ = load_settings({}, (), {SECRET: "$S3CRET_VALUE"})
    assert "S3CRET" not in describe_missing_credentials(settings, BuildContext())


def test_unresolved_references_are_joined() -> None:
    """Several options share one sentence with the form of the first."""
    references = [SecretReference("--client-id", "$(NAME)"), SecretReference("github-token", "$NAME")]
    assert describe_unresolved(references) == (
        "--client-id and github-token have an unresolved reference such as $(NAME): the variable is not set, or "
        "the syntax is of another CI system"
    )


# Skipping


@pytest.mark.parametrize(
    ("ci", "environ", "may_skip"),
    [
        ("github", {}, True),
        ("github", {ID: "", SECRET: ""}, True),
        ("github", {ID: "an-id"}, True),
        ("github", {ID: "an-id", SECRET: "s3cret-value"}, False),
        ("github", {ID: "an-id", SECRET: "an-id"}, False),
        ("azure", {ID: "$(NAME)", SECRET: "$(OTHER)"}, True),
        ("azure", {ID: "$(NAME)", SECRET: ""}, True),
        ("azure", {ID: "$(NAME)", SECRET: "$OTHER"}, False),
        ("azure", {ID: "an-id", SECRET: "$OTHER"}, False),
        ("gitlab", {ID: "$NAME", SECRET: "$OTHER"}, True),
        ("gitlab", {ID: "$(NAME)", SECRET: "$(OTHER)"}, False),
        ("github", {ID: "$NAME"}, False),
        ("cli", {SECRET: "%NAME%"}, False),
    ],
)
def test_skip_needs_unset_credential(ci: str, environ: dict[str, str], may_skip: bool) -> None:
    """A reference of another system is a mistake and never a reason to skip."""
    settings, _ = load_settings({}, (), environ)
    assert can_skip_for_missing_credentials(settings, SYSTEMS[ci]) is may_skip
