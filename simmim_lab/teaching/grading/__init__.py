"""Points: the answers set into the instructor's notebook, and its tests run on them.

cells          what a cell of a notebook is
graft          the answers of a submission in the instructor's notebook
preprocessors  the steps by which nbgrader grades
gradebook      nbgrader's database, whole or not at all
batch          jobs in processes of their own, with a time limit each
marking        a class, graded; and its feedback
regrading      all of them again, and which points moved
"""
