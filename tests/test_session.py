"""A student's functions in another process: judged as if they ran here, whatever comes back."""

import base64
import importlib
import inspect
import linecache
import math
import os
import re
import textwrap
import time
from collections import OrderedDict, namedtuple
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from answers import RIGHT, WRONG, words
from IPython.core.inputtransformer2 import TransformerManager
from torch import Generator, nn

from simmim_lab import checks
from simmim_lab.checks.core import Failed, check, compare, explain
from simmim_lab.checks.running import generators, tensors
from simmim_lab.teaching.isolation import proxy, sandbox, session
from simmim_lab.teaching.isolation.channel import Opaque, decode, encode, plain
from simmim_lab.teaching.isolation.session import Session

VERIFY = pytest.mark.verify
ROOT = Path(__file__).parents[1]
GRADED = [name for name, task in checks.TASKS.items() if task.solution is None]
LESSONS = {}
for name in GRADED:
    LESSONS.setdefault(checks.TASKS[name]._rule.__module__.rpartition(".")[2], []).append(name)
DRAWING = ["decode_step", "few_labels", "masks_of_ratios", "split_photographs"]
# A cell that loads a module of tests/answers, and gives names to the answers in it.
LOADER = """
import linecache, sys, types

def register(kind):
    def decorator(task, says=""):
        def keep(answer):
            found.setdefault((task, kind), []).append(answer)
            globals()[f"{task} {kind} {len(found[task, kind]) - 1}"] = answer
            return answer
        return keep
    return decorator

def load(name, source):
    linecache.cache[f"<{name}>"] = (len(source), None, source.splitlines(keepends=True), f"<{name}>")
    sys.modules[name] = types.ModuleType(name)
    exec(compile(source, f"<{name}>", "exec"), sys.modules[name].__dict__)

found = {}
sys.modules["answers"] = types.SimpleNamespace(right=register("right"), wrong=register("wrong"))
"""


@check("", "", gradient=(0,), batched=(0,))
def tripled(answer, rng):
    """`tripled(x)` is 3 x."""
    cases = [(torch.rand(4, 3, generator=rng),), (torch.zeros(2, 2),)]
    yield "is three times x", explain(answer, lambda x: 3 * x, cases, {"you doubled it": lambda x: 2 * x})


@check("", "")
def listed(answer, rng):
    """`listed(numbers)` has them from low to high."""
    yield "is sorted", compare(answer([3, 1, 2]), [1, 2, 3])


@check("", "")
def drawn(answer, rng):
    """`drawn(generator)` draws three numbers."""
    one, other = (answer(Generator().manual_seed(7)) for _ in range(2))
    yield "draws from the generator alone", compare(one, other)
    generator = Generator().manual_seed(7)
    yield "draws anew", "twice the same" if torch.equal(answer(generator), answer(generator)) else None


@pytest.fixture(scope="module")
def locked() -> bool:
    """Whether this machine can isolate. On CI it must."""
    missing = sandbox.missing()
    if missing and os.environ.get("CI"):
        pytest.fail(missing)
    return not missing


@pytest.fixture(scope="module")
def one(locked):
    """A session for all tests that do not end its process."""
    with endless("", locked) as session:
        yield session


@pytest.fixture
def new(locked):
    """A session of its own."""
    with Session("", isolated=locked) as session:
        yield session


def endless(set_name: str, locked: bool) -> Session:
    """A session whose time is never over."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "SUBMISSION", math.inf)
        return Session(set_name, isolated=locked)


def defined(session: Session, source: str) -> proxy.Proxy:
    """The function `answer` that this cell defines."""
    ran = session.run(textwrap.dedent(source))
    assert ran.error is None, ran
    return session.function("answer")


def report(task, answer, seed: int = 1) -> str:
    """What the hidden test says of an answer; "" if it passes."""
    try:
        task.grade(answer, seed)
    except Failed as failed:
        return str(failed)
    return ""


def first_mistake(text: str) -> str:
    """The first property of a report that fails and the line under it, without figures: they may be drawn."""
    found, figure = re.search(r"✗ .*\n.*", text), r"[-\d.]+(e[+-]\d+)?"
    return re.sub(f"{figure}(, {figure})*", "#", found[0]) if found else text


def same_verdicts(session: Session, task: str, right: slice = slice(None), wrong: slice = slice(None)) -> None:
    """Whether answers of the catalogue get the same verdicts through the pipe as here."""
    lesson = next(lesson for lesson, tasks in LESSONS.items() if task in tasks)
    module = importlib.import_module(f"answers.{lesson}")
    if session.run(f"load  # {module.__name__}\n{module.__name__!r} in sys.modules or 1 / 0").error:
        assert session.run(LOADER).error is None
        assert session.run(f"load({module.__name__!r}, {inspect.getsource(module)!r})").error is None
    for kind, answers in (("right", RIGHT[task]), ("wrong", [answer for answer, _ in WRONG[task]])):
        for place in range(*(right if kind == "right" else wrong).indices(len(answers))):
            here = report(checks.TASKS[task], answers[place], seed=place)
            there = report(checks.TASKS[task], session.function(f"{task} {kind} {place}"), seed=place)
            assert (here == "") == (kind == "right")
            assert first_mistake(there) == first_mistake(here), f"{task} {kind} {place}"


@pytest.mark.parametrize("task", [tasks[0] for tasks in LESSONS.values()])
def test_verdicts_are_the_same_through_the_pipe(task, one):
    same_verdicts(one, task, slice(1), slice(0, None, 7))


@pytest.mark.parametrize("task", DRAWING)
def test_right_answers_that_draw_from_a_generator_pass_through_the_pipe(task, one):
    same_verdicts(one, task, slice(2), slice(2))


@VERIFY
@pytest.mark.parametrize("lesson", LESSONS)
def test_all_verdicts_are_the_same_through_the_pipe(lesson, locked):
    with endless("", locked) as session:
        for task in LESSONS[lesson]:
            same_verdicts(session, task)


# Answers to `tripled` and its kin: what they do, and part of what is said; "" if they pass.
HABITS = {
    "right": (tripled, "def answer(x):\n    return 3 * x", ""),
    "wrong": (tripled, "def answer(x):\n    return 2 * x", "you doubled it"),
    "not written": (tripled, "def answer(x):\n    raise NotImplementedError()", "is not written yet"),
    "raises": (
        tripled,
        "def answer(x):\n    return x.absent",
        "in line 2 with AttributeError: 'Tensor' object has",
    ),
    "raises a key error": (tripled, "def answer(x):\n    {}['a']", "in line 2 with KeyError: 'a', in `{}['a']`"),
    "ends": (tripled, "def answer(x):\n    raise SystemExit(3)", "it stopped in line 2 with SystemExit: 3"),
    "has an error of its own": (
        tripled,
        "class Mine(ValueError): pass\ndef answer(x):\n    raise Mine('oh')",
        "in line 3 with Mine: oh",
    ),
    "is not defined": (tripled, "answer = None", "NameError: name 'answer' is not defined"),
    "is no function": (tripled, "answer = 7", "answer is no function, but 7"),
    "takes another number of arguments": (tripled, "def answer(x, y):\n    return x", "check the arguments"),
    "changes its input": (tripled, "def answer(x):\n    return x.mul_(3)", "it changes its input in place"),
    "changes a list": (listed, "def answer(n):\n    n.sort()\n    return n", "it changes its input in place"),
    "leaves a list alone": (listed, "def answer(n):\n    return sorted(n)", ""),
    "loses the gradient": (tripled, "def answer(x):\n    return 3 * x.detach()", "the result has no gradient"),
    "has a gradient of another": (
        tripled,
        "import torch\ndef answer(x):\n    return 3 * x.detach() + torch.zeros(1, requires_grad=True)",
        "no gradient reaches argument 1",
    ),
    "mixes images": (tripled, "def answer(x):\n    return (3 * x).squeeze()[:4]", "for the first alone"),
    "sets a seed": (
        tripled,
        "import torch\ndef answer(x):\n    torch.manual_seed(0)\n    return 3 * x",
        "or sets its seed",
    ),
    "sets a seed of Python": (
        tripled,
        "import random\ndef answer(x):\n    random.seed(0)\n    return 3 * x",
        "or sets its seed",
    ),
    "stirs chance without harm": (
        tripled,
        "import torch\ndef answer(x):\n    torch.rand(1)\n    return 3 * x",
        "",
    ),
    "keeps something": (
        tripled,
        "calls = []\ndef answer(x):\n    calls.append(1)\n    return (2 + (len(calls) < 3)) * x",
        "does it keep something",
    ),
    "asks for its process": (
        tripled,
        "import os\npid = os.getpid()\ndef answer(x):\n    return (3 if os.getpid() == pid else 2) * x",
        "another process",
    ),
    "uses hash": (
        tripled,
        "known = hash('a')\ndef answer(x):\n    return (3 if hash('a') == known else 2) * x",
        "another process",
    ),
    "has other settings": (
        tripled,
        "import torch\ntorch.set_default_dtype(torch.float64)\ndef answer(x):\n    return x * torch.tensor(3.0)",
        "",
    ),
    "is compiled": (tripled, "import torch\n@torch.compile\ndef answer(x):\n    return 3 * x", ""),
    "draws": (drawn, "import torch\ndef answer(g):\n    return torch.rand(3, generator=g)", ""),
    "draws from a copy": (
        drawn,
        "import torch\ndef answer(g):\n    return torch.rand(3, generator=g.clone_state())",
        "twice the same",
    ),
    "sets the seed of the generator": (
        drawn,
        "import torch\ndef answer(g):\n    return torch.rand(3, generator=g.manual_seed(0))",
        "twice the same",
    ),
    "draws from global chance": (drawn, "import torch\ndef answer(g):\n    return torch.rand(3)", "expected"),
}


@pytest.mark.parametrize("habit", HABITS)
def test_what_an_answer_does_besides_is_seen_through_the_pipe(habit, one):
    task, source, said = HABITS[habit]
    there = words(report(task, defined(one, source)))
    assert said in there if said else there == ""


@pytest.mark.parametrize("habit", [habit for habit in HABITS if not habit.startswith(("is ", "has other"))])
def test_the_report_is_that_of_an_answer_which_runs_here(habit, one):
    task, source, _ = HABITS[habit]
    there, scope = report(task, defined(one, source)), {}
    linecache.cache["<here>"] = (len(source), None, source.splitlines(keepends=True), "<here>")
    exec(compile(source, "<here>", "exec"), scope)
    assert first_mistake(there) == first_mistake(report(task, scope["answer"]))


# Values that a function may return, and what comes of them.
CROSSING = [
    *(
        None,
        True,
        7,
        -(10**300),
        0.1,
        math.inf,
        "text \u20ac",
        [],
        (),
        {},
        set(),
        [1, (2.0, {"a": {3}})],
        frozenset("ab"),
    ),
    *(
        torch.arange(6).reshape(2, 3),
        torch.zeros(0, 3),
        torch.tensor(1.5),
        torch.rand(2, 3).t(),
        torch.rand(4)[::2],
    ),
    *(
        torch.tensor([True, False]),
        torch.ones(2).bfloat16(),
        torch.tensor([1 + 2j]).conj(),
        torch.zeros(3).expand(2, 3),
    ),
    *({1: "one", (2, 3): [None]}, {"w": torch.ones(2), "b": [torch.zeros(1)]}),
]
MADE_PLAIN = [
    (np.float32(0.5), 0.5),
    (np.int64(3), 3),
    (Fraction(1, 4), 0.25),
    (OrderedDict(a=1), {"a": 1}),
    (namedtuple("Pair", "a b")(1, 2), (1, 2)),
    (nn.Parameter(torch.ones(2)), torch.ones(2)),
    (type("Text", (str,), {"__eq__": lambda *_: True, "__hash__": str.__hash__})("a"), "a"),
    (type("List", (list,), {"__eq__": lambda *_: True})([1]), [1]),
    (torch.ones(2).as_subclass(type("Equal", (torch.Tensor,), {"__eq__": lambda *_: True})), torch.ones(2)),
]
STAYING = [object(), np.ones(2), 1j, torch.nn.Linear(1, 1), lambda: 0, range(3), iter([1]), np.bool_(True), b"1"]
STAYING += [
    torch.zeros(2, device="meta"),
    torch.zeros(1).expand(10**9),
    torch.eye(2).to_sparse(),
    10**400,
    set(range(3000)),
]


def equal(one, other) -> bool:
    if isinstance(one, torch.Tensor):
        return type(other) is torch.Tensor and one.dtype == other.dtype and torch.equal(one.resolve_conj(), other)
    if isinstance(one, list | tuple):
        return type(one) is type(other) and len(one) == len(other) and all(map(equal, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    return type(one) is type(other) and one == other


@pytest.mark.parametrize("value", CROSSING)
def test_plain_values_cross_the_channel(value):
    line = encode(plain(value))
    assert line.count(b"\n") == 1 and line.endswith(b"\n")
    assert equal(value, decode(line))


@pytest.mark.parametrize(("value", "want"), MADE_PLAIN)
def test_kin_of_plain_values_become_plain(value, want):
    assert equal(want, decode(encode(plain(value))))


@pytest.mark.parametrize("value", STAYING, ids=lambda value: str(value)[:20])
def test_nothing_can_be_done_with_what_is_not_plain(value):
    got = decode(encode(plain(value)))
    assert isinstance(got, Opaque) and type(got).__name__ == type(value).__name__ and str(got)
    assert got != got and got != value and value not in [got]
    for use in (
        bool,
        len,
        iter,
        float,
        lambda v: v + 1,
        lambda v: v < 1,
        lambda v: v(),
        torch.as_tensor,
        lambda v: v[0],
    ):
        with pytest.raises((TypeError, RuntimeError)):
            use(got)


def test_what_is_nested_or_long_without_end_does_not_cross():
    ring = []
    ring.append(ring)
    got = decode(encode(plain(ring)))
    while type(got) is list:
        [got] = got
    assert isinstance(got, Opaque)
    many = decode(encode(plain([[0]] * 1_000_000)))
    assert isinstance(many, Opaque)
    big = decode(encode(plain([torch.zeros(8_000_000)] * 3)))
    assert [isinstance(part, Opaque) for part in big] == [False, True, True]


def test_a_gradient_is_said_to_be_there():
    assert decode(encode(torch.ones(2, requires_grad=True))).requires_grad
    assert not decode(encode(torch.ones(2))).requires_grad


def tensor_line(dtype="float32", shape="[2]", data=b"\0" * 8, gradient="false") -> bytes:
    text = base64.b64encode(data).decode() if isinstance(data, bytes) else data
    return f'["tensor","{dtype}",{shape},"{text}",{gradient}]'.encode()


MALFORMED = {
    "nothing": b"",
    "no JSON": b"}{",
    "half": b'["list",1',
    "two values": b"1 2",
    "not UTF-8": b'"\xff\xfe"',
    "UTF-16": '"a"'.encode("utf-16"),
    "a NUL": b"\0",
    "an object": b"{}",
    "an object with one key twice": b'{"a":1,"a":2}',
    "no tag": b"[]",
    "a number as tag": b"[1,2]",
    "a list as tag": b'[["list"],2]',
    "an unknown tag": b'["module","os"]',
    "a pickle": b'["pickle","gASVHwAAAAAAAACMBXBvc2l4lIwGc3lzdGVtlJOUjARleGl0lIWUUpQu"]',
    "a generator": b'["generator",' + tensor_line("uint8", "[1]", b"1") + b"]",
    "deep lists": b'["list",' * 200_000 + b"1" + b"]" * 200_000,
    "deep brackets": b"[" * 200_000,
    "deep objects": b'{"a":' * 200_000,
    "lists a little too deep": b'["list",' * 21 + b"1" + b"]" * 21,
    "too many entries": b'["list"' + b",1" * 1_000_001 + b"]",
    "too many empty lists": b'["list"' + b",[]" * 1_000_001 + b"]",
    "a long number": b"1" * 401,
    "an endless number": b"1" * 100_000,
    "an item twice in a set": b'["set",1,1]',
    "an item twice in another form": b'["set",1,1.0,true]',
    "a key twice": b'["dict","a",1,"a",2]',
    "a key without a value": b'["dict","a"]',
    "a list as key": b'["dict",["list"],1]',
    "a list in a set": b'["set",["list"]]',
    "numbers that collide": b'["set",' + b",".join(b"%d" % (k * (2**61 - 1)) for k in range(2_100)) + b"]",
    "keys that collide": b'["dict",' + b",".join(b"%d,0" % (k * (2**61 - 1)) for k in range(2_100)) + b"]",
    "dtype object": tensor_line("object"),
    "an unknown dtype": tensor_line("float8_e4m3fn"),
    "no dtype": tensor_line("__class__"),
    "too few bytes": tensor_line(shape="[3]"),
    "too many bytes": tensor_line(shape="[1]"),
    "a huge shape": tensor_line(shape="[1000000000000]"),
    "huge sizes whose product wraps": tensor_line(shape="[4294967296,4294967296]", data=b""),
    "a huge and an empty size": tensor_line(shape="[0,1000000000000]", data=b""),
    "a negative size": tensor_line(shape="[-2]"),
    "two negative sizes": tensor_line(shape="[-1,-2]"),
    "a fraction as size": tensor_line(shape="[2.0]"),
    "True as size": tensor_line(shape="[true,2]"),
    "a text as size": tensor_line(shape='["2"]'),
    "no shape": tensor_line(shape="2"),
    "a number in place of data": b'["tensor","float32",[2],0,false]',
    "data that are no base64": tensor_line(data="AAAAAAAAAA!="),
    "data with half characters": tensor_line(data="\\ud800"),
    "many axes": tensor_line(shape=f"[{','.join(['1'] * 40)}]", data=b"\0" * 4),
    "a gradient of whole numbers": tensor_line("int64", "[1]", gradient="true"),
    "no word on the gradient": tensor_line(gradient="null"),
    "more words": tensor_line()[:-1] + b",1]",
    "opaque without a text": b'["opaque","object"]',
    "opaque with a list": b'["opaque",["list"],"a"]',
}


@pytest.mark.parametrize("line", MALFORMED.values(), ids=MALFORMED)
def test_a_line_of_a_wrong_form_is_an_ordinary_error(line):
    begin = time.process_time()
    with pytest.raises(ValueError):
        decode(line)
    assert time.process_time() - begin < 5


def test_odd_lines_give_plain_values():
    assert math.isnan(decode(b"NaN")) and decode(b"1e999") == math.inf
    assert decode(b'"\\ud800"') == "?"  # half a character
    assert decode(tensor_line("bool", "[3]", b"\2\0\xff")).tolist() == [True, False, True]
    kind = type(decode(b'["opaque","__import__(1)","text"]'))
    assert kind.__name__ == "object" and issubclass(kind, Opaque)
    got = decode(tensor_line())
    got += 1  # in memory of its own
    assert got.tolist() == [1, 1]


class Scripted:
    """In the place of a sandbox: each request is answered by `script`, a function from the request to a line."""

    used = 0.0

    def __init__(self, *_, script=None, **__):
        self._script, self._requests = script, []

    def send(self, line: bytes) -> None:
        self._requests.append(decode(line, generators=True))

    def receive(self, seconds: float) -> bytes:
        request = self._requests.pop()
        made = self._script(request) if request["do"] == "call" else {}
        if isinstance(made, bytes):
            return made
        return encode({"number": request["number"], "chance": [1, 2, 3], **made})

    def close(self) -> None:
        pass


REPLY = {"result": 0, "handed_back": [], "changed": None, "seeds": []}


def scripted(monkeypatch, script) -> Session:
    """A session whose process replies to calls with what `script` makes of them."""

    def reply(request):
        made = script(request)
        whole = isinstance(made, bytes) or "error" in made
        new = [None] * len(tensors(made.get("result", 0)))
        return made if whole else {**REPLY, "handed_back": new, **made}

    monkeypatch.setattr(session, "Sandbox", lambda *_, **__: Scripted(script=reply))
    return Session("01_masking")


def first(request):
    """The first argument that is a tensor, else the first one."""
    values = [*request["args"], *request["kwargs"].values()]
    return next((value for value in values if isinstance(value, torch.Tensor)), values[0] if values else 0)


def zeros(request):
    value = first(request)
    return torch.zeros_like(value) if isinstance(value, torch.Tensor) else 0


def emptied(value):
    if isinstance(value, torch.Tensor):
        return torch.zeros_like(value)
    return type(value)() if isinstance(value, list | dict | set) else value


CONSTANT = {
    "0": lambda request: 0,
    "1.0": lambda request: 1.0,
    "an empty list": lambda request: [],
    "an empty dict": lambda request: {},
    "an empty set": lambda request: set(),
    "two empty lists": lambda request: [[], []],
    "an empty tensor": lambda request: torch.zeros(0),
    "NaN": lambda request: math.nan,
    "infinity": lambda request: math.inf,
    "zeros": zeros,
    "not a number": lambda request: zeros(request) + math.nan,
    "True": lambda request: zeros(request) == 0,
    "the first argument": first,
    "all arguments": lambda request: request["args"],
    "a huge number": lambda request: 10**300,
    "a large number": lambda request: 10**9,
    "a long list": lambda request: list(range(5_000)),
    "a large tensor": lambda request: torch.zeros(100_000),
    "many tensors": lambda request: [torch.zeros(2)] * 100,
    "something opaque": lambda request: plain(object()),
}


@pytest.mark.parametrize(
    "name", [name if name == "zeros" else pytest.param(name, marks=VERIFY) for name in CONSTANT]
)
def test_no_constant_passes_even_if_all_inputs_are_said_to_be_empty(name, monkeypatch):
    """A process that always replies so earns nothing, also if it says that it has emptied its inputs."""

    def honest(request):
        seeds = [5] * len(generators([request["args"], request["kwargs"]]))
        return {"result": CONSTANT[name](request), "seeds": seeds}

    def forging(request):
        return honest(request) | {"changed": [list(map(emptied, request["args"])), request["kwargs"]]}

    for script in (honest, forging):
        with scripted(monkeypatch, script) as forged:
            passed = [task for task in GRADED if report(checks.TASKS[task], forged.function(task)) == ""]
        assert passed == []


FORGED = {
    "no dict": b'["list",1]',
    "no line": b"",
    "another number": encode({"number": "0", "chance": [1, 2, 3], **REPLY}),
    "no number": encode({"chance": [1, 2, 3], **REPLY}),
    "no result": {"result": None, "seeds": None},
    "no chance": {"chance": None},
    "chance that is no number": {"chance": ["a", 2, 3]},
    "seeds of nothing": {"seeds": [1, 2, 3]},
    "a text as seed": {"seeds": ["a"]},
    "True as seed": {"seeds": [True]},
    "half a seed": {"seeds": [0.5]},
    "a huge seed": {"seeds": [10**300]},
    "more is handed back than there is": {"handed_back": [0]},
    "it is not said what is handed back": {"result": torch.zeros(2), "handed_back": []},
    "what is handed back was never given": {"result": torch.zeros(2), "handed_back": [7]},
    "a place before the first": {"result": torch.zeros(2), "handed_back": [-1]},
    "a text as place": {"result": torch.zeros(2), "handed_back": ["0"]},
    "changes of another form": {"changed": [[{}, {}], 3]},
    "more changes than arguments": {"changed": [[0] * 9, {"a": 1}]},
    "a change of shape": {"changed": [[torch.zeros(9, 9)], {}]},
    "an error without a text": {"error": {"type": "ValueError"}},
    "an error that is a list": {"error": []},
    "a late text": {"late": "yes"},
    **{
        name: {"error": {"type": name, "text": "x", "stopped": "y"}}
        for name in (
            "SystemExit",
            "KeyboardInterrupt",
            "GeneratorExit",
            "BaseException",
            "ExceptionGroup",
            "NameError",
        )
    },
    **{
        f"an error {name}": {"error": {"type": name, "text": "x", "stopped": "y"}}
        for name in (
            "UnicodeDecodeError",
            "StopIteration",
            "print",
            "Ended",
            "_Stopped",
            "__import__",
            "",
            "OSError",
        )
    },
    "an error with a long text": {"error": {"type": "ValueError", "text": "x" * 10**6, "stopped": "y" * 10**6}},
}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_reply_costs_the_task_and_nothing_else(name, monkeypatch):
    def script(request):
        return FORGED[name] if isinstance(FORGED[name], bytes) else {"result": 3, **FORGED[name]}

    with scripted(monkeypatch, script) as forged:
        for task in (tripled, drawn):
            said = report(task, forged.function("answer"))
            assert "✗" in said and len(said) < 2_000


@pytest.mark.parametrize("gradients", [None, [], [1], [torch.zeros(9)], [torch.zeros(3), None], ["a"], [[]]])
def test_forged_gradients_are_an_ordinary_error(gradients, monkeypatch):
    with scripted(monkeypatch, lambda request: {"result": torch.ones(3, requires_grad=True)}) as forged:
        result = forged.function("answer")(torch.ones(3, requires_grad=True))
        monkeypatch.setattr(forged, "ask", lambda *_, **__: {"gradients": gradients})
        with pytest.raises((ValueError, RuntimeError, TypeError, AttributeError)):
            result.sum().backward()


@pytest.mark.parametrize("returned", ["x", "x.view(-1, 3)", "x.clone()", "x.T", "x[:2]", "x + 0"])
def test_an_argument_that_comes_back_is_the_argument(returned, one):
    x = torch.rand(3, 3)
    source = f"def answer(y, x):\n    return [y + 1, ({returned}, 5)]"
    other, (found, number) = defined(one, source)(x + 1, x)
    assert (found is x) == (returned in ("x", "x.view(-1, 3)")) and torch.equal(found, eval(returned))
    assert number == 5 and torch.equal(other, x + 2)


def test_gradients_go_through_the_process(one):
    answer = defined(one, "def answer(x, y, flag):\n    return {'a': x * y, 'b': [x.sum(), 3], 'c': y.detach()}")
    x, y = torch.rand(3, requires_grad=True), torch.rand(3, requires_grad=True)
    result = answer(2 * x, y, flag=True)
    (result["a"].sum() + result["b"][0]).backward()
    assert torch.allclose(x.grad, 2 * y + 2) and torch.allclose(y.grad, 2 * x)
    assert not result["c"].requires_grad
    later, last = answer(x, y, flag=True), answer(x, y, flag=True)
    with pytest.raises(RuntimeError, match="last call alone"):
        later["a"].sum().backward()
    assert torch.autograd.grad(last["a"].sum(), y)[0].equal(x.detach())


def test_the_state_of_a_generator_is_never_taken_from_the_process(one):
    answer = defined(
        one,
        """
        import torch
        def answer(generator, kind):
            if kind == "draws":
                return torch.rand(3, generator=generator)
            if kind == "sets":
                generator.set_state(torch.Generator().manual_seed(0).get_state())
            return None
        """,
    )
    one, other = Generator().manual_seed(3), Generator().manual_seed(3)
    want = torch.rand(3, generator=Generator().manual_seed(3))
    assert answer(one, "draws").equal(want) and answer(other, kind="draws").equal(want)
    assert torch.rand(3, generator=one).equal(torch.rand(3, generator=other))  # moved on, and in the same way
    before = one.get_state()
    assert answer(one, "nothing") is None and one.get_state().equal(before)
    answer(one, "sets")
    assert not one.get_state().equal(before)
    assert not one.get_state().equal(Generator().manual_seed(0).get_state())


CELLS = {
    "print('a')\n1 + 1": ("a\n2\n", None),
    "x = 1\n1 / 0": ("", "ZeroDivisionError: division by zero (line 2)"),
    "x": ("1\n", None),
    "def f(:\n  pass": ("", "SyntaxError: invalid syntax (line 1)"),
    "y = 2\n\nreturn y": ("", "SyntaxError: 'return' outside function (line 3)"),
    "open('absent/file')": ("", "FileNotFoundError: [Errno 2] No such file or directory: 'absent/file' (line 1)"),
    "from torch import absent": (
        "",
        "ImportError: cannot import name 'absent' from 'torch' (torch/__init__.py) (line 1)",
    ),
    "raise SystemExit(2)": ("", "SystemExit: 2 (line 1)"),
    "raise KeyboardInterrupt": ("", "KeyboardInterrupt (line 1)"),
    "input('name? ')": ("name? ", "EOFError: EOF when reading a line (line 1)"),
    "def helper(n): return 1 if n < 2 else n * helper(n - 1)": ("", None),
    "helper(5)": ("120\n", None),
    "_ + 1": ("121\n", None),
    "import inspect; print(inspect.getsource(helper))": (
        "def helper(n): return 1 if n < 2 else n * helper(n - 1)\n\n",
        None,
    ),
    "from dataclasses import dataclass\n@dataclass\nclass Point:\n    x: int = 3\nPoint()": ("Point(x=3)\n", None),
    "from typing import NamedTuple\nclass Pair(NamedTuple):\n    a: 'int'\nPair(1)": ("Pair(a=1)\n", None),
    "count = 0\ndef add():\n    global count\n    count += 1\nadd()\ncount": ("1\n", None),
    "__name__": ("'__main__'\n", None),
    "import asyncio\nawait asyncio.sleep(0, 5)": ("5\n", None),
    "%time z = 3": ("", None),
    "z": ("3\n", None),
    "%%time\ndef late(): return 4": ("", None),
    "late()": ("4\n", None),
    "%matplotlib inline\n!pip install nothing\nfiles = !ls\nfiles": ("[]\n", None),
    "%%writefile mine.py\nvalue = 9": ("", None),
    "import mine\nmine.value": ("9\n", None),
    "display('a', 1)": ("a 1\n", None),
    "import matplotlib\nmatplotlib.get_backend().lower()": ("'agg'\n", None),
    "import absent": ("", "ModuleNotFoundError: No module named 'absent' (line 1)"),
    "from simmim_lab import checks as check\ncheck.random_mask(3)\ncheck.hint('random_mask')": ("", None),
    "import sys\nsys.stdout.write('b'); sys.stderr.write('c'); None": ("bc", None),
    "help(late)": ("Help on function late in module __main__:\n\nlate()\n\n", None),
    "exit()": ("", "SystemExit (line 1)"),
    "": ("", None),
}


def test_cells_run_as_in_a_notebook(new):
    turned = TransformerManager()
    for cell, want in CELLS.items():
        ran = new.run(turned.transform_cell(cell))
        assert (ran.text, ran.error) == want, cell
    assert len(new.run("for k in range(10**6): print('a' * 100)").text) == session.PRINTED
    assert new.notes == []


def test_one_that_ends_the_process_costs_itself_alone(new, monkeypatch):
    monkeypatch.setattr(session, "CELL", 3.0)
    monkeypatch.setattr(proxy, "TASK", 3.0)
    assert new.run("ran = []").error is None
    loop = "it was stopped after 3 s: is there a loop that never ends?"
    cells = {
        "good": ("def answer(x):\n    return 3 * x", None),
        "kept": ("import time\ndef kept(x):\n    return 3 * x\ntime.sleep(99)", loop),
        "endless": ("def endless(x):\n    while True: pass", None),
        "deaf": (
            "import time\ndef deaf(x):\n    while True:\n        try: time.sleep(9)\n        except: pass",
            None,
        ),
        "dies": ("import os\ndef dies(x): os._exit(3)", None),
        "forges": (
            "import os\ndef forges(x):\n    for end in range(3, 50):\n        try: os.write(end, b'{}\\n')\n"
            "        except OSError: pass\n    return 3 * x",
            None,
        ),
        "killer": ("import os\nran.append(1)\nos._exit(4)", "it was stopped: the process ended (status 4)"),
    }
    for source, error in cells.values():
        assert new.run(source).error == error
    assert report(tripled, new.function("answer")) == ""
    for name, said in {
        "endless": loop,
        "deaf": loop,
        "dies": "it was stopped: the process ended (status 3)",
        "forges": "it was stopped: ",  # by the second reply, or by the first that cannot be read
    }.items():
        assert f"✗ ends {said}" in words(report(tripled, new.function(name)))
        asked = new.asked
        assert f"✗ ends {said}" in words(report(tripled, new.function(name)))  # it has had its time
        assert new.asked == asked
    assert report(tripled, new.function("answer")) == ""
    assert new.run("print(ran)").text == "[]\n"
    assert len(new.notes) == 6 and all("stopped" in note for note in new.notes)


def test_time_that_other_programs_take_does_not_count(new, monkeypatch):
    monkeypatch.setattr(session, "CELL", 2.0)
    monkeypatch.setattr(proxy, "TASK", 2.0)
    interrupted = """
        import time

        def third_of_a_processor(hundredths):
            for _ in range(hundredths):
                end = time.process_time() + 0.01
                while time.process_time() < end:
                    pass
                time.sleep(0.02)

        def answer(x):  # ten calls
            third_of_a_processor(8)
            return 3 * x
        """
    answer = defined(new, interrupted)
    assert new.run("third_of_a_processor(80)").error is None
    begin = time.monotonic()
    assert report(tripled, answer) == "" and time.monotonic() - begin > 2.0
    assert new.notes == []


def test_a_submission_has_a_time_of_its_own(new, monkeypatch):
    answer = defined(new, "def answer(x):\n    return 3 * x")
    monkeypatch.setattr(new, "_end", time.monotonic())
    assert "all cells and checks together took more than 600 s" in words(report(tripled, answer))
    assert "more than 600 s" in new.run("1").error


def test_nothing_of_the_checks_can_be_found_where_answers_run(new, locked):
    """Not in the stack, the objects, the modules, the environment, nor in what the system tells of the process."""
    answer = defined(
        new,
        """
        import gc, os, sys
        from contextlib import suppress
        from pathlib import Path

        def texts():
            frame = sys._getframe()
            while frame:
                yield f"{frame.f_code.co_filename} {list(frame.f_locals.values())}"
                frame = frame.f_back
            for thing in gc.get_objects():
                if isinstance(thing, (list, tuple, set)):
                    yield from (part for part in thing if isinstance(part, str))
                if isinstance(thing, dict):
                    yield from (part for pair in thing.items() for part in pair if isinstance(part, str))
            yield from (f"{name} {module}" for name, module in list(sys.modules.items()))
            yield f"{os.environ} {sys.argv} {sys.path}"
            for name in ("cmdline", "environ", "maps", "mountinfo", "status"):
                with suppress(OSError):
                    yield Path("/proc/self", name).read_text(errors="replace")

        words = {}

        def answer(x):
            everything = "" if words else "\\n".join(set(texts()))
            for part in x:
                words.setdefault(part, part[::-1] in everything)
            return words
        """,
    )
    secrets = ["you doubled it", "is three times x", "simmim_lab/teaching", *[str(ROOT)] * locked]
    backwards = [word[::-1] for word in ("__main__", *secrets)]  # else what is asked for would be found

    def look(x):
        found.update(answer(backwards))
        return 3 * x

    look.process, found = answer, {}
    assert report(tripled, look) == ""
    assert [word[::-1] for word, there in found.items() if there] == ["__main__"]


def test_a_process_that_does_not_start_is_no_fault_of_the_student(monkeypatch):
    def receive(self, seconds):
        raise sandbox.Dead("the process ended (status 1)")

    monkeypatch.setattr(Scripted, "receive", receive)
    with pytest.raises(RuntimeError, match="did not start"), scripted(monkeypatch, first) as dead:
        assert "did not start: the process ended (status 1)" in dead.run("1").error
        assert "✗ ends" in report(tripled, dead.function("answer"))
