// Reads the requests that publish.mjs printed from standard input, and prints
// the events about them as JSON lines until each has come to its end.

import { createInterface } from "node:readline";
import { connect } from "@nats-io/transport-node";
import { DeliverPolicy, jetstream } from "@nats-io/jetstream";
import { decode } from "@msgpack/msgpack";

const open = new Set(); // requests without an end, by source and id
for await (const line of createInterface({ input: process.stdin })) {
  const { source, id } = JSON.parse(line);
  open.add(`${source}/${id}`);
}
const followed = new Set(open);

const nc = await connect({ servers: process.env.NATS_URL ?? "127.0.0.1:4222" });

// An ordered consumer reads for this process alone and leaves nothing behind. A
// service that must miss nothing makes a durable one and acknowledges.
const consumer = await jetstream(nc).consumers.get("TRAM_EVENTS", {
  filter_subjects: ["tram.delivery.>", "tram.stat.>", "tram.record.>", "tram.outcome.>"],
  deliver_policy: DeliverPolicy.All,
});

const messages = open.size > 0 ? await consumer.consume() : [];
for await (const m of messages) {
  const data = decode(m.data);
  const request = `${data.request_source}/${data.request_id}`;
  if (!followed.has(request)) continue;
  console.log(JSON.stringify({ subject: m.subject, id: m.headers.get("ce-id"), data }));
  if (data.final) open.delete(request);
  if (open.size === 0) break;
}

await nc.close();
