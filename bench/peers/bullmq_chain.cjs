// BullMQ: one queue, six job names, each of which adds the next; at least once by its locks, finished jobs removed.
"use strict";

const { parseArgs } = require("node:util");
const { Queue, Worker } = require("bullmq");

const STAGES = ["crawl", "classify", "download", "extract", "compile", "notify"];

async function main() {
  const { values } = parseArgs({
    options: { url: { type: "string" }, prefix: { type: "string" }, jobs: { type: "string" } },
  });
  const jobs = Number(values.jobs);
  const { hostname, port, password, pathname } = new URL(values.url);
  const connection = {
    host: hostname, port: Number(port || 6379), password: password || undefined,
    db: Number(pathname.slice(1) || 0), maxRetriesPerRequest: null,
  };
  const queue = new Queue("chain", {
    connection, prefix: values.prefix, defaultJobOptions: { removeOnComplete: true, removeOnFail: true },
  });
  for (let first = 0; first < jobs; first += 100) {
    const count = Math.min(100, jobs - first);
    await queue.addBulk(Array.from({ length: count }, (_, k) => ({ name: STAGES[0], data: { n: first + k } })));
  }
  let began = 0n;
  let cpuBegan;
  let left = jobs;
  const step = async (job) => {
    if (!began) {
      began = process.hrtime.bigint();
      cpuBegan = process.cpuUsage();
    }
    const at = STAGES.indexOf(job.name);
    if (at + 1 < STAGES.length) {
      await queue.add(STAGES[at + 1], { n: job.data.n + 1 });
      return;
    }
    left -= 1;
    if (left === 0) {
      const transitions = jobs * STAGES.length;
      const cpu = process.cpuUsage(cpuBegan);
      const figures = {
        transitions_per_s: Math.round(transitions / (Number(process.hrtime.bigint() - began) / 1e9)),
        cpu_us_per_transition: Math.round(((cpu.user + cpu.system) / transitions) * 10) / 10,
        transitions,
        version: require("bullmq/package.json").version,
        settings: "at least once (its locks), 128 at once, finished jobs removed",
      };
      process.stdout.write(JSON.stringify(figures) + "\n", () => process.exit(0));
    }
  };
  new Worker("chain", step, { connection, prefix: values.prefix, concurrency: 128 });
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
