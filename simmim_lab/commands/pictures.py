"""The commands that use what was trained: `features`, `inpaint` and `generate`."""

import argparse
import functools
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

from simmim_lab.commandline import number, user_path
from simmim_lab.commands.program import (
    COUNT,
    MASKS,
    SEED,
    SHARE,
    WEIGHTS,
    add_data,
    check_new,
    program,
    reconstructs,
    trained,
)
from simmim_lab.recipe import HIGHEST

if TYPE_CHECKING:
    from collections.abc import Callable

    from jaxtyping import Bool
    from torch import Tensor

    from simmim_lab.shapes import Hidden, Images

FILLS = "model, visible_mean, nearest, biharmonic, telea, navier_stokes (both with OpenCV) or patches"
STEPS, MORE_STEPS = 8, 32  # what is drawn at once must fit together: by the caption, or by what is there
SHOWN = 128  # pixels of a generated picture on a sheet


def _features_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--weights", default="cifar10", metavar="RUN", help=f"{WEIGHTS} (default: %(default)s)")
    add_data(parser)
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
    check_new(args)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=args.out.parent):  # a folder that takes no files is named now
        pass
    model = trained(args.weights).to(best_device())
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
    parser.add_argument("--weights", "--run", metavar="RUN", help=f"{WEIGHTS} (default: cifar10)")
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
    steps = f"in how many steps to fill a picture (default: {STEPS}, and {MORE_STEPS} where words are left open)"
    parser.add_argument("--steps", type=COUNT, metavar="N", help=steps)
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
    check_new(args)
    model = MaskGIT.load(args.run) if args.run else MaskGIT.pretrained("scenes")
    model.to(best_device()).eval()
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // 2))  # where others are at work, all would wait for one
    words = model.words_of([args.caption] * args.n)
    said = bool(model.vocabulary) and (words != model.nothing_said(args.n)).all()
    steps = args.steps or min(STEPS if said else MORE_STEPS, math.prod(model.grid))
    options = {"steps": steps, "temperature": args.temperature, "guidance": args.guidance}
    generator = torch.Generator(words.device).manual_seed(args.seed)
    pictures = generate(model, words, **options, generator=generator, progress=True).cpu()
    _write_pictures(pictures, args.out, sheet=sheet)
    print(f"Wrote {args.out}: {args.n} pictures of {' x '.join(map(str, model.image_size))} pixels.")


def _write_pictures(pictures: "Images", out: Path, *, sheet: bool) -> None:
    """Write a sheet of the pictures, each enlarged to about SHOWN pixels, or a file for each into a folder."""
    from torch.nn.functional import interpolate
    from torchvision.transforms.functional import to_pil_image
    from torchvision.utils import make_grid

    from simmim_lab.common import replace_file

    if sheet:
        factor = max(1, SHOWN // pictures.shape[-1])
        large = interpolate(pictures, scale_factor=factor)  # to the nearest pixel
        files = {out: make_grid(large, nrow=math.ceil(len(large) ** 0.5), padding=4, pad_value=1)}
    else:
        files = {out / f"{number:04}.png": picture for number, picture in enumerate(pictures)}
    for path, picture in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        image = to_pil_image((picture * 255).round().byte())
        replace_file(path, lambda partial, image=image: image.save(partial, format="PNG"))


def _check_out(args: argparse.Namespace) -> None:
    """A picture takes the place of another only if that is asked for, and of what is read never."""
    if args.out.suffix.lower() != ".png":
        raise ValueError(f"--out must end in .png, which keeps visible pixels exactly, but is {args.out}")
    for given in (args.image, Path(args.mask).expanduser()):
        if given.resolve() == args.out.resolve():
            raise ValueError(f"--out {args.out} would replace {given}: choose another name")
    check_new(args)


def _fill(args: argparse.Namespace) -> "Callable[[Images, Hidden], Images]":
    """The fill that --method names."""
    from simmim_lab import evaluation
    from simmim_lab.common import choose
    from simmim_lab.hardware import best_device
    from simmim_lab.inpainting import inpaint

    fills = evaluation.BASELINES | evaluation.OPENCV | {"patches": evaluation.patches}
    method = choose(args.method, {"model": None, **fills}, "method")
    if method is not None:
        if args.weights is not None:
            raise ValueError(f"--weights have no meaning with --method {args.method}: leave one of them out")
        return method
    model = reconstructs(args.weights or "cifar10")
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
