"use strict";

// The page works without this file. With it, progress is live, titles complete themselves and thumbs stay in place.

const POLL = 800; // milliseconds between two looks at a job
const PAUSE = 200; // milliseconds without a keystroke before titles are looked up

async function json(address) {
  const response = await fetch(address, { headers: { Accept: "application/json" } });
  return { status: response.status, body: await response.json() };
}

function show(section, stage) {
  let passed = true;
  for (const step of section.querySelectorAll("[data-stage]")) {
    const now = step.dataset.stage === stage;
    if (now) passed = false;
    step.className = now ? "now" : passed && stage ? "done" : "";
  }
}

async function watch(section) {
  const job = section.dataset.job;
  for (;;) {
    const trouble = section.querySelector("#trouble");
    await new Promise((done) => setTimeout(done, POLL));
    let seen;
    try {
      seen = await json(`/api/jobs/${encodeURIComponent(job)}`);
      trouble.hidden = true;
    } catch {
      trouble.hidden = false;
      continue;
    }
    const running = seen.status === 200 && seen.body.state === "running";
    if (running && (!seen.body.early || "early" in section.dataset)) {
      show(section, seen.body.stage);
      continue;
    }
    const page = await fetch(`/answer/${encodeURIComponent(job)}`);
    const fresh = new DOMParser().parseFromString(await page.text(), "text/html");
    document.title = fresh.title;
    document.querySelector("main").replaceWith(document.adoptNode(fresh.querySelector("main")));
    section = document.querySelector("#progress"); // under what can be said already it goes on
    if (!section) return;
  }
}

function hideBroken(picture) {
  if (picture instanceof HTMLImageElement && picture.closest(".thumb")) picture.hidden = true;
}
addEventListener("error", (event) => hideBroken(event.target), true); // a thumbnail that is gone leaves its colour
for (const picture of document.images) if (picture.complete && !picture.naturalWidth) hideBroken(picture);

const progress = document.querySelector("#progress");
if (progress) watch(progress);

const source = document.querySelector("#source");
const titles = document.querySelector("#titles");
let pause;
source.addEventListener("input", () => {
  clearTimeout(pause);
  const text = source.value.trim();
  if (text.length < 2 || text.includes("://")) return;
  pause = setTimeout(async () => {
    const { status, body } = await json(`/api/complete?text=${encodeURIComponent(text)}`);
    if (status !== 200) return;
    titles.replaceChildren(...body.map((clip) => Object.assign(document.createElement("option"), { value: clip.title })));
  }, PAUSE);
});

async function vote(form, button) {
  const said = form.querySelector("output");
  const body = new URLSearchParams(new FormData(form));
  body.set("thumb", button.value);
  try {
    const response = await fetch(form.action, { method: "POST", body });
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const fresh = page.getElementById(form.id);
    if (!fresh) {
      said.textContent = page.querySelector(".error h2")?.textContent ?? "That did not work.";
      return;
    }
    form.replaceWith(document.adoptNode(fresh));
    fresh.querySelector(`[data-thumb="${button.dataset.thumb}"]`).focus();
  } catch {
    said.textContent = "I lost contact with clipsim.";
  }
}

document.addEventListener("submit", (event) => {
  if (!event.target.matches(".thumbs") || !event.submitter) return;
  event.preventDefault();
  vote(event.target, event.submitter);
});

document.querySelector("#ask").addEventListener("submit", (event) => {
  event.target.querySelector("button").disabled = true;
});
addEventListener("pageshow", () => {
  document.querySelector("#ask button").disabled = false;
});
