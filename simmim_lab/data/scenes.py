"""Scenes: small landscapes drawn by a program, with labels, attributes and captions; and clips.

Each scene shows one main subject by a lake, on a meadow or in the snow, at some time of day. Its parts hang
together, so what is hidden can be inferred: the lake mirrors what stands above it, the light tints everything,
and windows glow when it is dark.

Shapes are given by their *signed distance*: how far outside (+) or inside (-) the shape each pixel lies. The shape
covers `1/2 - distance` of a pixel, in pixels and clipped to [0, 1]: that draws smooth edges at any size.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from math import pi

import torch
from einops import rearrange
from jaxtyping import Float, Int64, UInt8
from torch import Generator, Tensor

from simmim_lab.common import check_number

Field = Float[Tensor, "n height width"]  # a number for every pixel
Each = float | Float[Tensor, "n 1 1"]  # a number for every picture
Color = str | Float[Tensor, "n 3"]  # rrggbb, or a colour for every picture

COLORS = {
    "red": "d8432f",
    "yellow": "f2b632",
    "blue": "3f78c9",
    "green": "55a545",
    "pink": "ee8fb0",
    "white": "f6f2e8",
}
PLACES = {"lake": ("by", "a lake"), "meadow": ("on", "a meadow"), "snow": ("in", "the snow")}
TIMES = {"day": "by day", "dusk": "at dusk", "night": "at night"}
ZENITH = {"day": "4a97ea", "dusk": "54407f", "night": "080d2c"}
HORIZON = {"day": "d4edfa", "dusk": "ffa767", "night": "2b3f78"}
SUN = {"day": "fff2b0", "dusk": "ffe08a", "night": "f4efd6"}
LIGHT = {"day": "ffffff", "dusk": "f0c6b2", "night": "7d89b8"}
CHUNK = 500  # pictures drawn at once: bounds the memory
CLIP_SIZE, THING = (16, 32), 12  # pixels: height and width of a clip, height and width of what moves in it


@dataclass(frozen=True)
class Scenes:
    """Pictures and what they show.

    `labels` index `classes`, the main subjects. `attributes` has the subject, color, place and time of each
    picture; `captions` say the same in words, such as "a red house by a lake at dusk".
    """

    pixels: UInt8[Tensor, "n 3 size size"]
    labels: Int64[Tensor, " n"]
    classes: tuple[str, ...]
    attributes: list[dict[str, object]]
    captions: list[str]

    @property
    def colors(self) -> Int64[Tensor, " n"]:
        """The colour of the main subject of each picture, as a place in COLORS."""
        return torch.tensor([[*COLORS].index(words["color"]) for words in self.attributes])


def draw_scenes(n: int, size: int = 32, *, generator: Generator) -> Scenes:
    """Draw `n` scenes of `size` x `size` pixels on the generator's device.

    The same seed gives the same scenes at every size, only sharper at a larger one.
    Raises ValueError unless `n` and `size` are whole numbers above 0.
    """
    check_number("n", n, 1, integer=True)
    check_number("size", size, 1, integer=True)
    options = {"subject": [*SUBJECTS], "color": [*COLORS], "place": [*PLACES], "time": [*TIMES]}
    choices, pixels = [], []
    for start in range(0, n, CHUNK):
        count = min(CHUNK, n - start)
        choice = [
            torch.randint(len(names), (count,), generator=generator, device=generator.device)
            for names in options.values()
        ]
        subject, _, place, _ = choice
        place[subject == options["subject"].index("boat")] = options["place"].index("lake")
        pixels.append(_draw(*choice, size, generator))
        choices.append(torch.stack(choice, dim=1))
    choices = torch.cat(choices)
    attributes = [
        {key: names[i] for (key, names), i in zip(options.items(), row, strict=True)} for row in choices.tolist()
    ]
    captions = [_caption(**words) for words in attributes]
    return Scenes(torch.cat(pixels), choices[:, 0].contiguous(), tuple(SUBJECTS), attributes, captions)


def draw_clips(
    n: int, frames: int = 6, speed: int = 4, *, generator: Generator
) -> UInt8[Tensor, "n frames 3 height width"]:
    """Draw `n` clips of 16 x 32 pixels: a thing slides past a landscape that is still, and the same in all clips.

    The thing is one of SUBJECTS, its colour a mixture of two of COLORS. It moves by `speed` pixels a frame to the
    left or to the right. In the middle frame, number `frames // 2`, all of it is seen, with its left edge at a
    multiple of 4.
    Raises ValueError unless `n` and `frames` are whole numbers above 0 and `speed` is one from 0 on.
    """
    for name, value, least in (("n", n, 1), ("frames", frames, 1), ("speed", speed, 0)):
        check_number(name, value, least, integer=True)
    device, palette = generator.device, _rgb(*COLORS.values()).to(generator.device)
    places = (CLIP_SIZE[1] - THING) // 4 + 1
    clips = []
    for start in range(0, n, CHUNK):
        subject, one, other, place, turned = (
            torch.randint(options, (min(CHUNK, n - start),), generator=generator, device=device)
            for options in (len(SUBJECTS), len(COLORS), len(COLORS), places, 2)
        )
        share = torch.rand(len(one), 1, generator=generator, device=device)
        color = torch.lerp(palette[one], palette[other], share)
        middle, step = 4 * place + THING // 2, speed * (1 - 2 * turned)
        drawn = [_draw_frame(subject, color, middle + (t - frames // 2) * step) for t in range(frames)]
        clips.append(torch.stack(drawn, dim=1))
    return torch.cat(clips)


@dataclass(frozen=True)
class Brush:
    """Paints on a batch of pictures, in coordinates of its own: u to the right, v up, from a foot point."""

    canvas: Float[Tensor, "n 3 height width"]
    u: Field
    v: Field
    pixel: Each  # the width of a pixel in these coordinates
    light: Float[Tensor, "n 3"]
    dark: Each  # from 0 by day to 1 at night
    generator: Generator

    def random(self, low: float, high: float) -> Each:
        """A number between `low` and `high` for every picture."""
        return self.canvas.new_empty(len(self.canvas), 1, 1).uniform_(low, high, generator=self.generator)

    def at(self, u: Each, v: Each, scale: Each) -> "Brush":
        """The same brush with its foot at (u, v) and `scale` as its unit."""
        return replace(self, u=(self.u - u) / scale, v=(self.v - v) / scale, pixel=self.pixel / scale)

    def only(self, rows: Int64[Tensor, " m"]) -> "Brush":
        """A brush on copies of some of the pictures."""
        return replace(self, **{key: getattr(self, key)[rows] for key in ("canvas", "u", "v", "light", "dark")})

    def paint(self, color: Color, distance: Field, opacity: Each = 1, lamp: bool = False) -> None:
        """Cover a shape with a colour, under the light of the scene unless it is a `lamp`."""
        color = _rgb(color).to(self.canvas) if isinstance(color, str) else color
        color = color if lamp else color * self.light
        alpha = (0.5 - distance / self.pixel).clamp_(0, 1) * opacity
        self.canvas.lerp_(color[..., None, None], alpha[:, None])


def disk(brush: Brush, u: Each, v: Each, radius: Each) -> Field:
    """Signed distance to a disk."""
    return torch.hypot(brush.u - u, brush.v - v) - radius


def block(brush: Brush, u: Each, v: Each, width: Each, height: Each, top: Each | None = None) -> Field:
    """Signed distance to an upright block with its foot at (u, v), tapering to the width `top` (0: a triangle)."""
    top = width if top is None else top
    slope = (width - top) / (2 * height)
    beside = ((brush.u - u).abs() - width / 2 + slope * (brush.v - v)) / (1 + slope**2) ** 0.5
    return torch.maximum(beside, (brush.v - v - height / 2).abs() - height / 2)


def house(brush: Brush, color: Color) -> None:
    brush.paint("6b4a43", block(brush, 0.27, 0.5, 0.13, 0.44))
    brush.paint(color, block(brush, 0, 0, 0.84, 0.53))
    brush.paint("57414a", block(brush, 0, 0.5, 1.1, 0.45, top=0.12))
    brush.paint("6b4a43", block(brush, -0.2, 0, 0.18, 0.32))
    window(brush, 0.17, 0.16, 0.24)


def tree(brush: Brush, color: Color) -> None:
    brush.paint("71503c", block(brush, 0, 0, 0.18, 0.45, top=0.1))
    for u, v, radius in ((-0.24, 0.52, 0.22), (0.24, 0.54, 0.22), (0, 0.7, 0.3), (0.02, 0.46, 0.2)):
        brush.paint(color, disk(brush, u, v, radius))
    brush.paint("ffffff", disk(brush, -0.1, 0.78, 0.15), opacity=0.25)


def boat(brush: Brush, color: Color) -> None:
    brush.paint("5a4638", block(brush, 0, 0, 0.05, 0.98))
    sails = block(brush, 0, 0.28, 0.9, 0.68, top=0)
    brush.paint("fbf6ea", torch.maximum(sails, 0.05 - brush.u))
    brush.paint("e8dcc6", torch.maximum(sails, 0.05 + brush.u))
    brush.paint(color, block(brush, 0, -0.1, 0.5, 0.32, top=1))


def lighthouse(brush: Brush, color: Color) -> None:
    beam = (brush.v - 0.83).abs() - 0.03 - 0.2 * brush.u.abs()
    brush.paint("fff0b0", beam, opacity=0.35 * brush.dark, lamp=True)
    tower = block(brush, 0, 0, 0.4, 0.75, top=0.24)
    brush.paint("f6f2e8", tower)
    for v in (0.1, 0.5):
        brush.paint(color, torch.maximum(tower, (brush.v - v).abs() - 0.11))
    brush.paint("4a4450", block(brush, 0, 0.72, 0.36, 0.05))
    window(brush, 0, 0.77, 0.18)
    brush.paint("4a4450", block(brush, 0, 0.9, 0.3, 0.16, top=0))


def balloon(brush: Brush, color: Color) -> None:
    brush.paint("5a4638", block(brush, 0, 0.08, 0.1, 0.2, top=0.3))
    brush.paint("8a6242", block(brush, 0, 0, 0.16, 0.14))
    cloth = torch.minimum(disk(brush, 0, 0.67, 0.33), block(brush, 0, 0.2, 0.16, 0.34, top=0.6))
    brush.paint(color, cloth)
    for u in (-0.2, 0, 0.2):
        brush.paint("f6f2e8", torch.maximum(cloth, (brush.u - u).abs() - 0.045))
    brush.paint("ffd27a", cloth, opacity=0.4 * brush.dark, lamp=True)


def windmill(brush: Brush, color: Color) -> None:
    brush.paint(color, block(brush, 0, 0, 0.46, 0.65, top=0.28))
    brush.paint("57414a", block(brush, 0, 0.63, 0.34, 0.16, top=0.06))
    brush.paint("6b4a43", block(brush, 0, 0, 0.15, 0.24))
    hub = brush.at(0, 0.66, 1)
    angle = brush.random(0.2, pi / 2 - 0.2)
    along, across = hub.u * angle.cos() + hub.v * angle.sin(), hub.v * angle.cos() - hub.u * angle.sin()
    for a, b in ((along, across), (across, along)):
        brush.paint("fbf6ea", torch.maximum(a.abs() - 0.46, b.abs() - 0.045))
    brush.paint("4a4450", disk(hub, 0, 0, 0.06))


def window(brush: Brush, u: float, v: float, size: float) -> None:
    """A square window: blue by day, lit when it is dark."""
    pane = block(brush, u, v, size, size)
    brush.paint("a8cfe0", pane)
    brush.paint("ffd75e", pane, opacity=brush.dark, lamp=True)


SUBJECTS: dict[str, Callable[[Brush, Color], None]] = {
    "house": house,
    "tree": tree,
    "boat": boat,
    "lighthouse": lighthouse,
    "balloon": balloon,
    "windmill": windmill,
}


def _caption(subject: str, color: str, place: str, time: str) -> str:
    preposition, where = PLACES[place]
    preposition = {"boat": "on", "balloon": "over"}.get(subject, preposition)
    return f"a {color} {subject} {preposition} {where} {TIMES[time]}"


def _draw(
    subject: Int64[Tensor, " n"],
    color: Int64[Tensor, " n"],
    place: Int64[Tensor, " n"],
    time: Int64[Tensor, " n"],
    size: int,
    generator: Generator,
) -> UInt8[Tensor, "n 3 size size"]:
    """Paint from far to near. A picture is 1 wide and 1 high; v is the height above its lower edge."""
    axis = (torch.arange(size, dtype=torch.float32, device=generator.device) + 0.5) / size
    plain = Brush(
        canvas=axis.new_zeros(len(time), 3, size, size),
        u=axis.expand(len(time), size, size),
        v=(1 - axis)[:, None].expand(len(time), size, size),
        pixel=1 / size,
        light=_pick(LIGHT, time),
        dark=_is("dusk", TIMES, time) * 0.6 + _is("night", TIMES, time),
        generator=generator,
    )
    is_lake, is_snow = (_is(name, PLACES, place) for name in ("lake", "snow"))
    shore = plain.random(0.3, 0.38)
    brush = _mirrored(plain, shore, is_lake)  # on the same canvas
    side = brush.random(-1, 1).sign()  # the sun stands on this side, the subject more on the other

    _paint_sky(brush, shore, side, time)
    _paint_mountains(brush, shore, time)
    _paint_hills(brush, shore, is_snow)
    for _ in range(3):
        _paint_fir(brush.at(brush.random(0.04, 0.96), shore + 0.025, brush.random(0.14, 0.24)), is_snow)
    _paint_subject(brush, shore, side, is_lake, subject, _pick(COLORS, color))
    _paint_flowers(plain, shore, _is("meadow", PLACES, place))
    _paint_water(plain, shore, is_lake)
    return (plain.canvas * 255).round().to(torch.uint8)


def _draw_frame(
    subject: Int64[Tensor, " n"], color: Float[Tensor, "n 3"], x: Int64[Tensor, " n"]
) -> UInt8[Tensor, "n 3 height width"]:
    """One frame of each clip, with the middle of the thing at column `x`. A frame is 1 high and 2 wide."""
    n, device, (height, width) = len(x), x.device, CLIP_SIZE
    column, row = ((torch.arange(n, dtype=torch.float32, device=device) + 0.5) / height for n in (width, height))
    brush = Brush(
        canvas=column.new_zeros(n, 3, height, width),
        u=column.expand(n, height, width),
        v=(1 - row)[:, None].expand(n, height, width),
        pixel=1 / height,
        light=column.new_ones(n, 3),
        dark=column.new_zeros(n, 1, 1),
        generator=Generator(device).manual_seed(0),  # a thing is the same in all frames
    )
    _paint_landscape(brush)
    foot, scale = (torch.full_like(brush.dark, size) for size in (0.16, THING / height))
    u = rearrange(x / height, "n -> n 1 1")
    _paint_things(brush, u, foot, scale, subject, color)
    return (brush.canvas * 255).round().to(torch.uint8)


def _paint_landscape(brush: Brush) -> None:
    """Paint from far to near, by day, with nothing left to chance."""
    horizon, zenith = (_rgb(sky["day"]).to(brush.light)[..., None, None] for sky in (HORIZON, ZENITH))
    brush.canvas.copy_(torch.lerp(horizon, zenith, brush.v[:, None]))
    brush.paint(SUN["day"], disk(brush, 0.3, 0.8, 0.1), lamp=True)
    for u, height in ((0.75, 0.35), (1.5, 0.5)):
        peak = brush.at(u, 0.2, height)
        mountain = block(peak, 0, 0, 2.4, 1, top=0)
        peak.paint("8ea6cc", mountain)
        peak.paint("ffffff", torch.maximum(mountain, 0.65 - peak.v))
    brush.paint("6da34d", brush.v - 0.25)
    for u, height in ((0.12, 0.4), (1.86, 0.3)):
        _paint_fir(brush.at(u, 0.22, height), is_snow=0)


def _mirrored(brush: Brush, shore: Each, is_lake: Each) -> Brush:
    """A brush whose strokes also paint their mirror image: a point of the lake shows what lies above it."""
    depth = (shore - brush.v).clamp(min=0) * is_lake
    ripple = 0.05 * depth * torch.sin(60 * depth + brush.random(0, 2 * pi))
    return replace(brush, u=brush.u + ripple, v=brush.v + 2 * depth)


def _paint_sky(brush: Brush, shore: Each, side: Each, time: Int64[Tensor, " n"]) -> None:
    zenith, horizon = (rearrange(_pick(sky, time), "n c -> n c 1 1") for sky in (ZENITH, HORIZON))
    height = ((brush.v - shore) / (1 - shore)).clamp(0, 1)
    brush.canvas.copy_(torch.lerp(horizon, zenith, height[:, None] ** 0.7))

    dusk, night = _is("dusk", TIMES, time), _is("night", TIMES, time)
    for _ in range(16):
        star = disk(brush, brush.random(0, 1), brush.random(0.5, 1), brush.random(0.004, 0.01))
        brush.paint("fff6d8", star, opacity=night, lamp=True)

    u = 0.5 + side * brush.random(0.22, 0.38)
    v = torch.lerp(brush.random(0.78, 0.88), shore + 0.2, dusk)  # low at dusk
    radius = 0.075 + 0.035 * dusk
    sun, shadow = disk(brush, u, v, radius), disk(brush, u - brush.random(0.03, 0.07), v + 0.03, radius)
    crescent = torch.maximum(sun, -shadow)
    brush.paint("fff3c4", torch.full_like(sun, -1), opacity=0.5 * torch.exp(-sun.clamp(min=0) / 0.1), lamp=True)
    brush.paint(_pick(SUN, time), torch.where(night > 0, crescent, sun), lamp=True)

    for _ in range(2):
        cloud = brush.at(brush.random(0, 1), brush.random(0.68, 0.92), brush.random(0.1, 0.16))
        left, middle, right = disk(cloud, -0.6, 0.1, 0.4), disk(cloud, 0, 0.2, 0.6), disk(cloud, 0.7, 0.1, 0.35)
        puffs = torch.minimum(torch.minimum(left, middle), right)
        cloud.paint("ffffff", torch.maximum(puffs, -cloud.v), opacity=0.85)


def _paint_mountains(brush: Brush, shore: Each, time: Int64[Tensor, " n"]) -> None:
    rock = torch.lerp(_pick(HORIZON, time), _rgb("5a6c94").to(brush.light) * brush.light, 0.65)
    for _ in range(3):
        peak = brush.at(brush.random(0, 1), shore, brush.random(0.2, 0.42))
        mountain = block(peak, 0, 0, 2.4, 1, top=0)
        peak.paint(rock, mountain, lamp=True)
        peak.paint("ffffff", torch.maximum(mountain, 0.7 + 0.06 * torch.sin(16 * peak.u) - peak.v))


def _paint_hills(brush: Brush, shore: Each, is_snow: Each) -> None:
    """A far line of hills, and the ground the subject stands on."""
    waves = 0.03 * torch.sin(brush.random(5, 9) * brush.u + brush.random(0, 2 * pi))
    for height, summer, winter in ((0.08 + waves, "86b66a", "d3deec"), (0.03 + waves / 5, "6da34d", "eef3f8")):
        ground = brush.v - shore - height
        brush.paint(summer, ground, opacity=1 - is_snow)
        brush.paint(winter, ground, opacity=is_snow)


def _paint_fir(brush: Brush, is_snow: Each) -> None:
    brush.paint("5d4636", block(brush, 0, 0, 0.12, 0.3))
    for v, width in ((0.1, 0.6), (0.4, 0.46)):
        brush.paint("2f6b4a", block(brush, 0, v, width, 0.55, top=0))
    brush.paint("ffffff", block(brush, 0, 0.65, 0.25, 0.3, top=0), opacity=is_snow)


def _paint_subject(
    brush: Brush, shore: Each, side: Each, is_lake: Each, subject: Int64[Tensor, " n"], color: Float[Tensor, "n 3"]
) -> None:
    u = 0.5 - side * brush.random(-0.04, 0.18)
    foot = torch.where(is_lake > 0, shore + 0.02, shore - brush.random(0.05, 0.14))
    scale = brush.random(0.42, 0.54)
    flies, floats = (_is(name, SUBJECTS, subject) for name in ("balloon", "boat"))
    foot = torch.where(flies > 0, shore + brush.random(0.1, 0.2), foot) - 0.02 * floats
    _paint_things(brush, u, foot, scale, subject, color)


def _paint_things(
    brush: Brush, u: Each, foot: Each, scale: Each, subject: Int64[Tensor, " n"], color: Float[Tensor, "n 3"]
) -> None:
    """Paint in each picture its subject, `scale` high, with the foot at (u, foot)."""
    for index, paint in enumerate(SUBJECTS.values()):
        rows = (subject == index).nonzero().squeeze(1)
        if len(rows):
            own = brush.only(rows)
            paint(own.at(u[rows], foot[rows], scale[rows]), color[rows])
            brush.canvas[rows] = own.canvas


def _paint_flowers(brush: Brush, shore: Each, is_meadow: Each) -> None:
    for color in ("ffffff", "f7d35a", "ee8fb0") * 3:
        flower = disk(brush, brush.random(0, 1), shore * brush.random(0.05, 0.6), brush.random(0.008, 0.016))
        brush.paint(color, flower, opacity=is_meadow)


def _paint_water(brush: Brush, shore: Each, is_lake: Each) -> None:
    """Tint the mirror image, the more the nearer to us."""
    depth = (shore - brush.v) / shore
    brush.paint("2f6f9f", brush.v - shore, opacity=is_lake * (0.25 + 0.25 * depth))


def _is(name: str, names: Iterable[str], index: Int64[Tensor, " n"]) -> Float[Tensor, "n 1 1"]:
    """1 for the pictures whose index stands for `name`, else 0."""
    return rearrange(index == [*names].index(name), "n -> n 1 1").float()


def _pick(colors: dict[str, str], index: Int64[Tensor, " n"]) -> Float[Tensor, "n 3"]:
    """The colour of each picture."""
    return _rgb(*colors.values()).to(index.device)[index]


def _rgb(*colors: str) -> Float[Tensor, "colors 3"]:
    return torch.tensor([list(bytes.fromhex(color)) for color in colors], dtype=torch.float32) / 255
