"""The command that opens the lessons: `lab`."""

import argparse
import os

from simmim_lab import workspace
from simmim_lab.commandline import course_folder, number, user_path
from simmim_lab.commands.program import program


def _lab_arguments(parser: argparse.ArgumentParser) -> None:
    port = number(int, 1, 65535)
    parser.add_argument(
        "--port", type=port, metavar="N", help="the port to serve on (default: 8888 or the next free)"
    )
    parser.add_argument("--no-browser", action="store_true", help="only print the address")
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--work",
        type=user_path,
        default=workspace.HOME,
        metavar="DIR",
        help=f"the folder of your own copy (default: {workspace.HOME})",
    )
    where.add_argument(
        "--course", action="store_true", help="open the course itself, not a copy: for instructors and authors"
    )


@program.command("--port 9000", _lab_arguments)
def lab(args: argparse.Namespace) -> None:
    """Open the lessons in JupyterLab.

    Open your own copy of the lessons and exercises in JupyterLab. It is made once; later starts bring what is new
    in the course, and leave what you have written. Where no browser can open, copy the address it prints into one.
    """
    try:
        from jupyterlab.labapp import main as jupyterlab
    except ImportError as error:
        raise ImportError("JupyterLab is missing: install it with pip install 'simmim-lab[lab]'") from error

    root = course_folder()
    if not args.course and not workspace.find(root):
        course, root = root, args.work.absolute()
        print(*workspace.update(course, root), sep="\n", flush=True)
    os.chdir(root)  # nbgrader's formgrader looks for its configuration where JupyterLab was started
    options = [f"--ServerApp.root_dir={root}", "--LabApp.default_url=/lab/tree/notebooks"]
    options += [f"--port={args.port}"] if args.port else []
    options += ["--no-browser"] if args.no_browser else []
    options += ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []  # as in a container
    jupyterlab(options)
