// BullMQ's side of the drain. `fill N` adds so many jobs of 2 KB; `work CONCURRENCY MS` runs them,
// each waiting so long (0: a processor that does nothing).
import { setTimeout as sleep } from "node:timers/promises";
import { Queue, Worker } from "bullmq";

const redis = new URL(process.env.REDIS_URL);
const connection = { host: redis.hostname, port: Number(redis.port), maxRetriesPerRequest: null };
const [, , what, first, second] = process.argv;

if (what === "fill") {
  const queue = new Queue("drain", { connection });
  const body = process.env.BENCH_BODY;
  for (let done = 0; done < Number(first); done += 500) {
    const many = Math.min(500, Number(first) - done);
    await queue.addBulk(
      Array.from({ length: many }, () => ({ name: "push", data: { body }, opts: { removeOnComplete: true } })),
    );
  }
  await queue.close();
} else {
  const wait = Number(second);
  const run = wait ? () => sleep(wait) : async () => {};
  new Worker("drain", run, { connection, concurrency: Number(first) });
}
