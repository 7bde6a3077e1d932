"""Learners' commands, as `simmim-lab --help` lists them.

Each stands in a module of `commands`, behind its arguments. What costs time to import is imported by the command
that needs it, so that `--help` comes at once.
"""

from simmim_lab.commands.program import program

# isort: off
from simmim_lab.commands import training, pictures, exporting, lessons  # noqa: F401 (they declare the commands, in this order)

main = program.main
