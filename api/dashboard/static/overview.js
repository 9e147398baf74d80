"use strict";
// The overview as it changes: numbers, the river, the last minute.

const still = matchMedia("(prefers-reduced-motion: reduce)");
const svg = (name) => document.createElementNS("http://www.w3.org/2000/svg", name);
const course = document.getElementById("course");
const drops = document.getElementById("drops");
const pulse = document.getElementById("pulse");
const names = [...document.querySelectorAll("[data-stage]")].map((one) => one.dataset.stage);
const MOST_DROPS = 240;

follow("/live", {
  message: (told) => show(JSON.parse(told.data)),
  state: (isOpen) => {
    pulse.classList.toggle("away", !isOpen);
    document.getElementById("pulse-text").textContent = isOpen ? "live" : "not connected, trying again";
  },
});

function show(board) {
  const one = { ...board, peak: Math.max(...board.history) };
  for (const place of document.querySelectorAll("[data-is]")) write(place, one[place.dataset.is]);
  for (const told of board.stages) {
    const card = document.querySelector(`[data-stage="${told.stage}"]`);
    for (const place of card.querySelectorAll("[data-of]")) write(place, told[place.dataset.of]);
    card.classList.toggle("sore", told.failed > 0);
  }
  document.querySelector("[data-alarm]").classList.toggle("sore", board.failure_rate > 5);
  // The water rises with what is open.
  course.setAttribute("stroke-width", String(Math.min(28, 4 + 4 * Math.log10(1 + board.lag + board.held))));
  minute(board.history);
  problems(board);
  if (!still.matches && !document.hidden) flow(board.stages);
}

function write(place, value) {
  const text = place.dataset.as === "duration" ? duration(value) : Number(value).toLocaleString("en");
  if (place.textContent !== text) place.textContent = text;
}

function duration(seconds) {
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const [minutes, hours, days] = [Math.floor(seconds / 60), Math.floor(seconds / 3600), Math.floor(seconds / 86400)];
  const two = (number) => String(number).padStart(2, "0");
  if (hours < 1) return `${minutes} min ${two(Math.floor(seconds % 60))} s`;
  if (days < 1) return `${hours} h ${two(minutes % 60)} min`;
  return `${days} d ${hours % 24} h`;
}

function minute(history) {
  const most = Math.max(1, ...history);
  document.querySelectorAll("#minute rect").forEach((bar, at) => {
    const height = 116 * history[at] / most;
    bar.setAttribute("y", (120 - height).toFixed(1));
    bar.setAttribute("height", height.toFixed(1));
  });
}

let shown = "";
function problems(board) {
  const key = JSON.stringify([board.dead, board.alerts, board.pauses, board.findings]);
  if (key === shown) return;
  shown = key;
  const list = document.getElementById("problems");
  const lines = [];
  if (board.dead) lines.push(line("warn", "/dlq", `${board.dead.toLocaleString("en")} dead letter${board.dead === 1 ? "" : "s"}`));
  if (board.alerts.firing) {
    const { firing, is_stale: isStale } = board.alerts;
    const text = `${firing} ${firing === 1 ? "alert fires" : "alerts fire"}`;
    lines.push(line("warn", "/alerts", text + (isStale ? ", as it was when the analytics process stopped" : "")));
  }
  for (const one of board.pauses) {
    lines.push(line("note", "/limits", `${one.kind} ${one.name} is paused${one.reason ? `: ${one.reason}` : ""}`));
  }
  for (const one of board.findings) {
    lines.push(line(one.state === "bad" ? "warn" : "note", "", `${one.what}: ${one.found}${one.cure ? `. ${one.cure}` : ""}`));
  }
  if (!lines.length) lines.push(line("fine", "", "Nothing needs you."));
  list.replaceChildren(...lines);
}

function line(kind, address, text) {
  const item = document.createElement("li");
  item.className = kind;
  const inside = address ? document.createElement("a") : item;
  if (address) { inside.href = address; item.append(inside); }
  inside.append(text);
  return item;
}

// --- drops: as many as entries moved since the last look, up to what an eye can follow, each from its stage to the next.
const afloat = [];
function flow(stages) {
  const length = course.getTotalLength();
  const reach = length / names.length;
  for (const told of stages) {
    const at = names.indexOf(told.stage);
    const [done, failed] = told.moved;
    const few = (count) => Math.min(count, 14);
    for (let n = 0; n < few(done); n += 1) launch(at * reach + reach / 2, at === names.length - 1 ? reach / 2 : reach, n / few(done), false);
    for (let n = 0; n < few(failed); n += 1) launch(at * reach + reach / 2, reach / 2, n / few(failed), true);
  }
  if (afloat.length && !moving) { moving = true; requestAnimationFrame(move); }
}
function launch(from, reach, delay, isLost) {
  if (afloat.length >= MOST_DROPS) return;
  const drop = svg("ellipse");
  // The drawing is stretched to the width of the page: a drop is stretched back.
  const box = document.getElementById("river").getBoundingClientRect();
  drop.setAttribute("ry", "4");
  drop.setAttribute("rx", String(4 * (1200 / box.width) * (box.height / 96)));
  drop.setAttribute("class", isLost ? "drop lost" : "drop");
  drop.setAttribute("opacity", "0");
  drops.append(drop);
  afloat.push({ drop, from, reach, isLost, aside: (Math.random() - 0.5) * 16, start: performance.now() + delay * 800 });
}
let moving = false;
function move(now) {
  for (let at = afloat.length - 1; at >= 0; at -= 1) {
    const one = afloat[at];
    const part = (now - one.start) / 1400;
    if (part >= 1) { one.drop.remove(); afloat.splice(at, 1); continue; }
    if (part < 0) continue;
    const place = course.getPointAtLength(Math.min(course.getTotalLength(), one.from + one.reach * part));
    one.drop.setAttribute("cx", place.x.toFixed(1));
    one.drop.setAttribute("cy", (place.y + one.aside + (one.isLost ? 40 * part : 0)).toFixed(1));
    one.drop.setAttribute("opacity", String(Math.min(1, part * 6, (1 - part) * 5)));
  }
  moving = afloat.length > 0;
  if (moving) requestAnimationFrame(move);
}
