import type { Cancel, Class, Command, Content, Range, Recipient, Report, Send } from "./contract.js";
import { Faults, plain } from "./faults.js";

/** A request: what is asked for, and of which account. */
export type Request = Address & (
  | { kind: "send"; body: Send }
  | { kind: "report"; body: Report }
  | { kind: "command"; body: Command }
  | { kind: "cancel"; body: Cancel });

export interface Address {
  provider: string;
  account: string;
  /** urgent passes everything else of its account; defaults to normal */
  class?: Class;
  /** ce-id, unique within the source; derive it from your own key, such as an order number. Defaults to a random one */
  id?: string;
  /** ce-source; defaults to that of the publisher */
  source?: string;
  /** W3C Trace Context, handed on to the events */
  traceparent?: string;
  tracestate?: string;
}

const maxShort = 256; // code points, of ids and names
const maxLong = 10_000; // of texts and values
const maxMetadata = 8 * 1024; // bytes
const classes = ["urgent", "normal", "bulk"];

/** Whether s can name a provider or an account. */
export const validName = (s: string): boolean => /^[A-Za-z0-9_-]{1,64}$/.test(s);

/** Says what is wrong with a request whose fields have the right types, whatever account it is for. */
export function checkRequest(r: Request, f: Faults): void {
  checkAddress(r, f);
  switch (r.kind) {
    case "send": checkSend(r.body, f); break;
    case "report": checkReport(r.body, f); break;
    case "command":
      name("command", r.body.command, f);
      for (const field of ["page_id", "conversation_id", "tag_id"] as const) optionalID(field, r.body[field], f);
      list("assignee_ids", r.body.assignee_ids, f);
      break;
    case "cancel":
      if (!r.body.id) f.add("id", "is missing: give the ce-id of the request to be cancelled");
      else checkAttribute("id", r.body.id, f);
      if (r.body.source) checkAttribute("source", r.body.source, f);
      if ((r.body.source || r.source) === r.source && r.body.id === r.id) {
        f.add("id", "is the cancel's own: give the ce-id of the request to be cancelled");
      }
  }
  if (r.kind !== "cancel") checkTiming(r.body, f);
  optionalID("tenant", r.body.tenant, f);
  optionalID("correlation_id", r.body.correlation_id, f);
  dict("metadata", r.body.metadata, f);
  const bytes = Object.entries(r.body.metadata ?? {}).flat().reduce((n, s) => n + new TextEncoder().encode(s).length, 0);
  if (bytes > maxMetadata) f.add("metadata", `has ${bytes} bytes, at most ${maxMetadata} are allowed: it comes back in every event`);
}

/** Says what is wrong with the parts of the subject. */
export function checkAddress(r: { provider: string; account: string; class?: string }, f: Faults): void {
  for (const field of ["provider", "account"] as const) {
    if (!validName(r[field])) f.add(field, "must be 1 to 64 of a-z, A-Z, 0-9, - and _");
  }
  f.oneOf("class", r.class ?? "normal", classes);
}

/** Says what is wrong with a ce-id or ce-source. */
export function checkAttribute(field: string, v: string, f: Faults): void {
  if (!/^[!#$&-~]{1,128}$/.test(v)) f.add(field, 'must be 1 to 128 printable ASCII characters other than space, " and %');
}

function checkSend(s: Send, f: Faults): void {
  checkRecipient(s.recipient ?? {}, f);
  checkContent(s.content ?? {}, f);
  optionalID("sender.id", s.sender?.id, f);
  const attributes = s.attributes ?? [];
  attributes.forEach((a, i) => {
    const field = `attributes[${i}].name`;
    id(field, a.name, f);
    text(`attributes[${i}].value`, a.value, f);
    if (attributes.slice(0, i).some((b) => b.name === a.name)) f.add(field, "is given twice");
  });
  for (const field of ["message_tag", "expect_kind", "precheck"] as const) optionalID(`policy.${field}`, s.policy?.[field], f);
  if (s.on_ambiguous) f.oneOf("on_ambiguous", s.on_ambiguous, ["hold", "resend", "assume_sent"]);
  optionalID("order_key", s.order_key, f);
}

function checkRecipient(r: Partial<Recipient>, f: Faults): void {
  f.oneOf("recipient.kind", r.kind, ["messenger_user_id", "phone", "contact_id"]);
  id("recipient.value", r.value, f);
}

// checkContent makes sure that the field of the kind is given and no other one is.
function checkContent(c: Partial<Content>, f: Faults): void {
  f.oneOf("content.kind", c.kind, ["block", "template", "text"]);
  const only = (field: string, given: boolean, kind: Content["kind"]) => {
    if (given && c.kind !== kind) f.add(field, `goes only with content.kind ${kind}`);
    return c.kind === kind;
  };
  if (only("content.block_name", !!c.block_name, "block")) id("content.block_name", c.block_name, f);
  if (only("content.template_ref", !!c.template_ref, "template")) id("content.template_ref", c.template_ref, f);
  if (only("content.params", Object.keys(c.params ?? {}).length > 0, "template")) dict("content.params", c.params, f);
  if (only("content.text", !!c.text, "text")) {
    if (!c.text) f.add("content.text", "is missing");
    text("content.text", c.text, f);
  }
}

function checkReport(r: Report, f: Faults): void {
  name("report", r.report, f);
  list("pages", r.pages, f);
  checkRange(r.range ?? {}, f);
  if (r.granularity) f.oneOf("granularity", r.granularity, ["hour", "day", "week", "month", "days_28", "range"]);
  list("group_by", r.group_by, f);
  list("metrics", r.metrics, f);
  dict("filters", r.filters, f);
  if (r.recipient?.kind || r.recipient?.value) checkRecipient(r.recipient, f);
  optionalID("sender.id", r.sender?.id, f);
  optionalID("order_by", r.order_by, f);
  within("page.size", r.page?.size, 10_000, f);
  within("page.max_pages", r.page?.max_pages, 100_000, f);
}

function checkRange(r: Range, f: Faults): void {
  const instants = !!r.from_ms || !!r.to_ms;
  const dates = !!r.from_date || !!r.to_date;
  if ((instants && dates) || (r.preset && (instants || dates))) {
    f.add("range", "must be given in one form: from_ms and to_ms, from_date and to_date, or preset");
  }
  optionalID("range.preset", r.preset, f);
  if (instants && instant("range.from_ms", r.from_ms, true, f) && instant("range.to_ms", r.to_ms, true, f) && r.from_ms! >= r.to_ms!) {
    f.add("range.to_ms", "must be later than range.from_ms");
  }
  if (dates) {
    const [from, to] = [date("range.from_date", r.from_date, f), date("range.to_date", r.to_date, f)];
    if (from && to && from >= to) {
      f.add("range.to_date", "must be later than range.from_date: it is the first day that is left out");
    }
  }
  if (r.zone && id("range.zone", r.zone, f) && !isZone(r.zone)) f.add("range.zone", "must be an IANA zone such as Asia/Ho_Chi_Minh");
}

function checkTiming(t: { not_before_ms?: number; expires_at_ms?: number }, f: Faults): void {
  const both = [instant("not_before_ms", t.not_before_ms, false, f), instant("expires_at_ms", t.expires_at_ms, false, f)].every(Boolean);
  if (both && t.not_before_ms && t.expires_at_ms && t.not_before_ms >= t.expires_at_ms) {
    f.add("expires_at_ms", "must be later than not_before_ms");
  }
}

function id(field: string, v: string | undefined, f: Faults): boolean {
  if (!v) {
    f.add(field, "is missing");
    return false;
  }
  return optionalID(field, v, f);
}

function optionalID(field: string, v: string | undefined, f: Faults): boolean {
  const problem = idProblem(v ?? "");
  if (problem) f.add(field, problem);
  return !problem;
}

function text(field: string, v: string | undefined, f: Faults): void {
  const problem = textProblem(v ?? "", maxLong);
  if (problem) f.add(field, problem);
}

function name(field: string, v: string | undefined, f: Faults): void {
  if (id(field, v, f) && !plain(v!)) f.add(field, "must be a name such as momo.messages_report");
}

function list(field: string, v: readonly string[] | undefined, f: Faults): void {
  v?.forEach((s, i) => id(`${field}[${i}]`, s, f));
}

function dict(field: string, m: { [name: string]: string } | undefined, f: Faults): void {
  const found = new Faults();
  for (const [k, v] of Object.entries(m ?? {})) {
    const key = k === "" ? "is empty" : idProblem(k);
    const value = textProblem(v, maxLong);
    if (key) found.add(field, `has a key that ${key}`);
    else if (value) found.add(`${field}.${plain(k) || "*"}`, value);
  }
  const words = (a: { field: string; problem: string }) => `${a.field}: ${a.problem}`;
  found.all.sort((a, b) => (words(a) < words(b) ? -1 : 1)).forEach((a) => f.add(a.field, a.problem));
}

function within(field: string, n: number | undefined, limit: number, f: Faults): void {
  if (n !== undefined && (n < 0 || n > limit)) f.add(field, `must be 0 to ${limit}`);
}

// Instants outside these bounds are seconds or microseconds by mistake.
const firstMS = Date.UTC(1980, 0, 1);
const lastMS = Date.UTC(5000, 0, 1);

function instant(field: string, ms: number | undefined, needed: boolean, f: Faults): boolean {
  if (!ms && !needed) return true;
  if (!ms) f.add(field, "is missing");
  else if (ms < firstMS) f.add(field, `must be unix milliseconds: ${ms} is too small, as seconds would be`);
  else if (ms > lastMS) f.add(field, `must be unix milliseconds: ${ms} is too large, as microseconds would be`);
  else return true;
  return false;
}

function date(field: string, v: string | undefined, f: Faults): string {
  if (!v) f.add(field, "is missing");
  else if (!/^\d{4}-\d{2}-\d{2}$/.test(v) || new Date(`${v}T00:00:00Z`).toJSON()?.slice(0, 10) !== v) f.add(field, "must be a date like 2026-11-21");
  else return v;
  return "";
}

function isZone(v: string): boolean {
  try {
    return !/^[+-]/.test(v) && new Intl.DateTimeFormat("en", { timeZone: v }) !== undefined;
  } catch {
    return false;
  }
}

function idProblem(v: string): string {
  if (/\p{Cc}/u.test(v)) return "has a control character";
  if (/^\p{White_Space}|\p{White_Space}$/u.test(v)) return "begins or ends with white space";
  return textProblem(v, maxShort);
}

function textProblem(v: string, limit: number): string {
  const n = v.length > limit ? [...v].length : 0; // there are never fewer UTF-16 units than code points
  return n > limit ? `has ${n} characters, at most ${limit} are allowed` : "";
}
