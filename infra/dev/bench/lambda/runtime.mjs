// Feeds the handler from the Lambda Runtime API. It does less than AWS's runtime client: no deadline, no trace, no context.
import { Agent, request } from "node:http";
import { handler } from "./handler.mjs";

const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
const agent = new Agent({ keepAlive: true });

function ask(method, path, body) {
  return new Promise((resolve, reject) => {
    const asked = request({ host, port, agent, method, path: `/2018-06-01/runtime/invocation/${path}` }, (answer) => {
      const parts = [];
      answer.on("data", (part) => parts.push(part));
      answer.on("end", () => resolve([answer.headers["lambda-runtime-aws-request-id"], Buffer.concat(parts)]));
    });
    asked.on("error", reject);
    asked.end(body);
  });
}

async function run() {
  for (;;) {
    const [id, event] = await ask("GET", "next");
    const answer = await handler(JSON.parse(event));
    await ask("POST", `${id}/response`, JSON.stringify(answer));
  }
}

run();
