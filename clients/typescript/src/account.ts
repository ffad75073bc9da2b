import type { Command, Contract, Report, Send } from "./contract.js";
import { enumerate, Faults, plain } from "./faults.js";
import { checkRequest, type Request } from "./rules.js";

/** Says what is wrong with a request when it is for the account of this contract. */
export function checkForAccount(c: Contract, r: Request, f: Faults): void {
  checkRequest(r, f);
  if (r.provider !== c.provider || r.account !== c.account) f.add("account", `is not the one the contract is of (${c.provider}.${c.account})`);
  if (r.kind === "cancel") return;
  if (r.body.not_before_ms && !c.scheduling) f.add("not_before_ms", "this relay keeps no schedules: publish the request when it is due");
  if (r.kind === "send") checkSend(c, r.body, f);
  else if (r.kind === "report") checkForm(c, "report", r.body.report, givenOfReport(r.body), c.reports ?? [], f);
  else checkForm(c, "command", r.body.command, givenOfCommand(r.body), c.commands ?? [], f);
}

const recipients = ["messenger_user_id", "phone", "contact_id"];
const contents = ["block", "template", "text"];

function checkSend(c: Contract, s: Send, f: Faults): void {
  const sends = c.sends ?? [];
  if (sends.length === 0) return f.add("kind", `${c.provider} account ${c.account} takes no sends${instead(c)}`);
  const { kind: to } = s.recipient ?? {};
  const { kind: what, text = "", template_ref: ref = "" } = s.content ?? {};
  if (recipients.includes(to) && contents.includes(what) && !sends.some((form) => form.recipient === to && form.content === what)) {
    const known = enumerate(sends.map((form) => `${form.content} to ${form.recipient}`));
    f.add("content.kind", `${c.provider} does not send ${what} to ${to}: it sends ${known}`);
  }
  if (c.sender === "required" && !s.sender?.id) f.add("sender.id", `account ${c.account} has no default; give the Zalo OA id`);
  if (!c.sender && s.sender?.id) f.add("sender.id", `${c.provider} takes no sender`);
  const n = [...text].length;
  if (c.text_limit && n > c.text_limit) f.add("content.text", `has ${n} characters, at most ${c.text_limit} are allowed by ${c.provider}`);
  if (c.numeric_template && !/^\d*$/.test(ref)) f.add("content.template_ref", `must be digits only for ${c.provider}`);
  checkAttributes(c, s, f);
  if (s.policy?.message_tag && !c.message_tag) f.add("policy.message_tag", `${c.provider} takes no message tag`);
  checkPolicy(c, "policy.expect_kind", s.policy?.expect_kind, c.expect_kinds ?? [], f);
  if (s.policy?.precheck !== "none") checkPolicy(c, "policy.precheck", s.policy?.precheck, c.prechecks ?? [], f);
}

function checkAttributes(c: Contract, s: Send, f: Faults): void {
  const attributes = s.attributes ?? [];
  if (attributes.length > 0 && !c.attributes) return f.add("attributes", `${c.provider} takes no attributes`);
  attributes.forEach((a, i) => {
    const name = (a.name ?? "").toLowerCase();
    const reserved = c.reserved_attributes?.find((r) => (r.endsWith("*") ? name.startsWith(r.slice(0, -1)) : name === r));
    if (reserved) f.add(`attributes[${i}].name`, `is reserved by ${c.provider} (${reserved})`);
  });
}

function checkPolicy(c: Contract, field: string, v: string | undefined, allowed: readonly string[], f: Faults): void {
  if (!v) return;
  if (allowed.length === 0) f.add(field, `${c.provider} account ${c.account} takes none`);
  else f.oneOf(field, v, allowed);
}

/** A report or command that an account takes. */
interface Form {
  name: string;
  needs?: string[];
  takes?: string[];
  values?: { [field: string]: string[] };
}

/** The values of the fields that say something, by dotted path. */
type Given = Map<string, readonly string[]>;

function checkForm(c: Contract, field: string, got: string, given: Given, forms: readonly Form[], f: Faults): void {
  const form = forms.find((form) => form.name === got);
  if (!form) {
    if (forms.length === 0) f.add("kind", `${c.provider} account ${c.account} takes no ${field}s${instead(c)}`);
    else if (got) f.oneOf(field, got, forms.map((form) => form.name));
    return;
  }
  const { needs = [], takes = [], values = {} } = form;
  const paths = [...given.keys()].sort();
  for (const need of needs) {
    if (!given.has(need) && !paths.some((path) => covers(need, path) && path !== "range.zone")) f.add(need, `is missing: ${form.name} needs it`);
  }
  const all = [...needs, ...takes];
  for (const path of paths.filter((path) => !all.some((entry) => covers(entry, path)))) {
    const shown = path.startsWith("filters.") && !plain(path.slice("filters.".length)) ? "filters.*" : path;
    f.add(shown, all.length === 0 ? `${form.name} takes no fields` : `${form.name} does not take it: it takes ${enumerate(all)}`);
  }
  for (const path of Object.keys(values).sort()) {
    for (const v of given.get(path) ?? []) f.oneOf(path, v, values[path]!);
  }
}

// covers says whether the entry of a form stands for the field at path: itself
// or a part of it. A preset is no part of a range but stands in its place.
const covers = (entry: string, path: string) => entry === path || (path.startsWith(`${entry}.`) && path !== "range.preset");

function givenOfReport(r: Report): Given {
  const g: Given = new Map();
  const put = (path: string, ...values: (string | undefined)[]) => {
    if (values[0]) g.set(path, values as string[]);
  };
  put("pages", ...(r.pages ?? []));
  if (r.range?.from_ms || r.range?.from_date) put("range", "given"); // in whichever form
  put("range.zone", r.range?.zone);
  put("range.preset", r.range?.preset);
  put("granularity", r.granularity);
  put("group_by", ...(r.group_by ?? []));
  put("metrics", ...(r.metrics ?? []));
  for (const [k, v] of Object.entries(r.filters ?? {})) put(`filters.${k}`, v);
  put("recipient.kind", r.recipient?.kind);
  put("recipient.value", r.recipient?.value);
  put("sender.id", r.sender?.id);
  put("order_by", r.order_by);
  if (r.page?.size) put("page.size", String(r.page.size));
  if (r.page?.max_pages) put("page.max_pages", String(r.page.max_pages));
  return g;
}

function givenOfCommand(c: Command): Given {
  const g: Given = new Map();
  for (const field of ["page_id", "conversation_id", "tag_id"] as const) if (c[field]) g.set(field, [c[field]]);
  if (c.assignee_ids?.length) g.set("assignee_ids", c.assignee_ids);
  return g;
}

// instead says what else the account can be asked for.
function instead(c: Contract): string {
  const s: string[] = [];
  if (c.sends?.length) s.push("sends");
  if (c.reports?.length) s.push(`reports ${enumerate(c.reports.map((form) => form.name))}`);
  if (c.commands?.length) s.push(`commands ${enumerate(c.commands.map((form) => form.name))}`);
  return s.length > 0 ? `: it takes ${s.join("; ")}` : "";
}
