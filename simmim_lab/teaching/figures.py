"""The table of figures in README.md: each row is made from a file in results/. `simmim-course figures` writes it.

ROWS, at the end, is the table: what a row is about, its files, and the function that makes its text of them.
"""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from statistics import mean

from simmim_lab.common import replace_file

START, END = "<!-- figures -->\n", "<!-- end of figures -->"
HEAD = "| what | figure | date | run |\n| --- | --- | --- | --- |\n"


def table(root: Path) -> str:
    """The table for the course in folder `root`. Raises FileNotFoundError if a row has no results."""
    return HEAD + "".join(_line(root / "results", *row) for row in ROWS)


def update(root: Path) -> bool:
    """Write the table into README.md, between its two marks; return whether that changed anything.

    Raises ValueError if README.md does not have the marks, once each and in order.
    """
    readme = root / "README.md"
    old = readme.read_text(encoding="utf-8")
    new, places = re.subn(f"(?s){START}.*{END}", lambda _: START + table(root) + END, old)
    if places != 1 or old.count(START) != 1:
        raise ValueError(
            f"{readme} needs the lines {START.strip()} and {END}, once each: put them around the table"
        )
    if new != old:
        replace_file(readme, partial(Path.write_text, data=new, encoding="utf-8"))
    return new != old


def _line(results: Path, what: str, files: str, figure: Callable[..., str]) -> str:
    paths = sorted(results.glob(files))
    if not paths:
        raise FileNotFoundError(f"there is no {results / files}: run its benchmark first")
    texts = [path.read_text(encoding="utf-8") for path in paths]
    dates = ", ".join(sorted(set(re.findall(r'"date": "(\d{4}-\d\d-\d\d)', "".join(texts)))))
    source = f"results/{files}".partition("/seed*")[0]
    return f"| {what} | {figure(*map(json.loads, texts))} | {dates} | [`{source}`]({source}) |\n"


def _and(texts: Iterable[str]) -> str:
    *texts, last = texts
    return f"{', '.join(texts)} and {last}" if texts else last


METHODS = {"model": "SimMIM", "biharmonic": "biharmonic", "lmmse": "best linear predictor"}
SHIPPED = {"simmim": "SimMIM", "lmmse": "best linear predictor", "biharmonic": "biharmonic"}


def demo(*runs: dict) -> str:
    scores = {title: [f"{run['psnr_hidden'][name]:.2f}" for run in runs] for name, title in METHODS.items()}
    return "; ".join(f"{title} {', '.join(values)}" for title, values in scores.items())


def pretrained(results: dict) -> str:
    scores = {title: results["masks"]["random cells of 8 pixels, 60 %"][name] for name, title in SHIPPED.items()}
    return "; ".join(f"{title} {score['psnr']:.2f} and {score['ssim']:.3f}" for title, score in scores.items())


def pretrain_step(results: dict) -> str:
    steps = [step for step in results["steps"] if step["precision"] == "fp32" and not step["compiled"]]
    equal, preset = (_and(f"{step[name]:.2f}" for step in steps) for name in ("equal_ratio", "preset_ratio"))
    return f"{equal} times as many images per second; with the course's relative positions {preset}"


def data_share(results: dict) -> str:
    return f"{100 * results['data']['share']:.1f} %"


def gpu_step(results: dict) -> str:
    rows = [
        f"`{row['model']}`{', compiled,' if row['compiled'] else ''} {row['equal_ratio']:.2f}; with the course's "
        f"relative positions {row['preset_ratio']:.2f}, at {100 * row['preset_share']:.0f} % of the peak"
        for row in results["steps"]
    ]
    return ". ".join(rows)


def speed(machines: dict) -> str:
    gains = []
    for name, machine in machines.items():
        first, *_, compiled = machine["images_per_second"].values()
        gains.append(f"{compiled / first:.2f} on one {name} (`{machine['preset']}`)")
    return f"{_and(gains)} times as many images per second"


def drawing(results: dict) -> str:
    took = results["milliseconds"]
    return f"{took['drawing a batch']:.0f} ms, and the compiled step {took['step']:.0f} ms"


def probing(results: dict) -> str:
    rows = [row for row in results["probes"] if (row["asked"], row["labels"]) == ("subject", 300)]
    views = {"trained": "pre-trained", "random": "the same network at random", "pixels": "pixels"}
    means = [f"{title} {100 * mean(row[view] for row in rows):.0f} %" for view, title in views.items()]
    return "; ".join(means)


def finetuning(results: dict) -> str:
    ways = dict.fromkeys(row["way"] for row in results["finetuning"])
    found = [
        f"{way} {100 * mean(row['accuracy'][-1] for row in results['finetuning'] if row['way'] == way):.0f} %"
        for way in ways
    ]
    return "; ".join(found)


def label_fractions(images: str, asked: str, results: dict) -> str:
    ways = {
        ("linear", "trained"): "linear probe on the mean",
        ("linear 4 x 4", "trained"): "on 4 x 4 parts",
        ("attentive", "trained"): "attentive probe",
        ("finetuned", "trained"): "fine-tuned",
        ("finetuned", "random"): "the same network from scratch in as many steps",
        ("linear", "pixels"): "pixels",
    }
    found = []
    for (way, network), title in ways.items():
        kind = {"images": images, "asked": asked, "way": way, "network": network}
        scores = defaultdict(list)
        for row in results["rows"]:
            if kind.items() <= row.items():
                scores[row["share"]].append(row["accuracy"])
        if scores:
            found.append(f"{title} {_and(f'{100 * mean(values):.0f}' for values in scores.values())} %")
    return "; ".join(found)


def captions(results: dict) -> str:
    made, tokens = results["ours"], results["ceiling"]["tokenizer"]
    named = {"subject": "subject", "color": "colour", "place": "place", "time": "time of day", "all": "all four"}
    read = ", ".join(f"{title} {100 * made[kind]:.0f} %" for kind, title in named.items())
    ceiling, seconds = f"{100 * tokens['all']:.0f} %", f"{results['seconds_16']:.1f} s"
    return f"right: {read} (of real scenes as tokens {ceiling}); 16 pictures in {seconds} of one thread"


def gan_race(results: dict) -> str:
    found = []
    for method in ("GAN", "masked sampler"):
        marks = [run["marks"][-1] for run in results["runs"] if run["method"] == method]
        scores = ", ".join(f"{mark['kid']:.0f}" for mark in marks)
        means = [f"{name} {mean(mark[name] for mark in marks):.2f}" for name in ("precision", "recall")]
        found.append(f"{method}: KID x 1000 {scores}; {_and(means)}")
    return ". ".join(found)


def holes(results: dict) -> str:
    kinds = (
        ("cifar10 (5-bit)", "32 x 32", "strokes of 4 pixels, 30 %"),
        ("photographs", "96 x 144", "random cells of 8 pixels, 60 %"),
        ("photographs", "96 x 144", "scratches of 2 pixels"),
    )
    titles = {"model": "SimMIM", "LMMSE": "best linear predictor", "biharmonic": "biharmonic"}
    found = []
    for kind in kinds:
        row = next(row for row in results["rows"] if (row["pictures"], row["size"], row["hole"]) == kind)
        scores = {title: row["scores"][name] for name, title in titles.items() if name in row["scores"]}
        values = ", ".join(
            f"{title} {score['psnr']:.1f} and {score['ssim']:.2f}" for title, score in scores.items()
        )
        found.append(f"{kind[2]}, {kind[0]}: {values}")
    return "; ".join(found)


def large_photograph(results: dict) -> str:
    large = results["large"]
    return (
        f"{large['width']:,} x {large['height']:,} pixels, {large['hidden']:.1%} hidden: "
        f"{large['seconds']:.0f} s of one core and {large['memory_gb']:.1f} GB"
    )


def mae_step(results: dict) -> str:
    [row] = [row for row in results["steps"] if row["ratio"] == 0.75]
    return f"{row['factor']:.1f} times as fast as SimMIM's; by its FLOP {row['theory']:.1f} times"


def mae_race(results: dict) -> str:
    ways = {way: [run for run in results["runs"] if run["method"] == way] for way in ("SimMIM", "MAE")}
    rows = ways | {"random weights": [{"probes": run["random MAE"]} for run in results["references"]]}
    found = []
    for name, runs in rows.items():
        shares = (mean(run["probes"][parts] for run in runs) for parts in ("1 x 1", "4 x 4"))
        found.append(f"{name} {_and(f'{100 * share:.0f}' for share in shares)} %")
    return "; ".join(found)


def guided_masks(results: dict) -> str:
    ways = dict.fromkeys(run["way"] for run in results["runs"])
    found = {way: [run["probes"]["4 x 4"] for run in results["runs"] if run["way"] == way] for way in ways}
    return "; ".join(f"{way} {100 * mean(shares):.0f} %" for way, shares in found.items())


def in_context(results: dict) -> str:
    tasks = {
        "colour": ("colour", {"best linear predictor": "best linear predictor"}),
        "sharpen": ("sharper", {"best linear predictor": "best linear predictor", "bicubic": "bicubic"}),
    }
    told = []
    for task, (title, fills) in tasks.items():
        scores = _and(f"{run['psnr'][task]:.1f}" for run in results["runs"])
        beaten = ", ".join(f"{name} {results['fills'][task][fill]:.1f}" for fill, name in fills.items())
        told.append(f"{title} {scores} ({beaten})")
    return "; ".join(told)


def video(results: dict) -> str:
    runs = [run for run in results["runs"] if run["trained"] == "tubes"]
    scores = _and(f"{run['network']['tubes']['thing']:.1f}" for run in runs)
    fills = results["fills"]["4"]["tubes"]
    beaten = ", ".join(f"{name} {fills[name]['thing']:.1f}" for name in fills)
    return f"network {scores}; {beaten}"


def keras_backends(results: dict) -> str:
    rows = (f"{row['backend']} {row['prediction']:.0e} and {row['step']:.0e}" for row in results["rows"])
    return "; ".join(rows)


def encoder_race(results: dict) -> str:
    scores = {run["preset"]: [] for run in results["runs"]}
    for run in results["runs"]:
        scores[run["preset"]].append(run["psnr"])
    return _against_biharmonic(scores, results["fills"]["biharmonic"]["psnr"])


def decoder_race(results: dict) -> str:
    longest = max(run["cpu_seconds"] for run in results["runs"])
    runs = [run for run in results["runs"] if run["cpu_seconds"] == longest]
    scores = {run["decoder"]: [] for run in runs}
    for run in runs:
        scores[run["decoder"]].append(run["psnr"])
    return _against_biharmonic(scores, results["biharmonic"])


def _against_biharmonic(scores: dict[str, list[float]], biharmonic: float) -> str:
    return "; ".join(f"{name} {mean(values):.1f}" for name, values in scores.items()) + (
        f"; biharmonic {biharmonic:.1f}"
    )


def data_pipeline(results: dict) -> str:
    return f"{results['epoch']['ratio']:.1f} times as many images per second"


def race(results: dict) -> str:
    ways = {"simmim": "pre-trained and fine-tuned", "scratch": "from scratch"}
    accuracies = {
        title: [f"{100 * row['accuracy']:.1f} %" for row in results["rows"] if row["way"] == way]
        for way, title in ways.items()
    }
    labels = _and(dict.fromkeys(f"{row['labels']:g} %" for row in results["rows"]))
    return f"with {labels} of the labels: " + "; ".join(
        f"{title} {_and(accuracies[title])}" for title in accuracies
    )


def widget_latency(results: dict) -> str:
    times = {name: widget["p95_ms"] for name, widget in results["widgets"].items()}
    stroke, end = (times.pop(name) for name in list(times) if name.startswith("Inpainter"))
    sampled, answers = (times.pop(name) for name in list(times) if "four" in name)
    explorer, slowest = times["MaskExplorer"], max(times.values())
    return (
        f"mask explorer {explorer:.0f} ms; the slowest of {len(times)} widgets {slowest:.0f} ms; "
        f"a stroke of the inpainter, 64 x 64 pixels, {stroke:.0f} ms, with all its methods {end:.0f} ms; "
        f"four pictures drawn from a caption {sampled:.0f} ms, four completions {answers:.0f} ms"
    )


def website(results: dict) -> str:
    pages = results["pages"].values()
    heaviest, faults = max(page["bytes"] for page in pages), sum(page["axe_violations"] for page in pages)
    fill, first = results["fills"]["32 x 32"], results["first_fill"]
    return (
        f"built in {results['build']['processor_seconds']:.0f} s of one core; {len(pages)} pages, which load at "
        f"most {heaviest / 1e6:.1f} MB when they open, and {faults} faults that axe finds; the first fill after "
        f"{first['seconds']:.1f} s, each other, 32 x 32 pixels, after {fill['p50_ms']} ms (of one core "
        f"{first['processor_seconds']:.1f} s and {fill['processor_ms']} ms)"
    )


def exercises(results: dict) -> str:
    rows = results["tasks"].values()
    caught, wrong, accepted, right = (
        sum(row[key] for row in rows) for key in ("caught", "wrong", "accepted", "right")
    )
    seeds = [sorted({row[f"{kind}_seeds"] for row in rows}) for kind in ("wrong", "right")]
    wrong_seeds, right_seeds = (" to ".join(f"{n:,}" for n in dict.fromkeys((few[0], few[-1]))) for few in seeds)
    return f"{caught:,} of {wrong:,}, each on {wrong_seeds} seeds; {accepted} of {right}, each on {right_seeds}"


def grading(results: dict) -> str:
    seconds = sum(value for name, value in results["class"].items() if name.endswith("_seconds"))
    return f"{seconds:.0f} s for {results['class']['students']} students"


SORTS = ("forged", "host effects", "leaks", "active content", "lost")


def submissions(results: dict) -> str:
    return _sorts(results["kinds"])


def graders(results: dict) -> str:
    unknown = results.get("not counted", {})
    return "; ".join(
        f"{name}: {_sorts(kinds, unknown.get(name, []))}" for name, kinds in results["graders"].items()
    )


def _sorts(kinds: dict[str, dict[str, int]], unknown: Iterable[str] = ()) -> str:
    """How many submissions of these kinds did what: the sorts in order, "?" for one that was not counted."""
    counts = ["?" if sort in unknown else sum(kind.get(sort, 0) for kind in kinds.values()) for sort in SORTS]
    return f"{', '.join(map(str, counts))} of {sum(kind['submissions'] for kind in kinds.values())}"


def first_start(results: dict) -> str:
    return f"{results['fresh_clone_install']['seconds']} s"


def importing(results: dict) -> str:
    seconds = results["import_over_torch"]["seconds"]
    return f"{min(seconds):.2f} to {max(seconds):.2f} s"


ROWS: tuple[tuple[str, str, Callable[..., str]], ...] = (
    ("Demo, two minutes, each seed: dB on hidden pixels of held-out photographs", "demo/seed*/metrics.json", demo),
    ("The same for ten minutes, one seed", "demo/ten-minutes/metrics.json", demo),
    (
        'The shipped model, `SimMIM.pretrained("cifar10")`, on 300 test images of CIFAR-10 (5-bit), 60 % hidden '
        "in cells of 8 pixels: dB and SSIM on hidden pixels",
        "pretrained.json",
        pretrained,
    ),
    (
        "A pre-training step at equal model, batch and masks, fp32, against the fastest of transformers, timm and "
        "lightly; three sizes",
        "pretrain_step.json",
        pretrain_step,
    ),
    (
        "The same on an H100, bf16, against the fastest of transformers and timm",
        "pretrain_step_gpu.json",
        gpu_step,
    ),
    ("Share of a step of `vit_nano` spent on its data", "pretrain_step.json", data_share),
    ("A step with all speed-ups, compiled, against a first version", "speed.json", speed),
    ("Drawing crops and masks for a step of `vit_tiny` on an H100, 1,024 images", "step_graph.json", drawing),
    ("Subject of a drawn scene, linear probe with 300 labels, shipped weights", "pretraining_pays.json", probing),
    (
        "CIFAR-10 (5-bit), 500 labels, two minutes of one CPU thread, the probe in seconds: accuracy",
        "pretraining_pays.json",
        finetuning,
    ),
    (
        "Subject of a drawn scene with 1, 10 and 100 % of 3,000 labels, shipped weights: accuracy of three draws",
        "label_fractions.json",
        partial(label_fractions, "scenes", "subject"),
    ),
    (
        "CIFAR-10 (5-bit) with 1, 10 and 100 % of 3,000 labels, shipped weights: accuracy of three draws",
        "label_fractions.json",
        partial(label_fractions, "cifar10 (5-bit)", "class"),
    ),
    (
        "Holes filled by `inpaint` with the shipped model: dB and SSIM on hidden pixels",
        "inpainting.json",
        holes,
    ),
    (
        "A large photograph with scratches, filled by `inpaint`",
        "inpainting.json",
        large_photograph,
    ),
    (
        "Scenes of 32 pixels made from captions by the shipped generator, 8 steps: what our judge reads in them",
        "generation.json",
        captions,
    ),
    (
        "A GAN and a masked sampler without captions, scenes of 16 pixels, 240 s of one thread each, each seed",
        "gan_race.json",
        gan_race,
    ),
    (
        "SimMIM in Keras against PyTorch, the same weights: largest difference of predictions, and of weights "
        "after a step of SGD",
        "keras_backends.json",
        keras_backends,
    ),
    ("A training step of MAE on one core, 75 % hidden, `vit_tiny`", "mae.json", mae_step),
    (
        "SimMIM and MAE on drawn scenes, 120 s of one core each, mean of three seeds: linear probe on the mean "
        "and on 4 x 4 parts",
        "mae.json",
        mae_race,
    ),
    (
        "Masks that a model chooses, drawn scenes, 50 s of one core each, mean of all seeds: linear probe on "
        "4 x 4 parts",
        "better_masks.json",
        guided_masks,
    ),
    (
        "One network for several tasks, told by an example, drawn scenes of 24 pixels, 300 s of one core, each "
        "seed: dB on the answer",
        "in_context.json",
        in_context,
    ),
    (
        "Clips of a thing that slides by, 75 % hidden in tubes, each seed: dB on what moves",
        "video.json",
        video,
    ),
    (
        "Encoders on drawn scenes, 60 s of one core each, mean of three seeds: dB on hidden pixels",
        "encoder_race.json",
        encoder_race,
    ),
    (
        "Decoders on drawn scenes, 20 s of one core each, mean of three seeds: dB on hidden pixels",
        "decoder_race.json",
        decoder_race,
    ),
    (
        "An epoch of crops and masks, against PIL, torchvision's transforms and a DataLoader with two processes",
        "data_pipeline.json",
        data_pipeline,
    ),
    ("CIFAR-10 (5-bit), `vit_nano`, 350 s each, one seed: accuracy", "cifar10_race.json", race),
    (
        "A widget in JupyterLab: from an act to changed pixels, 95th percentile",
        "widget_latency.json",
        widget_latency,
    ),
    ("The website, and the shipped model in it, in headless Chromium", "website.json", website),
    (
        "Wrong answers to the exercises that are told their own mistake; right ones accepted",
        "exercises.json",
        exercises,
    ),
    ("A class, one exercise set: collect, grade, feedback, export", "grading.json", grading),
    (
        "Hostile, damaged and honest submissions: forged, host effects, leaks, active content, points lost",
        "submissions.json",
        submissions,
    ),
    ("The same of a selection, by other graders too", "graders.json", graders),
    ("Fresh clone to installed, packages from a local cache", "first_start.json", first_start),
    ("Importing the package, over importing PyTorch", "first_start.json", importing),
)
