// Node's http, @octokit/webhooks and BullMQ: a signature over the raw body, a job whose id is the
// delivery's own, so that a repeat adds none, then 200. Node's way of the obvious gateway, one process.
import { createServer } from "node:http";
import { Webhooks } from "@octokit/webhooks";
import { Queue } from "bullmq";

const webhooks = new Webhooks({ secret: process.env.BENCH_SECRET });
const redis = new URL(process.env.REDIS_URL);
const queue = new Queue("github", {
  connection: { host: redis.hostname, port: Number(redis.port) },
  defaultJobOptions: { attempts: 8, backoff: { type: "exponential", delay: 10000 } },
});
const MOST = 1024 * 1024;

async function read(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > MOST) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

async function receive(request) {
  if (request.method !== "POST" || request.url !== "/github") return 404;
  const body = await read(request);
  if (body === null) return 413;
  const signature = request.headers["x-hub-signature-256"] ?? "";
  if (!signature || !(await webhooks.verify(body, signature))) return 401;
  const id = request.headers["x-github-delivery"];
  await queue.add(request.headers["x-github-event"], { body }, { jobId: id });
  return 200;
}

const server = createServer((request, response) => {
  receive(request)
    .catch(() => 503)
    .then((status) => {
      response.statusCode = status;
      response.end();
    });
});
await queue.waitUntilReady();
server.listen(Number(process.env.PORT), "127.0.0.1", 2048);
