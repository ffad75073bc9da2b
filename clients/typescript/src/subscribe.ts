import { AckPolicy, DeliverPolicy, type Consumer, jetstream, JetStreamApiCodes, JetStreamApiError, jetstreamManager, type JsMsg } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/nats-core";
import { eventKinds } from "./contract.js";
import { decodeEvent, type Event, type EventKind } from "./envelope.js";
import { type DecodeError, type InvalidError, NotSetUpError } from "./faults.js";
import { pause } from "./publisher.js";

const stream = "TRAM_EVENTS";
const ackWait = 30_000; // milliseconds, after which another process gets what a dead one had
const maxRetryDelay = 60_000;
const defaultPending = 256;

export interface SubscribeOptions {
  /** the name under which the broker remembers what has been handled; processes with the same name share the events */
  durable: string;
  /** defaults to all that come out */
  kinds?: readonly EventKind[];
  provider?: string;
  account?: string;
  /** where to begin the first time: with the first event stored at or after it. Defaults to the oldest there is */
  from?: Date;
  /** events handed out and not yet handled; defaults to 256 */
  maxPending?: number;
  /** milliseconds before an event whose handler failed comes again, doubled with each repeat up to a minute; defaults to 1000 */
  retryDelay?: number;
  /** ends the subscription */
  signal?: AbortSignal;
  /** gets what cannot be thrown: failed handlers and unreadable messages. Defaults to console.warn */
  warn?: (message: string, about: { seq: number; reason?: string; error: unknown }) => void;
}

/** An event with its place in the stream. */
export type StoredEvent = Event & { seq: number };

/**
 * Calls handle for one event after the other until the signal is aborted. An
 * event is done with when the promise of handle is fulfilled; when it is
 * rejected, the event comes again later while others go on. A message that is no
 * event is warned of and not seen again.
 *
 * Each event comes at least once. Its id is the same each time, so a handler
 * that must not repeat itself remembers ids, or writes by the key of stats and
 * records.
 */
export async function subscribe(nc: NatsConnection, options: SubscribeOptions, handle: (e: StoredEvent) => Promise<void>): Promise<void> {
  let consumer = await open(nc, options);
  for (let failures = 1; ; failures++) {
    const before = Date.now();
    let lost: unknown;
    try {
      await read(consumer, options, handle);
    } catch (err) {
      lost = err;
    }
    if (options.signal?.aborted) return;
    if (nc.isClosed()) throw lost ?? new Error("the connection is closed");
    if (Date.now() - before > ackWait) failures = 1;
    (options.warn ?? log)("subscription interrupted", { seq: 0, error: lost });
    await pause(failures, 10_000);
    consumer = await open(nc, options).catch(() => consumer); // a broker may come back without it
  }
}

// read handles what the consumer gives until it is lost or the signal is aborted.
async function read(consumer: Consumer, o: SubscribeOptions, handle: (e: StoredEvent) => Promise<void>): Promise<void> {
  if (o.signal?.aborted) return;
  const messages = await consumer.consume({ max_messages: o.maxPending ?? defaultPending, abort_on_missing_resource: true });
  const stop = () => messages.stop();
  o.signal?.addEventListener("abort", stop, { once: true });
  const waiting = new Set<JsMsg>();
  // What waits here is being worked on, however long the handler takes for what came before.
  const alive = setInterval(() => waiting.forEach((m) => m.working()), ackWait / 3);
  let last = Promise.resolve();
  try {
    for await (const m of messages) { // at most maxPending are handed out, so no more than those wait here
      waiting.add(m);
      last = last.then(() => deal(m, o, handle)).finally(() => waiting.delete(m));
    }
  } finally {
    await last;
    clearInterval(alive);
    o.signal?.removeEventListener("abort", stop);
  }
}

async function open(nc: NatsConnection, o: SubscribeOptions): Promise<Consumer> {
  const filter_subjects = [...new Set(o.kinds ?? eventKinds)].map((kind) => `tram.${kind}.${o.provider ?? "*"}.${o.account ?? "*"}.*`);
  const changing = { filter_subjects, max_ack_pending: o.maxPending ?? defaultPending };
  const jsm = await jetstreamManager(nc, { checkAPI: false });
  try {
    await jsm.consumers.info(stream, o.durable);
    await jsm.consumers.update(stream, o.durable, changing); // it goes on where it is; what to read may have changed
  } catch (err) {
    if (!(err instanceof JetStreamApiError)) throw err;
    if (err.code === JetStreamApiCodes.StreamNotFound) throw new NotSetUpError({ cause: err });
    if (err.code !== JetStreamApiCodes.ConsumerNotFound) throw err;
    await jsm.consumers.add(stream, {
      ...changing, durable_name: o.durable, ack_policy: AckPolicy.Explicit, ack_wait: ackWait * 1e6, max_deliver: -1,
      ...(o.from ? { deliver_policy: DeliverPolicy.StartTime, opt_start_time: o.from.toISOString() } : {}),
    });
  }
  return jetstream(nc).consumers.get(stream, o.durable);
}

// deal has one message handled and tells the broker. It does not reject.
async function deal(m: JsMsg, o: SubscribeOptions, handle: (e: StoredEvent) => Promise<void>): Promise<void> {
  const warn = o.warn ?? log;
  const settle = async (tell: () => unknown) => {
    try {
      await tell();
    } catch (error) {
      warn("event not settled, it comes again", { seq: m.seq, error });
    }
  };
  if (o.signal?.aborted) return settle(() => m.nak()); // for whoever comes after us
  let event: StoredEvent;
  try {
    const headers = new Map((m.headers?.keys() ?? []).map((name) => [name, m.headers!.values(name)]));
    event = { ...decodeEvent(m.subject, headers, m.data), seq: m.seq };
  } catch (error) {
    const { reason } = error as DecodeError | InvalidError;
    warn("unreadable event dropped", { seq: m.seq, reason, error });
    return settle(() => m.term(reason));
  }
  try {
    await handle(event);
  } catch (error) {
    warn("event handler failed, the event comes again", { seq: m.seq, error });
    const delay = (o.retryDelay ?? 1000) * 2 ** Math.min(m.info.deliveryCount - 1, 20);
    return settle(() => m.nak(Math.min(delay, maxRetryDelay)));
  }
  return settle(() => m.ackAck()); // waiting for the answer makes a repeat rare; it cannot rule one out
}

function log(message: string, about: { seq: number; reason?: string; error: unknown }): void {
  console.warn(message, about);
}
