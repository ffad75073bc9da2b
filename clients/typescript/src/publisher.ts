import { jetstream, type JetStreamClient, JetStreamApiError } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/nats-core";
import { checkForAccount } from "./account.js";
import { type Contract, layouts } from "./contract.js";
import type { Directory } from "./directory.js";
import { writeHeaders } from "./envelope.js";
import { Faults, InvalidError, NotSetUpError } from "./faults.js";
import { checkAddress, checkRequest, type Request } from "./rules.js";
import { typedBody, writeBody } from "./wire.js";

const stream = "TRAM_REQUESTS";

/** Says that the stream has no room. It drops nothing that is unsent, so it refuses what is new: publish again later. */
export class FullError extends Error {
  override readonly name = "FullError";
}

export interface PublisherOptions {
  /** ce-source of requests that have none, such as /acme/shop */
  source: string;
  /** checks requests against what their account takes; without it the relay does, and answers with the state rejected */
  directory?: Directory;
  /** how often a request is published, always with the same id; defaults to 5 */
  attempts?: number;
  /** milliseconds to wait for the answer to one attempt; defaults to 5000 */
  timeout?: number;
}

/** Says that a request is stored. */
export interface Receipt {
  id: string;
  source: string;
  stream: string;
  seq: number;
  /** it had been stored before; seq is that of the first time */
  duplicate: boolean;
}

/** Publishes requests and waits until they are stored. */
export class Publisher {
  #js: JetStreamClient;
  #options: Required<Omit<PublisherOptions, "directory">>;
  #directory: Directory | undefined;

  constructor(nc: NatsConnection, { source, directory, attempts = 5, timeout = 5000 }: PublisherOptions) {
    this.#js = jetstream(nc);
    this.#options = { source, attempts, timeout };
    this.#directory = directory;
  }

  /**
   * Checks r, publishes it and waits until the stream has stored it. It throws an
   * InvalidError if r cannot be carried out, and a FullError or NotSetUpError as
   * those say. After any other error r may have been stored or not: publish it
   * again with the same id. An error has the id that r was given as its property
   * id, where r had none.
   */
  async publish(r: Request): Promise<Receipt> {
    const full = { ...r, id: r.id || crypto.randomUUID(), source: r.source || this.#options.source };
    try {
      const contract = await this.#contract(full);
      const m = encodeRequest(full, contract);
      for (let attempt = 1; ; attempt++) {
        try {
          const ack = await this.#js.publish(m.subject, m.data, { headers: m.headers, timeout: this.#options.timeout, expect: { streamName: stream } });
          return { id: full.id, source: full.source, stream: ack.stream, seq: ack.seq, duplicate: ack.duplicate };
        } catch (err) {
          if (attempt === this.#options.attempts || !isWorthRetry(err)) throw plainly(err);
          await pause(attempt);
        }
      }
    } catch (err) {
      throw Object.assign(err as Error, { id: full.id });
    }
  }

  async #contract(r: Request): Promise<Contract | undefined> {
    const f = new Faults();
    checkAddress(r, f);
    if (f.all.length > 0) throw new InvalidError(r.kind, f.all); // nothing to look up
    try {
      return await this.#directory?.contract(r.provider, r.account);
    } catch (err) {
      throw err instanceof InvalidError ? new InvalidError(r.kind, err.faults) : err;
    }
  }
}

/** Checks a request that has an id and a source, and writes it as the message to publish. It throws an InvalidError. */
export function encodeRequest(r: Request & { id: string; source: string }, contract?: Contract) {
  const f = new Faults();
  const done = () => {
    if (f.all.length > 0) throw new InvalidError(r.kind, f.all);
  };
  if (!Object.hasOwn(layouts, r.kind)) f.add("kind", "must be send, report, command or cancel");
  done();
  const body = typedBody(r.body, layouts[r.kind], f);
  done();
  const typed = { ...r, body } as Request;
  if (contract) checkForAccount(contract, typed, f);
  else checkRequest(typed, f);
  done();
  const headers = writeHeaders(r, new Date(), f);
  const data = writeBody(body, f);
  done();
  return { subject: `tram.${r.kind}.${r.provider}.${r.account}.${r.class ?? "normal"}`, headers, data };
}

// JetStream's error codes: the stream is full; another stream has the subject;
// a cluster that may take the same message a moment later.
const full = [10002, 10023, 10028, 10047, 10077];
const otherStream = 10060;
const passing = [10158, 10008];

// A stream that does not answer may be one that is electing its leader.
function isWorthRetry(err: unknown): boolean {
  if (err instanceof JetStreamApiError) return passing.includes(err.code);
  return err instanceof Error && ["JetStreamNotEnabled", "TimeoutError", "RequestError"].includes(err.name);
}

function plainly(err: unknown): unknown {
  if (err instanceof Error && err.name === "JetStreamNotEnabled") return new NotSetUpError({ cause: err });
  if (!(err instanceof JetStreamApiError)) return err;
  if (full.includes(err.code)) return new FullError(`the requests stream is full: ${err.message}`, { cause: err });
  return err.code === otherStream ? new NotSetUpError({ cause: err }) : err;
}

/** Waits after the n-th failure in a row: twice as long each time, of which a random half is left out. */
export function pause(n: number, limit = 5000): Promise<void> {
  const ms = Math.min(100 * 2 ** (n - 1), limit);
  return new Promise((resolve) => setTimeout(resolve, ms / 2 + Math.random() * (ms / 2)));
}
