"""Settings from the command line and the environment.

An option can have several spellings. The first one with a value wins, and flags precede the environment.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from autonoma_ci.config.id_lists import APP_ORIGIN
from autonoma_ci.config.options import BUILD_FACT_OPTIONS, OPTIONS, Option
from autonoma_ci.config.parsers import (
    ASCII_WHITESPACE,
    UNRESOLVED_PATTERN,
    NamedId,
    find_variable_error,
    is_quoted,
    parse_variable_line,
    parse_variables,
    quote_name,
)
from autonoma_ci.errors import Diagnostic, InputError
from autonoma_ci.models import NO_VARIABLES, Conclusion, ExitReason, RunState, TargetKind
from autonoma_ci.redaction.redactor import WEAK_CREDENTIAL_LENGTH, Redactor, Secret, build_credential_redactors
from autonoma_ci.startup import NamedTuple, lazy_pattern
from autonoma_ci.urls import parse_origin

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from autonoma_ci.config.parsers import PathList, Shard
    from autonoma_ci.models import AppVersion
    from autonoma_ci.redaction.redactor import CredentialRedactors

# The value of `groups` that selects nothing. Groups can't have this name.
NO_GROUPS = "none"
_UNRESOLVED_REFERENCE_RE = lazy_pattern(UNRESOLVED_PATTERN)
# References that stay in place of a credential, by their form in messages. Azure Pipelines leaves `$(NAME)` for an
# unset variable, and GitLab leaves `$NAME`. The other forms belong to a different CI system than the job's.
_REFERENCE_FORMS = {
    "$(NAME)": UNRESOLVED_PATTERN,
    "${{ … }}": r"\$\{\{(?:(?!\}\}).)*\}\}",
    "${NAME}": r"\$\{[\w.]+(?::?-[^}]*)?\}",
    "$NAME": r"\$[A-Z_][A-Z0-9_]*",
    "%NAME%": r"%[A-Za-z_][\w.]*%",
    "{{ … }}": r"\{\{(?:(?!\}\}).)*\}\}",
    "<+…>": r"<\+[^>]*>",
}
# The first character of each form. Patterns are compiled only for a text that starts with one of these.
_REFERENCE_FIRST_CHARS = frozenset("$%{<")
# Words of every log of this program.
_COMMON_LOG_WORDS = " ".join(
    (*TargetKind, *RunState, *ExitReason, *Conclusion, "autonoma http https tests runs true false")
)
# The problem of a text that holds a credential.
CREDENTIAL_IN_FIELD = "holds a credential. Check which value is in which option."
# An error, because a step without its `groups`, `shard`, `wait` or `dry-run` would run something else.
_UNRESOLVED_MESSAGE = (
    "unresolved $(…). Define the variable in the pipeline, with an empty value if intended, or remove the option."
)
_WEAK_CREDENTIAL = "the value is very short or a common word, so the log shows *** instead of this word."
_WEAK_CREDENTIAL_HINT = "Outputs, files and exit code are correct. Check that the right value was copied."
_WAIT_ONLY_OPTIONS = frozenset({"timeout", "poll-interval", "retries", "on-flaky", "evidence"})
NO_SPELLINGS: Mapping[str, str] = MappingProxyType({})
_EVIDENCE_ONLY_OPTIONS = frozenset({"evidence-file-limit", "evidence-limit"})


class SecretReference(NamedTuple):
    """A reference such as `$(NAME)` in place of a value."""

    # The option as the user wrote it.
    spelling: str
    # A key of `_REFERENCE_FORMS`.
    form: str


NO_REFERENCES: Mapping[str, SecretReference] = MappingProxyType({})


class Settings(NamedTuple):
    """The values of all options of one job step.

    Options without a value are None or empty. Times are in seconds, sizes in bytes.
    """

    client_id: Secret | None = None
    client_secret: Secret | None = None
    api_url: str = ""
    test_ids: tuple[NamedId, ...] = ()
    folder_ids: tuple[NamedId, ...] = ()
    tag_ids: tuple[NamedId, ...] = ()
    manifest: str = ""
    groups: tuple[str, ...] = ()
    exclude_groups: tuple[str, ...] = ()
    # Patterns of names and ids.
    only: tuple[str, ...] = ()
    # `auto`, `all`, `@` with the path of a file, or paths.
    changed_files: str | PathList = "auto"
    failed_from: str = ""
    environment: str = ""
    # None means no limit.
    max_runs: int | None = None
    variables: Mapping[str, str] = NO_VARIABLES
    # Names and shell patterns. None means that the option is unset. It allows all names that do not look like secrets.
    allow_env: tuple[str, ...] | None = None
    application_version_id: str = ""
    application_versions: tuple[AppVersion, ...] = ()
    run_on_latest: bool = False
    source: str = ""
    sha: str = ""
    branch: str = ""
    change: str = ""
    build_url: str = ""
    concurrency: int = 8
    wait: bool = False
    timeout: float = 1800.0
    poll_interval: float | None = None
    retries: int = 0
    on_flaky: str = "pass"
    ignore_quarantine: bool = False
    fail_fast: bool = False
    allow_empty: bool = False
    on_missing_credentials: str = "fail"
    dry_run: bool = False
    # `auto` is the shard of this job among the CI system's parallel jobs.
    shard: Shard | Literal["auto"] | None = None
    part: str = ""
    results_dir: str = ""
    evidence: str = "none"
    evidence_file_limit: int = 30_000_000
    evidence_limit: int = 90_000_000
    summary: bool = True
    summary_title: str = ""
    comment: bool = False
    github_token: Secret | None = None
    gitlab_token: Secret | None = None
    publish: str = "now"
    verbose: bool = False
    wait_for_url: str = ""
    wait_for_url_timeout: float = 300.0
    # Names of the options that the user set.
    explicitly_set: frozenset[str] = frozenset()
    # How the user wrote each option that has a value, by option name.
    spellings: Mapping[str, str] = NO_SPELLINGS
    # How the user wrote each option whose value is empty, by option name.
    blank_options: Mapping[str, str] = NO_SPELLINGS
    # Credentials with a reference such as `$(NAME)` in place of a value, by option name. They count as empty.
    unresolved_references: Mapping[str, SecretReference] = NO_REFERENCES
    # Secrets that are set and not used: invalid ones, those of a weaker spelling, and quoted ones without the quotes.
    unused_secrets: tuple[Secret, ...] = ()
    # Messages for the log.
    warnings: tuple[str, ...] = ()

    @property
    def api_credentials(self) -> list[Secret]:
        """The client id and the client secret, without empty ones."""
        return [secret for secret in (self.client_id, self.client_secret) if secret]

    def resolve_shard(self, ci_shard: Shard | None) -> Shard | None:
        """Return the shard of this job, or None for the whole plan.

        Args:
            ci_shard: The shard of this job among the CI system's parallel jobs, or None. `auto` stands for it.
        """
        return ci_shard if self.shard == "auto" else self.shard

    @property
    def secrets(self) -> list[Secret]:
        """All credentials, used or not. Output must never show them."""
        candidates = (self.client_id, self.client_secret, self.github_token, self.gitlab_token, *self.unused_secrets)
        return [secret for secret in candidates if secret]

    @property
    def redactors(self) -> CredentialRedactors:
        """The redactors of all credentials."""
        return build_credential_redactors(tuple(self.secrets))

    @property
    def selects_nothing(self) -> bool:
        """Whether the option `groups` selects no runs."""
        return self.groups == (NO_GROUPS,)

    @property
    def fails_on_flaky(self) -> bool:
        """Whether a pass after a failure fails the job step."""
        return self.on_flaky == "fail"

    @property
    def stated_facts(self) -> dict[str, str]:
        """The facts of the build that options set, by field of BuildContext."""
        facts = {field: getattr(self, option.replace("-", "_")) for field, option in BUILD_FACT_OPTIONS.items()}
        return {field: text for field, text in facts.items() if text}

    def spelling_of(self, option: str) -> str:
        """Return how messages name an option.

        The result is the user's spelling, or the option's name if the user has not set it.
        """
        reference = self.unresolved_references.get(option)
        return (
            self.spellings.get(option)
            or self.blank_options.get(option)
            or (reference.spelling if reference else option)
        )

    def __repr__(self) -> str:
        return f"Settings(given: {', '.join(sorted(self.explicitly_set))})"


class OptionResolver:
    """Collects the options' values and every problem with them."""

    def __init__(self, flags: Mapping[str, str], environ: Mapping[str, str]) -> None:
        self.flags = flags
        self.environ = environ
        self.problems: list[Diagnostic] = []
        self.warnings: list[str] = []
        self.spellings: dict[str, str] = {}
        self.blank: dict[str, str] = {}
        self.unresolved: dict[str, SecretReference] = {}
        self.unused_secrets: list[Secret] = []
        # Spelling, text and problems of each option with an invalid value.
        self._invalid_values: list[tuple[str, str, list[Diagnostic]]] = []
        # The valid origins of links to the app.
        self._app_origins = {APP_ORIGIN}

    def _lookup(self, option: Option) -> tuple[str, str]:
        """Return an option's spelling and text, both empty without a value.

        Blank texts do not count, so a weaker spelling with text wins over them.
        """
        texts = [(option.flag, self.flags[option.name])] if option.name in self.flags else []
        texts += [
            (option.spelling_used(name), self.environ[name]) for name in option.all_env_names if name in self.environ
        ]
        result = "", ""
        for spelling, text in texts:
            stripped = text.strip(ASCII_WHITESPACE)
            if not stripped:
                self.blank.setdefault(option.name, spelling)
            elif option.is_credential and (form := _find_reference_form(stripped)):
                self.unresolved.setdefault(option.name, SecretReference(spelling, form))
                if form != "$(NAME)":
                    # The text may be a credential after all, so output must never show it.
                    self.unused_secrets.append(Secret(stripped))
            elif not result[0]:
                result = spelling, text
            elif option.is_credential:
                self.unused_secrets.append(Secret(stripped))
        return result

    def resolve(self, option: Option) -> object:
        """Return the value of an option, or None if it has none.

        Problems are collected in `problems`.
        """
        spelling, text = self._lookup(option)
        if spelling:
            self.spellings[option.name] = spelling
            if option.is_credential:
                self._check_credential(spelling, text)
            if not option.preserve_whitespace:
                text = text.strip(ASCII_WHITESPACE)
        if not text and not option.default:
            return None
        try:
            value = self._parse(option, spelling, text or option.default)
        except InputError as error:
            problems = [
                diagnostic._replace(message=f"{spelling}: {diagnostic.message}") for diagnostic in error.diagnostics
            ]
            self.problems += problems
            if option.is_credential:
                self.unused_secrets.append(Secret(text))
            elif option.parse is not parse_variables:
                # Values of variables can be credentials, but their problems never quote a value.
                self._invalid_values.append((spelling, text, problems))
            return None
        if option.name == "api-url" and (origin := parse_origin(str(value))):
            self._app_origins.add(origin)
        return value

    def _check_credential(self, spelling: str, text: str) -> None:
        """Warn about white space and quotes around a credential."""
        stripped = text.strip(ASCII_WHITESPACE)
        if text != stripped:
            self.warnings.append(f"{spelling}: white space around the value was removed.")
        if is_quoted(stripped) and len(stripped) > 2:
            self.warnings.append(f"{spelling}: quotes around the value are sent as written. Remove them.")
            self.unused_secrets.append(Secret(stripped[1:-1]))

    def _parse(self, option: Option, spelling: str, text: str) -> object:
        """Return the parsed value of a text.

        Raises:
            InputError: The text is invalid, or it is an unresolved reference.

        """
        if "$(" in text and _UNRESOLVED_REFERENCE_RE.fullmatch(text.strip(ASCII_WHITESPACE)):
            raise InputError([_UNRESOLVED_MESSAGE])
        if option.is_id_list:
            return option.parse(text, origins=self._app_origins)
        if option.parse is parse_variables:
            return option.parse(text, lambda warning: self.warnings.append(f"{spelling}: {warning}"))
        return option.parse(text)

    def hide_credentials(self, settings: Settings) -> Settings:
        """Return the settings without groups that hold a credential.

        Also replace the problems of invalid texts that hold a credential. Such a problem can quote a part of the text,
        such as all before a comma. Redaction does not recognize a part of a credential.
        """
        # Only a list with a comma can hold a credential in several parts.
        lists = {"groups": ",".join(settings.groups), "exclude-groups": ",".join(settings.exclude_groups)}
        if not self._invalid_values and not any("," in text for text in lists.values()):
            return settings
        redact = settings.redactors.of_long
        affected = [
            (spelling, problems) for spelling, text, problems in self._invalid_values if redact.contains_secret(text)
        ]
        for name in [name for name, text in lists.items() if "," in text and redact.contains_secret(text)]:
            affected.append((settings.spelling_of(name), []))
            cleared: dict[str, Any] = {name.replace("-", "_"): ()}
            settings = settings._replace(**cleared)
        for spelling, problems in affected:
            message = f"{spelling} {CREDENTIAL_IN_FIELD}"
            hidden = set(problems)
            self.problems = [*(problem for problem in self.problems if problem not in hidden), Diagnostic(message)]
        return settings

    def add_variables(self, texts: Sequence[str]) -> dict[str, str]:
        """Return the variables of `--var` texts.

        Problems and warnings are collected in `problems` and `warnings`.
        """
        variables = {}
        for text in texts:
            parsed = parse_variable_line(text)
            problem = None
            if "=" not in text:
                problem = "missing '='. Write --var NAME=value."
            elif parsed.error is not None:
                problem = parsed.error
            elif (error := find_variable_error(parsed.name, parsed.value)) is not None:
                problem = f"{quote_name(parsed.name)}: {error}"
            if problem is not None:
                # A name in another form may be a part of a secret, so the message never repeats it.
                self.problems.append(Diagnostic(f"--var: {problem}"))
            else:
                self.warnings += [f"--var: {warning}" for warning in parsed.warnings]
                variables[parsed.name] = parsed.value
        return variables


def load_settings(
    flags: Mapping[str, str], extra_variables: Sequence[str], environ: Mapping[str, str]
) -> tuple[Settings, list[Diagnostic]]:
    """Return a job step's settings and the problems of its options.

    An option with a problem has its default, so the caller can collect further problems.

    Args:
        flags: The texts of flags, by option name.
        extra_variables: The `NAME=value` texts of `--var`.
        environ: The environment variables.

    """
    resolver = OptionResolver(flags, environ)
    # The first option is api-url, because its origin makes links in lists of ids valid.
    options = sorted(OPTIONS, key=lambda option: option.name != "api-url")
    values: dict[str, Any] = {o.settings_field: value for o in options if (value := resolver.resolve(o)) is not None}
    if extra_variables:
        values["variables"] = {**values.get("variables", {}), **resolver.add_variables(extra_variables)}
    settings = Settings(
        **values,
        explicitly_set=frozenset(resolver.spellings),
        spellings=resolver.spellings,
        blank_options=resolver.blank,
        unresolved_references=resolver.unresolved,
        unused_secrets=tuple(resolver.unused_secrets),
    )
    settings = _drop_facts_with_credentials(resolver.hide_credentials(settings), resolver)
    if settings.application_versions and settings.run_on_latest:
        names = f"{settings.spelling_of('application-versions')} and {settings.spelling_of('run-on-latest')}"
        resolver.problems.append(Diagnostic(f"{names} exclude each other. Remove one."))
    return settings._replace(
        warnings=(*resolver.warnings, *_weak_secret_warning(settings), *_ineffective_option_warnings(settings))
    ), resolver.problems


def _drop_facts_with_credentials(settings: Settings, resolver: OptionResolver) -> Settings:
    """Return the settings without facts of the build that hold a credential.

    Each such fact is added to the problems of the resolver.
    """
    if not settings.stated_facts:
        return settings
    redact = settings.redactors.of_long
    leaking = [name for name, text in settings.stated_facts.items() if redact.contains_secret(text)]
    resolver.problems += [
        Diagnostic(f"{settings.spelling_of(BUILD_FACT_OPTIONS[name])} {CREDENTIAL_IN_FIELD}") for name in leaking
    ]
    cleared: dict[str, Any] = {BUILD_FACT_OPTIONS[name].replace("-", "_"): "" for name in leaking}
    return settings._replace(**cleared)


def load_options(
    options: Collection[Option], flags: Mapping[str, str], environ: Mapping[str, str]
) -> tuple[Settings, list[Diagnostic]]:
    """Return settings from only these options, and their problems."""
    env_names = {name for option in options for name in option.all_env_names}
    return load_settings(flags, (), {name: text for name, text in environ.items() if name in env_names})


def _weak_secret_warning(settings: Settings) -> list[str]:
    """Return a warning about credentials that match ordinary text."""
    names = ("client-id", "client-secret", "github-token", "gitlab-token")
    secrets = {name: secret for name in names if (secret := getattr(settings, name.replace("-", "_")))}
    weak = [
        name
        for name, secret in secrets.items()
        if len(secret.reveal()) < WEAK_CREDENTIAL_LENGTH or Redactor([secret]).contains_secret(_COMMON_LOG_WORDS)
    ]
    spellings = " and ".join(map(settings.spelling_of, weak))
    return [f"{spellings}: {_WEAK_CREDENTIAL} {_WEAK_CREDENTIAL_HINT}"] if weak else []


def _ineffective_option_warnings(settings: Settings) -> list[str]:
    """Return warnings about options that have no effect without another option."""
    provided = settings.explicitly_set - ({"evidence"} if settings.evidence == "none" else set())
    pairs = [(name, "wait") for name in sorted(_WAIT_ONLY_OPTIONS & provided) if not settings.wait]
    if settings.evidence == "none":
        pairs += [(name, "evidence") for name in sorted(_EVIDENCE_ONLY_OPTIONS & provided)]
    return [
        f"{settings.spelling_of(name)} has no effect {_explain_missing_option(settings, name, required)}."
        for name, required in pairs
    ]


def _explain_missing_option(settings: Settings, name: str, required: str) -> str:
    """Return why an option without its required option has no effect."""
    if required in settings.explicitly_set:
        return f"while {settings.spelling_of(required)} is {'false' if required == 'wait' else 'none'}"
    option = next(option for option in OPTIONS if option.name == required)
    spelling = settings.spelling_of(name)
    # The other option is named in the same notation as this one.
    return f"without {option.flag if spelling.startswith('--') else option.env_var if spelling.isupper() else required}"


def _find_reference_form(text: str) -> str | None:
    """Return the form of a reference, or None for another text.

    The text can be in quotes.
    """
    inner = text[1:-1] if is_quoted(text) else text
    if inner[:1] not in _REFERENCE_FIRST_CHARS:
        return None
    return next((form for form, pattern in _REFERENCE_FORMS.items() if re.fullmatch(pattern, inner, re.DOTALL)), None)
