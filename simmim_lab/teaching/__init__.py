"""What only course staff run, with its own command `simmim-course` (see INSTRUCTORS.md).

cli         the command, which calls what stands below
course      the folders of a class, and nbgrader at work in them
collecting  what a learning platform hands out becomes one sound notebook each
isolation   the code of students, locked in
grading     the tests run on it, and points
reporting   pages, tables, and what is alike
hosting     where the course is hosted, written into its notebooks
lessons     lessons executed in place
rules       what every lesson keeps to
results     the files in results/, and `figures` of README.md made from them

nbgrader does the grading; these modules spare its users to learn it. All that is needed here comes with the extra
`teaching`, and no other part of the package imports any of it.
"""
