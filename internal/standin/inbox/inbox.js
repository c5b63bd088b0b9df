// Shows new mails as they arrive, and a mail at its full length.
"use strict";
const main = () => document.querySelector("main");

function fit() {
  const frame = document.querySelector("iframe");
  if (!frame) return;
  const set = () => {
    const root = frame.contentDocument && frame.contentDocument.documentElement;
    if (!root) return;
    frame.style.height = "0";
    frame.style.height = root.scrollHeight + "px";
  };
  frame.addEventListener("load", set);
  set();
}

async function look() {
  try {
    const answer = await fetch(location.href, { cache: "no-store" });
    if (!answer.ok) return;
    const next = new DOMParser().parseFromString(await answer.text(), "text/html");
    document.title = next.title;
    for (const part of ["list", "mail"]) {
      const old = document.getElementById(part), now = next.getElementById(part);
      if (old.dataset.state === now.dataset.state) continue;
      const top = old.scrollTop;
      old.replaceWith(document.adoptNode(now));
      if (part === "list") now.scrollTop = top; else fit();
    }
  } catch { /* the server is gone: what was shown stays */ }
}

fit();
addEventListener("resize", fit);
setInterval(look, 2000);
