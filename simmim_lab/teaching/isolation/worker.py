"""What runs in the locked process of a student: it reads requests, runs the student's code, and writes replies.

Of the grading this process has nothing but this file, `channel.py` and `checks/running.py`, side by side. What it
replies is not trusted, for the student's code runs here too, and may do to it what it likes.

A request is a dict: its number, the seconds that it may take, and what to do, which is a method of `Worker`, with
the arguments of that. The reply is a dict with the same number, what the method returned, the state of chance, and
whether the time was over. Code that ignores that it is interrupted is ended from outside, with the whole process.
"""

import _sitebuiltins
import ast
import asyncio
import builtins
import inspect
import io
import linecache
import os
import signal
import sys
import types
from contextlib import nullcontext, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, BinaryIO

os.environ |= {"MPLBACKEND": "Agg", "TORCHDYNAMO_DISABLE": "1"}  # it has no screen, and may have no compiler
sys.path += sys.argv[1:]

import channel
import running
import torch

sys.path[sys.path.index(str(Path(__file__).parent))] = ""  # as in a notebook: its own folder
PRINTED = 100_000  # characters of a cell
REPEAT = 0.5  # seconds after which code is interrupted once more


class Late(BaseException):
    """The time of a request is over."""


class Printed(io.TextIOBase):
    """What a cell prints, as far as there is room."""

    def __init__(self):
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text[: PRINTED - len(self.text)]
        return len(text)


class Shell:
    """What notebooks call IPython for: `%time` and its like run the code they are given, most do nothing."""

    def __init__(self, run: Any):
        self._run = run

    def run_line_magic(self, name: str, line: str, *_: Any, **__: Any) -> None:
        if name in ("time", "prun"):
            self._run(line)

    def run_cell_magic(self, name: str, line: str, cell: str) -> None:
        if name in ("time", "timeit", "capture", "prun"):
            self._run(cell)
        elif name == "writefile":
            Path(line.split()[-1]).write_text(cell, encoding="utf-8")

    def getoutput(self, *_: Any, **__: Any) -> list[str]:
        return []

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None


class Worker:
    """The student's cells, the names that they define, and what is known of the last call."""

    def __init__(self):
        main = types.ModuleType("__main__")
        sys.modules["__main__"] = main
        self.names = main.__dict__
        self.shown: dict[int, Any] = {}
        self.names |= {"get_ipython": lambda: Shell(self._execute), "display": print, "Out": self.shown}
        self.names |= {"help": _sitebuiltins._Helper(), "exit": sys.exit, "quit": sys.exit}
        self.cells = 0
        self.inputs: list[torch.Tensor] = []
        self.results: list[torch.Tensor] = []

    def run(self, source: str) -> dict[str, Any]:
        """Run a cell: what it printed, and the error that it raised."""
        printed, error = Printed(), None
        with redirect_stdout(printed), redirect_stderr(printed):
            try:
                self._execute(source)
            except Late:
                raise
            except BaseException as raised:
                error = self._in_words(raised)
        return {"text": printed.text, "error": error}

    def call(self, name: str, args: list, kwargs: dict, elsewhere: bool) -> dict[str, Any]:
        """Call a function of the student, `elsewhere` as if in another process.

        The reply has what it returned, or the error that it raised; which of its arguments it handed back; all of
        them, if it has changed any; and the seeds of the generators among them that it has used.
        """
        given = channel.encode(channel.plain([args, kwargs]))
        generators = running.generators((args, kwargs))
        states = [generator.get_state() for generator in generators]
        self.inputs = [tensor for tensor in running.tensors((args, kwargs)) if tensor.requires_grad]
        try:
            function = self.names.get(name)
            if not callable(function):
                return {"error": _missing(name, function)}
            with running.fixed_settings(), running.another_process() if elsewhere else nullcontext():
                result = channel.plain(function(*args, **kwargs))
        except Late:
            raise
        except BaseException as error:
            return {"error": self._error(error)}
        self.results = [tensor for tensor in running.tensors(result) if tensor.requires_grad]
        after = channel.plain([args, kwargs])
        return {
            "result": result,
            "handed_back": running.handed_back(result, [args, kwargs]),
            "changed": after if channel.encode(after) != given else None,
            "seeds": [
                None if torch.equal(generator.get_state(), state) else generator.initial_seed()
                for generator, state in zip(generators, states, strict=True)
            ],
        }

    def backward(self, gradients: list[torch.Tensor | None]) -> dict[str, Any]:
        """From the gradients of the last call's results to those of its arguments."""
        try:
            with running.fixed_settings():
                # A sum, because PyTorch loads SymPy for a second to look at gradients that are given.
                total = sum(
                    (result * gradient.conj()).real.sum()
                    for result, gradient in zip(self.results, gradients, strict=True)
                    if gradient is not None
                )
                found = torch.autograd.grad(total, self.inputs, allow_unused=True) if self.inputs else ()
        except Exception as error:
            return {"error": self._error(error)}
        return {"gradients": list(found)}

    def stir(self) -> dict[str, Any]:
        """Draw from each global source of chance."""
        running.stir()
        return {}

    def _execute(self, source: str) -> None:
        """Run a piece of code; the value of a last expression is printed, as in a notebook."""
        self.cells += 1
        file = f"<cell {self.cells}>"
        linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
        module = ast.parse(source, file)
        last = module.body.pop() if module.body and isinstance(module.body[-1], ast.Expr) else None
        self._evaluate(module, file, "exec")
        value = self._evaluate(ast.Expression(last.value), file, "eval") if last else None
        if value is not None:
            self.names["_"] = self.shown[self.cells] = value
            print(repr(value))

    def _evaluate(self, tree: ast.AST, file: str, mode: str) -> Any:
        code = compile(tree, file, mode, ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        value = eval(code, self.names)
        return asyncio.run(value) if code.co_flags & inspect.CO_COROUTINE else value

    def _error(self, error: BaseException) -> dict[str, str]:
        """An error that a function raised: the nearest type that every Python has, its text, and where it was."""
        kind = next(kind for kind in type(error).__mro__ if vars(builtins).get(kind.__name__) is kind)
        return {"type": kind.__name__, "text": _text(error), "stopped": _without_folders(running.stopped(error))}

    def _in_words(self, error: BaseException) -> str:
        """An error that a cell raised, and the last line of the cell that was at work."""
        file, trace, line = f"<cell {self.cells}>", error.__traceback__, None
        if isinstance(error, SyntaxError) and error.filename == file:
            return f"{type(error).__name__}: {error.msg} (line {error.lineno})"
        while trace:
            line = trace.tb_lineno if trace.tb_frame.f_code.co_filename == file else line
            trace = trace.tb_next
        text = ": ".join(filter(None, (type(error).__name__, _text(error))))
        return f"{text} (line {line})" if line else text


def _missing(name: str, value: Any) -> dict[str, str]:
    """The error that a function is not there, in the words that Python has for it."""
    if value is None:
        return {"type": "NameError", "text": "", "stopped": f"NameError: name {name!r} is not defined"}
    return {"type": "TypeError", "text": "", "stopped": f"TypeError: {name} is no function, but {value!r:.60}"}


def _text(error: BaseException) -> str:
    return _without_folders(str(error)[:1000])


def _without_folders(text: str) -> str:
    """A message without the folders that Python and its packages lie in."""
    for folder in sorted({*sys.path, sys.prefix, sys.base_prefix} - {""}, key=len, reverse=True):
        text = text.replace(f"{folder}/", "")
    return text


class Alarm:
    """Interrupts what runs when its seconds are over, and again if it goes on."""

    def __init__(self):
        signal.signal(signal.SIGALRM, self._ring)

    def set(self, seconds: float) -> None:
        self._left = running.countdown(seconds)
        signal.setitimer(signal.ITIMER_REAL, seconds, REPEAT)

    def stop(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)

    def _ring(self, *_: Any) -> None:
        if not self._left():
            raise Late


def serve(requests: BinaryIO, replies: BinaryIO) -> None:
    """Answer requests until there are no more."""
    worker, alarm = Worker(), Alarm()
    while line := requests.readline():
        request = channel.decode(line, generators=True)
        number, seconds, do = (request.pop(key) for key in ("number", "seconds", "do"))
        try:
            alarm.set(seconds)
            reply = getattr(worker, do)(**request)
            alarm.stop()
        except Late:
            alarm.stop()
            reply = {"late": True}
        chance = [hash(part) for part in running.chance()]
        replies.write(channel.encode({**reply, "number": number, "chance": chance}))
        replies.flush()


def own_channel() -> tuple[BinaryIO, BinaryIO]:
    """The two ends of the channel, out of the way of what the student's code reads and prints."""
    ends = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    os.close(nothing)
    return ends


if __name__ == "__main__":
    serve(*own_channel())
