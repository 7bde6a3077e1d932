"""What stands in a sandbox in the place of a module that would give an answer away."""

raise ImportError(f"{__name__} is not there while this set is graded, for it holds answers")
