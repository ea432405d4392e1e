// The slider of eta: shows at each step what the server has worked out for it.
"use strict";

(() => {
  const form = document.getElementById("eta-form");

  function show(step) {
    const [batchSize, time, energy, cost] = JSON.parse(document.getElementById("eta-choices").dataset.choices)[step];
    const shown = { eta: (step / 100).toFixed(2), batch_size: batchSize, time, energy, cost };
    for (const place of form.querySelectorAll("[data-shows]")) {
      place.textContent = shown[place.dataset.shows];
    }
    for (const mark of document.querySelectorAll("#chart-plane [data-name]")) {
      mark.classList.toggle("chosen", mark.dataset.name === String(batchSize));
    }
  }

  if (form) {
    const slider = form.elements.eta;
    form.querySelector("button").hidden = true; // what it does is done at once
    const step = () => Math.round(slider.value * 100);
    slider.addEventListener("input", () => show(step()));
    // In the address, so that the page stays as it is when it is fetched again or sent to somebody.
    slider.addEventListener("change", () => {
      const address = new URL(location.href);
      address.searchParams.set("eta", slider.value);
      history.replaceState(history.state, "", address);
    });
    document.addEventListener("live:swapped", ({ target }) => { if (target.id === "plane") show(step()); });
    // A browser that comes back to the page may have put the slider elsewhere.
    show(step());
  }
})();
