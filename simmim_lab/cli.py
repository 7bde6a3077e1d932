"""Learners' commands: `simmim-lab demo`, `pretrain`, `finetune`, `features`, `inpaint`, `generate` and `lab`.

Each stands in a module of `commands`, behind its arguments. What costs time to import is imported by the command
that needs it, so that `--help` comes at once.
"""

from simmim_lab.commands.program import program

# isort: off
from simmim_lab.commands import training, pictures, lessons  # noqa: F401 (they declare the commands, in this order)

main = program.main
