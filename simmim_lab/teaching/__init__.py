"""What only course staff run, with its own command `simmim-course` (see INSTRUCTORS.md).

cli         the command: host, release, collect, grade, feedback, export, execute
hosting     where the course is hosted, written into its notebooks
course      the folders of a class, and nbgrader at work in them
collect     what students hand in becomes one sound notebook each
grading     points, feedback and tables
lessons     lessons executed in place
rules       what every lesson keeps to

nbgrader does the grading; these modules spare its users to learn it. All that is needed here comes with the extra
`teaching`, and no other part of the package imports any of it.
"""
