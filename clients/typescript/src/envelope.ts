import { headers, type MsgHdrs } from "@nats-io/nats-core";
import { type Delivery, eventKinds, type Lane, layouts, type Outcome, type ProviderRecord, type Stat } from "./contract.js";
import { DecodeError, Faults, InvalidError } from "./faults.js";
import { checkAttribute, type Request } from "./rules.js";
import { readBody } from "./wire.js";

/** The CloudEvents attributes of an event. */
export interface Meta {
  /** ce-id; the same each time the event comes */
  id: string;
  source: string;
  time?: Date;
  traceparent?: string;
  tracestate?: string;
  /** name of the operator's job that has published the event again; its content may differ from the first time */
  replay?: string;
}

/** An event that the relay published. */
export type Event = Meta & {
  subject: string;
  provider: string;
  account: string;
  /** last token of the subject: the state, report or kind */
  last: string;
} & (
  | { kind: "delivery"; body: Delivery }
  | { kind: "stat"; body: Stat }
  | { kind: "record"; body: ProviderRecord }
  | { kind: "outcome"; body: Outcome }
  | { kind: "lane"; body: Lane });

export type EventKind = Event["kind"];

const contentType = "application/msgpack";
const typeOf = (kind: string) => `io.github.tramhq.${kind}.v1`;
const isTrace = (v: string) => /^[ -~]{1,512}$/.test(v);

/** Writes the envelope of a request that has an id and a source. */
export function writeHeaders(r: Request & { id: string; source: string }, time: Date, f: Faults): MsgHdrs {
  checkAttribute("ce-id", r.id, f);
  checkAttribute("ce-source", r.source, f);
  const h = headers();
  if (f.all.length > 0) return h;
  h.set("ce-specversion", "1.0");
  h.set("ce-id", r.id);
  h.set("ce-source", r.source);
  h.set("ce-type", typeOf(r.kind));
  h.set("ce-datacontenttype", contentType);
  h.set("ce-time", time.toISOString());
  h.set("Nats-Msg-Id", `${r.source}/${r.id}`);
  for (const field of ["traceparent", "tracestate"] as const) {
    const v = r[field];
    if (v && isTrace(v)) h.set(field, v);
    else if (v) f.add(field, "must be 1 to 512 printable ASCII characters");
  }
  return h;
}

/** Headers of a message, each name with its values. NATS header names keep their case. */
export type Headers = ReadonlyMap<string, readonly string[]>;

/** Reads the envelope of an event of the kind. */
export function readMeta(kind: string, h: Headers, f: Faults): Meta {
  for (const [name, values] of h) {
    if (values.length !== 1 && /^ce-./i.test(name)) f.add(name.toLowerCase(), `is given ${values.length} times`);
    if (/^content-type$/i.test(name) && values[0]?.toLowerCase().startsWith("application/cloudevents")) {
      f.add(name, "announces a structured event: only binary mode is read, with ce-* headers and a msgpack body");
    }
  }
  const get = (name: string) => (h.get(name)?.length === 1 ? h.get(name)![0]! : "");
  const need = (name: string, want?: string) => {
    if (!h.has(name)) f.add(name, `is missing${otherCase(h, name)}`);
    else if (want && h.get(name)!.length === 1 && get(name) !== want) f.add(name, `must be ${want}`);
  };
  need("ce-specversion", "1.0");
  need("ce-type", typeOf(kind));
  for (const name of ["ce-id", "ce-source"]) {
    need(name);
    if (h.get(name)?.length === 1) checkAttribute(name, get(name), f);
  }
  const m: Meta = { id: get("ce-id"), source: get("ce-source") };
  if (get("ce-replay")) m.replay = get("ce-replay");
  if (get("ce-time")) {
    m.time = new Date(get("ce-time"));
    if (!/^\d{4}-\d{2}-\d{2}T/.test(get("ce-time")) || Number.isNaN(m.time.getTime())) {
      f.add("ce-time", "must be a time like 2026-11-21T08:00:00Z (RFC 3339)");
    }
  }
  const media = get("ce-datacontenttype").split(";")[0]!.trim().toLowerCase();
  if (media && ![contentType, "application/x-msgpack", "application/vnd.msgpack"].includes(media)) {
    f.add("ce-datacontenttype", `must be ${contentType} or left out`);
  }
  if (isTrace(get("traceparent"))) {
    m.traceparent = get("traceparent");
    if (isTrace(get("tracestate"))) m.tracestate = get("tracestate");
  }
  return m;
}

// otherCase helps with the mistake that everybody used to HTTP makes.
function otherCase(h: Headers, name: string): string {
  const other = [...h.keys()].find((n) => n.toLowerCase() === name);
  return other ? `: NATS headers keep their case, and ${other} is another one` : "";
}

/** Reads an event. It throws a DecodeError or InvalidError. */
export function decodeEvent(subject: string, h: Headers, data: Uint8Array): Event {
  const [tram, kind, provider, account, last, ...more] = subject.split(".");
  if (tram !== "tram" || last === undefined || more.length > 0) {
    throw new DecodeError("bad_envelope", [{ field: "subject", problem: "must be tram.<kind>.<provider>.<account>.<last>" }]);
  }
  const f = new Faults();
  if (!isEventKind(kind!)) {
    f.oneOf("subject", kind, eventKinds);
    throw new DecodeError("unknown_kind", f.all);
  }
  const meta = readMeta(kind, h, f);
  const envelope = f.all.length;
  const body = readBody(data, layouts[kind], f);
  if (envelope > 0) throw new DecodeError("bad_envelope", f.all);
  if (f.all.length > 0) throw new InvalidError(kind, f.all);
  if (kind === "stat" && !("value" in body)) Object.assign(body, { value: null }); // the provider said null
  return { ...meta, subject, kind, provider, account, last, body } as Event;
}

const isEventKind = (kind: string): kind is EventKind => (eventKinds as readonly string[]).includes(kind);
