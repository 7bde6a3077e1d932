r"""Text of strangers on a page: it says what they wrote, and does nothing.

A student's Markdown becomes one block of HTML that every later renderer (formgrader, feedback) passes on as it is.
Tags are taken from a list of harmless ones; formulas become MathML, so that no TeX is left for MathJax to act on
(`\href`, `\def`); pictures are decoded, and encoded anew.
"""

import base64
import io
import re
from html import escape, unescape
from typing import TYPE_CHECKING
from urllib.parse import unquote
from xml.etree import ElementTree

if TYPE_CHECKING:
    from nbformat import NotebookNode

LONGEST = 10_000  # characters of a cell of text, without its pictures
SHOWN = 20_000  # characters of an output, or of code
FORMULA = 2_000  # characters of a formula
PICTURES = 20  # in a cell
BYTES, PIXELS, SIDE = 10_000_000, 25_000_000, 1_600  # of a picture; its side is made smaller than this
KINDS = {"image/png": "PNG", "image/jpeg": "JPEG", "image/gif": "GIF", "image/webp": "WEBP"}

TEXT = {
    *("a", "b", "blockquote", "br", "caption", "code", "dd", "del", "div", "dl", "dt", "em", "hr", "i", "img"),
    *("ins", "kbd", "li", "mark", "ol", "p", "pre", "s", "small", "span", "strong", "sub", "sup", "table"),
    *("tbody", "td", "tfoot", "th", "thead", "tr", "u", "ul"),
}
HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
ACTIVE = re.compile(
    r"<(audio|base|button|embed|form|iframe|input|link|math|meta|object|script|select|style|svg|textarea|video)\b",
    re.IGNORECASE,
)
MACROS = re.compile(  # of TeX: these act, or define others
    r"\\(class|cssId|data|DeclareMathOperator|def|href|html\w*|includegraphics|let|provide\w*|(re)?new\w+|require|style"
    r"|unicode|url)(?![a-zA-Z])"
)
MATHML = {
    *("math", "mfrac", "mi", "mn", "mo", "mover", "mpadded", "mphantom", "mroot", "mrow", "mspace", "msqrt"),
    *("mstyle", "msub", "msubsup", "msup", "mtable", "mtd", "mtext", "mtr", "munder", "munderover", "menclose"),
}
ATTRIBUTES = {
    **dict.fromkeys(("display", "displaystyle", "stretchy", "fence", "form", "accent", "movablelimits"), r"\w+"),
    **dict.fromkeys(("mathvariant", "notation", "columnalign", "columnlines", "rowlines"), r"[a-z -]{1,80}"),
    **dict.fromkeys(
        ("width", "minsize", "maxsize", "linethickness", "columnspacing"), r"[-+]?\d?(\.\d+)?(em|px)?"
    ),
    **dict.fromkeys(("mathcolor",), r"#?\w{1,20}"),
    "scriptlevel": r"[+-]?\d",
}
# Control characters, and those that turn the direction of the text around them.
UNSEEN = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff]")
DATA = re.compile(r"data:(image/[\w.+-]{1,40})[^,()\"'\s]{0,80};base64,([A-Za-z0-9+/=]*)", re.IGNORECASE)
START = '<div class="inert tex2jax_ignore mathjax_ignore"'  # of a block; MathJax leaves it alone
IMAGE = re.compile(r'<img((?: [\w-]+="[^"]*")*)>')


def inert(cell: "NotebookNode") -> "NotebookNode":
    """The Markdown cell of a student as text that can do nothing on a page. Its pictures stand in the text."""
    cell.source = block(cell.source, attachments(cell))
    cell.pop("attachments", None)
    return cell


def attachments(cell: "NotebookNode") -> dict[str, dict[str, str]]:
    """The pictures that were pasted into a cell, not looked into yet: `{name: {kind: base64}}` and no more."""
    kept, given = {}, cell.get("attachments")
    for name, kinds in list(given.items())[:PICTURES] if isinstance(given, dict) else []:
        if isinstance(kinds, dict):
            kept[name] = {
                kind: text if kind in KINDS and len(text) < 2 * BYTES else ""
                for kind, text in list(kinds.items())[:4]
                if isinstance(text, str) and re.fullmatch(r"image/[\w.+-]{1,40}", kind)
            }
    return kept


def plain(text: str) -> str:
    """Text for a page that escapes it: without a terminal's colours and what cannot be seen, cut if it is long."""
    text = UNSEEN.sub("", re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text.encode("utf-8", "replace").decode()))
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}\n... and {len(text) - SHOWN:,} characters more"


def block(source: str, attached: dict[str, dict[str, str]] | None = None) -> str:
    """The Markdown `source` as one line of harmless HTML that a renderer of Markdown passes on as it is."""
    html = harmless(source, attached)
    for sign in "\n$\\`":  # what the next renderer, or MathJax, would look for
        html = html.replace(sign, f"&#{ord(sign)};")
    # Whatever a formula draws, it stays in its place; what is too wide can be scrolled, also with the keyboard.
    return f'{START} style="overflow: auto; contain: paint" tabindex="0">{html}</div>'


def harmless(source: str, attached: dict[str, dict[str, str]] | None = None, headings: bool = False) -> str:
    """HTML of `source` (Markdown) with text, lists, tables, code, links, formulas and pictures, and nothing else.

    attached: the pictures that it may show, `{name: {kind: base64}}`.
    headings: whether headings stay headings; else they become bold lines.
    """
    pictures = dict(attached or {})

    def attach(match: re.Match) -> str:
        name = f"in-the-text-{len(pictures)}"
        pictures[name] = {match[1].lower(): match[2]}
        return f"attachment:{name}"

    text = UNSEEN.sub("", source.encode("utf-8", "replace").decode())
    text = DATA.sub(attach, text)
    remark = _remark("the rest of this text", f"only {LONGEST:,} characters are shown") if text[LONGEST:] else ""
    text = text[:LONGEST]
    try:
        rendered = _markdown(text, headings)
        html = _clean(rendered, headings)
    except Exception:  # a renderer may trip over anything, such as a thousand levels of lists
        return f"<pre>{escape(text)}</pre>{remark}"
    if active := sorted({tag.lower() for tag in ACTIVE.findall(rendered)}):
        remark += _remark(", ".join(active), "write text, and paste pictures as PNG or JPEG")
    html = re.sub(r'<code class="(formula|display)">([^<]*)</code>', _formula, html)
    places = iter(range(PICTURES))
    return IMAGE.sub(lambda match: _image(match[1], pictures, next(places, None)), html) + remark


def _remark(what: str, why: str) -> str:
    return f"<em>[left out: {escape(what)}; {escape(why)}]</em>"


def _markdown(text: str, headings: bool) -> str:
    """HTML as nbconvert makes it, harmful as the text may be. Formulas stand in <code>."""
    from mistune import HTMLRenderer
    from nbconvert.filters.markdown_mistune import MarkdownWithMath

    class Renderer(HTMLRenderer):
        def heading(self, text: str, level: int, **_) -> str:
            return super().heading(text, level) if headings else f"<p><strong>{text}</strong></p>\n"

        def block_code(self, code: str, info: str | None = None) -> str:
            return super().block_code(code)

        def inline_math(self, body: str) -> str:
            return f'<code class="formula">{escape(body)}</code>'

        def block_math(self, body: str) -> str:
            return f'<code class="display">{escape(body)}</code>'

        def latex_environment(self, name: str, body: str) -> str:
            return self.block_math(rf"\begin{{{name}}}{body}\end{{{name}}}")

    return MarkdownWithMath(renderer=Renderer(escape=False, allow_harmful_protocols=True)).render(text)


def _clean(html: str, headings: bool) -> str:
    """Only what is on the list; the text of other tags stays, but for that of scripts and styles."""
    import nh3

    def attribute(tag: str, name: str, value: str) -> str | None:
        web = re.match(r"https?://|mailto:", value, re.IGNORECASE)
        return value if name != "href" or web else None

    return nh3.clean(
        html,
        tags=TEXT | HEADINGS if headings else TEXT,
        attributes={"*": set(), "a": {"href"}, "img": {"src", "alt"}, "ol": {"start"}},
        allowed_classes={"code": {"formula", "display"}},
        # The last two are of pictures, which `_image` looks up or leaves out.
        url_schemes={"http", "https", "mailto", "attachment", "data"},
        attribute_filter=attribute,
        link_rel="noopener noreferrer nofollow",
    )


def _formula(match: re.Match) -> str:
    """MathML of a formula; its TeX as text if it cannot be read; a remark if it holds a macro that acts."""
    from latex2mathml.converter import convert_to_element

    tex = unescape(match[2])
    if macro := MACROS.search(tex):
        return _remark("a formula", f"{macro[0]} is not allowed")
    try:
        if len(tex) > FORMULA:
            raise ValueError(f"longer than {FORMULA} characters")
        tree = convert_to_element(tex, display="block" if match[1] == "display" else "inline")
        for element in tree.iter():
            if element.tag not in MATHML:
                raise ValueError(f"unknown element {element.tag}")
            element.text = unescape(element.text or "")
            element.attrib = {
                name: value
                for name, value in element.attrib.items()
                if name in ATTRIBUTES and re.fullmatch(ATTRIBUTES[name], value)
            }
        return ElementTree.tostring(tree, encoding="unicode", short_empty_elements=False)
    except Exception:  # what is not TeX can raise anything
        return f"<code>{match[2]}</code>"


def _image(given: str, pictures: dict[str, dict[str, str]], place: int | None) -> str:
    """The <img> of one of these pictures, or a remark that says why there is none."""
    attributes = {name: unescape(value) for name, value in re.findall(r'([\w-]+)="([^"]*)"', given)}
    source, alt = attributes.get("src", ""), attributes.get("alt") or "picture in the answer"
    if place is None:
        return _remark("a picture", f"only {PICTURES} are shown")
    kinds = pictures.get(unquote(source.removeprefix("attachment:")), {})
    if (kind := re.match(r"data:(image/[\w.+-]{1,40})", source)) and not kinds:
        kinds = {kind[1]: ""}
    for kind, text in kinds.items():
        if kind in KINDS and text and (data := picture(text)):
            return f'<img src="{data}" alt="{escape(alt)}">'
    if not kinds:
        return _remark("a picture that is not in the notebook", "paste it into the cell")
    if set(kinds) & set(KINDS):
        return _remark("a picture", f"it is damaged or has more than {PIXELS:,} pixels or {BYTES:,} bytes")
    name = next(iter(kinds)).removeprefix("image/").removesuffix("+xml").upper()
    return _remark(f"a picture in {name}", "paste it as PNG or JPEG")


def picture(text: str) -> str | None:
    """A data URI with the pixels of a picture and nothing else that was in its file, or None."""
    from PIL import Image, ImageOps

    try:
        data = base64.b64decode(text)
        if len(data) > BYTES:
            return None
        image = Image.open(io.BytesIO(data), formats=tuple(KINDS.values()))
        if image.width * image.height > PIXELS:
            return None
        kind = "JPEG" if image.format == "JPEG" else "PNG"
        image = ImageOps.exif_transpose(image).convert("RGB" if kind == "JPEG" else "RGBA")
        image.thumbnail((SIDE, SIDE))
    except Exception:  # a damaged picture can raise anything
        return None
    buffer = io.BytesIO()
    Image.frombytes(image.mode, image.size, image.tobytes()).save(buffer, kind, optimize=True)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"
