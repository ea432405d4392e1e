// Keeps a page up to date: when something happens to what it shows, it is fetched again, and what is marked
// data-live takes the place of what was there. The page says where to listen (data-events of the body) and to
// what (data-kinds). Scripts that work on such a part hear of it: an event "live:swapped" with the part.
"use strict";

(() => {
  const SETTLE_MS = 400; // several things happen at once
  const LEAST_MS = 2000; // between two fetches,
  const LEAST_SHARE = 4; // and so many times what the last one took: a slow page is not asked for all the time
  const MINUTE_MS = 60000; // without news, for the ages that are shown
  const FOCUSABLE = "a[href], button, input, select, textarea, summary, [tabindex]";

  const address = document.body.dataset.events;
  const mark = document.getElementById("live");
  if (!address || !mark || !window.EventSource) return;

  let source = null;
  let retry = null;
  let failures = 0;
  let due = null;
  let isFetching = false;
  let rest = LEAST_MS;
  let fetchedAt = Date.now();

  function show(state, words) {
    if (mark.dataset.state === state) return;
    mark.hidden = false;
    mark.dataset.state = state;
    mark.textContent = words;
  }

  function listen() {
    if (source || document.hidden) return;
    source = new EventSource(address);
    source.onopen = () => {
      if (failures) refreshSoon();
      failures = 0;
      show("live", "live");
    };
    source.onerror = () => {
      show("reconnecting", "reconnecting");
      failures += 1;
      // The browser itself tries again after a lost connection, and gives up after a refusal.
      if (source.readyState === EventSource.CLOSED) {
        stop();
        retry = setTimeout(listen, Math.min(60000, 1000 * 2 ** failures));
      }
    };
    for (const kind of (document.body.dataset.kinds || "").split(" ")) {
      if (kind) source.addEventListener(kind, refreshSoon);
    }
  }

  function stop() {
    clearTimeout(retry);
    if (source) source.close();
    source = null;
  }

  function refreshSoon() {
    if (due) return;
    const wait = Math.max(SETTLE_MS, rest - (Date.now() - fetchedAt));
    due = setTimeout(refresh, wait);
  }

  async function refresh() {
    due = null;
    if (document.hidden) return;
    if (isFetching || isBusy()) {
      refreshSoon();
      return;
    }
    isFetching = true;
    const began = Date.now();
    try {
      await take(await fetch(location.href, { headers: { Accept: "text/html" }, credentials: "same-origin" }));
    } catch {
      // The next event comes when the service is there again.
    } finally {
      isFetching = false;
      fetchedAt = Date.now();
      rest = Math.max(LEAST_MS, LEAST_SHARE * (fetchedAt - began));
    }
  }

  async function take(answer) {
    if (answer.redirected && new URL(answer.url).pathname === "/signin") {
      location.assign(answer.url);
      return;
    }
    if (answer.status === 404) location.reload(); // what was shown is gone
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of document.querySelectorAll("[data-live]")) {
      const fresh = page.getElementById(part.id);
      if (fresh && fresh.innerHTML !== part.innerHTML) swap(part, fresh);
    }
  }

  // Whoever selects text, or is about to choose, is not disturbed.
  function isBusy() {
    const selection = window.getSelection();
    const inside = (node) => node && (node.nodeType === 1 ? node : node.parentElement)?.closest("[data-live]");
    if (selection && !selection.isCollapsed && inside(selection.anchorNode)) return true;
    return Boolean(document.activeElement?.matches("[data-live] :is(select, input, textarea)"));
  }

  function swap(part, fresh) {
    const focused = place(part, document.activeElement);
    const open = new Set([...part.querySelectorAll("details")].flatMap((each, at) => (each.open ? [at] : [])));
    const scrolls = [...part.querySelectorAll(".scroll")].map((each) => [each.scrollLeft, each.scrollTop]);
    const top = window.scrollY;
    part.replaceChildren(...fresh.childNodes);
    part.querySelectorAll("details").forEach((each, at) => { if (open.has(at)) each.open = true; });
    part.querySelectorAll(".scroll").forEach((each, at) => {
      if (scrolls[at]) [each.scrollLeft, each.scrollTop] = scrolls[at];
    });
    find(part, focused)?.focus({ preventScroll: true });
    window.scrollTo({ top, behavior: "instant" });
    part.dispatchEvent(new CustomEvent("live:swapped", { bubbles: true }));
  }

  // Where the focus is: the same link, else the same place among what can have it.
  function place(part, element) {
    if (!element || element === part || !part.contains(element)) return null;
    return {
      id: element.id,
      href: element.getAttribute("href"),
      at: [...part.querySelectorAll(FOCUSABLE)].indexOf(element),
    };
  }

  function find(part, was) {
    if (!was) return null;
    const all = [...part.querySelectorAll(FOCUSABLE)];
    return (was.id && all.find((each) => each.id === was.id))
      || (was.href && all.find((each) => each.getAttribute("href") === was.href))
      || all[Math.min(was.at, all.length - 1)] || null;
  }

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      stop();
    } else {
      listen();
      refreshSoon();
    }
  });
  window.addEventListener("pagehide", stop);
  window.addEventListener("pageshow", ({ persisted }) => {
    listen();
    if (persisted) refreshSoon();
  });
  setInterval(() => { if (Date.now() - fetchedAt >= MINUTE_MS) refreshSoon(); }, MINUTE_MS / 4);
  listen();
})();
