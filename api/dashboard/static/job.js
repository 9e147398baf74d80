"use strict";
// A job as it runs: every event asks the page again, at most three times a second.

const job = document.getElementById("job");
if (job && "live" in job.dataset) {
  let last = "";
  let due = false;
  const kinds = ["submitted", "adopted", "started", "emitted", "completed", "retried", "snoozed", "dead_lettered",
    "redriven", "released", "reclaimed", "promoted", "dropped", "cancelled", "expired", "failed", "progressed"];
  const look = () => {
    if (due) return;
    due = true;
    setTimeout(async () => { due = false; await refresh(); }, 350);
  };
  follow(`/api/v1/jobs/${encodeURIComponent(job.dataset.job)}/events`, {
    message: look,
    after: () => last,
    event: (source) => {
      for (const kind of kinds) source.addEventListener(kind, (told) => { last = told.lastEventId || last; look(); });
      source.addEventListener("end", () => { source.close(); setTimeout(() => refresh(), 400); });
    },
  });
}
