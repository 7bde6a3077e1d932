"""What the two command lines share: how a command is declared, what it accepts, and how it ends.

A command that cannot do what it is asked says why in one sentence and returns 2, whatever was raised;
`--traceback` shows the rest. Ctrl-C returns 130; a check that finds something returns 1.
"""

import argparse
import errno
import inspect
import io
import math
import os
import sys
import textwrap
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from simmim_lab.common import check_number

PACKAGE = Path(__file__).parent
FULL = {errno.ENOSPC, errno.EDQUOT}
# The same, where a library passes on the words and not the number; 112 is Windows.
FULL_WORDS = ("os error 28)", "os error 112)", "disk is full")
MEMORY_WORDS = ("out of memory", "allocate memory", "not enough memory")
AGAIN = "run the same command again"

Command = Callable[[argparse.Namespace], int | None]


class Program:
    """A command line: its commands, and `main`, which runs one of them.

    `start` is the example that its help gives to a newcomer.
    """

    def __init__(self, name: str, description: str, start: str):
        epilog = f"start with:        {name} {start}\nhelp on a command: {name} {start.split()[0]} --help"
        self.name = name
        self.parser = _Parser(
            prog=name, description=description, epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        _add_traceback(self.parser)
        self._commands = self.parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(
        self, example: str, arguments: Callable[[argparse.ArgumentParser], None] = lambda parser: None
    ) -> Callable[[Command], Command]:
        """Declare a function as the command of its name; `arguments` adds what it takes to its parser.

        The first line of its docstring is its help, the rest describes it. What it returns is the exit code.
        """

        def declare(function: Command) -> Command:
            title, _, rest = inspect.cleandoc(function.__doc__ or "").partition("\n\n")
            parser = self._commands.add_parser(
                function.__name__,
                help=title[:1].lower() + title[1:].rstrip("."),
                description=textwrap.fill(" ".join((rest or title).split()), 78),
                epilog=f"example:\n  {self.name} {function.__name__} {example}".rstrip(),
                formatter_class=argparse.RawDescriptionHelpFormatter,
            )
            arguments(parser)
            _add_traceback(parser)
            parser.set_defaults(command=function)
            return function

        return declare

    def main(self, argv: list[str] | None = None) -> int:
        """Run one command and return its exit code."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")  # a console that lacks a character shows "?" in its place
        args = argparse.Namespace(traceback=False)
        with warnings.catch_warnings():
            warnings.showwarning = self._warn
            try:
                self.parser.parse_args(argv, args)
                return args.command(args) or 0
            except KeyboardInterrupt:
                self._say("stopped; run the same command to continue", start="\n")
                return 130
            except Exception as error:
                if args.traceback:
                    traceback.print_exc()
                self._say(f"error: {explain(error)}")
                return 2
            finally:
                _flush()

    def _say(self, text: str, start: str = "") -> None:
        with suppress(OSError):  # nobody may be there to read it
            print(f"{start}{self.name}: {text}", file=sys.stderr)

    def _warn(self, message: Warning | str, *_) -> None:
        from tqdm import tqdm  # it writes around the bars

        with suppress(OSError):
            tqdm.write(f"{self.name}: warning: {_one_line(message)}", file=sys.stderr)


def explain(error: Exception) -> str:
    """What went wrong and what to do, in one line.

    What this package raises says so itself. The rest is an error of the system, or a fault of the course.
    """
    text = _one_line(error)
    if _is_raised_here(error):
        return text
    if _is_full(error):
        return f"the disk is full ({text}): make room, then {AGAIN}"
    if isinstance(error, MemoryError) or any(words in text for words in MEMORY_WORDS):
        return f"the memory is too small ({text}): take smaller images, a smaller batch or a smaller model"
    if isinstance(error, BrokenPipeError):
        return f"what reads the output has ended: {AGAIN}, with its output into a file"
    if isinstance(error, OSError) and error.strerror:
        file = error.filename2 or error.filename  # of a renaming, the goal
        return f"{error.strerror}: {f'check the path {file} and your rights there' if file else AGAIN}"
    if isinstance(error, ImportError):
        return f"{text}: install the course again, as its README says"
    return (
        f"{type(error).__name__}: {text or 'no reason given'}; this is a fault of the course: run again with "
        "--traceback and report it"
    )


def user_path(text: str) -> Path:
    """The type of an argument that is a path: `~` is the home folder wherever it stands, as in --run=~/x."""
    if not text:
        raise argparse.ArgumentTypeError("expected a path, but got nothing")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise argparse.ArgumentTypeError(f"{text} is no path: {error}") from error


def number(
    kind: type[int] | type[float], low: float, high: float = math.inf, *, above: bool = False
) -> Callable[[str], float]:
    """The type of an argument that is a number from `low` to `high`, or with `above` one above `low`."""

    def parse(text: str) -> float:
        value = text
        with suppress(ValueError):
            value = kind(text)
        try:
            check_number("it", value, low, high, integer=kind is int, above=above)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error
        return value

    return parse


def course_folder() -> Path:
    """The folder of the course: the one this package lies in, else the current one."""
    roots = Path(__file__).parents[1], Path.cwd()
    root = next((root for root in roots if (root / "notebooks").is_dir()), None)
    if root is None:
        raise FileNotFoundError(
            f"there is no folder notebooks in {' or '.join(map(str, roots))}: run this in a copy of the course"
        )
    return root


def _add_traceback(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--traceback", action="store_true", default=argparse.SUPPRESS, help="show where in the code an error arose"
    )


def _one_line(text: object) -> str:
    return " ".join(str(text).split())


def _is_full(error: BaseException | None) -> bool:
    """Whether a full disk is behind an error, in the words of any library."""
    if error is None:
        return False
    full = getattr(error, "errno", None) in FULL or any(words in str(error) for words in FULL_WORDS)
    return full or _is_full(error.__cause__ or error.__context__)


def _is_raised_here(error: Exception) -> bool:
    """Whether a `raise` of this package made the error, and not a slip in it or in a library."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return Path(last.filename).is_relative_to(PACKAGE) and (last.line or "").startswith("raise")


def _flush() -> None:
    """Write what is still to be printed. Where the reader has gone, as `head` does, nothing is left to say."""
    if sys.stdout is None:  # closed from the start
        return
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python tries again, and complains


class _Parser(argparse.ArgumentParser):
    """Bad arguments become an error like all others, in one line."""

    def error(self, message: str):
        raise ValueError(f"{message}; see {self.prog} --help")
