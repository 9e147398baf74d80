"use strict";
// What every page has: questions in a dialog, parts that stay fresh, ticking many, local times, and followed streams.

const csrf = document.body.dataset.csrf;
const dialog = document.getElementById("ask");

// --- questions: the page that asks, shown in a dialog; without scripts it is a page.
async function ask(address) {
  const answer = await fetch(address, { headers: { "X-Back": location.pathname + location.search } });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const question = page.querySelector("[data-question]") || page.querySelector(".alarm");
  if (!question) { location.assign(address); return; }
  const close = question.querySelector("[data-close]");
  if (close) close.addEventListener("click", (event) => { event.preventDefault(); dialog.close(); });
  dialog.replaceChildren(question);
  dialog.showModal();
  const first = question.querySelector("input:not([type=hidden]), select, textarea, button");
  if (first) first.focus();
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-ask]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  ask(link.href);
});
dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });

for (const form of document.querySelectorAll("form[data-bulk]")) {
  const told = form.querySelector("[data-chosen]");
  const before = told && told.textContent;
  const count = () => form.querySelectorAll("td input[type=checkbox]:checked").length;
  form.addEventListener("change", (event) => {
    if (event.target.matches("[data-all]")) {
      for (const box of form.querySelectorAll("td input[type=checkbox]")) box.checked = event.target.checked;
    }
    if (told) told.textContent = count() ? `${count()} chosen:` : before;
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!count()) { say("Tick what is meant first."); return; }
    const query = new URLSearchParams(new FormData(form));
    ask(`${event.submitter.getAttribute("formaction") || form.action}?${query}`);
  });
}

function say(text) {
  const line = document.createElement("p");
  line.className = "flash";
  line.textContent = text;
  document.getElementById("said").replaceChildren(line);
}

// --- times in the reader's zone; the title keeps UTC.
const clock = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
function localTimes(within) {
  for (const time of within.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (!Number.isNaN(at.getTime())) time.textContent = clock.format(at);
  }
}
localTimes(document);

// --- parts: this very page is asked again, and what changed in it is put in its place.
let asking = false;
async function refresh(names) {
  if (asking || document.hidden || dialog.open) return;
  asking = true;
  try {
    const answer = await fetch(location.href);
    if (!answer.ok || answer.redirected) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of document.querySelectorAll("[data-part]")) {
      const fresh = page.querySelector(`[data-part="${part.dataset.part}"]`);
      if (!fresh || (names && !names.has(part.dataset.part)) || isInUse(part)) continue;
      localTimes(fresh);
      keepOpen(part, fresh);
      if (fresh.innerHTML !== part.innerHTML) part.replaceChildren(...fresh.childNodes);
    }
  } catch { /* the server is away: the next round asks again */ } finally { asking = false; }
}
function isInUse(part) {
  const focused = document.activeElement;
  const chosen = getSelection();
  return part.querySelector("input:checked") !== null
    || (part.contains(focused) && focused.matches("a, button, input, select, textarea, summary"))
    || (chosen && !chosen.isCollapsed && part.contains(chosen.anchorNode));
}
function keepOpen(part, fresh) {
  const open = [...part.querySelectorAll("details")].map((one) => one.open);
  fresh.querySelectorAll("details").forEach((one, at) => { if (at in open) one.open = open[at]; });
}
const every = [...document.querySelectorAll("[data-every]")].map((part) => Number(part.dataset.every));
if (every.length) setInterval(() => refresh(), Math.min(...every) * 1000);

// --- an event stream, opened with a ticket that works once; opened again when it ends.
function follow(path, { message, event = () => {}, state = () => {}, after = () => "" }) {
  let wait = 500;
  async function open() {
    try {
      const answer = await fetch("/ticket", {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-CSRF-Token": csrf },
        body: JSON.stringify({ path }),
      });
      if (!answer.ok) throw new Error(`no ticket: ${answer.status}`);
      const { ticket } = await answer.json();
      const query = new URLSearchParams();
      if (ticket) query.set("ticket", ticket);
      if (after()) query.set("after", after());
      const source = new EventSource(`${path}?${query}`);
      source.onopen = () => { wait = 500; state(true); };
      source.onmessage = (told) => message(told);
      event(source);
      source.onerror = () => { source.close(); state(false); again(); };
      source.addEventListener("disconnect", () => { source.close(); state(false); again(); });
    } catch { state(false); again(); }
  }
  function again() { setTimeout(open, wait); wait = Math.min(wait * 2, 15000); }
  open();
}
