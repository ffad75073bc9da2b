// Reads the events again that are stored since a time, or from a sequence on, to
// where the stream ends, and prints them as JSON lines:
//
//   node again.mjs 2026-11-21T00:00:00Z
//   node again.mjs 120000
//
// An event has the id that it had the first time. Stats and records are to be
// upserted by their key.

import { connect } from "@nats-io/transport-node";
import { DeliverPolicy, jetstream } from "@nats-io/jetstream";
import { decode } from "@msgpack/msgpack";

const from = process.argv[2];
if (!from || (!/^\d+$/.test(from) && Number.isNaN(Date.parse(from)))) {
  console.error("usage: node again.mjs <time or sequence>");
  process.exit(2);
}

const nc = await connect({ servers: process.env.NATS_URL ?? "127.0.0.1:4222" });

const consumer = await jetstream(nc).consumers.get("TRAM_EVENTS", {
  filter_subjects: ["tram.delivery.>", "tram.stat.>", "tram.record.>", "tram.outcome.>"],
  ...(/^\d+$/.test(from)
    ? { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: Number(from) }
    : { deliver_policy: DeliverPolicy.StartTime, opt_start_time: new Date(from).toISOString() }),
});

const { num_pending } = await consumer.info();
const messages = num_pending > 0 ? await consumer.consume() : [];
for await (const m of messages) {
  console.log(JSON.stringify({
    seq: m.seq, subject: m.subject, id: m.headers.get("ce-id"), replay: m.headers.get("ce-replay") || undefined, data: decode(m.data),
  }));
  if (m.info.pending === 0) break;
}

await nc.close();
