// Publishes a send and a report request to tram, with nothing but a NATS client
// and msgpack. Prints one JSON line for each, which follow.mjs reads:
//
//   node publish.mjs | node follow.mjs

import { randomUUID } from "node:crypto";
import { connect, headers } from "@nats-io/transport-node";
import { jetstream } from "@nats-io/jetstream";
import { encode } from "@msgpack/msgpack";

const source = "/acme/shop";

const nc = await connect({ servers: process.env.NATS_URL ?? "127.0.0.1:4222" });
const js = jetstream(nc);

// publish stores one request. An event is a subject, CloudEvents attributes as
// ce-* headers, and a msgpack map. Nats-Msg-Id lets the stream recognise a
// repeat, so publishing again after an error can do no harm.
async function publish(kind, provider, account, cls, body) {
  const id = randomUUID();
  const h = headers();
  h.set("ce-specversion", "1.0");
  h.set("ce-id", id);
  h.set("ce-source", source);
  h.set("ce-type", `io.github.tramhq.${kind}.v1`);
  h.set("ce-time", new Date().toISOString());
  h.set("ce-datacontenttype", "application/msgpack");
  h.set("Nats-Msg-Id", `${source}/${id}`);
  const ack = await js.publish(`tram.${kind}.${provider}.${account}.${cls}`, encode(body), { headers: h });
  console.log(JSON.stringify({ kind, id, source, seq: ack.seq }));
}

await publish("send", "caresoft", "hotline", "urgent", {
  recipient: { kind: "phone", value: "0900000001" },
  content: { kind: "template", template_ref: "608", params: { username: "An" } },
  correlation_id: "order-17",
});

await publish("report", "momo", "shop", "normal", {
  report: "momo.messages_report",
  range: { preset: "DAY_AGO_30" },
  filters: { condition_id: "NO_ACTIVITIES_30" },
});

await nc.close();
