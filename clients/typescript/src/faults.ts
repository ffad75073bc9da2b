/** One thing that is wrong with an event. It never quotes what may be personal. */
export interface Fault {
  /** dotted path in the body, name of a header, "subject" or "body" */
  readonly field: string;
  readonly problem: string;
}

/** Says that a request cannot be carried out, with all faults at once. Publishing it again does not help. */
export class InvalidError extends Error {
  override readonly name = "InvalidError";
  readonly reason = "invalid_request";
  constructor(readonly kind: string, readonly faults: readonly Fault[]) {
    super(sentence(`invalid ${kind}`, faults));
  }
}

/** Says that a message is no event of the contract, with all faults that could be told apart. */
export class DecodeError extends Error {
  override readonly name = "DecodeError";
  constructor(readonly reason: "oversize" | "malformed_body" | "bad_envelope" | "unknown_kind", readonly faults: readonly Fault[]) {
    super(sentence(reason, faults));
  }
}

/** Says that the broker does not have the relay's streams. */
export class NotSetUpError extends Error {
  override readonly name = "NotSetUpError";
  constructor(options?: ErrorOptions) {
    super("streams are not set up: run `tram setup`", options);
  }
}

function sentence(head: string, faults: readonly Fault[]): string {
  const words = faults.map((f) => `${f.field}: ${f.problem}`);
  if (words.length === 1) return `${head}: ${words[0]}`;
  return `${head}, ${words.length} faults:${words.map((w, i) => ` (${i + 1}) ${w}`).join("")}`;
}

// What one hostile body can make us write is bounded.
const maxFaults = 20;
const maxTold = 20;

/** Gathers what is wrong. */
export class Faults {
  readonly all: Fault[] = [];

  add(field: string, problem: string): void {
    if (this.all.length < maxFaults) this.all.push({ field, problem });
  }

  /** Adds a fault unless got is among the values. */
  oneOf(field: string, got: string | undefined, want: readonly string[]): void {
    if (got !== undefined && want.includes(got)) return;
    if (!got) this.add(field, `is missing: give ${choice(want)}`);
    else if (plain(got)) this.add(field, `must be ${choice(want)}, not ${got}`);
    else this.add(field, `must be ${choice(want)}`);
  }
}

/** Writes "a, b or c". */
export function choice(s: readonly string[]): string {
  if (s.length > maxTold) return `${s.slice(0, maxTold).join(", ")} or one of ${s.length - maxTold} others`;
  return s.length > 1 ? `${s.slice(0, -1).join(", ")} or ${s[s.length - 1]}` : s.join("");
}

/** Writes "a, b, c". */
export function enumerate(s: readonly string[]): string {
  if (s.length > maxTold) return `${s.slice(0, maxTold).join(", ")} and ${s.length - maxTold} more`;
  return s.join(", ");
}

/** Returns s if it looks like a name of the contract, and not like a phone number, an id or a text; else "". */
export function plain(s: string): string {
  return /^[A-Za-z_][A-Za-z0-9_.-]{0,63}$/.test(s) ? s : "";
}
