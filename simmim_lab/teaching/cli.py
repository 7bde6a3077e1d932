"""The command line of course staff: `simmim-course host`, `release`, `collect`, `grade`, `feedback`, `export`,
`similar`, `doctor`, `execute` and `figures` (see INSTRUCTORS.md).

Each command stands behind its arguments.
"""

import argparse
import sys

from simmim_lab.commandline import Program, course_folder, number, user_path

program = Program(
    "simmim-course",
    "Give the course: host your own copy, hand out its exercises, and grade what comes back.",
    start="collect ~/Downloads/submissions.zip",
)
main = program.main


def _host_arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("repository", nargs="?", metavar="OWNER/REPO", help="the repository on GitHub")
    what.add_argument("--check", action="store_true", help="only list what disagrees; returns 1 if anything does")
    what.add_argument("--unset", action="store_true", help="hosted nowhere: no badges")
    parser.add_argument("--branch", default="main", metavar="B", help="branch to open (default: %(default)s)")


@program.command("jane/simmim-course --branch main", _host_arguments)
def host(args: argparse.Namespace) -> int:
    """Say where your copy of the course is hosted.

    Write into all lessons where your copy of the course is hosted on GitHub: their badges open it on Colab, and
    their setup cells install it from there. Then commit and push.
    """
    from simmim_lab.teaching import hosting

    root = course_folder()
    if args.check:
        lines = hosting.differences(root)
    else:
        lines = [f"Wrote {path}" for path in hosting.host(root, args.repository or "", args.branch)]
    print(*(lines or ["Nothing to change."]), sep="\n")
    return int(args.check and bool(lines))


def _set_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sets", nargs="*", metavar="SET", help="like 01_masking (default: all)")


@program.command("01_masking", _set_arguments)
def release(args: argparse.Namespace) -> None:
    """Make the students' exercises from solutions/.

    Make the students' version of exercise sets: without solutions, outputs and hidden tests.
    """
    from simmim_lab.teaching import course

    root = course_folder()
    for name in course.chosen_sets(root, args.sets):
        course.release(root, name)
        print(f"Wrote exercises/{name}/{name}.ipynb")


def _collect_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("inbox", type=user_path, metavar="INBOX", help="a folder, a zip or a tar file")


@program.command("~/Downloads/submissions.zip", _collect_arguments)
def collect(args: argparse.Namespace) -> int:
    """Take in the students' notebooks.

    Find the students' notebooks in a folder or archive, such as the download of a learning platform, whatever
    their names, and put them into grading/submitted. The original files stay as they are. Returns 1 if anything
    needs you: what cannot be read or taken, and files that tell nobody's name.
    """
    from simmim_lab.teaching.collecting.collect import collect

    root = course_folder()
    outcome = collect(root, args.inbox)
    now = f"now {outcome.total} of {outcome.students} students are in grading/submitted"
    for line in outcome.known + outcome.needed:
        print(line)
    print(f"{outcome.new} notebooks are new: {now}. Next: simmim-course grade")
    return int(bool(outcome.needed))


def _rename_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "old", metavar="OLD", help="a student as in grading/submitted, or a path as collect wrote it"
    )
    parser.add_argument("new", metavar="NEW", help="the right name; if somebody has it, both become one student")


@program.command('unknown "Jane Doe"', _rename_arguments)
def rename(args: argparse.Namespace) -> None:
    """Correct whose work it is.

    Give what was collected, graded and written for one student to another, or under another name; points that
    you gave by hand are kept. What comes from the same place in later downloads is theirs, too. With a path, what
    comes from there is theirs: collect the download again afterwards.
    """
    from simmim_lab.teaching.collecting.renaming import rename

    print(*rename(course_folder(), args.old, args.new), sep="\n")


def _jobs_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--jobs", type=number(int, 1, 64), default=1, metavar="N", help="how many at a time (default: %(default)s)"
    )


def _grade_arguments(parser: argparse.ArgumentParser) -> None:
    _set_arguments(parser)
    _jobs_argument(parser)
    parser.add_argument("--all", action="store_true", help="grade again what was graded")
    parser.add_argument("--yes", action="store_true", help="with --all: write the points that moved, unasked")
    parser.add_argument(
        "--without-isolation",
        action="store_true",
        help="run the students' code with your rights, on your computer",
    )


@program.command("01_masking --jobs 2", _grade_arguments)
def grade(args: argparse.Namespace) -> int:
    """Grade what was collected.

    Test what was collected and not yet graded. None stops the others; the students' code runs in a locked process,
    and what was interrupted goes on where it stopped. With --all, everything is graded again: the points that
    moved are listed first, and written if you agree. Returns 1 if any needs you.
    """
    from simmim_lab.teaching.collecting.roll import alone
    from simmim_lab.teaching.grading import marking, regrading
    from simmim_lab.teaching.isolation import sandbox

    root, isolated = course_folder(), not args.without_isolation
    if isolated and (why := sandbox.missing()):
        raise OSError(f"{why}; --without-isolation grades all the same: the students' code has your rights then")
    with alone(root):
        regrading.finish(root)
        if not args.all:
            count, odd = marking.grade(root, args.sets, jobs=args.jobs, isolated=isolated)
            print(*odd, f"Graded {count} notebooks. Next: simmim-course feedback, simmim-course export", sep="\n")
            return int(bool(odd))
        moved, odd = regrading.regrade(root, args.sets, jobs=args.jobs, isolated=isolated)
        print(*odd, *(moved or ["No points moved."]), sep="\n")
        if moved and not args.yes and not _agreed(f"Write these {len(moved)} points?"):
            print("Nothing was written; --yes writes just these.")
            return 1
        regrading.accept(root)
    print("Graded all. Next: simmim-course feedback, simmim-course export")
    return int(bool(odd))


def _agreed(question: str) -> bool:
    """What somebody at the terminal says to a question; False if nobody is there."""
    return sys.stdin.isatty() and input(f"{question} [y/N] ").strip().lower() in ("y", "yes")


def _feedback_arguments(parser: argparse.ArgumentParser) -> None:
    _set_arguments(parser)
    _jobs_argument(parser)


@program.command("01_masking", _feedback_arguments)
def feedback(args: argparse.Namespace) -> int:
    """Write a page of feedback for each student.

    Write grading/feedback/STUDENT/SET/SET.html for all that was graded, without the hidden tests. Returns 1 if any
    needs you.
    """
    from simmim_lab.teaching.grading import marking

    odd = marking.feedback(course_folder(), args.sets, jobs=args.jobs)
    print(*odd, "Wrote grading/feedback: a page for each student and set.", sep="\n")
    return int(bool(odd))


def _export_arguments(parser: argparse.ArgumentParser) -> None:
    _set_arguments(parser)
    parser.add_argument("--due", metavar="TIME", help='the last minute in time, like "2026-12-01 23:59"')
    parser.add_argument(
        "--late", metavar="RULE", help='what each day costs, like "10%% a day" or "2 points an hour"'
    )
    parser.add_argument("--into", type=user_path, metavar="FILE", help="Canvas's or Moodle's own file, to fill in")
    parser.add_argument("--column", metavar="TITLE", help="of that file (default: the one that names the set)")


@program.command('01_masking --due "2026-12-01 23:59" --late "10% a day"', _export_arguments)
def export(args: argparse.Namespace) -> int:
    """Write the points as CSV.

    Write grading/grades/SET.csv: a row for each student, a column for each question, and a status. With --due and
    --late, of one set, late work loses points (of those that can be reached). With --into, the gradebook that you
    exported from Canvas or the grading worksheet of Moodle is filled in, as grading/grades/SET-FILE.
    """
    from simmim_lab.teaching.reporting import platforms, tables
    from simmim_lab.teaching.reporting.late import late

    root = course_folder()
    if (args.due is None) != (args.late is None):
        raise ValueError("--due and --late go together: give both, or none")
    if (args.due or args.into) and len(args.sets) != 1:
        raise ValueError("--due, --late and --into are for one set: name it")
    rule = late(args.due, args.late) if args.due else None
    paths, rows = tables.export(root, args.sets, rule)
    odd = tables.unrecorded(rows)
    if rule:
        print(f"Late is what came after {rule.due:%Y-%m-%d %H:%M %Z}.")
        odd += tables.untimed(rows[args.sets[0]])
    if args.into:
        path, unfilled = platforms.fill(root, args.sets[0], rows[args.sets[0]], args.into, args.column)
        paths, odd = [*paths, path], odd + unfilled
    print(*odd, *(f"Wrote {path.relative_to(root)}" for path in paths), sep="\n")
    return int(bool(odd))


@program.command("01_masking", _set_arguments)
def similar(args: argparse.Namespace) -> int:
    """Show which answers are alike.

    Write grading/similarity/SET.html: the pairs of students whose answers are more alike than answers of the class
    usually are, whatever the names and comments in them. It is information, proves nothing, and changes no points.
    """
    from simmim_lab.teaching.course import submissions
    from simmim_lab.teaching.reporting import similarity

    root = course_folder()
    unread = []
    for name in dict(submissions(root, args.sets)):
        path, pairs, odd = similarity.report(root, name)
        print(*odd, f"Wrote {path.relative_to(root)}: pairs that stand out: {pairs}", sep="\n")
        unread += odd
    return int(bool(unread))


@program.command("")
def doctor(args: argparse.Namespace) -> int:
    """Say what this machine can do.

    A line for each thing that grading needs: isolation, memory, cores, programs. Returns 1 if the students' code
    cannot be isolated here; the line says why, and what to do.
    """
    from simmim_lab.teaching.isolation.doctor import examine

    lines, isolated = examine()
    print(*lines, sep="\n")
    return int(not isolated)


def _execute_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "lessons",
        nargs="*",
        type=user_path,
        metavar="LESSON",
        help="like notebooks/01_masking.ipynb (default: all)",
    )


@program.command("notebooks/01_masking.ipynb", _execute_arguments)
def execute(args: argparse.Namespace) -> int:
    """Execute the lessons in place.

    Run lessons from top to bottom and write their outputs into them. One that fails is left as it was; then the
    command returns 1.
    """
    from simmim_lab.teaching import hosting, lessons

    return int(lessons.execute_all(args.lessons or hosting.lessons(course_folder())) > 0)


@program.command("")
def figures(args: argparse.Namespace) -> None:
    """Write the table of figures into README.md.

    Each row is made from a file in results/, which a benchmark or `make verify` has written.
    """
    from simmim_lab.teaching import figures

    changed = figures.update(course_folder())
    print("Wrote README.md" if changed else "Nothing to change.")


def _site_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--language", default="en", metavar="L", help="of the site's own words, like zh-CN (default: %(default)s)"
    )


@program.command("", _site_arguments)
def site(args: argparse.Namespace) -> None:
    """Build the website.

    Write all lessons, exercises and documents as pages into build/site, or build/site/LANGUAGE. Nothing is run.
    """
    from simmim_lab.teaching.site.building import build

    root = course_folder()
    print(f"Wrote {build(root, root / 'build', args.language)}")
