"use strict";

const job = document.getElementById("job");
if (job && "live" in job.dataset) follow(job.dataset.job);

const form = document.getElementById("sign-in");
if (form) form.addEventListener("submit", signIn);

function follow(id) {
  const path = `/api/v1/jobs/${encodeURIComponent(id)}`;
  const source = new EventSource(`${path}/events`);
  let waiting = false;
  const kinds = ["submitted", "adopted", "started", "emitted", "completed", "retried", "snoozed", "dead_lettered",
    "redriven", "released", "reclaimed", "promoted", "dropped", "cancelled", "expired", "failed", "progressed"];
  for (const kind of kinds) source.addEventListener(kind, (event) => { note(JSON.parse(event.data)); refresh(); });
  source.addEventListener("end", (event) => { show(JSON.parse(event.data)); source.close(); });

  // Counts come with the job, not with its events: ask for it, at most twice a second.
  function refresh() {
    if (waiting) return;
    waiting = true;
    setTimeout(async () => {
      waiting = false;
      const answer = await fetch(path);
      if (answer.ok) show(await answer.json());
    }, 500);
  }
}

function show(view) {
  const badge = document.createElement("span");
  badge.className = `badge ${view.status}`;
  badge.textContent = view.status;
  document.getElementById("status").replaceChildren(badge);
  document.getElementById("percent").value = view.progress.percent;
  document.getElementById("step").textContent = view.progress.step;
  document.getElementById("error").textContent = view.error || "";
  for (const [stage, counts] of Object.entries(view.stages)) {
    for (const [name, count] of Object.entries(counts)) {
      const cell = document.querySelector(`[data-stage="${stage}"] [data-count="${name}"]`);
      if (cell) cell.textContent = count;
    }
  }
}

function note(event) {
  const line = document.createElement("li");
  const parts = [new Date(event.at).toLocaleTimeString(), event.type, event.stage, event.task && `#${event.task}`,
    event.step, event.reason, event.status];
  line.textContent = parts.filter(Boolean).join("  ");
  const list = document.getElementById("events");
  list.prepend(line);
  while (list.children.length > 200) list.lastChild.remove();
}

async function signIn(event) {
  event.preventDefault();
  const answer = await fetch("/sign-in", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ key: form.elements.key.value }),
  });
  if (answer.ok) location.assign("/");
  else document.getElementById("error").textContent = (await answer.json()).detail;
}
