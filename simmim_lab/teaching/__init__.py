"""What only course staff run, with its own command `simmim-course` (see INSTRUCTORS.md).

cli         the command: host, release, collect, grade, feedback, export, execute
hosting     where the course is hosted, written into its notebooks
course      the folders of a class, and nbgrader at work in them
reading     a notebook of unknown origin, as the text of its cells
archives    what lies in folders and archives
looking     a look into one file, by a process with limits
inbox       every file of an inbox, looked into
names       whose a file is, by what platforms write into its name
owners      whose all files of an inbox are
roll        who is known under which names, and the records
collect     what students hand in becomes one sound notebook each
renaming    a wrong guess of a name, put right
grading     points, feedback and tables
lessons     lessons executed in place
rules       what every lesson keeps to

nbgrader does the grading; these modules spare its users to learn it. All that is needed here comes with the extra
`teaching`, and no other part of the package imports any of it.
"""
