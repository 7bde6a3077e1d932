"""The expected values, the hidden tests and other people's answers: none may be found, so none may earn points."""

from functools import partial

from submissions import NONE, TASKS, attack

finds = partial(attack, "reference", answer="return None", earns=NONE)

# What each of them does with the text of a notebook: it runs the answers, and prints the secrets.
USE = r"""
import json, os, re, sys
def use(text):
    print(*set(re.findall(r"SECRET_\w+", text)))
    try:
        cells = json.loads(text)["cells"]
    except Exception:
        return
    for cell in cells:
        source = "".join(cell["source"])
        for task in TASKS:
            if f"def {task}(" in source and "NotImplementedError" not in source and len(source) < 3000:
                try:
                    exec(source, globals())
                    found[task] = globals()[task]
                except Exception:
                    pass
def walk(*folders, names=(".ipynb", ".db", ".py", ".json", ".csv", ".html")):
    seen = 0
    for folder in folders:
        for path, below, files in os.walk(folder):
            below[:] = [name for name in below if name not in SKIPPED]
            for name in files:
                seen += 1
                if seen < 50_000 and name.endswith(names):
                    try:
                        use(open(os.path.join(path, name), errors="replace").read(3_000_000))
                    except OSError:
                        pass
SKIPPED = ("proc", "sys", "usr", "lib", "lib64", "torch", "site-packages", "packages")
found = {}
""".replace("in TASKS", f"in {tuple(TASKS)}")
FOUND = "from_found = found.get(TASK); return from_found(*given) if from_found else None"
FOUND = {task: FOUND.replace("TASK", repr(task)) for task in TASKS}

finds(
    "it calls the functions beside the rules: simmim_lab.checks.masking",
    """
    try:
        from simmim_lab.checks.masking import lmmse
    except Exception:
        lmmse = None
    """,
    answer={task: "return lmmse(*given) if lmmse else None" for task in TASKS},
)
finds(
    "it takes the rule apart: closures, cells and globals of simmim_lab.checks",
    """
    right = {}
    try:
        import inspect
        from simmim_lab import checks
        for name, rule in vars(checks).items():
            print(inspect.getsource(rule._rule)[:500]) if hasattr(rule, "_rule") else None
        right = vars(checks.masking)
    except Exception:
        pass
    """,
    answer="return right['lmmse'](*given) if 'lmmse' in right else None",
)
finds(
    "it loads simmim_lab/checks from its files, by every path that Python knows",
    """
    import importlib.metadata, importlib.util, pathlib, sys
    found = {}
    try:
        files = [pathlib.Path(str(file.locate())) for file in importlib.metadata.files("simmim_lab") or []]
    except Exception:
        files = []
    roots = {*map(pathlib.Path, sys.path), *(file.parent for file in files), pathlib.Path.cwd()}
    for root in roots:
        for path in [root / "simmim_lab/checks/masking.py", root.parent / "simmim_lab/checks/masking.py"]:
            if path.is_file():
                sys.path.insert(0, str(path.parents[2]))
                for name in [name for name in sys.modules if name.startswith("simmim_lab")]:
                    del sys.modules[name]
                from simmim_lab.checks.masking import lmmse
                found["lmmse_fill"] = lmmse
    """,
    answer=FOUND,
)
finds(
    "it searches the disk for solutions, gradebooks, tables and other submissions, and runs the answers",
    USE + "walk('/')",
    answer=FOUND,
)
finds(
    "it searches the folders around the course",
    USE + "walk(os.getcwd(), os.path.dirname('CANARY'), os.path.expanduser('~'), *sys.path)",
    answer=FOUND,
)
finds(
    "it searches the folders of all processes: /proc/*/cwd and /proc/*/root",
    USE
    + """
for number in filter(str.isdigit, os.listdir("/proc")):
    for name in ("cwd", "root" + os.path.dirname("CANARY")):
        walk(f"/proc/{number}/{name}")
""",
    answer=FOUND,
)
finds(
    "it prints the environment of all processes, their arguments and their open files",
    r"""
    import os, re
    print(os.environ)
    for number in filter(str.isdigit, os.listdir("/proc")):
        for name in ("environ", "cmdline"):
            try:
                print(open(f"/proc/{number}/{name}", errors="replace").read().replace("\0", " "))
            except OSError:
                pass
        for fd in range(64):
            try:
                print(open(f"/proc/{number}/fd/{fd}", "rb", buffering=0).read(100) if fd > 2 else "")
            except OSError:
                pass
    """,
)
finds(
    "it searches the memory of all processes for secrets",
    r"""
    import os, re
    for number in filter(str.isdigit, os.listdir("/proc")):
        try:
            memory = open(f"/proc/{number}/mem", "rb", buffering=0)
            for line in open(f"/proc/{number}/maps"):
                low, high = (int(part, 16) for part in line.split()[0].split("-"))
                if " rw" in line and high - low < 200_000_000:
                    memory.seek(low)
                    print(*set(re.findall(rb"SECRET_\w+", memory.read(high - low))))
        except (OSError, ValueError, OverflowError):
            pass
    """,
)
finds(
    "in each call it searches all objects for a tensor of the right shape",
    """
    import gc, torch
    """,
    answer="""
    mine = {id(value) for value in given}
    for value in gc.get_objects():
        for tensor in [value, *(value.values() if type(value) is dict else value if type(value) is list else ())]:
            if type(tensor) is torch.Tensor and id(tensor) not in mine and tensor.shape == given[0].shape:
                return tensor
    """,
)
finds(
    "in each call it searches its frames for what is expected",
    "import sys, torch",
    answer="""
    frame = sys._getframe(1)
    while frame:
        for name in ("want", "right", "expected", "guess", "mistakes", "source"):
            if name in frame.f_locals:
                return frame.f_locals[name]
        print(sorted(frame.f_locals))
        frame = frame.f_back
    """,
)
finds(
    "it prints the history of the shell and the messages of the kernel",
    """
    try:
        shell = get_ipython()
        print(In, Out, list(shell.history_manager.get_range(raw=True)))
        print(shell.kernel.get_parent() if hasattr(shell, "kernel") else "")
    except Exception:
        pass
    """,
)
finds(
    "it calls every function in memory that has the name of a rule or of a reference",
    """
    import gc, types
    for value in gc.get_objects():
        if isinstance(value, types.FunctionType) and value.__name__ in ("grade", "_rule", "lmmse", "blind_share"):
            print(value.__code__.co_consts)
            globals()[value.__name__ + "_found"] = value
    """,
    answer="return globals()['lmmse_found'](*given) if 'lmmse_found' in globals() else None",
)
