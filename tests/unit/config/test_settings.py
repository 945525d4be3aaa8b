"""Settings from flags, inputs and variables, with their warnings and errors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autonoma_ci.config.options import OPTIONS, Option
from autonoma_ci.config.parsers import NamedId, Shard
from autonoma_ci.config.settings import Settings, load_options, load_settings
from autonoma_ci.models import AppVersion

# From the strongest to the weakest.
SPELLINGS = ("flag", "INPUT_SUMMARY-TITLE", "INPUT_SUMMARY_TITLE", "AUTONOMA_SUMMARY_TITLE")


def load_spellings(texts: dict[str, str]) -> Settings:
    """Load the settings with these texts for the spellings of one option."""
    flags = {"summary-title": texts["flag"]} if "flag" in texts else {}
    settings, problems = load_settings(flags, (), {name: text for name, text in texts.items() if name != "flag"})
    assert not problems
    return settings


@given(st.dictionaries(st.sampled_from(SPELLINGS), st.sampled_from(["", " ", "\t\n", "one", "two", "three"])))
def test_first_nonempty_spelling_wins(texts: dict[str, str]) -> None:
    """The order is flag, input with hyphens, input with underscores, variable, default."""
    nonempty_texts = [texts[name] for name in SPELLINGS if texts.get(name, "").strip()]
    settings = load_spellings(texts)
    assert settings.summary_title == (nonempty_texts[0] if nonempty_texts else "Autonoma tests")
    assert ("summary-title" in settings.explicitly_set) == bool(nonempty_texts)


def test_every_option_reads_every_spelling() -> None:
    """Each of the four spellings reports an invalid value."""
    # Any text is valid for these options.
    free_texts = ["summary-title", "manifest", "results-dir", "groups", "exclude-groups", "part"]
    free_texts += ["only", "changed-files", "failed-from", "environment"]
    invalid_texts = {"variables": "no equals", **dict.fromkeys(free_texts, "")}
    for option in OPTIONS:
        text = invalid_texts.get(option.name, "é\n/")
        if not text:
            continue
        for name in option.all_env_names:
            _, problems = load_settings({}, (), {name: text})
            spelling = option.name if name.startswith("INPUT_") else name
            assert [str(problem) for problem in problems if str(problem).startswith(f"{spelling}: ")], name
        _, problems = load_settings({option.name: text}, (), {})
        assert any(str(problem).startswith(f"{option.flag}: ") for problem in problems), option.flag


def test_no_input_gives_defaults() -> None:
    """Without any input, the settings are the documented defaults."""
    settings, problems = load_settings({}, (), {"PATH": "/bin"})
    assert not problems
    assert settings == Settings(api_url="https://autonoma.app/api", summary_title="Autonoma tests")


@pytest.mark.parametrize("name", ["MIIEvQIBADANBgkq/hkiG9w0" * 9, "part of a secret", "a\nb"])
def test_invalid_var_is_not_repeated(name: str) -> None:
    """The second line of a secret can end with `=`, like a name."""
    _, problems = load_settings({}, (f"{name}={'x' * 70_000}",), {})
    assert len(problems) == 1
    assert name[:10] not in str(problems[0])


def test_all_errors_are_reported_together() -> None:
    """Each error names the spelling that the user wrote."""
    environ = {
        "INPUT_CONCURRENCY": "many",
        "AUTONOMA_CLIENT_SECRET": "sen\ntinel",
        "INPUT_TEST-IDS": "a/b\n..",
        "AUTONOMA_VARIABLES": "A=1\nB",
        "AUTONOMA_API_URL": "http://example.com",
    }
    _, problems = load_settings({"fail-fast": "perhaps"}, ("C", "D\x00=1"), environ)
    messages = "\n".join(map(str, problems))
    for start in (
        *("concurrency: ", "AUTONOMA_CLIENT_SECRET: ", "test-ids: line 1: ", "test-ids: line 2: "),
        *(
            "AUTONOMA_VARIABLES: line 2",
            "AUTONOMA_API_URL: ",
            "--fail-fast: ",
            "--var: missing '='. Write",
            "--var: expected NAME=value.",
        ),
    ):
        assert f"\n{start}" in f"\n{messages}"
    assert "tinel" not in messages


@pytest.mark.parametrize("template", [" {}", "{}\n", "\r\n{}\t", "\x0b{}\x0c"])
@pytest.mark.parametrize("name", ["AUTONOMA_CLIENT_ID", "INPUT_CLIENT-SECRET"])
def test_space_around_credential_has_warning(name: str, template: str) -> None:
    """The warning does not show the credential."""
    settings, problems = load_settings({}, (), {name: template.format("sentinel")})
    credential = settings.client_id or settings.client_secret
    assert credential
    assert credential.reveal() == "sentinel"
    spelling = "client-secret" if name.startswith("INPUT_") else name
    assert settings.warnings == (f"{spelling}: white space around the value was removed.",)
    assert not problems


def test_space_around_option_has_no_warning() -> None:
    """YAML block scalars end in a line break, so this is no mistake."""
    settings, _ = load_settings({}, (), {"INPUT_SOURCE": " nightly\n", "INPUT_CONCURRENCY": "3\n"})
    assert (settings.source, settings.concurrency, settings.warnings) == ("nightly", 3, ())


def test_azure_reference_counts_as_unset() -> None:
    """Azure keeps the name of an unset variable, such as a secret that a fork cannot read."""
    environ = {"AUTONOMA_CLIENT_ID": "$(AUTONOMA_CLIENT_ID)", "AUTONOMA_SUMMARY_TITLE": "$(a) and more"}
    settings, problems = load_settings({}, (), environ)
    assert (settings.client_id, settings.summary_title, problems) == (None, "$(a) and more", [])
    assert "client-id" not in settings.explicitly_set
    assert settings.warnings == ()


@pytest.mark.parametrize("option", [option for option in OPTIONS if not option.is_credential], ids=lambda o: o.name)
def test_azure_reference_in_option_is_refused(option: Option) -> None:
    """Without `groups` or `dry-run`, the step would start too many runs."""
    environ = {option.env_var: " $(NAME)\n"}
    settings, problems = load_settings({}, (), environ)
    assert [problem.message.partition(" $(…). Define the variable in the pipeline")[0] for problem in problems] == [
        f"{option.env_var}: unresolved"
    ]
    assert not [warning for warning in settings.warnings if "$(" in warning]
    environ[f"INPUT_{option.name.upper()}"] = "$(NAME)"
    settings, problems = load_settings({}, (), environ)
    assert [problem.message.partition(":")[0] for problem in problems] == [option.name]


def test_flag_overrides_azure_reference() -> None:
    """A flag replaces a variable with an unresolved reference."""
    settings, problems = load_settings({"groups": "smoke"}, (), {"AUTONOMA_GROUPS": "$(GROUPS)"})
    assert (settings.groups, settings.warnings, problems) == (("smoke",), (), [])


@pytest.mark.parametrize(
    "text",
    [
        "$(ID)", "${env.ID}", "${ID:-}", "${ID:-x y}", "%env.ID%", '"$ID"', "'${ID}'",
        "${{ secrets.ID }}", "${{secrets.a-b}}", "${ID}", "$ID", "$AUTONOMA_ID_2", "%ID%", "{{ ID }}",
        "{{ID}}", '<+secrets.getValue("id")>', " $ID\n",
    ],
)  # fmt: skip
def test_reference_is_no_credential(text: str) -> None:
    """A CI system keeps a reference whose form it does not know, as GitLab does with `$NAME`."""
    settings, problems = load_settings({}, (), {"AUTONOMA_CLIENT_ID": text, "AUTONOMA_CLIENT_SECRET": "a-secret"})
    assert (settings.client_id, settings.warnings, problems) == (None, (), [])
    assert settings.unresolved_references["client-id"].spelling == "AUTONOMA_CLIENT_ID"
    secrets = [secret.reveal() for secret in settings.secrets]
    assert (text.strip() in secrets) is (text != "$(ID)")
    settings, _ = load_settings({"client-id": "cl13nt-1d"}, (), {"AUTONOMA_CLIENT_ID": text})
    assert settings.client_id
    assert settings.client_id.reveal() == "cl13nt-1d"


@pytest.mark.parametrize(
    "text", ["$ecret-123", "$1234567", "%41%42", "a$(ID)", "{brace}", "<tag>", "$", "%%", "${{a}}b}}"]
)
def test_credential_with_dollar_is_accepted(text: str) -> None:
    """A credential can have the characters of a reference."""
    settings, _ = load_settings({}, (), {"AUTONOMA_CLIENT_SECRET": text})
    assert settings.client_secret
    assert settings.client_secret.reveal() == text


def test_only_ascii_space_is_removed() -> None:
    """Removing other spaces would make two different texts equal."""
    settings, _ = load_settings({}, (), {"INPUT_MANIFEST": "\u00a0a.yml\u2003"})
    assert settings.manifest == "\u00a0a.yml\u2003"


def test_space_around_variables_is_removed() -> None:
    """Lines lose the space, and a mapping keeps it."""
    settings, _ = load_settings({}, (" C = z ",), {"INPUT_VARIABLES": "A= x \nB=y "})
    assert settings.variables == {"A": "x", "B": "y", "C": "z"}
    settings, _ = load_settings({}, (), {"INPUT_VARIABLES": 'A: " x "'})
    assert settings.variables == {"A": " x "}


@pytest.mark.parametrize("text", ['A="sentinel"', "export A=sentinel", "- A=sentinel", "A=sentinel #", "A=$(sentinel)"])
def test_doubtful_variables_have_warnings(text: str) -> None:
    """The option and `--var` give the same warning, without the value."""
    for flags, extra, environ, spelling in (
        ({"variables": text}, (), {}, "--variables"),
        ({}, (text,), {}, "--var"),
        ({}, (), {"INPUT_VARIABLES": text}, "variables"),
        ({}, (), {"AUTONOMA_VARIABLES": text}, "AUTONOMA_VARIABLES"),
    ):
        settings, problems = load_settings(flags, extra, environ)
        (warning,) = settings.warnings
        assert warning.startswith(f"{spelling}: 'A' has ")
        assert "sentinel" not in warning
        assert (settings.variables["A"], problems) == (text.partition("=")[2], [])


@pytest.mark.parametrize("text", ["sentinel A=x", "a sentinel b=x"])
def test_var_name_with_space_is_refused(text: str) -> None:
    """The error does not repeat the name, which can be part of a secret."""
    _, (problem,) = load_settings({}, (text,), {})
    assert str(problem).startswith("--var: white space in the name before '='")
    assert "sentinel" not in str(problem)


def test_var_flag_overrides_one_variable() -> None:
    """Each `--var` adds or replaces one variable, and the last of several wins."""
    settings, problems = load_settings(
        {"variables": "A=1\nB=1"}, ("B=2", "C=x=y", "C=z", "D="), {"INPUT_VARIABLES": "Z=1"}
    )
    assert settings.variables == {"A": "1", "B": "2", "C": "z", "D": ""}
    assert not problems


def test_repr_hides_values_and_credentials() -> None:
    """Settings can be printed without secrets."""
    environ = {"AUTONOMA_CLIENT_SECRET": "sentinel-secret", "AUTONOMA_VARIABLES": "A=sentinel-value"}
    settings, _ = load_settings({}, ("B=sentinel-more",), environ)
    assert "sentinel" not in repr(settings)


@pytest.mark.parametrize(
    ("texts", "secret"),
    [
        ({"AUTONOMA_SECRET_ID": "one"}, "one"),
        ({"AUTONOMA_SECRET_ID": " one\n"}, "one"),
        ({"AUTONOMA_SECRET_ID": "one", "AUTONOMA_CLIENT_SECRET": ""}, "one"),
        ({"AUTONOMA_SECRET_ID": "one", "AUTONOMA_CLIENT_SECRET": "$(SECRET)"}, "one"),
        ({"AUTONOMA_SECRET_ID": "one", "AUTONOMA_CLIENT_SECRET": "two"}, "two"),
        ({"AUTONOMA_SECRET_ID": "one", "INPUT_CLIENT-SECRET": "two"}, "two"),
    ],
)
def test_secret_id_is_last_client_secret(texts: dict[str, str], secret: str) -> None:
    """It counts after our own names, and is a secret in any case."""
    settings, problems = load_settings({}, (), texts)
    assert settings.client_secret
    assert settings.client_secret.reveal() == secret
    assert {"one", secret} == {value.reveal() for value in settings.secrets}
    assert not problems


def test_unused_credentials_are_secrets() -> None:
    """A job can have credentials of two accounts, and no log shows either."""
    environ = {"AUTONOMA_CLIENT_ID": "environment", "AUTONOMA_GITHUB_TOKEN": "token"}
    settings, _ = load_settings({"client-id": "flag", "github-token": "other"}, (), environ)
    assert {value.reveal() for value in settings.secrets} == {"environment", "flag", "token", "other"}


def test_other_commands_read_same_secret_names() -> None:
    """The commands `list` and `init` read the same names."""
    options = [option for option in OPTIONS if option.name == "client-secret"]
    settings, _ = load_options(options, {}, {"AUTONOMA_SECRET_ID": "one", "AUTONOMA_TEST_IDS": "a"})
    assert [secret.reveal() for secret in settings.secrets] == ["one"]
    assert settings.test_ids == ()


@pytest.mark.parametrize(
    ("flags", "environ", "spelling"),
    [
        ({"timeout": "5m"}, {"AUTONOMA_TIMEOUT": "6m"}, "--timeout"),
        ({}, {"INPUT_TIMEOUT": "5m", "AUTONOMA_TIMEOUT": "6m"}, "timeout"),
        ({}, {"AUTONOMA_TIMEOUT": "6m"}, "AUTONOMA_TIMEOUT"),
        ({}, {"AUTONOMA_TIMEOUT": ""}, "AUTONOMA_TIMEOUT"),
        ({}, {"AUTONOMA_TIMEOUT": "$(T)"}, "AUTONOMA_TIMEOUT"),
        ({}, {}, "timeout"),
    ],
)
def test_option_is_named_as_written(flags: dict[str, str], environ: dict[str, str], spelling: str) -> None:
    """The message has the name that the user can find in a file."""
    settings, _ = load_settings(flags, (), environ)
    assert settings.spelling_of("timeout") == spelling


@pytest.mark.parametrize("ci_shard", [None, Shard(2, 3)])
def test_auto_is_shard_of_ci(ci_shard: Shard | None) -> None:
    """Only `auto` uses the CI system's shard. An explicit shard replaces it."""
    assert Settings(shard="auto").resolve_shard(ci_shard) == ci_shard
    assert Settings(shard=Shard(1, 4)).resolve_shard(ci_shard) == Shard(1, 4)
    assert Settings().resolve_shard(ci_shard) is None


def test_link_of_api_host_is_id() -> None:
    """The API host can serve the app too. Links of other hosts are refused."""
    environ = {
        "AUTONOMA_API_URL": "https://tests.example.com/api",
        "INPUT_TEST-IDS": "https://tests.example.com/test/a",
    }
    settings, problems = load_settings({}, (), environ)
    assert (settings.test_ids, problems) == ((NamedId("a"),), [])
    _, (problem,) = load_settings({}, (), {**environ, "INPUT_TEST-IDS": "https://example.com/test/a"})
    assert str(problem).startswith(
        "test-ids: link of another site: 'https://example.com/test/a'. Write the id alone, or "
    )
    assert str(problem).endswith(" a link of https://autonoma.app or https://tests.example.com.")
    _, (problem,) = load_settings({}, (), {"AUTONOMA_TEST_IDS": "https://autonoma.app/folder/a"})
    assert str(problem).endswith("link of a folder: 'https://autonoma.app/folder/a'. Put it into folder-ids.")


def test_empty_json_array_counts_as_given() -> None:
    """A computed list can be empty on purpose."""
    settings, problems = load_settings({"tag-ids": "[]"}, (), {})
    assert (settings.tag_ids, "tag-ids" in settings.explicitly_set, problems) == ((), True, [])


def test_wait_options_are_parsed() -> None:
    """Durations are in seconds, and a shard has a number and a total."""
    environ = {
        "AUTONOMA_WAIT": "true",
        "AUTONOMA_TIMEOUT": "1h30m",
        "AUTONOMA_POLL_INTERVAL": " 5s\n",
        "AUTONOMA_RETRIES": "10",
        "AUTONOMA_SHARD": "2/5",
        "AUTONOMA_WAIT_FOR_URL": "http://localhost:3000",
        "AUTONOMA_WAIT_FOR_URL_TIMEOUT": "90s",
    }
    settings, problems = load_settings({"folder-ids": "a\nb=c", "tag-ids": "d"}, (), environ)
    assert not problems
    assert (settings.wait, settings.timeout, settings.poll_interval, settings.retries) == (True, 5400, 5, 10)
    assert (settings.shard, settings.wait_for_url, settings.wait_for_url_timeout) == (
        (2, 5),
        "http://localhost:3000",
        90,
    )
    assert (settings.folder_ids, settings.tag_ids) == ((NamedId("a"), NamedId("c", "b")), (NamedId("d"),))
    assert settings.warnings == ()


@pytest.mark.parametrize("number", ["-1", "11", "two", "1.0"])
def test_retries_have_limit(number: str) -> None:
    """A run that never passes does not start forever."""
    _, (problem,) = load_settings({"retries": number}, (), {})
    assert str(problem) == f"--retries: invalid number: '{number}'. Use a whole number from 0 to 10."


@pytest.mark.parametrize(
    ("name", "text", "required_name"),
    [
        ("retries", "2", "wait"),
        ("timeout", "5m", "wait"),
        ("poll-interval", "5s", "wait"),
    ],
)
def test_option_that_needs_another_is_refused(name: str, text: str, required_name: str) -> None:
    """The error names the missing option."""
    settings, problems = load_settings({name: text}, (), {})
    assert not problems
    assert settings.warnings == (f"--{name} has no effect without --{required_name}.",)
    variable_settings, _ = load_settings({}, (), {f"AUTONOMA_{name.upper().replace('-', '_')}": text})
    assert variable_settings.warnings[0].endswith(
        f" has no effect without AUTONOMA_{required_name.upper().replace('-', '_')}."
    )
    input_settings, _ = load_settings({}, (), {f"INPUT_{name.upper()}": text})
    assert input_settings.warnings == (f"{name} has no effect without {required_name}.",)
    complete_settings, _ = load_settings(
        {name: text, required_name: "true" if required_name == "wait" else "http://a"}, (), {}
    )
    assert complete_settings.warnings == ()


@pytest.mark.parametrize(
    ("texts", "messages"),
    [
        (
            {"AUTONOMA_WAIT": "false", "AUTONOMA_TIMEOUT": "5m"},
            "AUTONOMA_TIMEOUT has no effect while AUTONOMA_WAIT is false.",
        ),
        (
            {"INPUT_EVIDENCE": "none", "INPUT_EVIDENCE-LIMIT": "5MB"},
            "evidence-limit has no effect while evidence is none.",
        ),
    ],
)
def test_disabled_option_has_warning(texts: dict[str, str], messages: str) -> None:
    """An option without effect beside another one has a warning."""
    settings, problems = load_settings({}, (), texts)
    assert (settings.warnings, problems) == ((messages,), [])


def test_versions_exclude_latest() -> None:
    """Both together are an error, unless latest is false."""
    versions = "[{application-id: a, version-id: b}]"
    _, problems = load_settings({"run-on-latest": "true"}, (), {"INPUT_APPLICATION-VERSIONS": versions})
    message = "application-versions and --run-on-latest exclude each other. Remove one."
    assert list(map(str, problems)) == [message]
    settings, problems = load_settings({"run-on-latest": "false", "application-versions": versions}, (), {})
    assert (settings.application_versions, problems) == ((AppVersion("a", "b"),), [])
