"""The website as readers have it: links, weight, any screen, light and dark, by keyboard, without scripts."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from site_server import Tags, serving

FEW = ("index", "search", "SOURCES", "notebooks/00_start_here", "exercises/capstone/README")  # one of each kind
VISITS = {"wide, light": (1280, "light"), "narrow, dark": (375, "dark")}
WEIGHT = 1_500_000  # bytes of a page with all its pictures and scripts, before a model and what runs it
SUBFOLDER = "courses/mim/"


@pytest.fixture(scope="module")
def tags(site) -> dict[Path, list]:
    """The tags of each page."""
    return {path: Tags(path.read_text(encoding="utf-8")).found for path in sorted(site.rglob("*.html"))}


@pytest.fixture(scope="module")
def address(site, tmp_path_factory):
    """Where the site is served, in a subfolder of a server."""
    root = tmp_path_factory.mktemp("server")
    (root / SUBFOLDER).parent.mkdir(parents=True)
    (root / SUBFOLDER).symlink_to(site)
    with serving(root) as server:
        yield server.address + SUBFOLDER


def links(page: list) -> Iterator[tuple[str, str]]:
    """Each (path, fragment) that the tags of a page link or show from their own site."""
    for _, attributes in page:
        address = urlsplit(attributes.get("href") or attributes.get("src") or "")
        if not address.scheme:
            assert not address.netloc
            yield unquote(address.path), unquote(address.fragment)


def test_every_link_leads_to_a_file_of_the_site_and_a_place_in_it(site, tags):
    places = {path: {attributes.get("id") for _, attributes in page} for path, page in tags.items()}
    wrong = []
    for path, page in tags.items():
        for address, fragment in links(page):
            target = (path.parent / address).resolve() if address else path
            found = target.is_relative_to(site) and target.is_file()
            if not found or (fragment and target in places and fragment not in places[target]):
                wrong.append(f"{path.relative_to(site)}: {address}#{fragment}")
    assert wrong == []


def test_a_page_with_all_its_pictures_is_light(site, tags):
    scripts = sum(path.stat().st_size for path in site.glob("_static/live/*.js"))
    for path, page in tags.items():
        sources = (attributes.get("src") or (tag == "link" and attributes.get("href")) for tag, attributes in page)
        shown = {(path.parent / urlsplit(source).path).resolve() for source in sources if source}
        weight = (
            path.stat().st_size + scripts + sum(file.stat().st_size for file in shown if file.suffix != ".html")
        )
        assert weight <= WEIGHT, f"{path.relative_to(site)}: {weight:,} bytes"


def test_every_picture_has_a_text_and_a_size(site, tags):
    for path, page in tags.items():
        for tag, attributes in page:
            if tag == "img":
                where = f"{path.relative_to(site)}: {attributes}"
                assert attributes.get("alt") not in (None, "") and "://" not in attributes["alt"], where


def test_styles_name_no_other_server(site):
    for path in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import)\s*['\"]?(https?:)?//", path.read_text(encoding="utf-8")), path.name


@pytest.fixture(params=VISITS)
def context(request, browser):
    """A window of some width, in light or dark colours."""
    width, scheme = VISITS[request.param]
    with browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme) as context:
        yield context


@pytest.fixture
def visit(context, address):
    """Open a page and collect what goes wrong: errors in scripts, files that are missing, other servers asked."""

    def visit(name: str):
        page, trouble = context.new_page(), []
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on("response", lambda answer: trouble.append(answer.url) if answer.status >= 400 else None)
        local = (address, "data:", "blob:")
        page.on("request", lambda asked: None if asked.url.startswith(local) else trouble.append(asked.url))
        page.goto(f"{address}{name}.html")
        return page, trouble

    return visit


def check(page, trouble: list[str]) -> None:
    """Nothing goes wrong, nothing is wider than the window, and axe-core finds nothing."""
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    found = Axe().run(page, None, {"resultTypes": ["violations"]}).response["violations"]
    assert [f"{rule['id']}: {node['html']}" for rule in found for node in rule["nodes"]] == []
    assert trouble == []
    page.close()


@pytest.mark.parametrize("name", FEW)
def test_a_page_is_whole_and_accessible(visit, name):
    check(*visit(name))


@pytest.mark.verify
def test_every_page_is_whole_and_accessible(visit, tags, site):
    for path in tags:
        check(*visit(path.relative_to(site).with_suffix("").as_posix()))


def test_both_colours_can_be_chosen_by_keyboard(visit):
    page, _ = visit("SOURCES")
    background = "getComputedStyle(document.body).backgroundColor"
    seen = set()
    page.locator(".theme-toggle:visible").focus()
    for _ in range(3):
        page.keyboard.press("Enter")
        seen.add(page.evaluate(background))
    assert len(seen) == 2


# What has the focus lies in the window, can be seen and has an outline.
SEEN = """() => {
    const focused = document.activeElement;
    const { width, top, bottom } = focused.getBoundingClientRect();
    const outlined = getComputedStyle(focused).outlineStyle !== "none";
    const inside = width > 0 && bottom > 0 && top < innerHeight;
    return outlined && inside && focused.checkVisibility({ opacityProperty: true });
}"""


def test_the_keyboard_reaches_what_the_mouse_does(browser, address):
    """The first stop leads past the menu, each stop is seen, what scrolls is one of them, and answers open."""
    with browser.new_page(viewport={"width": 1280, "height": 800}) as page:
        page.goto(f"{address}notebooks/00_start_here.html")
        for figure in page.locator(".sl-live").all():  # while these grow, what is below them moves
            figure.scroll_into_view_if_needed()
            figure.locator(".sl-widget, .sl-run").first.wait_for(timeout=60_000)
        page.evaluate("scrollTo(0, 0)")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.getAttribute('href')") == "#furo-main-content"
        page.keyboard.press("Enter")
        stops = set()
        for _ in range(40):
            page.keyboard.press("Tab")
            stops.add(page.evaluate("document.activeElement.tagName"))
            page.wait_for_function(SEEN, timeout=60_000)
        assert {"A", "PRE", "SUMMARY", "BUTTON"} <= stops
        page.locator("article summary").first.focus()
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.parentElement.open")


@pytest.mark.parametrize("name", ["MaskBrush", "MaskExplorer"], ids=["with a model", "without"])
def test_who_is_in_a_figure_by_keyboard_stays_in_it_when_it_comes_to_life(browser, address, name):
    with browser.new_page() as page:
        page.goto(f"{address}notebooks/00_start_here.html")
        page.locator(f"[data-widget={name}] a").focus()
        page.wait_for_function(
            f"document.activeElement.matches('[data-widget={name}] :is(input, select, button)')", timeout=60_000
        )


def test_the_search_finds_a_word_of_a_lesson_without_a_server(browser, site):
    with browser.new_page() as page:
        page.goto(f"{(site / 'search.html').as_uri()}?q=AvgDist")
        page.wait_for_selector("#search-results li a")
        found = page.locator("#search-results li a").evaluate_all("links => links.map(link => link.href)")
        assert any("01_masking.html" in link for link in found)
        page.goto(found[0])
        assert "AvgDist" in page.locator("article").inner_text()


@pytest.mark.parametrize("width", [1280, 375])
def test_without_scripts_a_lesson_can_be_read(browser, address, width):
    with browser.new_context(java_script_enabled=False, viewport={"width": width, "height": 800}) as context:
        page = context.new_page()
        page.goto(f"{address}notebooks/01_masking.html")
        assert page.locator("figure.sl-live img").first.is_visible()
        folded = page.locator("article details", has_text="Solution").first
        assert not folded.locator("pre").first.is_visible()
        folded.locator("summary").click()
        assert folded.locator("pre").first.is_visible()
        if width < 1000:
            page.locator("label[for=__navigation]:visible").first.click()
        page.locator(".sidebar-tree a", has_text="02").first.click()
        assert page.url.endswith("02_encoders.html")
