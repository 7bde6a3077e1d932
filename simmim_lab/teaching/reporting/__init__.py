"""What instructors and students get to see, which can do nothing on the page.

inert       text and pictures of students, made harmless
pages       a page of feedback for each student
tables      the points of a class
late        what late work costs
templates   the templates of pages
platforms   the points in the files of Canvas and Moodle
similarity  answers that are alike
"""
