// Arrow keys go from row to row of a table that is marked data-rows, Home and End to its first and last.
"use strict";

document.addEventListener("keydown", (event) => {
  const table = event.target.closest?.("table[data-rows]");
  if (!table || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const links = [...table.querySelectorAll("tbody th a")];
  const at = links.indexOf(event.target.closest("tr")?.querySelector("th a"));
  const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: links.length - 1 }[event.key];
  if (next === undefined || !links[next]) return;
  event.preventDefault();
  links[next].focus();
});
