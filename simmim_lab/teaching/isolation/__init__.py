"""The code of students, locked in: it computes values, and can do nothing else.

bubblewrap  the command line of the lock, and what it needs
seccomp     the system calls that it refuses
visible     what the code may see of Python and of this package
usage       what its processes take
sandbox     a process that is locked in and watched
channel     values as a line of text, and back
worker      what runs inside: it reads requests and runs the student's code
session     the code of one submission
proxy       a student's function, called from outside
doctor      what this machine can do
"""
