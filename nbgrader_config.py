"""Where nbgrader finds the exercises, and how it grades; simmim-course grade, its kin and formgrader read this."""

from pathlib import Path

c = get_config()  # noqa: F821, nbgrader defines it
here = Path(__file__).parent
private = here / "grading"  # submissions, feedback, and the gradebook with the hidden tests

c.CourseDirectory.course_id = "simmim_lab"
c.CourseDirectory.source_directory = str(here / "solutions")
c.CourseDirectory.release_directory = str(private / "release")  # never exercises/, where somebody may be at work
c.CourseDirectory.root = str(private)
c.CourseDirectory.db_url = f"sqlite:///{private / 'gradebook.db'}?timeout=60"  # several processes write into it
c.CourseDirectory.ignore = ["*"]  # of a submission nothing is taken but the notebook

# A student's code runs in a locked process; the tests run here and call its functions (see INSTRUCTORS.md).
c.Autograde.sanitize_preprocessors = [
    "simmim_lab.teaching.grading.preprocessors.Graft",
    "nbgrader.preprocessors.CheckCellMetadata",
]
c.Autograde.autograde_preprocessors = [
    "simmim_lab.teaching.grading.preprocessors.SandboxExecute",
    "nbgrader.preprocessors.SaveAutoGrades",
]

# The page of feedback has no script, and shows no source of a test.
c.GenerateFeedback.exporter_class = "simmim_lab.teaching.reporting.pages.Feedback"
c.GenerateFeedback.preprocessors = ["simmim_lab.teaching.reporting.pages.Points"]
# A long cell must not keep formgrader busy.
c.HTMLExporter.filters = {"highlight_code": "simmim_lab.teaching.reporting.pages.highlighted"}
c.Application.log_level = "ERROR"
