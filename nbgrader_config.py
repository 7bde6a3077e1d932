"""Where nbgrader finds the exercises; `simmim-course grade`, its kin and formgrader read this file."""

from pathlib import Path

c = get_config()  # noqa: F821, nbgrader defines it
here = Path(__file__).parent

c.CourseDirectory.course_id = "simmim_lab"
c.CourseDirectory.source_directory = str(here / "solutions")
c.CourseDirectory.release_directory = str(here / "exercises")
c.CourseDirectory.root = str(
    here / "grading"
)  # private: submissions, feedback, and the gradebook with the hidden tests

# A cell that does not end costs its own points, not the others'.
c.Execute.timeout = 30  # seconds
c.Execute.interrupt_on_timeout = True
c.Execute.extra_arguments = ["--log-level=ERROR"]

# Only an exception costs points: nbgrader would also take a warning for a failed test.
c.IgnorePattern.enabled = True
c.IgnorePattern.pattern = r"(?s).*"

# Feedback shows neither hidden tests nor scripts that a student wrote into a cell.
c.GenerateFeedback.preprocessors = [
    "nbgrader.preprocessors.GetGrades",
    "nbgrader.preprocessors.ClearHiddenTests",
    "nbconvert.preprocessors.sanitize.SanitizeHTML",
    "nbconvert.preprocessors.CSSHTMLHeaderPreprocessor",
]
c.SanitizeHTML.enabled = True
c.Application.log_level = "ERROR"
