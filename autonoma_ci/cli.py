"""Run a command, and turn every error into an exit code."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from importlib import import_module
from itertools import pairwise
from typing import TYPE_CHECKING, NoReturn, TextIO, cast

from autonoma_ci import __version__
from autonoma_ci.errors import (
    EXIT_INPUT,
    EXIT_INTERNAL_ERROR,
    ApiError,
    Cancelled,
    Diagnostic,
    HelpPrinted,
    InputError,
    OutputError,
)
from autonoma_ci.escaping import escape_log_line, sanitize_line
from autonoma_ci.net.threads import preallocate_threads
from autonoma_ci.startup import lazy_pattern
from autonoma_ci.streams import OutputStream, WriteTimeouts, open_standard_streams, wait_until_written, write_product

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autonoma_ci.app.runtime import Runtime
    from autonoma_ci.ci.base import LogFormatter
    from autonoma_ci.ci.log import JobLog

# Each is a module in autonoma_ci.commands with a function main(argv, runtime) that returns the exit code.
COMMANDS = {
    "run": "start runs of tests, folders and tags",
    "wait": "resume waiting for the runs of an earlier step",
    "list": "list the account's folders and tests with their ids",
    "init": "write a manifest with folders or tests of the account",
    "report": "make a report from the results.json of a step",
    "validate": "check a manifest",
    "schema": "print the JSON Schema of the manifest or of results.json",
    "sandbox": "serve a simulated API on this machine",
    "demo": "show a complete job, without account and network",
}

_PURPOSE = (
    "Start end-to-end tests of Autonoma from CI, wait for their results, and report them.",
    "Without a command: run in CI, this help at a terminal.",
)
_EXAMPLES = (
    "examples:",
    "  autonoma-ci demo                 show a complete job, without account and network",
    "  autonoma-ci init                 write autonoma.yml (requires AUTONOMA_CLIENT_ID and AUTONOMA_CLIENT_SECRET)",
    "  autonoma-ci run --dry-run        print the plan, start nothing",
    "  autonoma-ci run --wait           start the runs and wait for their results",
)

_MODULE_NAME_RE = lazy_pattern(r"\w{1,60}(?:\.\w{1,60}){0,9}")
_MAX_MESSAGE_CHARS = 500
# How long the process waits for the reader of the log before it exits. A user who paused a terminal needs some seconds
# to notice. After a signal, a CI system kills the job soon.
_WRITE_TIMEOUTS, _WRITE_TIMEOUTS_AFTER_SIGNAL = WriteTimeouts(10.0, 60.0), WriteTimeouts(1.0, 3.0)


def main() -> NoReturn:
    """Run the command of the process, and exit with its exit code."""
    # After an error, Python exits with 1, which is the exit code of runs that did not pass. Without memory, any line
    # can fail.
    code = EXIT_INTERNAL_ERROR
    try:
        outputs, runtime = _open_runtime()
        code = run_command(sys.argv[1:], runtime)
        wait_until_written(
            outputs, lambda: _WRITE_TIMEOUTS_AFTER_SIGNAL if runtime.signals.received else _WRITE_TIMEOUTS
        )
    except BaseException as error:  # noqa: BLE001 - the outermost boundary
        with suppress(Exception):
            os.write(2, f"Error: autonoma-ci ended early ({type(error).__qualname__}).\n".encode())
    # Threads that wait for a response must not delay the exit.
    os._exit(code)


def _open_runtime() -> tuple[tuple[OutputStream, OutputStream], Runtime]:
    """Open the standard streams, and return them with the runtime."""
    open_standard_streams()
    _disable_core_dumps()
    if hasattr(sys.stdin, "reconfigure"):
        sys.stdin.reconfigure(encoding="utf-8", errors="backslashreplace")
    # Where the number of threads is limited, requests have priority over the log. One thread stops requests that are
    # too slow, and without it none is sent. One thread sends, so that the main thread can handle signals.
    preallocate_threads(1 if _is_memory_limited() else 2)
    out, err = OutputStream(sys.stdout), OutputStream(sys.stderr)
    out.start(err)
    err.start(out)
    # Warnings of libraries must not block the job either.
    sys.stdout, sys.stderr = cast("TextIO", out), cast("TextIO", err)
    from autonoma_ci.app.runtime import Runtime

    return (out, err), Runtime(
        os.environ, sys.stdout, sys.stderr, stdin=sys.stdin, called_as=sys.argv[0], install_signal_handlers=True
    )


def _disable_core_dumps() -> None:
    """Disable core dumps, because the memory contains credentials."""
    # Windows has no such module. The limit is 1 byte, because Linux ignores 0 if a program receives the dumps.
    with suppress(ImportError, OSError, ValueError):
        resource = import_module("resource")
        resource.setrlimit(resource.RLIMIT_CORE, (1, 1))


def _is_memory_limited() -> bool:
    """Return whether the address space is limited.

    A thread uses 72 MiB of it: 8 MiB for its stack and 64 MiB for glibc's malloc. The imports can need this memory.
    """
    with suppress(ImportError, OSError, ValueError):
        resource = import_module("resource")
        return bool(resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY)
    return False


def run_command(argv: Sequence[str], runtime: Runtime) -> int:
    """Run one command and return its exit code, without raising errors."""
    try:
        if runtime.install_signal_handlers:
            runtime.signals.install()
        code = _run_command(argv, runtime)
        runtime.signals.end()
    except Cancelled as error:
        runtime.signals.end()
        return _print_error(runtime, "Cancelled before anything was started.", 128 + error.signal)
    finally:
        if runtime.debug_log:
            with suppress(Exception):
                runtime.debug_log.close()
    return code


def _run_command(argv: Sequence[str], runtime: Runtime) -> int:
    """Run one command and return its exit code. Raises Cancelled."""
    try:
        with runtime.signals.reveal_cancelled():
            return _dispatch(argv, runtime)
    except Exception as error:  # noqa: BLE001 - the one boundary
        with suppress(Exception):
            _report_internal_error(runtime, error)
        # Even if the error can't be printed, for example without memory.
        return EXIT_INTERNAL_ERROR


def _dispatch(argv: Sequence[str], runtime: Runtime) -> int:
    """Run one command, or print its errors, and return the exit code.

    Raises Cancelled.
    """
    try:
        if not argv:
            argv = _load_action_args(runtime)
        name = argv[0] if argv else ""
        if not name and _is_at_terminal(runtime):
            return _print_help_or_version("--help", runtime)
        if name in COMMANDS:
            argv = argv[1:]
        elif not name or (name.startswith("-") and name not in {"-h", "--help", "--version"}):
            name = "run"
        else:
            return _print_help_or_version(name, runtime)
        code: int = import_module(f"autonoma_ci.commands.{name}").main(argv, runtime)
    except HelpPrinted:
        return 0
    except (InputError, OutputError, ApiError) as error:
        diagnostics = error.diagnostics if isinstance(error, InputError) else [Diagnostic(str(error))]
        log = _create_error_log(argv, runtime)
        for diagnostic in diagnostics:
            log.annotate("error", diagnostic)
        return error.exit_code if isinstance(error, ApiError) else EXIT_INPUT
    return code


def _load_action_args(runtime: Runtime) -> Sequence[str]:
    """Return the arguments of the action's input `args`. Raises InputError."""
    if "INPUT_ARGS" not in runtime.environ:
        return ()
    # Loaded only if there is such an input.
    from autonoma_ci.app.action_args import parse_action_args

    return parse_action_args(runtime.environ)


def _is_at_terminal(runtime: Runtime) -> bool:
    """Return whether a user types at a terminal outside of CI.

    Raises:
        InputError: AUTONOMA_CI names no CI system.

    """
    if not (runtime.stdin and runtime.stdin.isatty() and runtime.out.isatty()):
        return False
    from autonoma_ci.ci.detection import detect

    return detect(runtime.environ).name == "cli"


def _create_error_log(argv: Sequence[str], runtime: Runtime) -> JobLog:
    """Return the log for errors, which redacts all credentials.

    Credentials of the environment and the command line are read again here, because an error can occur before the
    options are loaded.
    """
    # Loaded only here, because most steps end without such an error.
    from autonoma_ci.ci.base import PLAIN_LOG_FORMATTER
    from autonoma_ci.ci.detection import detect, load_system
    from autonoma_ci.ci.log import JobLog
    from autonoma_ci.config.options import OPTIONS
    from autonoma_ci.config.parsers import ASCII_WHITESPACE
    from autonoma_ci.redaction.redactor import Redactor, Secret

    log_formatter: LogFormatter = PLAIN_LOG_FORMATTER
    with suppress(InputError):
        log_formatter = load_system(detect(runtime.environ)).log_formatter
    log = JobLog(runtime.err, log_formatter)

    options = [option for option in OPTIONS if option.is_credential]
    credentials = [runtime.environ.get(name, "") for option in options for name in option.all_env_names]
    flags = {option.flag for option in options}
    credentials += [value for flag, value in pairwise(argv) if flag in flags]
    credentials += [value for flag, _, value in (text.partition("=") for text in argv) if flag in flags]
    log.redact_with(Redactor(Secret(text.strip(ASCII_WHITESPACE)) for text in credentials))
    return log


def _print_help_or_version(name: str, runtime: Runtime) -> int:
    """Print the version or the help.

    Raises:
        InputError: The command is unknown.
    """
    if name == "--version":
        write_product(runtime.out, f"autonoma-ci {__version__}\n")
        return 0
    if name in {"-h", "--help"}:
        lines = ["usage: autonoma-ci [COMMAND] [OPTIONS]", "", *_PURPOSE, "", "commands:"]
        lines += [f"  {command:<10} {text}" for command, text in COMMANDS.items()]
        lines += ["", "autonoma-ci COMMAND --help lists the options of a command.", "", *_EXAMPLES]
        write_product(runtime.out, "\n".join(lines) + "\n")
        return 0
    from autonoma_ci.config.suggestions import find_closest_match

    # An unknown command can be any text, even a secret, so it is not printed.
    suggestion = find_closest_match(name, list(COMMANDS), 0.7)
    known_commands = f"Use one of {', '.join(COMMANDS)}. To run a test: autonoma-ci run --test-ids ID."
    hint = f"Did you mean '{suggestion}'?" if suggestion else known_commands
    raise InputError([f"Unknown command. {hint}"])


def _print_error(runtime: Runtime, text: str, code: int) -> int:
    for line in text.splitlines():
        runtime.err.write(escape_log_line(line) + "\n")
    return code


def _report_internal_error(runtime: Runtime, error: Exception) -> int:
    """Print the location of an internal error, without any values.

    The text can be pasted into a public issue. With the option `verbose` it has the redacted message of the error too.
    """
    # This loads no module, because the error can be that no module can be loaded any more.
    lines = [
        "Error: bug in autonoma-ci, not in your tests. Please report it with these lines:",
        f"  autonoma-ci {__version__}, Python {sys.version.partition(' ')[0]}, {sys.platform}",
        f"  {type(error).__module__}.{type(error).__qualname__}",
    ]
    if isinstance(error, ImportError) and _MODULE_NAME_RE.fullmatch(error.name or ""):
        lines.append(f"  module: {error.name}")
    if runtime.debug_log:
        with suppress(Exception):
            message = runtime.debug_log.redact_message(str(error), runtime.environ)
            lines += [f"  {sanitize_line(message, _MAX_MESSAGE_CHARS)}"] if message else []
    frames = []
    trace = error.__traceback__
    while trace:
        code = trace.tb_frame.f_code
        name = "/".join(code.co_filename.replace("\\", "/").split("/")[-3:])
        frames.append(f"  {name}:{trace.tb_lineno} in {code.co_name}")
        trace = trace.tb_next
    lines += frames[-12:]
    return _print_error(runtime, "\n".join(lines), EXIT_INTERNAL_ERROR)
