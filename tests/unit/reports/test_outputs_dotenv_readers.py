"""All readers of outputs.env get the same values."""

from __future__ import annotations

import atexit
import os
import re
import shutil
import string
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from dotenv import dotenv_values

from autonoma_ci.ci.systems.teamcity import parse_java_properties
from autonoma_ci.reports.outputs import (
    DOTENV_VALUE_RE,
    MAX_DOTENV_BYTES,
    OUTPUTS,
    build_outputs,
    omitted_variables,
    output_variables,
    render_dotenv,
)
from tests.support.generate_docs import ROOT
from tests.support.reports import (
    API_ERROR_VERDICT,
    create_report,
    make_failed_run,
    make_indeterminate_run,
    make_passed_run,
    make_started_run,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import TypeAlias

    Reader: TypeAlias = Callable[[Path], Mapping[str, str]]

READERS = Path(__file__).with_name("readers")
# Debian's packages of Go libraries install here, for example golang-github-joho-godotenv-dev.
GO_PATH = Path("/usr/share/gocode")
# `results` is too long for a variable, and `results-dir` is the name of an option. Arrays are left out.
NAMES = {
    f"AUTONOMA_{output.name.upper().replace('-', '_')}": output.name
    for output in OUTPUTS
    if output.name not in {"run-ids", "run-urls", "results", "results-dir"}
}
REPORT = create_report([make_passed_run("a"), make_failed_run("b"), make_indeterminate_run("c")], API_ERROR_VERDICT)
# Links with characters that outputs.env can hold, and with others.
URLS = {
    "https://autonoma.app/run/a?tab=steps,log&x=1": "",
    "https://autonoma.app/run/a#step-3": "",
    "https://autonoma.app/run/a?step=3%20;b": "",
    "https://autonoma.app/run/it's": "",
    "https://autonoma.app/run/$(id)": "",
    "https://autonoma.app/run/a?tab=steps,log": "https://autonoma.app/run/a?tab=steps,log",
    "https://autonoma.app:8443/run/a@2?filter[]=%24x:+y": "https://autonoma.app:8443/run/a@2?filter[]=%24x:+y",
}


def parse_pairs(output: bytes) -> dict[str, str]:
    """Return the pairs that a reader printed, each terminated by a zero byte."""
    pairs = [pair.decode().split("=", 1) for pair in output.split(b"\0") if pair]
    return {name: value for name, value in pairs if name.startswith("AUTONOMA_")}


def run_reader(*command: str | Path, **environ: str) -> dict[str, str]:
    process = subprocess.run(command, capture_output=True, env=environ, check=False, timeout=300)
    assert (process.returncode, process.stderr) == (0, b"")
    return parse_pairs(process.stdout)


def create_shell_reader(name: str) -> Reader:
    """Return a reader that sources the file in a shell."""

    def read(path: Path) -> Mapping[str, str]:
        shell_path, env = shutil.which(name), shutil.which("env")
        assert shell_path
        assert env
        # A command without a path is looked up in PATH. A value cannot contain a zero byte.
        return run_reader(shell_path, "-c", f'set -aeu; . "$1"; exec {env} -0', shell_path, path)

    return read


def by_python(path: Path) -> Mapping[str, str]:
    return {name: text or "" for name, text in dotenv_values(path).items()}


def by_our_properties(path: Path) -> Mapping[str, str]:
    return parse_java_properties(path.read_bytes())


def by_gitlab(path: Path) -> Mapping[str, str]:
    """Read like GitLab.

    Source: gitlabhq/gitlabhq, app/services/ci/parse_dotenv_artifact_service.rb.
    """
    values = {}
    for line in path.read_text("utf-8").splitlines():
        match = re.fullmatch(r"(.*?)=(.*)", line)
        assert match, "Invalid Format"
        values[match[1].strip()] = match[2].strip()
    return values


def by_gitlab_runner(path: Path) -> Mapping[str, str]:
    """Read like GitLab's runner, which expands references for a later job.

    Source: gitlabhq/gitlab-runner, common/spec/variables.go, `ExpandWith`; Go's documentation, `os.Expand`.
    """
    return {name: re.sub(r"\$(\w+|\{[^}]*\}|\W)", "", text) for name, text in by_gitlab(path).items()}


def by_harness(path: Path) -> Mapping[str, str]:
    """Read like Harness, which cuts at each unquoted `#` and decodes one prefix.

    Source: harness/lite-engine, pipeline/runtime/common.go; harness/godotenv, v2.0.0, godotenv.go, `parseLine`.
    """
    values = {}
    for line in path.read_text("utf-8").splitlines():
        name, _, text = line.split("#")[0].partition("=")
        value = text.strip()
        assert ":" not in name, "a YAML line"
        if value[:1] == value[-1:] and value[:1] in {"'", '"'}:
            value = value[1:-1]
        value = re.sub(r"\$\{?\w*\}?", "", value)
        values[name] = "decoded" if value.startswith("__B64__") else value
    return values


def split_lines(text: str) -> dict[str, str]:
    """Split each line at its first `=`, without comments."""
    return dict(line.split("=", 1) for line in text.splitlines() if not line.startswith("#"))


def by_docker(path: Path) -> Mapping[str, str]:
    """Read like `docker run --env-file`. Source: docker/cli, pkg/kvfile/kvfile.go."""
    return split_lines(path.read_text("utf-8"))


def by_npm(path: Path) -> Mapping[str, str]:
    node = shutil.which("node")
    assert node
    return run_reader(node, ROOT / "tests" / "system" / "linters" / "dotenv.mjs", path)


def by_java(path: Path) -> Mapping[str, str]:
    java = shutil.which("java")
    assert java
    return run_reader(java, READERS / "ReadProperties.java", path)


def by_godotenv(path: Path) -> Mapping[str, str]:
    program = build_godotenv()
    if not program:
        pytest.skip("needs Debian's packages golang-go and golang-github-joho-godotenv-dev")
    return run_reader(program, path)


@cache
def build_godotenv() -> Path | None:
    """Compile the reader once, or return None without Go or the library."""
    go = shutil.which("go")
    if not (go and (GO_PATH / "src" / "github.com" / "joho" / "godotenv").is_dir()):
        return None
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    environ = {**os.environ, "GO111MODULE": "off", "GOPATH": str(GO_PATH), "GOCACHE": str(folder / "cache")}
    command: list[str | Path] = [go, "build", "-o", folder / "reader", READERS / "read_godotenv.go"]
    subprocess.run(command, check=True, env=environ, timeout=300)
    return folder / "reader"


def build_shell_case(name: str) -> object:
    skip_mark = pytest.mark.skipif(not shutil.which(name), reason=f"there is no {name}")
    return pytest.param(create_shell_reader(name), id=name, marks=skip_mark)


PORTS = [by_gitlab, by_gitlab_runner, by_harness, by_docker, by_our_properties, by_python]
ALL_READERS = [
    *(build_shell_case(name) for name in ("sh", "dash", "bash", "zsh")),
    *(pytest.param(reader, id=reader.__name__) for reader in PORTS),
    *(pytest.param(read, id=read.__name__, marks=pytest.mark.linters) for read in (by_npm, by_java, by_godotenv)),
]
each_reader = pytest.mark.parametrize("read", ALL_READERS)


@each_reader
def test_every_reader_gets_same_values(read: Reader, tmp_path: Path) -> None:
    """Each reader returns the values of the outputs."""
    path = tmp_path / "outputs.env"
    path.write_text(render_dotenv(REPORT), "utf-8")
    values, expected = read(path), build_outputs(REPORT)
    assert values == {name: expected[output] for name, output in NAMES.items()}


@each_reader
def test_every_reader_gets_full_link_or_none(read: Reader, tmp_path: Path) -> None:
    """A changed or truncated link leads nowhere."""
    urls = []
    for number, url in enumerate(URLS):
        path = tmp_path / f"{number}.env"
        path.write_text(render_dotenv(create_report([make_started_run("a")._replace(url=url)])), "utf-8")
        urls.append(read(path)["AUTONOMA_RUN_URL"])
    assert urls == list(URLS.values())


def iter_accepted_pairs() -> Iterator[str]:
    """Yield each accepted pair of printable characters, alone and between letters."""
    characters = [chr(code) for code in range(0x20, 0x7F)]
    for first in characters:
        for second in characters:
            yield from (text for text in (first + second, f"a{first}{second}b") if DOTENV_VALUE_RE.fullmatch(text))


@pytest.mark.slow
@each_reader
def test_every_reader_accepts_each_character(read: Reader, tmp_path: Path) -> None:
    """Each reader returns all accepted characters unchanged."""
    values = {f"AUTONOMA_{number}X": text for number, text in enumerate(iter_accepted_pairs())}
    assert len(values) > 8000
    path = tmp_path / "all.env"
    path.write_text("".join(f"{name}={text}\n" for name, text in values.items()), "utf-8")
    assert read(path) == values


def list_misreading_readers(text: str, folder: Path) -> list[str]:
    """Return the readers of this machine that fail or get another text."""
    path = folder / "one.env"
    path.write_text(f"AUTONOMA_X={text}\n", "utf-8")
    names = []
    for name, read in (("sh", create_shell_reader("sh")), *((reader.__name__, reader) for reader in PORTS)):
        try:
            if read(path) != {"AUTONOMA_X": text}:
                names.append(name)
        except (AssertionError, ValueError):
            names.append(name)
    return names


@pytest.mark.parametrize("character", sorted(set(string.printable) - set(string.ascii_letters + string.digits)))
def test_omitted_characters_are_misread(character: str, tmp_path: Path) -> None:
    """Each rule of the form has a reader that needs it.

    The exceptions are characters that shells expand in other places.
    """
    shell_characters = set("*!^{}~")
    if all(DOTENV_VALUE_RE.fullmatch(text) for text in (character, f"a{character}b")):
        return
    texts = (character, f"a{character}", f"a{character}b", f"a {character}b", f"a:{character}b")
    is_read_wrongly = any(list_misreading_readers(text, tmp_path) for text in texts)
    assert is_read_wrongly or character in shell_characters or character == "="


def test_arrays_are_omitted_without_warning() -> None:
    """Shells remove the quotes of JSON, and GitLab keeps all quotes."""
    assert not {"AUTONOMA_RUN_IDS", "AUTONOMA_RUN_URLS"} & set(split_lines(render_dotenv(REPORT)))
    assert omitted_variables(REPORT, split_lines(render_dotenv(REPORT))) == []
    assert "AUTONOMA_RUN_IDS" in output_variables(REPORT)


@pytest.mark.parametrize("run_id", ["__B64__aGkx", "=a", "a:=b"])
def test_id_that_readers_change_is_omitted(run_id: str) -> None:
    """An id that some reader would change is left out and named."""
    run_report = create_report([make_started_run("a")._replace(run_id=run_id)])
    assert split_lines(render_dotenv(run_report))["AUTONOMA_RUN_ID"] == ""
    assert omitted_variables(run_report, split_lines(render_dotenv(run_report))) == ["AUTONOMA_RUN_ID"]


def test_file_fits_gitlab_limit() -> None:
    """A long link is omitted, and the values after it stay."""
    for length in (2000, 4750, 4800, 4900, 5000, 5200):
        text = render_dotenv(
            create_report(
                [make_started_run("a")._replace(url="https://autonoma.app/" + "a" * length)], API_ERROR_VERDICT
            )
        )
        assert len(text) <= MAX_DOTENV_BYTES < 5120
        assert split_lines(text)["AUTONOMA_TOTAL"] == "1"


@each_reader
def test_second_file_replaces_first(read: Reader, tmp_path: Path) -> None:
    """Jobs of GitLab inherit variables of several files, and scripts can read several."""
    path = tmp_path / "outputs.env"
    path.write_text(render_dotenv(REPORT), "utf-8")
    before = read(path)
    path.write_text(
        render_dotenv(create_report([make_started_run("x")._replace(url="https://autonoma.app/run/x#3")])), "utf-8"
    )
    values = {**before, **read(path)}
    assert values["AUTONOMA_RUN_ID"] == "run-x"
    assert values["AUTONOMA_RUN_URL"] == ""
