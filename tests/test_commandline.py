"""Both command lines: what they accept, and that every error reaches a user as one sentence."""

import argparse
import errno
import io
import json
import math
import os
import shlex
import subprocess
import sys
import warnings
from pathlib import Path

import nbformat
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError

from simmim_lab import cli, common
from simmim_lab.commandline import Program, number, user_path
from simmim_lab.teaching import cli as staff

PROGRAMS = {"simmim-lab": cli.program, "simmim-course": staff.program}
FAULT = "this is a fault of the course: run again with --traceback and report it"


def program(action) -> Program:
    """A program with one command, `go`, that does this."""
    made = Program("tried", "Tries.", start="go")

    @made.command("")
    def go(args):
        """Go."""
        return action()

    return made


def complaint(capsys, action, *options: str) -> str:
    """What a failing command says, without the name of the program."""
    assert program(action).main(["go", *options]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("tried: error: ") and captured.err.count("\n") == 1
    return captured.err.removeprefix("tried: error: ").rstrip("\n")


def throw(error: BaseException):
    def action():
        raise error

    return action


# Errors


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("The size of tensor a (3) must match\nthe size of tensor b (4)"),
        KeyError("patch"),
        IndexError("list index out of range"),
        AttributeError("'NoneType' object has no attribute 'shape'"),
        ZeroDivisionError("division by zero"),
        ValueError("what a library says"),
        TypeError("unsupported operand"),
        RecursionError("maximum recursion depth exceeded"),
        SafetensorError("Error while deserializing header: header too large"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
        AssertionError(),
        NotImplementedError(),
        StopIteration(),
        EOFError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_nobody_foresaw_is_one_sentence_that_asks_for_a_report(capsys, error):
    said = complaint(capsys, throw(error))
    assert said.startswith(f"{type(error).__name__}: ") and said.endswith(FAULT)


def test_what_the_package_raises_is_said_as_it_is(capsys):
    said = complaint(capsys, lambda: common.choose("blok", {"block": 0, "half": 0}, "mask"))
    assert said == "unknown mask 'blok'; did you mean 'block'? There are: block, half"


def test_a_slip_inside_the_package_is_no_sentence(capsys):
    said = complaint(capsys, lambda: common.choose("blok", {}, "mask"))  # nothing is nearest
    assert said.startswith("ValueError: ") and said.endswith(FAULT)


def chained(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device", "runs/a"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
        SafetensorError("Error while serializing: I/O error: There is not enough space (os error 112)"),
        RuntimeError("database or disk is full"),
        chained(RuntimeError("writing failed"), OSError(errno.ENOSPC, "No space left on device")),
    ],
)
def test_a_full_disk_is_named_whoever_found_it(capsys, error):
    said = complaint(capsys, throw(error))
    assert said.startswith("the disk is full (") and said.endswith("make room, then run the same command again")


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        MemoryError("Unable to allocate 8.00 TiB for an array"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_a_memory_that_is_too_small_is_named(capsys, error):
    assert complaint(capsys, throw(error)).startswith("the memory is too small (")


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (lambda: Path("no/such/file").read_bytes(), "No such file or directory: check the path no/such/file"),
        (throw(PermissionError(errno.EACCES, "Permission denied", "/x")), "Permission denied: check the path /x"),
        (
            throw(IsADirectoryError(errno.EISDIR, "Is a directory", ".a.partial", None, "a")),
            "check the path a and",
        ),
        (throw(ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")), "run the same command again"),
        (throw(BrokenPipeError(errno.EPIPE, "Broken pipe")), "with its output into a file"),
        (throw(ModuleNotFoundError("No module named 'einops'")), "'einops': install the course again"),
        (throw(ImportError("libgomp.so.1: cannot open shared object file")), "file: install the course again"),
    ],
)
def test_an_error_of_the_system_says_what_to_check(capsys, action, words):
    assert words in complaint(capsys, action)


@pytest.mark.parametrize("place", [0, 1])
def test_traceback_shows_the_rest_before_and_after_the_command(capsys, place):
    argv = ["go"]
    argv.insert(place, "--traceback")
    assert program(throw(KeyError("patch"))).main(argv) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("Traceback") and "KeyError: 'patch'" in lines
    assert lines[-1].startswith("tried: error: KeyError")


def test_ctrl_c_is_130(capsys):
    assert program(throw(KeyboardInterrupt())).main(["go"]) == 130
    assert "run the same command to continue" in capsys.readouterr().err


def test_the_exit_code_is_that_of_the_command():
    assert [program(lambda code=code: code).main(["go"]) for code in (None, 0, 1)] == [0, 0, 1]


def test_a_warning_is_one_plain_line(capsys):
    shown = warnings.showwarning
    assert program(lambda: warnings.warn("2 of 9 pictures\ncannot be read", stacklevel=1)).main(["go"]) == 0
    assert capsys.readouterr().err == "tried: warning: 2 of 9 pictures cannot be read\n"
    assert warnings.showwarning is shown


# Consoles


@pytest.mark.parametrize("encoding", ["ascii", "cp437", "cp1252", "latin-1", "utf-8"])
@pytest.mark.parametrize("text", ["60 % … ≥ ✓ 日本", "a name that is no UTF-8: \udcff"])
def test_a_console_that_lacks_a_character_ends_nothing(monkeypatch, encoding, text):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(io.BytesIO(), encoding=encoding))

    def action():
        print(text)
        warnings.warn(text, stacklevel=1)

    assert program(action).main(["go"]) == 0
    assert raw.getvalue().decode(encoding).startswith(text[0])
    assert program(throw(ValueError(text))).main(["go"]) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell with pipes")
@pytest.mark.parametrize("command", ["simmim_lab demo --help", "simmim_lab.teaching --help"])
def test_a_reader_that_leaves_early_is_no_error(command):
    shell = f"{sys.executable} -m {command} | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_closed_console_is_no_error(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    assert program(lambda: print("unheard")).main(["go"]) == 0


# Numbers and paths


@given(
    st.sampled_from([int, float]),
    st.sampled_from([0, 1, 8]),
    st.sampled_from([8, 65535, math.inf]),
    st.booleans(),
    st.one_of(st.integers(-2, 10).map(str), st.floats().map(repr), st.text(max_size=8)),
)
@settings(deadline=None, max_examples=100)
def test_a_number_is_within_its_limits_or_refused_by_name(kind, low, high, above, text):
    parser = argparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("--value", type=number(kind, low, high, above=above))
    try:
        given = kind(text)
    except ValueError:
        given = math.nan
    try:
        value = parser.parse_args([f"--value={text}"]).value
    except argparse.ArgumentError as error:
        assert str(error).startswith("argument --value: it must be a ")
        assert not (low <= given <= high) or (above and given == low)
    else:
        assert type(value) is kind and value == given and low <= value <= high and (value > low or not above)


@pytest.mark.parametrize("text", ["~", "~/x", "~/a b/ü.png"])
def test_the_home_folder_is_meant_in_every_path(monkeypatch, tmp_path, text):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert user_path(text) == tmp_path / text.removeprefix("~").lstrip("/")


@pytest.mark.parametrize("text", ["", "~nobody-has-this-name/x"])
def test_what_is_no_path_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError):
        user_path(text)


def options(made: Program) -> list[tuple[str, argparse.Action]]:
    """Every argument of every command."""
    [commands] = [action for action in made.parser._actions if isinstance(action.choices, dict)]
    return [(name, action) for name, sub in commands.choices.items() for action in sub._actions]


PLACES = {"DIR", "FILE", "FILE.png", "INBOX", "LESSON"}
NUMBERS = {"N", "S", "R", "RATE", "PIXELS"}


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_path_knows_the_home_folder_and_every_number_its_limits(name):
    for command, action in options(PROGRAMS[name]):
        if action.metavar in PLACES:
            assert action.type is user_path, (command, action.dest)
        if action.metavar in NUMBERS:
            for text in ("nan", "inf", "-1", "1e999"):
                with pytest.raises(argparse.ArgumentTypeError):
                    action.type(text)


# Help


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_command_explains_itself_with_an_example(capsys, name):
    made = PROGRAMS[name]
    [commands] = [action for action in made.parser._actions if isinstance(action.choices, dict)]
    for command in commands.choices:
        with pytest.raises(SystemExit, match="0"):
            made.main([command, "--help"])
        lines = capsys.readouterr().out.splitlines()
        [example] = [line for line in lines if line.startswith(f"  {name} {command}")]
        assert made.parser.parse_args(shlex.split(example)[1:]).command.__name__ == command
        assert "  --traceback" in "\n".join(lines)


def test_learners_and_staff_have_their_own_commands():
    commands = {name: {command for command, _ in options(made)} for name, made in PROGRAMS.items()}
    assert commands["simmim-lab"] == {
        "demo",
        "pretrain",
        "finetune",
        "features",
        "inpaint",
        "generate",
        "export",
        "lab",
    }
    graders = {"collect", "rename", "grade", "feedback", "export", "similar", "doctor"}
    assert graders | {"host", "release", "execute"} <= commands["simmim-course"]


def test_help_comes_before_anything_heavy_is_imported():
    code = "import json, sys, simmim_lab.cli, simmim_lab.teaching.cli; print(json.dumps([*sys.modules]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "numpy", "nbformat", "nbgrader", "matplotlib"} & set(json.loads(done.stdout))


@pytest.mark.parametrize("module", ["simmim_lab", "simmim_lab.teaching"])
def test_both_run_as_modules(module):
    env = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-m", module, "nothing"], capture_output=True, text=True, env=env)
    assert done.returncode == 2 and "invalid choice: 'nothing'" in done.stderr and done.stderr.count("\n") == 1


# The course


@pytest.fixture
def course(tmp_path, monkeypatch) -> Path:
    """A copy of the course with nothing in it yet."""
    (tmp_path / "notebooks").mkdir()
    monkeypatch.setattr(staff, "course_folder", lambda: tmp_path)
    return tmp_path


def damage(root: Path, file: str) -> None:
    path = root / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{not", encoding="utf-8")


@pytest.mark.parametrize(
    ("file", "argv"),
    [
        ("pyproject.toml", ["host", "--check"]),
        ("notebooks/01_masking.ipynb", ["host", "--check"]),
        ("exercises/01_masking/01_masking.ipynb", ["host", "--unset"]),
    ],
)
def test_a_damaged_file_of_the_course_is_named(course, capsys, file, argv):
    (course / "pyproject.toml").write_text("[project.urls]\n", encoding="utf-8")
    damage(course, file)
    assert staff.main(argv) == 2
    said = capsys.readouterr().err
    assert str(course / file) in said and FAULT not in said and said.count("\n") == 1


def hand_in(course) -> None:
    """One student's notebook, as `collect` leaves it."""
    for folder in ("solutions", "grading/submitted/ann"):
        (course / folder / "01_masking").mkdir(parents=True)
        nbformat.write(nbformat.v4.new_notebook(), course / folder / "01_masking/01_masking.ipynb")


@pytest.mark.parametrize("argv", [["feedback"], ["export"]])
def test_damaged_records_are_named(course, capsys, argv):
    pytest.importorskip("nbgrader", reason="needs nbgrader: pip install 'simmim-lab[teaching]'")
    hand_in(course)
    (course / "grading/collected.json").write_text("{not", encoding="utf-8")
    assert staff.main(argv) == 2
    said = capsys.readouterr().err
    assert "collected.json is damaged" in said and FAULT not in said and said.count("\n") == 1


@pytest.mark.parametrize("config", [None, "c = (", "1 / 0"])
def test_a_missing_or_broken_configuration_is_named(course, capsys, config):
    pytest.importorskip("nbgrader", reason="needs nbgrader: pip install 'simmim-lab[teaching]'")
    hand_in(course)
    if config is not None:
        (course / "nbgrader_config.py").write_text(config, encoding="utf-8")
    assert staff.main(["export"]) == 2
    said = capsys.readouterr().err
    assert "nbgrader_config.py" in said and FAULT not in said and said.count("\n") == 1


@pytest.mark.parametrize(
    "argv", [["release"], ["collect", "nowhere"], ["grade"], ["feedback"], ["export"], ["grade", "99_nothing"]]
)
def test_an_empty_course_is_one_sentence(course, capsys, argv):
    assert staff.main(argv) == 2
    said = capsys.readouterr().err
    assert said.startswith("simmim-course: error: there ") and said.count("\n") == 1


def test_execute_runs_all_lessons_or_those_that_are_named(course, monkeypatch, capsys):
    pytest.importorskip("nbclient", reason="needs nbclient: pip install 'simmim-lab[teaching]'")
    from simmim_lab.teaching import lessons

    ran = []

    def execute(path: Path) -> None:
        ran.append(path.name)
        if path.name.startswith("02"):
            raise RuntimeError("cell 3 failed")

    monkeypatch.setattr(lessons, "execute", execute)
    for name in ("01_a.ipynb", "02_b.ipynb"):
        (course / "notebooks" / name).touch()
    assert staff.main(["execute"]) == 1
    assert "cell 3 failed" in capsys.readouterr().out
    assert staff.main(["execute", str(course / "notebooks/01_a.ipynb")]) == 0
    assert ran == ["01_a.ipynb", "02_b.ipynb", "01_a.ipynb"]
