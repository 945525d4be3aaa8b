"""From the command line and the environment to Settings: the first spelling that is given wins."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from autonoma_ci.errors import InputError, Problem
from autonoma_ci.model import NO_VARIABLES, Conclusion, Kind, Reason, State
from autonoma_ci.options import OPTIONS, Option
from autonoma_ci.secret import Redactor
from autonoma_ci.text import one_line
from autonoma_ci.values import SPACE, Entry, bad_variable, credential, is_plain_name, shown

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from autonoma_ci.model import AppVersion
    from autonoma_ci.secret import Secret
    from autonoma_ci.spans import Shard

_PREFIX = "AUTONOMA_"
# Variables of ours that are no options: the override of the detection, and what looks like an option
# among the outputs that an earlier step may have left in the environment.
OURS = frozenset(
    f"{_PREFIX}{name}" for name in ("CI", "RUN_ID", "RUN_IDS", "RUN_URL", "RUN_URLS", "RESULTS", "STARTED", "TOTAL")
)
# What Azure Pipelines hands over for a variable that is not set, such as a secret in a pull request from a fork.
_NOT_FILLED_IN = re.compile(r"\$\([\w.-]+\)")
# Words that no log of ours can do without, and a length at which any text has a value by accident.
_EVERYDAY = " ".join((*Kind, *State, *Reason, *Conclusion, "autonoma http https tests runs true false"))
_SHORT = 6
_OF_WAIT = frozenset({"timeout", "poll-interval", "retries", "evidence"})
_OF_EVIDENCE = frozenset({"evidence-file-limit", "evidence-limit"})


class Settings(NamedTuple):
    """What the user asked for; a field per option, None or empty where it was not given.

    Times are in seconds, sizes in bytes. `given` names the options that somebody set, `warnings` are for the log.
    """

    client_id: Secret | None = None
    client_secret: Secret | None = None
    api_url: str = ""
    test_ids: tuple[Entry, ...] = ()
    folder_ids: tuple[Entry, ...] = ()
    tag_ids: tuple[Entry, ...] = ()
    manifest: str = ""
    groups: tuple[str, ...] = ()
    variables: Mapping[str, str] = NO_VARIABLES
    # Names and shell patterns. None, if the option is not given, allows all names that do not look like secrets.
    allow_env: tuple[str, ...] | None = None
    application_version_id: str = ""
    application_versions: tuple[AppVersion, ...] = ()
    run_on_latest: bool = False
    source: str = ""
    concurrency: int = 8
    wait: bool = False
    timeout: float = 1800.0
    poll_interval: float | None = None
    retries: int = 0
    fail_fast: bool = False
    allow_empty: bool = False
    on_missing_credentials: str = "fail"
    dry_run: bool = False
    shard: Shard | None = None
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
    wait_for_url: str = ""
    wait_for_url_timeout: float = 300.0
    given: frozenset[str] = frozenset()
    warnings: tuple[str, ...] = ()

    @property
    def secrets(self) -> list[Secret]:
        """All credentials: what must never be shown."""
        found = (self.client_id, self.client_secret, self.github_token, self.gitlab_token)
        return [secret for secret in found if secret]

    def __repr__(self) -> str:
        return f"Settings(given: {', '.join(sorted(self.given))})"


class Reader:
    """Collects the options' values and every problem with them."""

    def __init__(self, flags: Mapping[str, str], environ: Mapping[str, str]) -> None:
        self.flags = flags
        self.environ = environ
        self.problems: list[Problem] = []
        self.warnings: list[str] = []
        self.given: set[str] = set()

    def raw(self, option: Option) -> tuple[str, str]:
        """Return the option's text and the spelling it came by; an empty text is the same as none."""
        texts = [(option.flag, self.flags.get(option.name, ""))]
        texts += [(name, self.environ.get(name, "")) for name in (*option.inputs, option.variable)]
        for spelling, text in texts:
            if text.strip(SPACE) and not _NOT_FILLED_IN.fullmatch(text.strip(SPACE)):
                return spelling, text
        return "", ""

    def value(self, option: Option) -> object:
        """Return the option's value, or None where it has none; problems are kept for later."""
        spelling, text = self.raw(option)
        if spelling:
            self.given.add(option.name)
            if not option.exact:
                if option.parse is credential and text != text.strip(SPACE):
                    self.warnings.append(f"{spelling} has white space around it; it was removed.")
                text = text.strip(SPACE)
        elif not option.default:
            return None
        try:
            return option.parse(text or option.default)
        except InputError as error:
            self.problems += [Problem(f"{spelling}: {problem}") for problem in error.problems]
            return None


def read(
    flags: Mapping[str, str], extra_variables: Sequence[str], environ: Mapping[str, str]
) -> tuple[Settings, list[Problem]]:
    """Return the settings and what is wrong with them; `extra_variables` are the `NAME=value` of `--var`.

    Where a problem is told, the setting has its default: the caller goes on to find the other problems.
    """
    reader = Reader(flags, environ)
    found: dict[str, Any] = {o.field: value for o in OPTIONS if (value := reader.value(o)) is not None}
    variables = dict(found.get("variables", {}))
    for text in extra_variables:
        name, equals, value = text.partition("=")
        if not equals:
            reader.problems.append(Problem("--var takes NAME=value, and one was given without '='"))
        elif why := bad_variable(name, value):
            # A name of another form may be a part of a secret, so it is not repeated.
            told = f" {shown(name)}" if is_plain_name(name) else ""
            reader.problems.append(Problem(f"--var{told}: {why}"))
        variables[name] = value
    if extra_variables:
        found["variables"] = variables
    reader.warnings += list(_near_misses(environ))
    settings = Settings(**found, given=frozenset(reader.given))
    if settings.application_versions and settings.run_on_latest:
        reader.problems.append(Problem("application-versions and run-on-latest exclude each other: give one of them"))
    return settings._replace(
        warnings=(*reader.warnings, *_everyday(settings), *_without_effect(settings))
    ), reader.problems


def read_some(
    options: Collection[Option], flags: Mapping[str, str], environ: Mapping[str, str]
) -> tuple[Settings, list[Problem]]:
    """Return the settings of a command that has only these options, and what is wrong with them."""
    ours = {name for option in options for name in (*option.inputs, option.variable)}
    return read(flags, (), {name: text for name, text in environ.items() if name in ours})


def _everyday(settings: Settings) -> list[str]:
    """Say once that a credential is no secret that could be told from other text."""
    names = ("client-id", "client-secret", "github-token", "gitlab-token")
    given = {name: secret for name in names if (secret := getattr(settings, name.replace("-", "_")))}
    common = [
        name for name, secret in given.items() if len(secret.reveal()) < _SHORT or Redactor([secret]).holds(_EVERYDAY)
    ]
    why = "very short, or a word that every log has: there it shows as ***. Outputs, files and exit code are right."
    return [f"{' and '.join(common)}: the value is {why} Was the right one copied?"] if common else []


def _without_effect(settings: Settings) -> list[str]:
    asked = settings.given - ({"evidence"} if settings.evidence == "none" else set())
    warnings = [f"{name} has no effect without wait." for name in sorted(_OF_WAIT & asked) if not settings.wait]
    if "wait-for-url-timeout" in settings.given and not settings.wait_for_url:
        warnings.append("wait-for-url-timeout has no effect without wait-for-url.")
    if settings.evidence == "none":
        warnings += [f"{name} has no effect without evidence." for name in sorted(_OF_EVIDENCE & asked)]
    return warnings


def _near_misses(environ: Mapping[str, str]) -> list[str]:
    known = {option.variable for option in OPTIONS}
    unknown = sorted(name for name in environ if name.startswith(_PREFIX) and name not in known | OURS)
    # What all have in common would make any two of them look alike.
    ends = {name.removeprefix(_PREFIX) for name in known}
    return [
        f"{one_line(name, 100)} is not an option and was ignored. Did you mean {_PREFIX}{near}?"
        for name in unknown
        if (near := closest(name.removeprefix(_PREFIX), ends, 0.75))
    ]


def closest(name: str, known: set[str] | Sequence[str], least: float = 0.8) -> str:
    """Return the known name that this one was most likely meant to be, or an empty text.

    `least` is how much of the two must be alike, as a part of 1.
    """
    if len(name) > 100:  # no slip of the finger, and slow to compare
        return ""
    import difflib

    return next(iter(difflib.get_close_matches(name, sorted(known), n=1, cutoff=least)), "")
