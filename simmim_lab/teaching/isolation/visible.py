"""What the code of a student sees of simmim_lab: all but what would give answers away."""

from pathlib import Path

PACKAGE = Path(__file__).parents[2]
INSIDE = Path(__file__).parent / "inside"
STUBS = {"checks": INSIDE / "checks.py", "teaching": INSIDE / "absent.py"}
# What the exercises ask to write, and the package has in one form or another. A set keeps what it imports itself.
ANSWERS = {
    "01_masking": ("evaluation",),
    "02_encoders": ("encoders", "swin", "video"),
    "03_decoders": ("decoders",),
    "04_mse_loss": ("losses",),
    "05_training": ("recipe", "loop", "finetuning"),
    "06_gpu_training": ("budget", "hardware"),
    "07_what_it_learned": ("probing",),
    "08_inpainting_and_editing": ("inpainting", "evaluation"),
    "09_generation": ("generation", "judging", "gan"),
    "10_pretrained_models": ("published", "resizing", "files"),
    "11_the_mim_family": ("mae", "guided", "video", "in_context"),
}


def hidden_modules(set_name: str) -> frozenset[str]:
    """The modules of simmim_lab, by full name, that hold what an exercise set asks to write."""
    return frozenset(f"simmim_lab.{name}" for name in (*STUBS, *ANSWERS.get(set_name, ())))


def visible(hidden: frozenset[str]) -> dict[str, Path]:
    """What is seen in the folder of the package, and which file or folder of this machine stands there.

    There are stubs for the modules in `hidden`, the checks and `teaching`; no weights, and nothing compiled.
    """
    seen = {}
    for path in PACKAGE.iterdir():
        if path.stem in STUBS or f"simmim_lab.{path.stem}" in hidden:
            seen[f"{path.stem}.py"] = STUBS.get(path.stem, INSIDE / "absent.py")
        elif path.suffix == ".py" or (path / "__init__.py").exists():
            seen[path.name] = path
    return seen
