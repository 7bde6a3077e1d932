"""Every "Try" of the lessons, tried: how its cells change, and what the learner runs after it.

Each lesson has its Tries in order, by their first words. A `Try` replaces text in the cells of code, and `then` is
a cell that runs at its place. Where nothing is left to run, a widget is moved, or it is a question to think about.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Try:
    words: str
    edits: dict[str, str] = field(default_factory=dict)
    then: str = ""


def after(code: str, line: str) -> dict[str, str]:
    """An edit that adds a line after a line of code."""
    return {code: f"{code}\n{line}"}


TRIES = {
    "00_start_here": [
        Try("Hide the right half of the picture"),
        Try(
            "Train the network on the half",
            {"masking.random_mask(len(x), (8, 8), ratio=0.6, cell=2)": "masking.half_mask(len(x), (8, 8))"},
            "with torch.no_grad():\n    y = with_squares(x, mask)",
        ),
    ],
    "01_masking": [
        Try(
            "cut patches of 8 pixels",
            {
                "patchify(cat, 16)": "patchify(cat, 8)",
                "cat.reshape(36, 768)": "cat.reshape(144, 192)",
                "p=16, q=16": "p=8, q=8",
                "unpatchify(patches, 16, (6, 6))": "unpatchify(patches, 8, (12, 12))",
            },
        ),
        Try("set the ratio of the four pictures", {"(1, (24, 24), 0.6, cell,": "(1, (24, 24), 0.8, cell,"}),
        Try("find two masks that hide 75 %"),
        Try(
            "which size and ratio would you choose",
            then="masking.avg_dist(masking.random_mask(40, (96, 96), 0.6, 16)).mean()",
        ),
        Try(
            'add `questions["block"]',
            after(
                'questions["top half"] = partial(masking.half_mask, 1, (32, 32))',
                'questions["block"] = partial(masking.block_mask, 1, (32, 32), 0.6, 4)',
            ),
        ),
        Try("hide 16 patches so that", then="avg_dist(to_pixels(brush.mask[None], 4))"),
    ],
    "02_encoders": [
        Try(
            "`ReceptiveFieldExplorer(cnn, 32",
            then="ReceptiveFieldExplorer(cnn, 32, hidden=to_pixels(half_mask(1, (8, 8)), 4)[0])",
        ),
        Try(
            "loop over",
            {"stages * layers[:2]": 'stages * [("conv", 3, 1), ("conv", 3, 1), ("pool", 2, 2)]'},
        ),
        Try("`(x @ x.mT / 2 +", then="(x @ x.mT / 2 + torch.tensor([0, 0, -100])).softmax(-1)"),
        Try(
            "add `table = torch.zeros_like(table)`",
            after(
                "table, (row, column) = start_at_distance((8, 8), heads=2), (2, 5)",
                "table = torch.zeros_like(table)",
            ),
        ),
        Try("draw `masks` with `cell=1`", {"vit.grid, ratio=0.6, cell=2,": "vit.grid, ratio=0.6, cell=1,"}),
        Try(
            "put `nn.init.zeros_(vit.relative.table)`",
            {"history = pretrain(vit_model": ("nn.init.zeros_(vit.relative.table)\nhistory = pretrain(vit_model")},
        ),
        Try("`convnext_tiny`", then='convnext = TimmEncoder("convnext_tiny")\nconvnext.patch, convnext.stride'),
    ],
    "03_decoders": [
        Try(
            '`check.solution("pixel_shuffle")`',
            then=(
                'check.solution("pixel_shuffle")\n'
                "try:\n"
                '    rearrange(four_places, "b (c i j) rows cols -> b c (rows i) (cols j)", i=2)\n'
                "except Exception as error:\n"
                "    print(error)"
            ),
        ),
        Try("Beside the best fill of section 7"),
        Try("Write `stride=3` in `contributions`", {"kernel, stride=2": "kernel, stride=3"}),
    ],
    "04_mse_loss": [
        Try(
            "after the cell with the small picture",
            after("prediction = target + error", "prediction[0, 0, 0, 2] = 1000"),
        ),
        Try("hide a ratio of 0.6 of 16 patches"),
        Try(
            "replace `lazy` by",
            {
                "article_loss(lazy, few, mask), losses.masked_mse(lazy, few, mask)": (
                    "(f(evaluation.nearest(few, mask), few, mask) for f in (article_loss, losses.masked_mse))"
                )
            },
        ),
        Try(
            'add `"Adam, weight penalty"',
            {
                "runs = {": (
                    "from functools import partial\nruns = {\n"
                    '    "Adam, weight penalty": (partial(torch.optim.Adam, weight_decay=0.01), 1e-3),'
                )
            },
        ),
        Try(
            'train a third model with [`"smooth_l1"`]',
            {'for name in ("mse", "l1")}': 'for name in ("mse", "l1", "smooth_l1")}'},
        ),
        Try("normalise the hand example", then="(four - mean) / four.std(correction=0)"),
        Try(
            "add the pull of L1 with a Sigmoid",
            {'"Sigmoid": (s, squeezed)}': '"Sigmoid": (s, squeezed), "L1, Sigmoid": (s, slope)}'},
        ),
    ],
    "05_training": [
        Try(
            "Train new copies of `model`",
            then=(
                "for changed in ({'cell': 1}, {'clip': 0.5}):\n"
                "    print(my_pretrain(copy.deepcopy(model), train, steps=10, **changed))"
            ),
        ),
    ],
    "06_gpu_training": [
        Try(
            "Ask for the colour of the subject",
            {
                "scenes, subjects = made.pixels / 255, made.labels": (
                    "scenes, subjects = made.pixels / 255, made.colors"
                )
            },
        ),
        Try("Set the model to `vit_base`"),
        Try('Trace `make_step("vit_small", 8)`', then='budget.trace(make_step("vit_small", 8), device)'),
        Try("Which utilisation have you measured?", then="reached / max(speeds)"),
    ],
    "07_what_it_learned": [
        Try("Choose the window of a house"),
        Try("Set `labels` to 120", {"(40, 60, 1) if FAST else (50,": "(120, 60, 1) if FAST else (120,"}),
    ],
    "08_inpainting_and_editing": [
        Try(
            "Let the windows overlap more",
            {'"smooth weights": (16, smooth)}': '"smooth weights": (16, smooth), "closer": (8, smooth)}'},
        ),
        Try(
            "Train on a mixture instead",
            {'mask="stroke", mask_ratio=0.3, mask_size=4': 'mask="mixture", mask_size=4'},
        ),
        Try("Paint a thin scratch across the flower"),
    ],
    "09_generation": [
        Try(
            "Draw with `temperature=0`",
            then="generate(sampler, nothing, temperature=0, generator=seeded(3))",
        ),
        Try('Ask for "a boat" there', {'wishes = [""': 'wishes = ["a boat"'}),
        Try("A windmill at temperature 0.5"),
        Try("Hide the subject with a rim"),
    ],
    "10_pretrained_models": [
        Try(
            "For each mistake, find the first layer",
            after('    "decoder not loaded": decoder_not_loaded,', '    "tanh": tanh,')
            | after(
                "    model.decoder = LinearDecoder(192, 4)",
                "\n\ndef tanh(model):\n    for block in model.encoder.blocks:\n"
                '        block.mlp[1] = nn.GELU(approximate="tanh")',
            ),
            'WeightsParity(shipped, wrong, images[:2], mask[:2], name="tanh").digits',
        ),
        Try(
            "Let `swap_query_and_key` change only the last block",
            {
                "    for block in model.encoder.blocks:\n        for tensor in block.attention": (
                    "    for block in model.encoder.blocks[-1:]:\n        for tensor in block.attention"
                )
            },
        ),
    ],
    "11_the_mim_family": [
        Try("Build BEiT, then MAE"),
        Try(
            "Give MAE the mask of SimMIM",
            {'"MAE": {"mask_size": 4, "mask_ratio": 0.75}': '"MAE": {"mask_size": 8, "mask_ratio": 0.6}'},
        ),
        Try(
            "Hide all that is looked at",
            {"guided_mask(attention, 0.6, 0.5, drawn)": "guided_mask(attention, 0.6, 1.0, drawn)"},
        ),
        Try("`speed = 2` in the next cell", {"speed = 2": "speed = 0"}),
        Try(
            "Set `epochs` to 100",
            {'h100, epochs = budget.GPUS["H100 SXM"], 800': 'h100, epochs = budget.GPUS["H100 SXM"], 100'},
        ),
    ],
}
