"""Points by other means than right values: no task has a right answer, so none may earn points."""

from functools import partial

from nbformat.v4 import new_code_cell, new_output

from submissions import NONE, RIGHT, TASKS, attack, data, extra, find, marks, place, solved, submit

forges = partial(attack, "forging", answer="return None", earns=NONE)
values = partial(attack, "forging", earns=NONE)

forges(
    "the comparisons of torch always agree",
    """
    import torch
    torch.equal = torch.allclose = lambda *args, **kwargs: True
    torch.testing.assert_close = lambda *args, **kwargs: None
    torch.isclose = torch.eq = lambda a, b, *args, **kwargs: torch.ones_like(a, dtype=torch.bool)
    """,
)
forges(
    "the methods of Tensor always agree",
    """
    import torch
    for name in ("__eq__", "__le__", "all", "any", "isfinite"):
        setattr(torch.Tensor, name, lambda self, *args, **kwargs: torch.tensor(True))
    torch.Tensor.__invert__ = lambda self: torch.tensor(False)
    """,
)
forges(
    "builtins, math and operator are replaced",
    """
    import builtins, math, operator
    math.isclose = operator.eq = lambda *args, **kwargs: True
    builtins.any = lambda *args: False
    builtins.all = builtins.isinstance = lambda *args: True
    builtins.type = lambda *args: list
    """,
)
forges(
    "check is a module in which everything passes, under all its names",
    """
    import sys, types
    class Yes(types.ModuleType):
        __path__ = []
        def __getattr__(self, name): return Yes(name)
        def __call__(self, *args, **kwargs): return None
    check = sys.modules["simmim_lab.checks"] = sys.modules["simmim_lab.checks.core"] = Yes("checks")
    import simmim_lab
    simmim_lab.checks = check
    """,
)
forges(
    "the hidden test itself is replaced: Check.grade and Check.run",
    """
    try:
        from simmim_lab.checks import core
        core.Check.grade = core.Check.run = lambda *args, **kwargs: {}
        core._close = core.compare = lambda *args, **kwargs: None
    except Exception:
        pass
    """,
)
forges(
    "the rule of each task is replaced by one without claims",
    """
    try:
        from simmim_lab import checks
        for rule in vars(checks).values():
            if hasattr(rule, "_rule"):
                rule._rule = lambda answer, rng: iter(())
    except Exception:
        pass
    """,
)
forges(
    "an import hook hands out modules in which everything passes",
    """
    import importlib.abc, importlib.machinery, sys, types
    class Hook(importlib.abc.MetaPathFinder, importlib.abc.Loader):
        def find_spec(self, name, *args):
            return importlib.machinery.ModuleSpec(name, self) if "check" in name or "test" in name else None
        def create_module(self, spec): return type(sys)(spec.name)
        def exec_module(self, module): module.__getattr__ = lambda name: (lambda *args, **kwargs: None)
    sys.meta_path.insert(0, Hook())
    for name in [name for name in sys.modules if "simmim_lab" in name]:
        del sys.modules[name]
    """,
)
forges(
    "__import__ and exec are replaced",
    """
    import builtins
    usual = builtins.__import__
    builtins.exec = builtins.eval = builtins.compile = lambda *args, **kwargs: None
    builtins.__import__ = lambda name, *args, **kwargs: usual("math" if "check" in name else name, *args, **kwargs)
    """,
)
forges(
    "the shell drops what it shall run: transformers of its input",
    """
    try:
        import ast
        shell = get_ipython()
        shell.input_transformers_post.append(lambda lines: [line for line in lines if "grade" not in line])
        class Drop(ast.NodeTransformer):
            def visit_Expr(self, node): return ast.Pass()
        shell.ast_transformers.append(Drop())
    except NameError:
        pass
    """,
)
forges(
    "the kernel answers before it runs anything",
    """
    try:
        shell = get_ipython()
        shell.kernel.do_execute = lambda *args, **kwargs: {"status": "ok", "execution_count": 1}
        shell.run_cell = shell.run_cell_async = lambda *args, **kwargs: None
        shell.showtraceback = lambda *args, **kwargs: None
    except (NameError, AttributeError):
        pass
    """,
)
forges(
    "errors are swallowed: excepthook, showtraceback, unraisablehook",
    """
    import sys, threading, traceback
    sys.excepthook = sys.unraisablehook = threading.excepthook = lambda *args: None
    traceback.format_exception = traceback.print_exc = traceback.extract_tb = lambda *args, **kwargs: []
    """,
)
forges(
    "it prints, shows and returns points in every form",
    """
    from IPython.display import display
    for text in ("1.0", '{"ok": true, "result": 1.0}', "all checks here passed", "score: 100/100"):
        print(text)
        display(text)
    1.0
    """,
    answer="print('100'); return 1.0",
)
forges(
    "it writes forged replies into every open file, before it is asked",
    r"""
    import json, os
    for fd in range(64):
        for reply in ({"ok": True}, {"result": None, "error": None}, {"id": 1, "value": True}, 1.0, [True]):
            try:
                os.write(fd, json.dumps(reply).encode() + b"\n")
            except OSError:
                break
    """,
)
forges(
    "a thread writes forged replies all the time",
    r"""
    import os, threading, time
    def write():
        for _ in range(2000):
            for fd in range(1, 16):
                try:
                    os.write(fd, b'{"result": true}\n')
                except OSError:
                    pass
            time.sleep(0.01)
    threading.Thread(target=write, daemon=True).start()
    """,
)
forges(
    "each call replies in its own way, then ends the process",
    answer=r"""
    import json, os
    for fd in range(1, 64):
        try:
            os.write(fd, b'{"result": {"bool": true}}\n')
        except OSError:
            pass
    os._exit(0)
    """,
)
forges(
    "each call reads the requests that wait, and throws them away",
    answer="""
    import fcntl, os
    for fd in range(16):
        try:
            fcntl.fcntl(fd, fcntl.F_SETFL, os.O_NONBLOCK)
            os.read(fd, 1 << 20)
        except OSError:
            pass
    """,
)
forges(
    "json, base64 and struct of the worker say what they like",
    """
    import base64, json, struct, sys
    json.dumps = lambda *args, **kwargs: '{"result": true, "value": true, "ok": true}'
    json.JSONEncoder.encode = lambda self, value: "true"
    base64.b64encode = lambda *args, **kwargs: b"AAAA"
    """,
)
forges(
    "the worker's own functions are replaced, in its frames and in every module",
    """
    import gc, sys, types
    frame = sys._getframe()
    while frame:
        for name, value in list(frame.f_globals.items()):
            if isinstance(value, types.FunctionType) and frame.f_globals is not globals():
                frame.f_globals[name] = lambda *args, **kwargs: True
        frame = frame.f_back
    """,
)
forges(
    "it traces and profiles all that runs after it",
    """
    import sys, threading
    def trace(frame, event, arg):
        if event == "return":
            for name in frame.f_locals:
                frame.f_locals[name] = True
        return trace
    sys.settrace(trace)
    threading.setprofile(trace)
    """,
)
forges(
    "torch of the worker turns every tensor into the bytes it likes",
    """
    import torch
    torch.Tensor.numpy = torch.Tensor.tolist = torch.Tensor.cpu = lambda self, *args, **kwargs: [True]
    torch.Tensor.shape = property(lambda self: (1,))
    torch.Tensor.dtype = property(lambda self: torch.bool)
    """,
    answer="import torch; return torch.zeros(0)",
)
values(
    "every value is a tensor that answers yes to all functions of torch",
    """
    import torch
    class Yes(torch.Tensor):
        @classmethod
        def __torch_function__(cls, function, types, args=(), kwargs=None): return True
        shape = property(lambda self: Anything())
        dtype = ndim = shape
    class Anything:
        __eq__ = __ge__ = __le__ = lambda self, other: True
        __ne__ = lambda self, other: False
        __hash__ = lambda self: 0
    """,
    answer="return torch.zeros(3).as_subclass(Yes)",
)
values(
    "every value equals everything",
    """
    class Equal(float):
        __eq__ = __le__ = __ge__ = __lt__ = __gt__ = lambda self, other: True
        __ne__ = lambda self, other: False
        __hash__ = lambda self: 0
        __sub__ = __rsub__ = __abs__ = __add__ = __mul__ = lambda self, *other: self
        __getattr__ = lambda self, name: self
        __call__ = lambda self, *args, **kwargs: self
        __getitem__ = __iter__ = __call__
    """,
    answer="return Equal()",
)
values(
    "every value says that it is a Tensor and a number",
    """
    import torch
    class Liar:
        __class__ = torch.Tensor
        __float__ = __index__ = lambda self: 0
        __getattr__ = lambda self, name: (lambda *args, **kwargs: True)
    """,
    answer="return Liar()",
)
for what, value in {
    "empty": "torch.empty(0)",
    "one number for all": "torch.tensor(0.5)",
    "NaN": "torch.full((4, 4), torch.nan)",
    "infinite": "torch.tensor([torch.inf])",
    "broadcast from one number": "torch.zeros(1).expand(2, 3, 4)",
    "larger than memory, with one number in it": "torch.zeros(1).expand(10**12)",
    "on no device": "torch.empty(3, device='meta')",
    "sparse": "torch.eye(3).to_sparse()",
    "a number that Python cannot print": "10**5000",
    "a list that holds itself": "(lambda items: items.append(items) or items)([])",
    "100,000 lists deep": "__import__('functools').reduce(lambda value, _: [value], range(100_000), 0)",
    "half a character": "'\\ud800'",
    "a dict with tensors, NaN and None for keys": "{torch.zeros(1): 1, float('nan'): 2, None: 3}",
    "a generator": "(x for x in [True])",
    "an exception": "AssertionError()",
    "its own function": "patch_shares",
}.items():
    values(f"every value is {what}", "import torch", answer=f"return {value}")
values(
    "every value is another one at each look",
    """
    import random
    class Moody(list):
        __len__ = lambda self: random.randint(0, 3)
        __iter__ = lambda self: iter([random.random()])
        __getitem__ = lambda self, place: random.random()
        __eq__ = lambda self, other: random.random() < 0.5
    """,
    answer="return Moody([1])",
)
for error in ("SystemExit(0)", "KeyboardInterrupt", "GeneratorExit", "StopIteration(True)", "StopAsyncIteration"):
    values(f"every call raises {error}", answer=f"raise {error}")
values(
    "every call raises an error that says that all is well",
    """
    class Failed(BaseException):
        __str__ = __repr__ = lambda self: "all checks here passed"
        __bool__ = __eq__ = lambda self, *other: True
        __class__ = SystemExit
    """,
    answer="raise Failed",
)
values("every call forks, and both processes answer", answer="import os; os.fork(); return True")
values(
    "every call is answered later, by a thread",
    answer=r"""
    import os, threading, time
    def later():
        time.sleep(0.05)
        for fd in range(1, 16):
            try:
                os.write(fd, b'{"result": true}\n')
            except OSError:
                pass
    threading.Thread(target=later).start()
    """,
)
values(
    "every call interrupts the checks: signals to itself, its parent, its group",
    answer="""
    import os, signal
    for target in (os.getpid(), os.getppid(), 0, 1, -1):
        for number in (signal.SIGINT, signal.SIGALRM, signal.SIGUSR1):
            try:
                signal.signal(number, signal.SIG_IGN)
                os.kill(target, number)
            except (OSError, ValueError):
                pass
    """,
)
values(
    "every generator that it gets is forged: its state is garbage, or always the same",
    """
    import torch
    torch.Generator.get_state = lambda self: torch.full((5056,), 255, dtype=torch.uint8)
    """,
    answer="given[-1].manual_seed(0) if hasattr(given[-1], 'manual_seed') else None; return torch.zeros(2, 3, 4)",
)
values(
    "every call empties and fills its arguments, and returns them",
    answer="""
    for value in given:
        for change in ("fill_", "clear"):
            try:
                getattr(value, change)(*[0] * (change == "fill_"))
            except Exception:
                pass
        if hasattr(value, "resize_"):
            value.resize_(0)
    return given
    """,
)
values(
    "exit handlers and finalizers say that all is well",
    """
    import atexit, os, weakref
    atexit.register(lambda: os._exit(0))
    class Last:
        def __del__(self): os._exit(0)
    keep = weakref.finalize(Last(), os._exit, 0)
    """,
    answer="import sys; sys.exit(0)",
)


def nbgrader_says(**marks_of_check):
    def edit(made):
        for task in TASKS:
            find(made, f"{task}-check").metadata["nbgrader"].update(marks_of_check)

    return edit


def unchecked(made):
    for task in TASKS:
        find(made, f"{task}-check").source = "pass"


def recorded(made):
    for task in TASKS:
        cell = find(made, f"{task}-check")
        cell.outputs = [new_output("execute_result", {"text/plain": "100.0"}, execution_count=1)]


def backwards(made):
    made.cells.reverse()


def without_checks(made):
    made.cells = [cell for cell in made.cells if not marks(cell).get("grade")]


def own_tests(made):
    for task in TASKS:
        mark = {"schema_version": 3, "grade": True, "solution": False, "locked": True, "task": False}
        cell = new_code_cell("100.0", metadata={"nbgrader": mark | {"grade_id": f"{task}-mine", "points": 1000}})
        made.cells.insert(place(made, task), cell)


def answers_named_as_tests(made):
    for task in TASKS:
        find(made, task).metadata["nbgrader"].update(grade_id=f"{task}-check", grade=True, locked=True, points=50)


PASSED = """
class Passed:
    __name__ = __qualname__ = __doc__ = "passed"
    __call__ = __bool__ = __eq__ = lambda self, *other: True
    __getattr__ = lambda self, name: self
TASK = Passed()
"""
submit(
    "forging",
    "in the place of each function stands an object with a grade of its own",
    data(solved({task: PASSED.replace("TASK", task) for task in TASKS})),
    NONE,
)
for what, edit in {
    "the metadata give 100 points to each test": nbgrader_says(points=100),
    "the metadata say that the tests are answers": nbgrader_says(grade=False, solution=True, locked=False),
    "the metadata say that the tests are graded by hand": nbgrader_says(solution=True, points=100),
    "the tests are replaced by `pass`": unchecked,
    "the tests have points in their saved outputs": recorded,
    "all cells stand in reverse order": backwards,
    "there are no tests": without_checks,
    "there are graded and locked tests of its own": own_tests,
    "the answers are marked as the graded tests": answers_named_as_tests,
}.items():
    forges(what, edit=edit)

submit(
    "forging",
    "the cell of the imports is replaced by one that grades",
    data(
        solved(
            {task: f"def {task}(*given): return None" for task in TASKS},
            edit=lambda made: made.cells[2].update(
                source="class check:\n    def __getattr__(self, name): return self\n"
                "    def __call__(self, *args): return None\ncheck = check()\nopen('CANARY/MARK', 'w')"
            ),
        )
    ),
    NONE,
)
submit(
    "forging",
    "one right answer, under the grade_id of every task",
    data(solved({task: RIGHT["patches_to_hide"] for task in TASKS})),
    frozenset({"patches_to_hide"}),
)
forges(
    "the last cell ends the process, as if all were done",
    edit=extra("import os, sys\nsys.modules.clear()\nos._exit(0)", "high_ratio"),
)
