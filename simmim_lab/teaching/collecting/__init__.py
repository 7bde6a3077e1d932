"""From what a learning platform hands out to one sound notebook for each student and set.

reading     a notebook of unknown origin, as the text of its cells
archives    what lies in folders and archives
looking     a look into one file, by a process with limits
inbox       every file of an inbox, looked into
names       whose a file is, by what platforms write into its name
owners      whose all files of an inbox are
roll        who is known under which names, and the records
collect     what students hand in becomes one sound notebook each
renaming    a wrong guess of a name, put right
"""
