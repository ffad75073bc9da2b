// The client against a relay that runs: `tram up`, with its sandbox. TRAM is the
// binary, which make clients builds.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import test, { after, before } from "node:test";
import { connect } from "@nats-io/transport-node";
import { jetstreamManager } from "@nats-io/jetstream";
import { Directory, InvalidError, NotSetUpError, Publisher, subscribe } from "../dist/index.js";

let relay, ended, dir, server, nc;

before(async () => {
  dir = mkdtempSync(join(tmpdir(), "tram-client-"));
  relay = spawn(process.env.TRAM, ["up", "--dir", dir, "--listen", "127.0.0.1:0"], { stdio: ["ignore", "pipe", "ignore"] });
  ended = once(relay, "exit");
  for await (const line of createInterface({ input: relay.stdout })) {
    server = /^ready nats=(\S+)/.exec(line)[1];
    nc = await connect({ servers: server });
    break;
  }
  relay.stdout.resume();
});

after(async () => {
  await nc?.close();
  relay.kill();
  await ended;
  rmSync(dir, { recursive: true });
});

const send = (id) => ({
  kind: "send", provider: "caresoft", account: "hotline", class: "urgent", id,
  body: { recipient: { kind: "phone", value: "0900000001" }, content: { kind: "text", text: "Đơn hàng đang được giao." }, correlation_id: "order-17" },
});

// until subscribes and returns the events up to the first that is wanted.
async function until(options, wanted, handle = async () => {}) {
  const seen = [];
  const stop = new AbortController();
  await subscribe(nc, { ...options, signal: AbortSignal.any([stop.signal, AbortSignal.timeout(30_000)]) }, async (e) => {
    await handle(e);
    seen.push(e);
    if (wanted(e)) stop.abort();
  });
  assert.ok(seen.some(wanted), `not among ${seen.length} events`);
  return seen;
}

test("a send is stored once and ends as accepted", async () => {
  const publisher = new Publisher(nc, { source: "/acme/shop", directory: new Directory(nc) });
  const first = await publisher.publish(send("order-17-shipped"));
  const again = await publisher.publish(send("order-17-shipped"));
  assert.deepEqual([first.stream, first.duplicate, again.duplicate, again.seq], ["TRAM_REQUESTS", false, true, first.seq]);

  const events = await until({ durable: "sends", kinds: ["delivery"] }, (e) => e.body.final);
  const { kind, provider, account, last, body } = events.at(-1);
  assert.deepEqual([kind, provider, account, last], ["delivery", "caresoft", "hotline", "accepted"]);
  assert.deepEqual([body.request_id, body.request_source, body.correlation_id], ["order-17-shipped", "/acme/shop", "order-17"]);
});

test("a report yields stats and records before a durable consumer has seen its end", async () => {
  const publisher = new Publisher(nc, { source: "/acme/bi", directory: new Directory(nc) });
  await publisher.publish({
    kind: "report", provider: "momo", account: "shop",
    body: { report: "momo.messages_report", range: { preset: "DAY_AGO_30" }, filters: { condition_id: "NO_ACTIVITIES_30" } },
  });
  const counts = { stat: 0, record: 0, outcome: 0 };
  let told;
  await until({ durable: "bi", kinds: ["stat", "record", "outcome"], provider: "momo" }, () => told && counts.stat >= told.stats && counts.record >= told.records, async (e) => {
    counts[e.kind]++;
    if (e.kind === "outcome") told = e.body;
  });
  assert.deepEqual([told.state, counts.record], ["done", 57]);
  assert.ok(counts.stat >= 57 * 6);
});

test("an event whose handler fails comes again, others go on, and a durable consumer remembers", async () => {
  const publisher = new Publisher(nc, { source: "/acme/crm" });
  for (const id of ["one", "two"]) await publisher.publish(send(id));
  const calls = { one: 0, two: 0 };
  const warned = [];
  const options = { durable: "crm", kinds: ["delivery"], retryDelay: 50, warn: (message) => warned.push(message) };
  const done = new Set();
  await until(options, () => done.size === 2, async ({ body }) => {
    if (body.request_source !== "/acme/crm") return;
    if (++calls[body.request_id] === 1 && body.request_id === "one") throw new Error("not now");
    done.add(body.request_id);
  });
  assert.deepEqual(calls, { one: 2, two: 1 });
  assert.deepEqual(warned, ["event handler failed, the event comes again"]);

  await publisher.publish(send("three"));
  const seen = await until(options, ({ body }) => body.request_id === "three");
  assert.deepEqual(seen.map((e) => e.body.request_id), ["three"]);
});

test("what an account does not take is refused before it is published", async () => {
  const publisher = new Publisher(nc, { source: "/acme/shop", directory: new Directory(nc) });
  const block = { ...send("x"), body: { ...send().body, content: { kind: "block", block_name: "hi" } } };
  await assert.rejects(publisher.publish(block), (err) => err instanceof InvalidError && err.faults[0].field === "content.kind" && err.id === "x");
  await assert.rejects(publisher.publish({ ...send("x"), account: "hotlin" }), { message: "invalid send: account: caresoft has no hotlin: there is hotline" });
  await assert.rejects(publisher.publish({ ...send("x"), provider: "care soft" }), InvalidError);
});

test("a request that nobody has checked ends as rejected", async () => {
  const publisher = new Publisher(nc, { source: "/acme/unchecked" });
  await publisher.publish({ ...send("bad"), body: { ...send().body, content: { kind: "block", block_name: "hi" } } });
  const seen = await until({ durable: "unchecked", kinds: ["delivery"] }, (e) => e.body.request_source === "/acme/unchecked");
  assert.equal(seen.at(-1).body.state, "rejected");
});

test("a broker without the streams says what to do, and a publish goes on when they are there", async () => {
  const jsm = await jetstreamManager(nc);
  await jsm.streams.delete("TRAM_EVENTS");
  await jsm.streams.delete("TRAM_REQUESTS");
  await jsm.streams.delete("KV_TRAM_ACCOUNTS");
  await assert.rejects(new Directory(nc).contract("momo", "shop"), NotSetUpError);
  await assert.rejects(subscribe(nc, { durable: "late" }, async () => {}), NotSetUpError);
  await assert.rejects(new Publisher(nc, { source: "/acme/shop", attempts: 2 }).publish(send("late")), NotSetUpError);

  const patient = new Publisher(nc, { source: "/acme/shop", attempts: 20, timeout: 1000 }).publish(send("late"));
  const setup = spawn(process.env.TRAM, ["setup", "-s", server], { stdio: "ignore" });
  const [code] = await once(setup, "exit");
  const receipt = await patient;
  assert.deepEqual([code, receipt.id, receipt.duplicate], [0, "late", false]);
});
