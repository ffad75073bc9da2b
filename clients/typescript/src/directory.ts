import { type JetStreamManager, jetstreamManager } from "@nats-io/jetstream";
import { errors, type NatsConnection } from "@nats-io/nats-core";
import { type Contract, layouts } from "./contract.js";
import { enumerate, Faults, InvalidError, NotSetUpError, plain } from "./faults.js";
import { validName } from "./rules.js";
import { readBody } from "./wire.js";

const bucket = "KV_TRAM_ACCOUNTS";
const keys = "$KV.TRAM_ACCOUNTS.";
const trusted = 60_000; // milliseconds

/** What the accounts of the relay take. Each contract that is read is trusted for a minute. */
export class Directory {
  #nc: NatsConnection;
  #jsm: Promise<JetStreamManager> | undefined;
  #known = new Map<string, { contract: Contract; read: number }>();

  constructor(nc: NatsConnection) {
    this.#nc = nc;
  }

  /** Returns the contract of an account. It throws an InvalidError that lists the known ones if there is no such account, and a NotSetUpError if there is no directory. */
  async contract(provider: string, account: string): Promise<Contract> {
    const key = `${provider}.${account}`;
    const known = this.#known.get(key);
    if (known && Date.now() - known.read < trusted) return known.contract;
    try {
      const contract = await this.#read(provider, account);
      this.#known.set(key, { contract, read: Date.now() });
      return contract;
    } catch (err) {
      if (err instanceof InvalidError) this.#known.delete(key);
      else if (known) return known.contract; // taken to be still true while the broker cannot be asked
      throw err;
    }
  }

  async #read(provider: string, account: string): Promise<Contract> {
    if (!validName(provider) || !validName(account)) throw unknownAccount(provider, account, []);
    this.#jsm ??= jetstreamManager(this.#nc, { checkAPI: false });
    const jsm = await this.#jsm;
    const m = await jsm.direct.getMessage(bucket, { last_by_subj: `${keys}${provider}.${account}` }).catch((err) => {
      throw err instanceof errors.RequestError && err.isNoResponders() ? new NotSetUpError({ cause: err }) : err;
    });
    if (!m || m.header?.get("KV-Operation")) { // there was none ever, or it has been deleted
      const { state } = await jsm.streams.info(bucket, { subjects_filter: `${keys}>` });
      throw unknownAccount(provider, account, Object.keys(state.subjects ?? {}).map((s) => s.slice(keys.length)));
    }
    return readBody(m.data, layouts.contract, new Faults()) as Contract;
  }
}

function unknownAccount(provider: string, account: string, known: string[]): InvalidError {
  const told = (names: string[]) => (names.length > 0 ? `: there is ${enumerate([...new Set(names)].sort())}` : "");
  const pairs = known.map((k) => k.split(".") as [string, string]);
  const accounts = pairs.filter(([p]) => p === provider).map(([, a]) => a);
  return new InvalidError("request", [accounts.length === 0
    ? { field: "provider", problem: `${plain(provider) || "this provider"} is not configured${told(pairs.map(([p]) => p))}` }
    : { field: "account", problem: `${provider} has no ${plain(account) || "such account"}${told(accounts)}` }]);
}
