// The image's own health check: ends with 0 only when the gateway says in JSON that it is ready.
const port = process.env.OPENCLAW_GATEWAY_PORT || "18789";
try {
  const answer = await fetch(`http://127.0.0.1:${port}/readyz`, { signal: AbortSignal.timeout(8000) });
  const kind = answer.headers.get("content-type") ?? "";
  const said = kind.includes("json") ? await answer.json() : {};
  const ready = answer.status === 200 && said.ready === true;
  console.log(ready ? "ready" : `not ready: ${answer.status} ${(said.failing ?? [kind]).join(", ")}`);
  process.exit(ready ? 0 : 1);
} catch (error) {
  console.log(`not ready: ${error.cause?.code ?? error.message}`);
  process.exit(1);
}
