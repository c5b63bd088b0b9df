// Keeps an open page fresh and shows times in the reader's own zone. Every
// page works without it.
"use strict";
(() => {
  const period = 10_000;

  function localize(root) {
    const today = new Date();
    for (const el of root.querySelectorAll("time[datetime]")) {
      const t = new Date(el.dateTime);
      if (isNaN(t)) continue;
      const options = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
      if (t.toDateString() !== today.toDateString()) {
        options.day = "numeric";
        options.month = "short";
        if (t.getFullYear() !== today.getFullYear()) options.year = "numeric";
      } else if ("seconds" in el.dataset) {
        options.second = "2-digit";
      }
      el.textContent = new Intl.DateTimeFormat("en-GB", options).format(t).replace(",", "");
      el.title = new Intl.DateTimeFormat("en-GB", { dateStyle: "full", timeStyle: "long" }).format(t);
    }
    for (const el of root.querySelectorAll("[data-zone]")) {
      const parts = new Intl.DateTimeFormat("en-GB", { timeZoneName: "short" }).formatToParts(today);
      el.textContent = parts.find((p) => p.type === "timeZoneName")?.value ?? "";
    }
    for (const el of root.querySelectorAll("[data-zone-name]")) {
      el.value = Intl.DateTimeFormat().resolvedOptions().timeZone ?? ""; // what forms are written in
    }
  }

  // busy tells whether a refresh would take something out of the reader's hands.
  function busy() {
    if (document.hidden || !getSelection().isCollapsed) return true;
    if (document.querySelector("#live form details[open]")) return true;
    const fields = document.querySelectorAll("input:not([type=hidden]), textarea, select");
    return [...fields].some((i) => i === document.activeElement || ("defaultValue" in i && i.value !== i.defaultValue));
  }

  async function refresh() {
    if (busy()) return;
    try {
      const answer = await fetch(location.href, { signal: AbortSignal.timeout(period) });
      if (!answer.ok) throw new Error(answer.status);
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (busy() || !fresh.getElementById("live")) return;
      localize(fresh);
      for (const id of ["live", "now"]) document.getElementById(id).replaceWith(fresh.getElementById(id));
      document.title = fresh.title;
      document.querySelector("link[rel=icon]").href = fresh.querySelector("link[rel=icon]").href;
      document.body.classList.remove("late");
    } catch {
      document.body.classList.add("late"); // what is shown may no longer hold
    }
  }

  localize(document);
  setInterval(refresh, period);
  document.addEventListener("visibilitychange", refresh);
})();
