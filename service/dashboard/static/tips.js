// What a mark of a chart says: under the pointer at once, under a finger, and with the arrow keys.
"use strict";

(() => {
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  document.body.append(tip);
  let pointed = null;

  // A title of its own would be shown by the browser too.
  function textOf(mark) {
    const title = mark.querySelector(":scope > title");
    if (title) {
      mark.dataset.tip = title.textContent;
      title.remove();
    }
    return mark.dataset.tip;
  }

  function point(mark) {
    pointed?.classList.remove("pointed");
    pointed = mark;
    tip.hidden = !mark;
    if (!mark) return;
    mark.classList.add("pointed");
    tip.textContent = textOf(mark);
    const box = mark.getBoundingClientRect();
    const left = Math.min(box.left + box.width / 2, document.documentElement.clientWidth - tip.offsetWidth / 2 - 8);
    const above = box.top - tip.offsetHeight - 8;
    tip.style.left = `${Math.max(left, tip.offsetWidth / 2 + 8) + scrollX}px`;
    tip.style.top = `${(above > 0 ? above : box.bottom + 8) + scrollY}px`;
  }

  const markOf = (element) => element.closest?.(".chart svg > :not(title, desc):has(> title), .chart svg > [data-tip]");

  for (const event of ["pointerover", "pointerdown"]) {
    document.addEventListener(event, ({ target }) => {
      const mark = markOf(target);
      if (mark || (pointed && !tip.contains(target))) point(mark);
    });
  }

  // A chart takes the focus, and its marks follow each other from left to right.
  function focusable() {
    for (const chart of document.querySelectorAll(".chart svg[role=img]:not([tabindex])")) chart.tabIndex = 0;
  }

  document.addEventListener("keydown", (event) => {
    const chart = event.target.closest?.(".chart svg[role=img]");
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (event.key === "Escape") point(null);
    if (!chart || !step) return;
    event.preventDefault();
    const middle = (mark) => mark.getBBox().x + mark.getBBox().width / 2;
    const marks = [...chart.children].filter(markOf).sort((one, other) => middle(one) - middle(other));
    if (marks.length) point(marks[(marks.indexOf(pointed) + step + marks.length) % marks.length]);
  });
  document.addEventListener("focusout", () => point(null));
  document.addEventListener("live:swapped", () => { point(null); focusable(); });
  focusable();
})();
