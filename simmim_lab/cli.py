"""Learners' commands: `simmim-lab demo`, `pretrain`, `finetune`, `features`, `inpaint`, `generate` and `lab`.

Each command stands behind its arguments. What costs time to import is imported by the command that needs it, so
that `--help` comes at once.
"""

import argparse
import functools
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

from simmim_lab import workspace
from simmim_lab.commandline import Program, course_folder, number, user_path
from simmim_lab.recipe import HIGHEST, LONGEST

if TYPE_CHECKING:
    from collections.abc import Callable

    from jaxtyping import Bool
    from torch import Tensor

    from simmim_lab.data.imagesets import ImageSet
    from simmim_lab.finetuning import Classifier
    from simmim_lab.generation import MaskGIT
    from simmim_lab.shapes import Hidden, Images
    from simmim_lab.simmim import SimMIM

DATA = "photos or scenes (both built in), cifar10, stl10, flowers102, imagenette, oxford_pets, or folder"
WEIGHTS = "the folder of a finished run, or cifar10, the model that comes with the course"
MASKS = "random, bernoulli, block, grid, half, center, stroke or mixture"
FILLS = "model, visible_mean, nearest, biharmonic, telea, navier_stokes (both with OpenCV) or patches"
PRESETS = "article_cnn, vit_nano, swin_nano, vit_tiny, vit_small, vit_base or swin_base"
SAMPLER = "maskgit"  # the preset that generates
SHOWN = 128  # pixels of a generated picture on a sheet
CODEBOOK = 3_000  # images whose patches it sorts into codes

COUNT = number(int, 1)
SECONDS = number(float, 0, LONGEST, above=True)
SHARE = number(float, 0, 1)
SOME = number(float, 0, 1, above=True)
SEED = number(int, 0, 2**63 - 1)

program = Program(
    "simmim-lab",
    "Train and try SimMIM: a network that learns about images by filling in hidden parts.",
    start="demo --out demo",
)
main = program.main


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", default="photos", metavar="NAME", help=f"{DATA} (default: %(default)s)")
    parser.add_argument(
        "--root",
        type=user_path,
        metavar="DIR",
        help="with --data folder: your pictures; else where downloads are kept",
    )


def _add_length(parser: argparse.ArgumentParser) -> None:
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--steps", type=COUNT, metavar="N", help="length of the training in steps, or ...")
    length.add_argument("--seconds", type=SECONDS, metavar="N", help="... in seconds")
    parser.add_argument("--batch-size", type=COUNT, metavar="N", help="images per step")
    parser.add_argument(
        "--lr", type=number(float, 0, HIGHEST, above=True), metavar="RATE", help="peak learning rate"
    )


def _demo_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=user_path, required=True, metavar="DIR", help="the folder to write into")
    parser.add_argument(
        "--seconds", type=SECONDS, default=120, metavar="N", help="training time (default: %(default)s)"
    )
    _add_data(parser)
    parser.add_argument("--seed", type=SEED, default=0, metavar="S", help="another seed, another run (default: 0)")


@program.command("--out demo --seconds 120", _demo_arguments)
def demo(args: argparse.Namespace) -> None:
    """Train on photographs for two minutes and show what was learned.

    Train a small SimMIM, then test it on images it has never seen: pictures, scores next to four methods that
    learn nothing or little, and the model go into one folder. After Ctrl-C the same command goes on.
    """
    from simmim_lab.demo import run

    run(args.out, seconds=args.seconds, data=args.data, root=args.root, seed=args.seed)


def _pretrain_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--run", type=user_path, required=True, metavar="DIR", help="the folder of the run")
    presets = f"{PRESETS}, or {SAMPLER}, which learns to generate (default: %(default)s)"
    parser.add_argument("--preset", default="vit_nano", metavar="NAME", help=presets)
    _add_data(parser)
    parser.add_argument(
        "--size", type=number(int, 8), metavar="PIXELS", help="side of the images (default: the preset's)"
    )
    _add_length(parser)
    parser.add_argument("--mask", metavar="NAME", help=f"how to hide: {MASKS}")
    parser.add_argument("--mask-ratio", type=SHARE, metavar="R", help="share of an image to hide, from 0 to 1")
    parser.add_argument("--mask-size", type=COUNT, metavar="PIXELS", help="side of the squares to hide")
    parser.add_argument("--seed", type=SEED, metavar="S", help="another seed, another run")
    speed = parser.add_argument_group("speed and memory, which do not change what is learned")
    speed.add_argument("--compile", action="store_true", help="compile the model first: faster steps on a GPU")
    speed.add_argument(
        "--accumulation-steps", type=COUNT, default=1, metavar="N", help="work a batch off in N parts: less memory"
    )
    speed.add_argument(
        "--activation-checkpointing", action="store_true", help="compute again instead of keeping: less memory"
    )
    speed.add_argument("--shard", action="store_true", help="several GPUs share the weights among them")


@program.command("--preset vit_nano --data photos --seconds 300 --run runs/nano", _pretrain_arguments)
def pretrain(args: argparse.Namespace) -> None:
    """Train a model of your choice.

    Pre-train SimMIM, or with --preset maskgit a model that generates: scenes from captions, other images from the
    names of their classes. The run lives in one folder; after an interruption of any kind the same command goes on
    where it was. What you do not set comes from the recipe of the preset. On several GPUs: torchrun
    --nproc-per-node N -m simmim_lab -- pretrain ...
    """
    import torch

    from simmim_lab import distributed, generation, training
    from simmim_lab.hardware import Execution, best_device

    samples = args.preset == SAMPLER
    given = _given(args, "steps", "seconds", "batch_size", "lr", "mask", "mask_ratio", "mask_size", "seed")
    if samples and (masks := [f"--{name.replace('_', '-')}" for name in given if name.startswith("mask")]):
        raise ValueError(f"{SAMPLER} draws its masks at all ratios: leave out {' and '.join(masks)}")
    recipe = generation.GeneratorRecipe(**given) if samples else training.Recipe.preset(args.preset, **given)
    execution = Execution(
        compile=args.compile,
        accumulation_steps=args.accumulation_steps,
        activation_checkpointing=args.activation_checkpointing,
        shard=args.shard,
    )
    with distributed.process_group():
        first = distributed.rank() == 0
        if first:
            _begin(args.run, f"{args.preset} on {args.data}")
        torch.manual_seed(recipe.seed)
        model, train, val = (_to_sample if samples else _to_reconstruct)(args)
        model.to(best_device())
        if first:
            print(f"Trains on {len(train):,} images and validates on others.")
        if distributed.world_size() == 1:  # torchrun has set the number of threads
            (generation if samples else training).pick_threads(model, train, recipe)
        learn = generation.train_generator if samples else training.pretrain
        history = learn(model, train, recipe, execution, val=val, run_dir=args.run)
    if not first:
        return
    see = "generate --out FILE.png --run" if samples else "inpaint --image FILE --mask half --out FILE.png --run"
    print(
        f"Done: {history.steps} steps in {history.seconds:.0f} s, validation loss {history.val_loss[-1]:.3f}.\n"
        f"See it at work: simmim-lab {see} {args.run}"
    )


def _to_reconstruct(args: argparse.Namespace) -> "tuple[SimMIM, ImageSet, ImageSet]":
    """A new SimMIM, and the images to train it on and to validate it with."""
    from simmim_lab import images
    from simmim_lab.simmim import SimMIM

    model = SimMIM.preset(args.preset, args.size)
    side = args.size or model.image_size[0]
    train, val = (images.load(args.data, split, side, root=args.root) for split in ("train", "val"))
    return model, train, val


def _to_sample(args: argparse.Namespace) -> "tuple[MaskGIT, ImageSet, ImageSet]":
    """A new MaskGIT with its codebook, and the images: scenes with captions, or others with classes."""
    from simmim_lab import generation, images
    from simmim_lab.tokens import Tokenizer

    side, splits = args.size or 32, ("train", "val")
    if args.data == "scenes":
        if args.root:
            raise ValueError("scenes are drawn by the course: leave out --root")
        train, val = (generation.captioned_scenes(split, side) for split in splits)
        vocabulary = generation.WORDS
    else:
        train, val = (images.load(args.data, split, side, root=args.root) for split in splits)
        named = train.classes and train.classes == val.classes  # each of the photos is a class of its own
        vocabulary = {"class": train.classes} if named else {}
    tokenizer = Tokenizer.fit(train.take(min(CODEBOOK, len(train))))
    return generation.MaskGIT.small(tokenizer, side, vocabulary), train, val


def _finetune_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--run", type=user_path, required=True, metavar="DIR", help="the folder of the run")
    start = parser.add_mutually_exclusive_group(required=True)
    start.add_argument("--weights", metavar="RUN", help=f"start from {WEIGHTS}; or ...")
    start.add_argument("--preset", metavar="NAME", help=f"... from scratch, to compare: {PRESETS}")
    _add_data(parser)
    parser.set_defaults(data="scenes")
    parser.add_argument(
        "--size", type=number(int, 8), metavar="PIXELS", help="side of the images (default: the encoder's)"
    )
    parser.add_argument(
        "--labels", type=SOME, metavar="R", default=1.0, help="share of the labels of each class (default: all)"
    )
    _add_length(parser)
    parser.add_argument("--probe", action="store_true", help="leave the encoder as it is: only the head learns")
    parser.add_argument(
        "--pool",
        choices=("mean", "attention"),
        default="mean",
        help="how features become one vector: their mean, or one that a learned query weighs (default: mean)",
    )
    parser.add_argument("--seed", type=SEED, default=0, metavar="S", help="another seed, another run")


@program.command(
    "--weights cifar10 --data folder --root PICTURES --steps 200 --batch-size 32 --run runs/classifier",
    _finetune_arguments,
)
def finetune(args: argparse.Namespace) -> None:
    """Train a classifier on a pre-trained encoder.

    Put a classifier on a pre-trained encoder, and train both on labelled images, such as a folder with a folder of
    pictures for each class. Prints its accuracy on the validation images, by which to choose settings, and on the
    test images, for the settings chosen. A laptop takes many more steps with a --batch-size of 32. After an
    interruption of any kind the same command goes on where it was.
    """
    import torch

    from simmim_lab import finetuning, images
    from simmim_lab.checkpoints import digest
    from simmim_lab.hardware import best_device
    from simmim_lab.simmim import SimMIM

    recipe = finetuning.FinetuneRecipe.probe if args.probe else finetuning.FinetuneRecipe
    given = _given(args, "steps", "seconds", "batch_size", "lr", "seed")
    if args.preset:
        given["layer_decay"] = 1.0  # no layer knows anything yet
    recipe = recipe(**given)
    if args.weights and Path(args.weights).expanduser().resolve() == args.run.resolve():
        raise ValueError(f"--run and --weights are the same folder, {args.run}: choose another --run")
    _begin(args.run, f"{args.weights or args.preset} on {args.data}")
    torch.manual_seed(recipe.seed)
    start = _trained(args.weights) if args.weights else SimMIM.preset(args.preset, args.size)
    side = args.size or start.image_size[0]
    _check_size(start, side)
    weights = digest("", start.encoder.state_dict())  # another start is another run
    train, val, test = (images.load(args.data, split, side, root=args.root) for split in images.SPLITS)
    model = finetuning.Classifier(start.encoder, train.classes, pool=args.pool).to(best_device())
    if args.probe:
        finetuning.freeze(model)
    few = finetuning.some_labels(train, args.labels, recipe.seed) if args.labels < 1 else train
    print(f"Trains on {len(few):,} of {len(train):,} images of {len(train.classes)} classes.")
    finetuning.pick_threads(model, few, recipe)
    history = finetuning.finetune(model, few, recipe, val=val, run_dir=args.run, weights=weights)
    found = [f"{finetuning.accuracy(model, shown):.1%} of {len(shown):,}" for shown in (val, test)]
    print(f"Done: {history.steps} steps in {history.seconds:.0f} s.")
    print(f"Right for {found[0]} validation images and {found[1]} test images.")


def _features_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--weights", default="cifar10", metavar="RUN", help=f"{WEIGHTS} (default: %(default)s)")
    _add_data(parser)
    parser.add_argument(
        "--split",
        choices=("train", "val", "test", "all"),
        default="all",
        help="which images (default: all, those of train first)",
    )
    parser.add_argument(
        "--cells",
        type=COUNT,
        default=1,
        metavar="N",
        help="average within each of N x N parts of the image (default: 1, a mean over all of it)",
    )
    parser.add_argument(
        "--layer",
        type=number(int, 0),
        metavar="N",
        help="of a ViT, take what enters block N, counted from 0 (default: what the encoder returns)",
    )
    parser.add_argument(
        "--out", type=user_path, required=True, metavar="FILE", help="where to write, FILE.safetensors"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace --out if it exists")


READ_BACK = """
read it back:
  file = safetensors.safe_open("cats.safetensors", "numpy")
  vectors, files = file.get_tensor("vectors"), json.loads(file.metadata()["files"])"""


@program.command(f"--data folder --root CATS --out cats.safetensors\n{READ_BACK}", _features_arguments)
def features(args: argparse.Namespace) -> None:
    """Write the features of pictures to a file.

    Write what an encoder makes of each picture, a vector, to one file, with labels and the names of classes and
    files. A folder may hold more pictures than fit into memory. The file is safetensors: whole or not there at
    all, without code, and it can be read in parts. After an interruption the same command goes on.
    """
    import tempfile

    from simmim_lab.embeddings import embed
    from simmim_lab.files import write_tensors
    from simmim_lab.hardware import best_device

    if args.out.suffix != ".safetensors":
        raise ValueError(f"--out must end in .safetensors, but is {args.out}")
    _check_new(args)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=args.out.parent):  # a folder that takes no files is named now
        pass
    model = _trained(args.weights).to(best_device())
    splits = ("train", "val", "test") if args.split == "all" else (args.split,)
    kept = args.out.with_name(f"{args.out.name}.part")
    options = {"root": args.root, "cells": args.cells, "layer": args.layer, "kept": kept}
    tensors, header = embed(model, args.data, splits, model.image_size[0], **options)
    write_tensors(args.out, tensors, header)
    kept.unlink(missing_ok=True)
    count, numbers = tensors["vectors"].shape
    print(f"Wrote {args.out}: {count:,} pictures, {numbers:,} numbers for each.")


def _inpaint_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--image", type=user_path, required=True, metavar="FILE", help="a picture of any size")
    parser.add_argument(
        "--mask",
        required=True,
        metavar="MASK",
        help="what to fill: a picture of the same shape, in which white is hidden and black or transparent is "
        f"not; or, to try it, {MASKS}",
    )
    parser.add_argument(
        "--out", type=user_path, required=True, metavar="FILE.png", help="the filled picture, at full size"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace --out if it exists")
    parser.add_argument("--method", default="model", metavar="NAME", help=f"{FILLS} (default: %(default)s)")
    parser.add_argument(
        "--run", type=user_path, metavar="DIR", help="a trained model (default: the one that the course ships)"
    )
    parser.add_argument(
        "--mask-ratio", type=SHARE, metavar="R", help="share to hide, from 0 to 1 (not for a picture)"
    )
    parser.add_argument("--seed", type=SEED, default=0, metavar="S", help="another seed, another random mask")


@program.command("--image cat.jpg --mask scratches.png --out cat_repaired.png", _inpaint_arguments)
def inpaint(args: argparse.Namespace) -> None:
    """Fill holes in a picture.

    Fill what a mask hides in a picture of any size. Visible pixels stay exactly as they are; transparent parts
    stand on white. With a mask by name, the PSNR of what was filled is printed.
    """
    from PIL import Image

    from simmim_lab.common import replace_file
    from simmim_lab.data.pictures import opaque, open_picture, to_tensor
    from simmim_lab.evaluation import psnr

    _check_out(args)
    fill = _fill(args)
    picture = open_picture(args.image)
    _say_first(args.image)
    image = to_tensor(opaque(picture, "white"))[None] / 255
    hidden = _hidden(args, picture.size)[None]
    share = hidden.float().mean().item()
    if share in (0, 1):
        raise ValueError(
            f"the mask {args.mask} hides {'the whole' if share else 'nothing of the'} picture: white marks what "
            "to fill, and something must stay visible"
        )
    filled = fill(image, hidden)
    pixels = (filled[0] * 255).round().byte().permute(1, 2, 0).numpy()
    profile = picture.info.get("icc_profile") if picture.mode in ("RGB", "RGBA", "P") else None
    args.out.parent.mkdir(parents=True, exist_ok=True)
    replace_file(args.out, lambda path: Image.fromarray(pixels).save(path, format="PNG", icc_profile=profile))
    score = "" if _is_picture(args.mask) else f", {psnr(image, filled, hidden):.1f} dB PSNR there"
    print(f"Wrote {args.out}: {picture.width} x {picture.height} pixels, {share:.1%} filled{score}.")


def _generate_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--caption",
        default="",
        metavar="TEXT",
        help='what to show, such as "a red house by a lake at night", or a part of it (default: anything)',
    )
    parser.add_argument("--n", type=COUNT, default=16, metavar="N", help="pictures (default: %(default)s)")
    parser.add_argument(
        "--out",
        type=user_path,
        required=True,
        metavar="FILE.png",
        help="a sheet of all pictures, enlarged; a name without an end is a folder, with a file for each",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace --out if it exists")
    parser.add_argument(
        "--run", type=user_path, metavar="DIR", help="a trained generator (default: the one that the course ships)"
    )
    steps = "in how many steps to fill a picture (default: %(default)s)"
    parser.add_argument("--steps", type=COUNT, default=16, metavar="N", help=steps)
    parser.add_argument(
        "--temperature",
        type=number(float, 0, HIGHEST),
        default=1.0,
        metavar="T",
        help="below 1 likely codes are drawn more often, at 0 always the likeliest (default: %(default)s)",
    )
    parser.add_argument(
        "--guidance",
        type=number(float, 0, HIGHEST),
        default=2.0,
        metavar="W",
        help="how much more the caption counts than in training (default: %(default)s)",
    )
    parser.add_argument("--seed", type=SEED, default=0, metavar="S", help="another seed, other pictures")


@program.command('--caption "a red house by a lake at night" --n 16 --out houses.png', _generate_arguments)
def generate(args: argparse.Namespace) -> None:
    """Make pictures from a caption.

    Draw pictures with a model that fills hidden tokens, step by step: by default small scenes, with a subject, a
    colour, a place and a time of day.
    """
    import torch

    from simmim_lab.generation import MaskGIT, generate
    from simmim_lab.hardware import best_device

    sheet = args.out.suffix.lower() == ".png"
    if args.out.suffix and not sheet:
        raise ValueError(f"--out must end in .png, or be a folder, but is {args.out}")
    _check_new(args)
    model = MaskGIT.load(args.run) if args.run else MaskGIT.pretrained("scenes")
    model.to(best_device()).eval()
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // 2))  # where others are at work, all would wait for one
    words = model.words_of([args.caption] * args.n)
    options = {name: getattr(args, name) for name in ("steps", "temperature", "guidance")}
    generator = torch.Generator(words.device).manual_seed(args.seed)
    pictures = generate(model, words, **options, generator=generator, progress=True).cpu()
    _write_pictures(pictures, args.out, sheet=sheet)
    print(f"Wrote {args.out}: {args.n} pictures of {' x '.join(map(str, model.image_size))} pixels.")


def _write_pictures(pictures: "Images", out: Path, *, sheet: bool) -> None:
    """Write a sheet of the pictures, each enlarged to about SHOWN pixels, or a file for each into a folder."""
    from torchvision.transforms.functional import to_pil_image
    from torchvision.utils import make_grid

    from simmim_lab.common import replace_file

    if sheet:
        factor = max(1, SHOWN // pictures.shape[-1])
        large = pictures.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
        files = {out: make_grid(large, nrow=math.ceil(len(large) ** 0.5), padding=4, pad_value=1)}
    else:
        files = {out / f"{number:04}.png": picture for number, picture in enumerate(pictures)}
    for path, picture in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        image = to_pil_image((picture * 255).round().byte())
        replace_file(path, lambda partial, image=image: image.save(partial, format="PNG"))


def _lab_arguments(parser: argparse.ArgumentParser) -> None:
    port = number(int, 1, 65535)
    parser.add_argument(
        "--port", type=port, metavar="N", help="the port to serve on (default: 8888 or the next free)"
    )
    parser.add_argument("--no-browser", action="store_true", help="only print the address")
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--work",
        type=user_path,
        default=workspace.HOME,
        metavar="DIR",
        help=f"the folder of your own copy (default: {workspace.HOME})",
    )
    where.add_argument(
        "--course", action="store_true", help="open the course itself, not a copy: for instructors and authors"
    )


@program.command("--port 9000", _lab_arguments)
def lab(args: argparse.Namespace) -> None:
    """Open the lessons in JupyterLab.

    Open your own copy of the lessons and exercises in JupyterLab. It is made once; later starts bring what is new
    in the course, and leave what you have written. Where no browser can open, copy the address it prints into one.
    """
    try:
        from jupyterlab.labapp import main as jupyterlab
    except ImportError as error:
        raise ImportError("JupyterLab is missing: install it with pip install 'simmim-lab[lab]'") from error

    root = course_folder()
    if not args.course and not workspace.find(root):
        course, root = root, args.work.absolute()
        print(*workspace.update(course, root), sep="\n", flush=True)
    os.chdir(root)  # nbgrader's formgrader looks for its configuration where JupyterLab was started
    options = [f"--ServerApp.root_dir={root}", "--LabApp.default_url=/lab/tree/notebooks"]
    options += [f"--port={args.port}"] if args.port else []
    options += ["--no-browser"] if args.no_browser else []
    options += ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []  # as in a container
    jupyterlab(options)


def _given(args: argparse.Namespace, *names: str) -> dict[str, object]:
    """Those of the options that were given; the recipe knows the others."""
    return {name: getattr(args, name) for name in names if getattr(args, name) is not None}


def _check_new(args: argparse.Namespace) -> None:
    """Nothing is overwritten without being asked."""
    if args.out.exists() and not args.overwrite:
        raise FileExistsError(f"{args.out} exists already: choose another --out, or add --overwrite")


def _begin(run: Path, what: str) -> None:
    """Say whether a run starts or goes on. Another training in its folder is named now, not behind the images."""
    from simmim_lab.checkpoints import CHECKPOINT, locked

    goes_on = (run / CHECKPOINT).exists()
    if (run / "model.json").exists() and not goes_on:
        raise FileExistsError(f"{run} holds a model, and no checkpoint to go on from: choose another folder")
    print(f"{'Continues the run' if goes_on else 'Starts a run'} in {run}: {what}.")
    if run.is_dir():
        with locked(run):
            pass


def _trained(weights: str) -> "SimMIM | Classifier":
    """The model of this name that comes with the course, or the one that a run has left in its folder."""
    from simmim_lab.finetuning import load_trained
    from simmim_lab.simmim import PRETRAINED, SimMIM

    if weights in PRETRAINED:
        return SimMIM.pretrained(weights)
    if not Path(weights).expanduser().is_dir():
        raise FileNotFoundError(
            f"there is no folder {weights}: give that of a finished run, or {' or '.join(PRETRAINED)}"
        )
    return load_trained(weights)


def _check_size(model: "SimMIM | Classifier", side: int) -> None:
    """Raise ValueError if the encoder does not take images of this size."""
    import torch

    try:
        model.encoder(torch.zeros(1, 3, side, side))
    except ValueError as error:
        raise ValueError(f"{error}: choose another --size") from error


def _check_out(args: argparse.Namespace) -> None:
    """A picture takes the place of another only if that is asked for, and of what is read never."""
    if args.out.suffix.lower() != ".png":
        raise ValueError(f"--out must end in .png, which keeps visible pixels exactly, but is {args.out}")
    for given in (args.image, Path(args.mask).expanduser()):
        if given.resolve() == args.out.resolve():
            raise ValueError(f"--out {args.out} would replace {given}: choose another name")
    _check_new(args)


def _fill(args: argparse.Namespace) -> "Callable[[Images, Hidden], Images]":
    """The fill that --method names."""
    from simmim_lab import evaluation
    from simmim_lab.common import choose
    from simmim_lab.hardware import best_device
    from simmim_lab.inpainting import inpaint
    from simmim_lab.simmim import SimMIM

    fills = evaluation.BASELINES | evaluation.OPENCV | {"patches": evaluation.patches}
    method = choose(args.method, {"model": None, **fills}, "method")
    if method is not None:
        if args.run is not None:
            raise ValueError(f"--run has no meaning with --method {args.method}: leave one of them out")
        return method
    model = SimMIM.pretrained("cifar10") if args.run is None else SimMIM.load(args.run)
    return functools.partial(inpaint, model.to(best_device()).eval(), progress=True)


def _is_picture(mask: str) -> bool:
    """Whether --mask is a file, and not the name of a strategy."""
    from simmim_lab.masking import STRATEGIES

    file = Path(mask).expanduser()
    return mask not in STRATEGIES and bool(file.suffix or file.is_file())


def _hidden(args: argparse.Namespace, size: tuple[int, int]) -> "Bool[Tensor, 'height width']":
    """What --mask hides of a picture of `size`: a painted mask, or a strategy in cells of about 8 pixels."""
    import torch
    from torch.nn.functional import interpolate

    from simmim_lab.common import choose
    from simmim_lab.data.pictures import open_mask
    from simmim_lab.masking import STRATEGIES

    if _is_picture(args.mask):
        if args.mask_ratio is not None:
            raise ValueError(f"--mask-ratio has no meaning with the picture {args.mask}: leave it out")
        hidden = open_mask(args.mask, size)
        _say_first(Path(args.mask).expanduser())
        return hidden
    ratio = {} if args.mask_ratio is None else {"ratio": args.mask_ratio}
    cols, rows = (2 * max(1, round(side / 16)) for side in size)  # even, so that half is half
    strategy = choose(args.mask, STRATEGIES, "mask")
    cells = strategy(1, (rows, cols), generator=torch.Generator().manual_seed(args.seed), **ratio)
    return interpolate(cells[None].float(), size[::-1])[0, 0] > 0


def _say_first(path: Path) -> None:
    from simmim_lab.data.pictures import frames

    if (count := frames(path)) > 1:
        print(f"{path} holds {count} pictures: the first is taken.")
