"""Everything that waits for a GPU, what is worth most first, within ten minutes.

    python benchmarks/gpu_day.py                            the parts in their order, as far as the minutes go
    python benchmarks/gpu_day.py --only model --minutes 3   one part, also if it was done before
    python benchmarks/gpu_day.py --data FOLDER              5-bit CIFAR-10 instead of the download
    python benchmarks/gpu_day.py --quick                    a check that it runs: all parts in small, on the CPU

    step      images per second of a training step beside its peers, and where its time goes, before and after
    drawing   how long the drawing of a batch takes, and how fast a training is that draws
    model     the network that is shipped, trained with mixed cell sizes, and its scores
    race      pre-training against training from scratch in the same time, with 10 and 1 % of the labels
    ladder    the rungs of lesson 06
    limits    a run that is interrupted, a memory that is too small, all settings at once, older GPUs' 16 bits
    accuracy  all labels of CIFAR-10, in all of the time
    scenes    the generator of lesson 09, trained for longer
    classes   the same code on CIFAR-10, told a class; a classifier reads what it makes

With --data it needs no network; it needs no widgets, and no installation of the course. Each part has a process of
its own, which ends by itself when its minutes are over: what fails or hangs there takes no time from the next.
Results are written at once, in a folder for each machine, and what is done is not done again: the same command
goes on. (To measure anew, move that folder away.) `race` and `accuracy` go on with another seed, up to three. Long
trainings keep their state in runs/gpu_day.
"""

import argparse
import faulthandler
import json
import os
import re
import subprocess
import sys
import time
import traceback
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT))  # to run where the course is not installed

import torch  # noqa: E402
from gpu_parts import PARTS, Day  # noqa: E402

from simmim_lab.hardware import best_device  # noqa: E402
from simmim_lab.teaching.results import command, write  # noqa: E402

MINUTES = 10
START = 10  # seconds until a new process is at work
WORTH = 0.6  # of the minutes that a part wants: with less it is not begun


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=PARTS, metavar="PART", help=f"one of {', '.join(PARTS)}")
    parser.add_argument("--minutes", type=float, help=f"for all (default: {MINUTES}, or what the part wants)")
    parser.add_argument("--data", default="cifar10", help="cifar10, scenes, or the folder of 5-bit CIFAR-10")
    parser.add_argument("--quick", action="store_true", help="all parts in small, on the CPU")
    out = ROOT / "results" / "gpu_day"
    parser.add_argument("--out", type=Path, default=out, help="folder to write to (default: results/gpu_day)")
    args = parser.parse_args(arguments)
    device = torch.device("cpu") if args.quick else best_device()
    if device.type != "cuda" and not args.quick:
        parser.exit(1, f"There is no GPU for this, only {device.type}. To check that it runs, add --quick.\n")
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    args.out = Path(os.path.relpath(args.out))  # results tell how they were made, but not where this course lies
    folder = args.out / re.sub(r"\W+", "-", name)
    if args.only is None:
        return all_parts(folder, args)
    runs = args.out / "runs" if args.quick else Path(os.path.relpath(ROOT / "runs" / "gpu_day"))
    minutes = args.minutes or PARTS[args.only].minutes
    day = Day(device, args.data, minutes, args.quick, folder, runs, command(__file__, arguments))
    return one_part(args.only, day)


def all_parts(folder: Path, args: argparse.Namespace) -> int:
    """Run what is not done, as far as the minutes go; 1 if a part failed, else 0."""
    in_all = args.minutes or (sum(part.minutes for part in PARTS.values()) if args.quick else MINUTES)
    end, codes = time.monotonic() + 60 * in_all, []
    for name, part in PARTS.items():
        minutes = min(part.minutes, (end - time.monotonic() - START) / 60)
        if log(folder).get(name, {}).get("done"):
            print(f"== {name}: done before", flush=True)
        elif minutes < WORTH * part.minutes:
            print(f"== {name}: wants {part.minutes:g} minutes, but {max(minutes, 0):.1f} are left", flush=True)
        else:
            print(f"== {name}: {minutes:.1f} minutes", flush=True)
            words = ["--only", name, "--minutes", f"{minutes:.2f}", "--data", args.data, "--out", str(args.out)]
            run = subprocess.run([sys.executable, __file__, *words, *["--quick"] * args.quick], check=False)
            codes.append(run.returncode)
    return int(any(codes))


def one_part(name: str, day: Day) -> int:
    """Run one part in this process, which ends when its minutes are over, and note how it went."""
    faulthandler.dump_traceback_later(60 * day.minutes, file=sys.__stderr__, exit=True)
    facts: dict[str, object] = {"done": False, "minutes": round(day.minutes, 2), "command": day.command}
    try:
        facts["done"] = PARTS[name].run(day)
    except Exception as error:  # what is written stays, and the next part has its turn
        traceback.print_exc()
        facts["error"] = f"{type(error).__name__}: {error}".splitlines()[0]
    finally:
        faulthandler.cancel_dump_traceback_later()
    facts["seconds"] = round(60 * day.minutes - day.left)
    write({**log(day.folder), name: facts}, day.folder / "day.json")
    print(f"== {name}: {'done' if facts['done'] else facts.get('error', 'not done yet')}", flush=True)
    return int("error" in facts)


def log(folder: Path) -> dict[str, dict]:
    """How each part went so far."""
    path = folder / "day.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


if __name__ == "__main__":
    sys.exit(main())
