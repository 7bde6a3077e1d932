"""The commands that train: `demo`, `pretrain` and `finetune`."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from simmim_lab.commandline import number, user_path
from simmim_lab.commands.program import COUNT, MASKS, SEED, WEIGHTS, add_data, program, trained
from simmim_lab.recipe import HIGHEST, LONGEST

if TYPE_CHECKING:
    from torch import nn

    from simmim_lab.data.imagesets import ImageSet
    from simmim_lab.generation import MaskGIT
    from simmim_lab.simmim import SimMIM

PRESETS = "article_cnn, vit_nano, swin_nano, vit_tiny, vit_small, vit_base, swin_base or timm/NAME"
SAMPLER = "maskgit"  # the preset that generates
CODEBOOK = 3_000  # images whose patches it sorts into codes

SECONDS = number(float, 0, LONGEST, above=True)
SOME = number(float, 0, 1, above=True)


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
    add_data(parser)
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
    add_data(parser)
    parser.add_argument(
        "--size", type=number(int, 8), metavar="PIXELS", help="side of the images (default: the preset's)"
    )
    _add_length(parser)
    parser.add_argument("--mask", metavar="NAME", help=f"how to hide: {MASKS}")
    parser.add_argument(
        "--mask-ratio", type=SOME, metavar="R", help="share of an image to hide, above 0, at most 1"
    )
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
    add_data(parser)
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
    start = trained(args.weights) if args.weights else SimMIM.preset(args.preset, args.size)
    side = args.size or start.image_size[0]
    encoder = _resized(start.encoder, side)
    weights = digest("", encoder.state_dict())  # another start is another run
    train, val, test = (images.load(args.data, split, side, root=args.root) for split in images.SPLITS)
    model = finetuning.Classifier(encoder, train.classes, pool=args.pool).to(best_device())
    if args.probe:
        finetuning.freeze(model)
    few = finetuning.some_labels(train, args.labels, recipe.seed) if args.labels < 1 else train
    print(f"Trains on {len(few):,} of {len(train):,} images of {len(train.classes)} classes.")
    finetuning.pick_threads(model, few, recipe)
    history = finetuning.finetune(model, few, recipe, val=val, run_dir=args.run, weights=weights)
    found = [f"{finetuning.accuracy(model, shown):.1%} of {len(shown):,}" for shown in (val, test)]
    print(f"Done: {history.steps} steps in {history.seconds:.0f} s.")
    print(f"Right for {found[0]} validation images and {found[1]} test images.")


def _given(args: argparse.Namespace, *names: str) -> dict[str, object]:
    """Those of the options that were given; the recipe knows the others."""
    return {name: getattr(args, name) for name in names if getattr(args, name) is not None}


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


def _resized(encoder: "nn.Module", side: int) -> "nn.Module":
    """The encoder for images of this size; ValueError if there is none."""
    import torch

    from simmim_lab.resizing import resize

    try:
        resized = resize(encoder, side)
        resized(torch.zeros(1, 3, side, side))
    except ValueError as error:
        raise ValueError(f"{error}: choose another --size") from error
    if resized is not encoder:
        print(f"What the encoder knows of places is interpolated to {side} x {side} pixels.")
    return resized
