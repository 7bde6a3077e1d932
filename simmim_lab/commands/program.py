"""What the commands of learners share: their program, options that several take, and small checks."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from simmim_lab.commandline import Program, number, user_path

if TYPE_CHECKING:
    from simmim_lab.finetuning import Classifier
    from simmim_lab.simmim import SimMIM

DATA = "photos or scenes (both built in), cifar10, stl10, flowers102, imagenette, oxford_pets, folder or shards"
WEIGHTS = (
    "the folder of a finished run; cifar10, which comes with the course; simmim_swin_base or simmim_swin_large, "
    "which are downloaded; owner/name on the Hugging Face Hub; a folder of transformers or a file of the official "
    "code"
)
MASKS = "random, bernoulli, block, grid, half, center, stroke or mixture"

COUNT = number(int, 1)
SHARE = number(float, 0, 1)
SEED = number(int, 0, 2**63 - 1)

program = Program(
    "simmim-lab",
    "Train and try SimMIM: a network that learns about images by filling in hidden parts.",
    start="demo --out demo",
)


def add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", default="photos", metavar="NAME", help=f"{DATA} (default: %(default)s)")
    parser.add_argument(
        "--root",
        type=user_path,
        metavar="DIR",
        help="with --data folder or shards: your pictures; else where downloads are kept",
    )


def check_new(args: argparse.Namespace) -> None:
    """Nothing is overwritten without being asked."""
    if args.out.exists() and not args.overwrite:
        raise FileExistsError(f"{args.out} exists already: choose another --out, or add --overwrite")


def trained(weights: str) -> "SimMIM | Classifier":
    """The model that WEIGHTS describes: one of the course's, of a run, or of somebody else."""
    from simmim_lab.finetuning import load_trained
    from simmim_lab.published import PUBLISHED, load_published
    from simmim_lab.simmim import PRETRAINED, SimMIM

    if weights in PRETRAINED:
        return SimMIM.pretrained(weights)
    path = Path(weights).expanduser()
    if path.is_dir() and not (path / "config.json").is_file():
        return load_trained(path)
    if not path.exists() and "/" not in weights and weights not in PUBLISHED:
        raise FileNotFoundError(f"there is no file or folder {weights}: give {WEIGHTS}")
    return load_published(weights)


def reconstructs(weights: str) -> "SimMIM":
    """The same, for a command that needs the decoder too."""
    from simmim_lab.simmim import SimMIM

    model = trained(weights)
    if not isinstance(model, SimMIM):
        raise ValueError(f"{weights} is a classifier, which has no decoder: give a model that fills in patches")
    return model
