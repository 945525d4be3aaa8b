"""Tests of files with variables for later steps."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from autonoma_ci.ci.publishers.env_file import (
    DOTENV_FORMAT,
    SHELL_EXPORT_FORMAT,
    create_env_file_publishers,
    format_shell_exports,
    is_in_quotes,
)
from tests.support.fake_clock import FakeClock
from tests.support.publish_contexts import make_publish_context
from tests.support.reports import PASSED_VERDICT, create_report, make_passed_run, make_started_run

if TYPE_CHECKING:
    from pathlib import Path

    from autonoma_ci.ci.publishers.env_file import EnvFileFormat, EnvFilePublisher

REPORT = create_report([make_passed_run("a")], PASSED_VERDICT)
RUNNING_REPORT = create_report([make_started_run("a")], None)._replace(waits_for_results=True)


def make_publisher(
    path: Path, file_format: EnvFileFormat = DOTENV_FORMAT, *, write_early: bool = True
) -> EnvFilePublisher:
    context = make_publish_context({"VARIABLES": str(path)})._replace(clock=FakeClock())
    [publisher] = create_env_file_publishers(context, "VARIABLES", file_format, write_early=write_early)
    return publisher


# Shell exports


@pytest.mark.parametrize(
    "text",
    [
        "",
        "plain",
        "it's",
        '$(id) `id` ${HOME} \\ "',
        "two\nlines\n",
        "\t é 🚀 \x1b[31m",
        "; export AUTONOMA_REASON=ok #",
        "'; exit 3; '",
        "!!",
    ],
)
def test_shell_export_is_read_unchanged(text: str) -> None:
    """A shell reads each exported value unchanged and runs none of it."""
    script = format_shell_exports({"FIRST": text, "SECOND": "end"}) + 'printf "%s|%s" "$FIRST" "$SECOND"'
    result = subprocess.run(["sh", "-c", script], capture_output=True, check=True)
    assert result.stdout.decode() == f"{text}|end"


def test_shell_export_has_no_zero_byte() -> None:
    """Bash would treat a file with a zero byte in its first line as a program."""
    assert format_shell_exports({"A": "x\0y", "B": "\0"}) == "export A=xy\nexport B=''\n"


def test_no_values_have_no_exports() -> None:
    """Without variables there are no lines."""
    assert format_shell_exports({}) == ""


@pytest.mark.parametrize(
    ("data", "is_open"),
    [
        (b"", False),
        (b"export A=b\n", False),
        (b"export A='b", True),
        (b"export A='b\n", True),
        (b"export A='b\nc'\n", False),
        (b"export A='b'\\''c'\n", False),
        (b"export A=\"it's", True),
        (b'export A="it\'s"\n', False),
        (b'export A="\\""\n', False),
        (b'export A="\\"\n', True),
        (b"export A=$'it\\'s'\n", False),
        (b"export A=$'it\\'s\n", True),
        (b"export A=b \\\n", True),
        (b"export A=b \\\n B=c\n", False),
        (b"# it's\nexport A=b # it's\n", False),
        (b"export A=${#B} C=b#'\n", True),
        (b"cat <<EOF\nit's\nEOF\n", False),
        (b"cat <<EOF\nits\nEOF \n", True),
        (b"cat <<EOF\nEOF\ncat << 'E'\nit's\nE\n", False),
        (b"cat <<-'E'\nit's\n\tE", False),
        (b'cat <<< "it\'s" < file\n', False),
        (b"export A=\xff\0\n", False),
        # Any text can end a heredoc.
        (b"cat <<END-OF-FILE\nit's\nEND-OF-FILE\n", False),
        (b"cat <<END-OF-FILE\nEND\n", True),
        (b"cat <<'END OF'\nit's\nEND OF\n", False),
        (b'cat <<"!" >> "$A"\nit\'s\n!\n', False),
        (b"cat <<\\E | cat\nit's\nE\n", False),
        (b"cat <<E\r\nit's\r\nE\r\n", False),
        (b"cat <<E\n\tE\nit's\nE\n", False),
        (b"cat <<-E\n\tE\nexport A='b\n", True),
        (b"cat <<-E\n-E\n", True),
        (b"cat <<EE\nE\n", True),
        (b"cat <<E", True),
        # A number is moved by bits.
        (b"((y=1<<n))\n", False),
        (b"((y=1<<n))\nexport A='b\n", True),
        (b"for ((i=1; i<${#A}; i=i<<1)); do\n", False),
        (b"((y=(1<<n)))\n", False),
        (b"y=$((1<<n))\n", False),
        (b"y=$[1<<n]\n", False),
        (b"a[1<<n]=b\n", False),
        # An expansion may have quotes of its own.
        (b'export V="$(echo "it\'s")"\n', False),
        (b"export V=$(echo \"it's\" # it's\n)\n", False),
        (b'A="${B:-"don\'t"}"\n', False),
        (b'A=${B:-"don\'t"}\n', False),
        (b'A="`echo "it\'s"`"\n', False),
        (b'A=`echo "it\'s"`\n', False),
        (b"A='$(' B='${' C='`' D='b\n", True),
        (b"# `it's $( ${\nA='b\n", True),
        (b'A="${B}/b:$B:${C%/*}" D=\'e\n', True),
        (b'A="${B}$', True),
        (b'A="b\\', True),
        # What only a complete parser can know does not count as open.
        (b"cat <<A <<B\nit's\nA\nit's\nB\n", False),
        (b"cat <<A \\\n > b\nit's\nA\n", False),
        (b'cat <<A > "$(echo "it\'s")"\nA\n', False),
        (b"cat <<A'B'\nit's\nAB\n", False),
    ],
)
def test_open_quote_is_detected(data: bytes, is_open: bool) -> None:
    """The end of a shell file is inside a quote or heredoc, or outside."""
    assert is_in_quotes(data) == is_open


LONG = 300_000


@pytest.mark.slow
@pytest.mark.parametrize(
    "data",
    [
        b"'a' " * LONG,
        b'"' + b"$a" * LONG,
        b'"' + b"${a}" * LONG,
        b'"' + b"${" * LONG,
        b"${" + b"a" * LONG,
        b"((" + b"$a" * LONG,
        b"((" * LONG,
        b"<<" + b"E" * LONG + b"\n" + b"E\n" * LONG,
        b"<<-" + b" " * LONG + b"E\n" + b"\t" * LONG,
        b"<<E " + b"'a'" * LONG + b"<",
        b"<<E\nE\n" * LONG,
        b"a#" * LONG,
    ],
)
def test_open_quote_search_is_linear(data: bytes) -> None:
    """A quadratic search would take minutes or hours for these texts."""
    is_in_quotes(data)


# Publisher


@pytest.mark.parametrize(
    ("file_format", "line"),
    [(DOTENV_FORMAT, "AUTONOMA_RUN_ID=run-a"), (SHELL_EXPORT_FORMAT, "export AUTONOMA_RUN_ID=run-a")],
    ids=["dotenv", "shell"],
)
def test_publisher_appends_variables(file_format: EnvFileFormat, line: str, tmp_path: Path) -> None:
    """The variables follow the lines of other processes."""
    path = tmp_path / "file"
    path.write_text("OTHER=1", "utf-8")
    assert make_publisher(path, file_format).publish(REPORT) == []
    first, *lines = path.read_text("utf-8").splitlines()
    assert first == "OTHER=1"
    assert line in lines


@pytest.mark.parametrize(("write_early", "count"), [(True, 1), (False, 0)])
def test_publisher_may_write_early(write_early: bool, count: int, tmp_path: Path) -> None:
    """Some readers use the first value of a name, so an early write can be off."""
    path = tmp_path / "file"
    publisher = make_publisher(path, write_early=write_early)
    assert publisher.publish(RUNNING_REPORT) == []
    assert path.exists() == bool(count)
    assert publisher.publish(REPORT) == []
    assert path.read_text("utf-8").count("AUTONOMA_CONCLUSION=") == count + 1


@pytest.mark.parametrize(
    ("path", "reason"),
    [("", "Is a directory"), ("missing/file", "No such file or directory"), ("a\0b", "invalid path")],
)
def test_unwritable_file_warns(path: str, reason: str, tmp_path: Path) -> None:
    """The warning has the reason and names another place of the links."""
    assert make_publisher(tmp_path / path).publish(REPORT) == [
        f"The variables for later steps could not be written ({reason}). The log has the links."
    ]


def test_omitted_variable_warns_at_end(tmp_path: Path) -> None:
    """A value that does not fit gives a warning when the job step ends."""
    url = "https://autonoma.app/run with spaces"
    publisher = make_publisher(tmp_path / "file")
    assert publisher.publish(RUNNING_REPORT._replace(results=(make_started_run("a")._replace(url=url),))) == []
    [warning] = publisher.publish(REPORT._replace(results=(make_passed_run("a")._replace(url=url),)))
    assert warning.startswith("The variables for later steps: AUTONOMA_RUN_URL")
    assert "spaces" not in (tmp_path / "file").read_text("utf-8")


def test_open_value_of_other_process_warns(tmp_path: Path) -> None:
    """Variables within the value of another process may be lost."""
    path = tmp_path / "file"
    path.write_text("export NOTES='first\n", "utf-8")
    assert make_publisher(path, SHELL_EXPORT_FORMAT).publish(REPORT) == [
        "The variables for later steps may be inside an unfinished value of another process. The log has the links."
    ]


def test_dotenv_file_has_no_open_value(tmp_path: Path) -> None:
    """A value of a dotenv file ends with its line."""
    path = tmp_path / "file"
    path.write_text("NOTES='first\n", "utf-8")
    assert make_publisher(path).publish(REPORT) == []


def test_lone_surrogate_is_replaced(tmp_path: Path) -> None:
    """A name from the environment can contain bytes that are not text."""
    path = tmp_path / "file"
    step_report = REPORT._replace(results=(make_passed_run("a")._replace(run_id="a\ud800"),))
    assert make_publisher(path, SHELL_EXPORT_FORMAT).publish(step_report) == []
    assert b"export AUTONOMA_RUN_ID='a?'\n" in path.read_bytes()


# Factory


def create_publishers(environ: dict[str, str], filename: str = "") -> tuple[EnvFilePublisher, ...]:
    return create_env_file_publishers(make_publish_context(environ), "VARIABLES", filename=filename)


@pytest.mark.parametrize("environ", [{}, {"VARIABLES": ""}, {"OTHER": "/tmp/x"}])
def test_job_without_file_has_no_publisher(environ: dict[str, str]) -> None:
    """Without the variable, the job has no file."""
    assert create_publishers(environ) == ()
    assert create_publishers(environ, "name") == ()


def test_variable_can_name_folder(tmp_path: Path) -> None:
    """The variable names the folder if the file has a fixed name."""
    [publisher] = create_publishers({"VARIABLES": str(tmp_path)}, "exported")
    assert publisher.publish(REPORT) == []
    assert [path.name for path in tmp_path.iterdir()] == ["exported"]
