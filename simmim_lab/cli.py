"""The command line: `simmim-lab demo`, `pretrain`, `reconstruct` and `lab` for learners, and for instructors
`host`, `release`, `collect`, `grade`, `feedback` and `export`.

A command that cannot do what it is asked says why in one line and returns 2; Ctrl-C returns 130; a check that
finds something returns 1. What costs time to import is imported by the command that needs it, so that `--help`
comes at once.
"""

import argparse
import os
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from simmim_lab.masking import Mask
    from simmim_lab.simmim import SimMIM

DATA = "photos or scenes (both built in), cifar10, stl10, flowers102, imagenette, oxford_pets, or folder"
MASKS = "random, bernoulli, block, grid, half, center, stroke or mixture"
PRESETS = "article_cnn, vit_nano, vit_tiny, vit_small, vit_base or swin_base"


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    try:
        args = _parser().parse_args(argv)
        return args.command(args) or 0
    except KeyboardInterrupt:
        print("\nsimmim-lab: stopped; run the same command to continue", file=sys.stderr)
        return 130
    except (ValueError, TypeError, OSError, FloatingPointError, ImportError, MemoryError) as error:
        print(f"simmim-lab: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2


def demo(args: argparse.Namespace) -> None:
    from simmim_lab.demo import run

    run(args.out, seconds=args.seconds, data=args.data, root=args.root, seed=args.seed)


def pretrain(args: argparse.Namespace) -> None:
    import torch

    from simmim_lab import distributed, images, training
    from simmim_lab.hardware import Execution, best_device
    from simmim_lab.loop import CHECKPOINT
    from simmim_lab.simmim import SimMIM

    names = ("steps", "seconds", "batch_size", "lr", "mask", "mask_ratio", "mask_size", "seed")
    given = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    recipe = training.Recipe.preset(args.preset, **given)
    engine = Execution(compile=args.compile, parts=args.parts, recompute=args.recompute, shard=args.shard)
    with distributed.joined():
        torch.manual_seed(recipe.seed)
        model = SimMIM.preset(args.preset, args.size).to(best_device())
        train, val = (images.load(args.data, split, _side(model), root=args.root) for split in ("train", "val"))
        first = distributed.rank() == 0
        if first:
            start = "Continues the run" if (args.run / CHECKPOINT).exists() else "Starts a run"
            print(f"{start} in {args.run}: {args.preset} on {len(train):,} images of {args.data}.")
        if distributed.world_size() == 1:  # torchrun has set the number of threads
            training.pick_threads(model, train, recipe)
        history = training.pretrain(model, train, recipe, engine, val=val, run_dir=args.run)
    if not first:
        return
    print(
        f"Done: {history.steps} steps in {history.seconds:.0f} s, validation loss {history.val_loss[-1]:.3f}.\n"
        f"See it at work: simmim-lab reconstruct --run {args.run} --image FILE --mask half --out FILE.png"
    )


def reconstruct(args: argparse.Namespace) -> None:
    from torchvision.transforms.functional import to_pil_image

    from simmim_lab import plots
    from simmim_lab.common import replace_file
    from simmim_lab.data.imagesets import square
    from simmim_lab.masking import to_pixels
    from simmim_lab.simmim import SimMIM

    if args.out.suffix.lower() != ".png":
        raise ValueError(f"--out must end in .png, but is {args.out}")
    model = SimMIM.load(args.run).eval()
    side = _side(model)
    picture = _open(args.image, side)
    image = square(picture, side)[None] / 255
    mask = _mask(args, model, image, picture.size)
    if picture.size != (side, side):
        print(f"{args.image} is cropped to its middle and resized to {side} x {side} pixels, as the model needs.")

    hidden = to_pixels(mask, model.patch)
    panels = plots.reconstructions(image, hidden, model.predict(image, mask))
    completed = to_pil_image(model.reconstruct(image, mask)[0])
    alt = f"{args.image.name} with {hidden.float().mean():.0%} hidden: original, masked, reconstructed, completed."
    beside = args.out.with_stem(f"{args.out.stem}_completed")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    plots.save(panels, args.out, alt)
    replace_file(beside, lambda path: completed.save(path, format="PNG"))
    print(f"Wrote {args.out} (four panels) and {beside} ({side} x {side} pixels).")


def lab(args: argparse.Namespace) -> None:
    try:
        from jupyterlab.labapp import main as jupyterlab
    except ImportError as error:
        raise ImportError("JupyterLab is missing: install it with pip install 'simmim-lab[lab]'") from error

    root = _course()
    os.chdir(root)  # nbgrader's formgrader looks for its configuration where JupyterLab was started
    options = [f"--ServerApp.root_dir={root}", "--LabApp.default_url=/lab/tree/notebooks"]
    options += [f"--port={args.port}"] if args.port else []
    options += ["--no-browser"] if args.no_browser else []
    options += ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []  # as in a container
    jupyterlab(options)


def host(args: argparse.Namespace) -> int:
    from simmim_lab.teaching import hosting

    root = _course()
    if args.check:
        lines = hosting.differences(root)
    else:
        lines = [f"Wrote {path}" for path in hosting.host(root, args.repository or "", args.branch)]
    print(*(lines or ["Nothing to change."]), sep="\n")
    return int(args.check and bool(lines))


def release(args: argparse.Namespace) -> None:
    from simmim_lab.teaching import course

    root = _course()
    for name in course.chosen_sets(root, args.sets):
        course.release(root, name)
        print(f"Wrote exercises/{name}/{name}.ipynb")


def collect(args: argparse.Namespace) -> None:
    from simmim_lab.teaching.collect import collect
    from simmim_lab.teaching.course import submissions

    root = _course()
    print(*collect(root, args.inbox), sep="\n")
    found = submissions(root, [])
    students = len({student for _, student in found})
    print(f"Now {len(found)} notebooks of {students} students are in grading/submitted. Next: simmim-lab grade")


def grade(args: argparse.Namespace) -> int:
    from simmim_lab.teaching import grading

    count, failed = grading.grade(_course(), args.sets, again=args.all)
    print(*failed, f"Graded {count} notebooks. Next: simmim-lab feedback, simmim-lab export", sep="\n")
    return int(bool(failed))


def feedback(args: argparse.Namespace) -> int:
    from simmim_lab.teaching import grading

    failed = grading.feedback(_course(), args.sets)
    print(*failed, "Wrote grading/feedback: a page for each student and set.", sep="\n")
    return int(bool(failed))


def export(args: argparse.Namespace) -> None:
    from simmim_lab.teaching import grading

    root = _course()
    for path in grading.export(root, args.sets):
        print(f"Wrote {path.relative_to(root)}")


def _course() -> Path:
    """The folder of the course: the one this package lies in, else the current one."""
    roots = Path(__file__).parents[1], Path.cwd()
    root = next((root for root in roots if (root / "notebooks").is_dir()), None)
    if root is None:
        raise FileNotFoundError(
            f"there is no folder notebooks in {' or '.join(map(str, roots))}: run this in a copy of the course"
        )
    return root


def _side(model: "SimMIM") -> int:
    """The side of the images a model was built for; a CNN takes any, so 32."""
    size = model.encoder.config.get("image_size", 32)
    return size if isinstance(size, int) else size[0]


def _open(path: Path, size: int) -> "Image":
    from simmim_lab.data.imagesets import open_picture

    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        return open_picture(path, size)
    except Exception as error:  # Pillow raises errors of many kinds for a damaged file
        raise ValueError(f"{path} is not a readable image ({error}): give a JPEG or PNG file") from error


def _mask(args: argparse.Namespace, model: "SimMIM", image: "Tensor", size: tuple[int, int]) -> "Mask":
    """The mask that --mask names: a strategy, or a picture in which white is hidden, laid over one of `size`."""
    import torch
    from PIL import Image, ImageOps
    from torchvision.transforms.functional import to_tensor

    from simmim_lab.common import choose
    from simmim_lab.masking import STRATEGIES

    grid = model.grid(image)
    if not Path(args.mask).suffix:
        ratio = {} if args.mask_ratio is None else {"ratio": args.mask_ratio}
        generator = torch.Generator().manual_seed(args.seed)
        cell = max(1, 8 // model.patch)
        return choose(args.mask, STRATEGIES, "mask")(1, grid, cell=cell, generator=generator, **ratio)
    drawn = _open(Path(args.mask), max(size)).convert("L").resize(size, Image.Resampling.NEAREST)
    white = drawn.point(lambda grey: float(grey > 127), "F")
    share = ImageOps.fit(white, image.shape[2:], Image.Resampling.BOX)
    return torch.nn.functional.adaptive_max_pool2d(to_tensor(share), grid) > 0  # hidden if any of its pixels is


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="simmim-lab",
        description="Train and try SimMIM: a network that learns about images by filling in hidden parts.",
        epilog="start with:        simmim-lab demo --out demo\nhelp on a command: simmim-lab demo --help",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(command, help: str, description: str, example: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(
            command.__name__,
            help=help,
            description=textwrap.fill(description, 78),
            epilog=f"example:\n  simmim-lab {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        sub.set_defaults(command=command)
        return sub

    sub = add(
        demo,
        "train on photographs for two minutes and show what was learned",
        "Train a small SimMIM, then test it on images it has never seen: pictures, scores next to four methods "
        "that learn nothing or little, and the model go into one folder. After Ctrl-C the same command goes on.",
        "demo --out demo --seconds 120",
    )
    sub.add_argument("--out", type=Path, required=True, metavar="DIR", help="the folder to write into")
    sub.add_argument(
        "--seconds", type=float, default=120, metavar="N", help="training time (default: %(default)s)"
    )
    _add_data(sub)
    sub.add_argument("--seed", type=int, default=0, metavar="S", help="another seed, another run (default: 0)")

    sub = add(
        pretrain,
        "train a model of your choice",
        "Pre-train SimMIM. The run lives in one folder; after an interruption of any kind the same command goes "
        "on where it was. What you do not set comes from the recipe of the preset. On several GPUs: torchrun "
        "--nproc-per-node N -m simmim_lab -- pretrain ...",
        "pretrain --preset vit_nano --data photos --seconds 300 --run runs/nano",
    )
    sub.add_argument("--run", type=Path, required=True, metavar="DIR", help="the folder of the run")
    sub.add_argument("--preset", default="vit_nano", metavar="NAME", help=f"{PRESETS} (default: %(default)s)")
    _add_data(sub)
    sub.add_argument("--size", type=int, metavar="PIXELS", help="side of the images (default: the preset's)")
    length = sub.add_mutually_exclusive_group(required=True)
    length.add_argument("--steps", type=int, metavar="N", help="length of the training in steps, or ...")
    length.add_argument("--seconds", type=float, metavar="N", help="... in seconds")
    sub.add_argument("--batch-size", type=int, metavar="N", help="images per step")
    sub.add_argument("--lr", type=float, metavar="RATE", help="peak learning rate")
    sub.add_argument("--mask", metavar="NAME", help=f"how to hide: {MASKS}")
    sub.add_argument("--mask-ratio", type=float, metavar="R", help="share of an image to hide, from 0 to 1")
    sub.add_argument("--mask-size", type=int, metavar="PIXELS", help="side of the squares to hide")
    sub.add_argument("--seed", type=int, metavar="S", help="another seed, another run")
    speed = sub.add_argument_group("speed and memory, which do not change what is learned")
    speed.add_argument("--compile", action="store_true", help="compile the model first: faster steps on a GPU")
    speed.add_argument("--parts", type=int, default=1, metavar="N", help="work a batch off in N parts")
    speed.add_argument("--recompute", action="store_true", help="compute again instead of keeping: less memory")
    speed.add_argument("--shard", action="store_true", help="several GPUs share the weights among them")

    sub = add(
        reconstruct,
        "hide part of an image and fill it in",
        "Fill in hidden parts of an image with a trained model. An image of another size is cropped to its middle "
        "and resized to the model's. Writes two pictures: FILE.png with four panels (original, masked, "
        "reconstruction, reconstruction + visible), and FILE_completed.png with the completed image alone.",
        "reconstruct --run demo/model --image cat.jpg --mask half --out cat_half.png",
    )
    sub.add_argument("--run", type=Path, required=True, metavar="DIR", help="the folder of a trained model")
    sub.add_argument("--image", type=Path, required=True, metavar="FILE", help="the image to hide parts of")
    sub.add_argument(
        "--mask",
        default="half",
        metavar="MASK",
        help=f"what to hide: {MASKS}; or an image file of any size in which white is hidden: it is laid over the "
        "image, and a patch is hidden if any pixel of it is (default: half, the top half)",
    )
    sub.add_argument("--mask-ratio", type=float, metavar="R", help="share to hide, from 0 to 1 (not for a file)")
    sub.add_argument("--seed", type=int, default=0, metavar="S", help="another seed, another random mask")
    sub.add_argument("--out", type=Path, required=True, metavar="FILE.png", help="where to write the panels")

    sub = add(
        lab,
        "open the lessons in JupyterLab",
        "Open the lessons in JupyterLab. Where no browser can open, copy the address it prints into one.",
        "lab --port 9000",
    )
    sub.add_argument("--port", type=int, metavar="N", help="the port to serve on (default: 8888 or the next free)")
    sub.add_argument("--no-browser", action="store_true", help="only print the address")

    sub = add(
        host,
        "say where your copy of the course is hosted",
        "Write into all lessons where your copy of the course is hosted on GitHub: their badges open it on Colab, "
        "and their setup cells install it from there. Then commit and push.",
        "host jane/simmim-course --branch main",
    )
    what = sub.add_mutually_exclusive_group(required=True)
    what.add_argument("repository", nargs="?", metavar="OWNER/REPO", help="the repository on GitHub")
    what.add_argument("--check", action="store_true", help="only list what disagrees; returns 1 if anything does")
    what.add_argument("--unset", action="store_true", help="hosted nowhere: no badges")
    sub.add_argument("--branch", default="main", metavar="B", help="branch to open (default: %(default)s)")

    for command, help, description in (
        (
            release,
            "make the students' exercises from solutions/",
            "Make the students' version of exercise sets: without solutions, outputs and hidden tests.",
        ),
        (
            grade,
            "grade what was collected",
            "Run the checks and hidden tests on what was collected and not yet graded. None stops the others. "
            "It runs the students' code on this computer, as nbgrader does: use a machine without secrets.",
        ),
        (
            feedback,
            "write a page of feedback for each student",
            "Write grading/feedback/STUDENT/SET/SET.html for all that was graded, without the hidden tests.",
        ),
        (
            export,
            "write the points as CSV",
            "Write grading/grades/SET.csv: a row for each student, a column for each question, and a status.",
        ),
    ):
        sub = add(command, help, description, f"{command.__name__} 01_masking")
        sub.add_argument("sets", nargs="*", metavar="SET", help="like 01_masking (default: all)")
        if command is grade:
            sub.add_argument("--all", action="store_true", help="grade again what was graded")

    sub = add(
        collect,
        "take in the students' notebooks",
        "Find the students' notebooks in a folder or zip file, such as the download of a learning platform, "
        "whatever their names, and put them into grading/submitted. The original files stay as they are.",
        "collect ~/Downloads/submissions.zip",
    )
    sub.add_argument("inbox", type=Path, metavar="INBOX", help="a folder or a zip file")
    return parser


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", default="photos", metavar="NAME", help=f"{DATA} (default: %(default)s)")
    parser.add_argument(
        "--root", type=Path, metavar="DIR", help="with --data folder: your pictures; else where downloads are kept"
    )


class _Parser(argparse.ArgumentParser):
    """Bad arguments become an error like all others, in one line."""

    def error(self, message: str):
        raise ValueError(f"{message}; see {self.prog} --help")
