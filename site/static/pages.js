// A box that scrolls can be scrolled with the keyboard: it takes the focus while it is too narrow.
const watch = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
    else target.removeAttribute("tabindex");
  }
});
for (const box of document.querySelectorAll("pre, .sl-math, .table-wrapper")) watch.observe(box);
