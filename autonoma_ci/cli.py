"""The command: signals, one error boundary, and which command it is; no decisions."""

from __future__ import annotations

import gc
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
from autonoma_ci.escaping import escape_log_line
from autonoma_ci.net.threads import preallocate_threads
from autonoma_ci.streams import OutputStream, WriteTimeouts, open_standard_streams, wait_until_written, write_product

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autonoma_ci.app.runtime import Runtime
    from autonoma_ci.ci.base import LogFormatter
    from autonoma_ci.ci.log import JobLog

# Each is a module of autonoma_ci.commands with a main(argv, runtime) -> exit code.
COMMANDS = {
    "run": "start the runs; in CI also without a command",
    "wait": "take up the runs of an earlier step, and wait for them",
    "list": "show the account's folders and tests with their ids",
    "init": "write a manifest with what you choose of them",
    "report": "make a report from the record of a step",
    "validate": "check a manifest",
    "schema": "print the JSON Schema of the manifest or of results.json",
    "sandbox": "serve a local stand-in for the API",
    "demo": "show it all, without an account and without a network",
}

_NEXT = (
    "What to type next:",
    "  autonoma-ci demo                 a whole job, without an account and without a network",
    "  autonoma-ci init                 write autonoma.yml; needs AUTONOMA_CLIENT_ID and AUTONOMA_CLIENT_SECRET",
    "  autonoma-ci run --dry-run        show what would be started",
    "  autonoma-ci run --wait           start it and wait for the results",
)

# How long the end of the job waits for the reader of the log. A person who has paused a terminal needs some seconds to
# notice. After a signal, a CI system kills the job soon.
_WRITE_TIMEOUTS, _WRITE_TIMEOUTS_AFTER_SIGNAL = WriteTimeouts(10.0, 60.0), WriteTimeouts(1.0, 3.0)


def main() -> NoReturn:
    """Be the process: read the command line and the environment, and end with the exit code."""
    # Python ends with 1 after an error, which is the exit code of runs that did not pass. Once memory is used up, any
    # line may fail.
    code = EXIT_INTERNAL_ERROR
    try:
        outputs, runtime = _open_runtime()
        code = run_command(sys.argv[1:], runtime)
        wait_until_written(
            outputs, lambda: _WRITE_TIMEOUTS_AFTER_SIGNAL if runtime.signals.received else _WRITE_TIMEOUTS
        )
    except BaseException as error:  # noqa: BLE001 - nothing is outside of it
        with suppress(Exception):
            os.write(2, f"Error: autonoma-ci ended early ({type(error).__qualname__}).\n".encode())
    # Threads whose answer will never come must not keep the step alive.
    os._exit(code)


def _open_runtime() -> tuple[tuple[OutputStream, OutputStream], Runtime]:
    """Set up the standard streams; return what writes to them, and the runtime with them."""
    open_standard_streams()
    # A short job is nearly all imports, and collecting garbage meanwhile finds none: it makes less than this of it, in
    # objects. One that waits goes on for hours, and each request leaves some.
    gc.set_threshold(50_000)
    _disable_core_dumps()
    if hasattr(sys.stdin, "reconfigure"):
        sys.stdin.reconfigure(encoding="utf-8", errors="backslashreplace")
    # Where the number of threads is limited, requests come first: one thread ends those that take too long, and without
    # it none is sent. One sends, so that the main thread hears a signal. What writes the log can do without a thread.
    preallocate_threads(1 if _is_memory_limited() else 2)
    out, err = OutputStream(sys.stdout), OutputStream(sys.stderr)
    out.start(err)
    err.start(out)
    # Warnings of libraries must not block either.
    sys.stdout, sys.stderr = cast("TextIO", out), cast("TextIO", err)
    from autonoma_ci.app.runtime import Runtime

    return (out, err), Runtime(os.environ, sys.stdout, sys.stderr, stdin=sys.stdin, install_signal_handlers=True)


def _disable_core_dumps() -> None:
    """Ask the system not to write our memory, in which the credentials are, to a file if the process crashes."""
    # Windows has no such module. One byte, not none: where a program takes the dumps, Linux obeys only that.
    with suppress(ImportError, OSError, ValueError):
        resource = import_module("resource")
        resource.setrlimit(resource.RLIMIT_CORE, (1, 1))


def _is_memory_limited() -> bool:
    """Return whether the address space is limited.

    A thread takes 72 MiB of it (8 MiB for its stack and 64 MiB for glibc's malloc), which the imports may need.
    """
    with suppress(ImportError, OSError, ValueError):
        resource = import_module("resource")
        return bool(resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY)
    return False


def run_command(argv: Sequence[str], runtime: Runtime) -> int:
    """Run one command and return its exit code; nothing is raised."""
    try:
        if runtime.install_signal_handlers:
            runtime.signals.install()
        code = _run_command(argv, runtime)
        runtime.signals.end()
    except Cancelled as error:
        runtime.signals.end()
        return _print_error(runtime, "Cancelled before anything was started.", 128 + error.signal)
    return code


def _run_command(argv: Sequence[str], runtime: Runtime) -> int:
    """Run one command and return its exit code. Raises Cancelled."""
    try:
        with runtime.signals.reveal_cancelled():
            return _run_or_refuse(argv, runtime)
    except Exception as error:  # noqa: BLE001 - the one boundary
        with suppress(Exception):
            _report_internal_error(runtime, error)
        # Even if it can't be told, as where no memory is left.
        return EXIT_INTERNAL_ERROR


def _run_or_refuse(argv: Sequence[str], runtime: Runtime) -> int:
    """Run one command and return its exit code, or print what is wrong with its input. Raises Cancelled."""
    try:
        if not argv:
            argv = _args_of_action(runtime)
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
        problems = error.diagnostics if isinstance(error, InputError) else [Diagnostic(str(error))]
        console = _console(argv, runtime)
        for problem in problems:
            console.annotate("error", problem)
        return error.exit_code if isinstance(error, ApiError) else EXIT_INPUT
    return code


def _args_of_action(runtime: Runtime) -> Sequence[str]:
    """Return the words of the action's input `args`. Raises InputError if it can't be split."""
    if "INPUT_ARGS" not in runtime.environ:
        return ()
    # Loaded only where there is such an input.
    from autonoma_ci.app.action_args import parse_action_args

    return parse_action_args(runtime.environ)


def _is_at_terminal(runtime: Runtime) -> bool:
    """Return whether a person types outside of CI. Raises InputError if AUTONOMA_CI names no system."""
    if not (runtime.stdin and runtime.stdin.isatty() and runtime.out.isatty()):
        return False
    from autonoma_ci.ci.detection import detect

    return detect(runtime.environ).name == "cli"


def _console(argv: Sequence[str], runtime: Runtime) -> JobLog:
    """Return what prints errors, without the credentials of the environment and the command line.

    They are read again, since an error can come before the options are read.
    """
    # Loaded only now, since most steps end without such an error.
    from autonoma_ci.ci.base import PLAIN_LOG_FORMATTER
    from autonoma_ci.ci.detection import detect, load_system
    from autonoma_ci.ci.log import JobLog
    from autonoma_ci.config.options import OPTIONS
    from autonoma_ci.config.parsers import ASCII_WHITESPACE
    from autonoma_ci.redaction.redactor import Redactor, Secret

    dialect: LogFormatter = PLAIN_LOG_FORMATTER
    with suppress(InputError):
        dialect = load_system(detect(runtime.environ)).log_formatter
    console = JobLog(runtime.err, dialect)

    options = [option for option in OPTIONS if option.is_credential]
    found = [runtime.environ.get(name, "") for option in options for name in option.all_env_names]
    flags = {option.flag for option in options}
    found += [value for flag, value in pairwise(argv) if flag in flags]
    found += [value for flag, _, value in (text.partition("=") for text in argv) if flag in flags]
    console.redact_with(Redactor(Secret(text.strip(ASCII_WHITESPACE)) for text in found))
    return console


def _print_help_or_version(name: str, runtime: Runtime) -> int:
    """Print the version or the help. Raises InputError if the name is that of no command."""
    if name == "--version":
        write_product(runtime.out, f"autonoma-ci {__version__}\n")
        return 0
    if name in {"-h", "--help"}:
        lines = ["usage: autonoma-ci [COMMAND] [OPTIONS]", "", "commands:"]
        lines += [f"  {command:<10} {text}" for command, text in COMMANDS.items()]
        lines += ["", "autonoma-ci COMMAND --help shows the options of a command.", "", *_NEXT]
        write_product(runtime.out, "\n".join(lines) + "\n")
        return 0
    from autonoma_ci.config.settings import closest_match

    # What stands where a command should may be anything, a secret too, so it is not repeated.
    near = closest_match(name, list(COMMANDS), 0.7)
    known = f"known are {', '.join(COMMANDS)}. To run a test: autonoma-ci run --test-ids ID."
    hint = f"did you mean {near}?" if near else known
    raise InputError([f"unknown command: {hint}"])


def _print_error(runtime: Runtime, text: str, code: int) -> int:
    for line in text.splitlines():
        runtime.err.write(escape_log_line(line) + "\n")
    return code


def _report_internal_error(runtime: Runtime, error: Exception) -> int:
    """Report what can be pasted into an issue: where it happened, but no value that was involved."""
    # Nothing is loaded for it: what went wrong may be that nothing can be loaded any more.
    lines = [
        "Error: this is a bug in autonoma-ci, not in your tests. Please report it with these lines:",
        f"  autonoma-ci {__version__}, Python {sys.version.partition(' ')[0]}, {sys.platform}",
        f"  {type(error).__module__}.{type(error).__qualname__}",
    ]
    frames = []
    trace = error.__traceback__
    while trace:
        code = trace.tb_frame.f_code
        name = "/".join(code.co_filename.replace("\\", "/").split("/")[-3:])
        frames.append(f"  {name}:{trace.tb_lineno} in {code.co_name}")
        trace = trace.tb_next
    lines += frames[-12:]
    return _print_error(runtime, "\n".join(lines), EXIT_INTERNAL_ERROR)
