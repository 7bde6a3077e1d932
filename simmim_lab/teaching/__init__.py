"""What instructors use: `simmim-lab release`, `collect`, `grade`, `feedback` and `export` (see INSTRUCTORS.md).

nbgrader does the work; these modules spare its users to learn it. It is installed by the extra `grading`, and no
other part of the package needs it.
"""
