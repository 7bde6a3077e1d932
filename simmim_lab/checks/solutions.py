"""What `check.solution` prints and a lesson goes on with, where the package has no such function: by lesson.

Each function answers one "your turn" of a lesson, whose stub has the same signature and docstring.
"""
