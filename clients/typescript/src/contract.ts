// The contract's types and layouts. Made by the tests of pkg/events: do not edit.

/** What a value of the wire must be. */
export type Layout = "text" | "int" | "bool" | { readonly list: Layout } | { readonly dict: Layout } | { readonly fields: { readonly [name: string]: Layout } };

export type Class = "urgent" | "normal" | "bulk";

export type RecipientKind = "messenger_user_id" | "phone" | "contact_id";

export interface Recipient {
  /** `phone`, `contact_id` or `messenger_user_id` */
  kind: RecipientKind;
  /** the phone number or id */
  value: string;
}

export type ContentKind = "block" | "template" | "text";

export interface Content {
  /** `text`, `template` or `block`; only the fields of that kind may be given */
  kind: ContentKind;
  /** for `block`: its name at the provider, exactly */
  block_name?: string;
  /** for `template`: its id at the provider */
  template_ref?: string;
  /** for `template`: its parameters */
  params?: { [name: string]: string };
  /** for `text`: what to say */
  text?: string;
}

export interface Sender {
  /** CareSoft: the Zalo OA id; required where the account has no default */
  id?: string;
}

export interface Attribute {
  name: string;
  value: string;
}

export interface Policy {
  /** AhaChat: passed on as it is */
  message_tag?: string;
  /** CareSoft: `consultation`, `transaction` or `promotion`; what `precheck` asks about. Promotions wait in the account's quiet hours */
  expect_kind?: string;
  /** `none` (default), or CareSoft's `user_status`: ask whether the recipient can be sent to, before sending */
  precheck?: string;
}

export type OnAmbiguous = "hold" | "resend" | "assume_sent";

export interface Send {
  recipient: Recipient;
  content: Content;
  sender?: Sender;
  /** AhaChat: what to store on the recipient, a list of maps, names unique */
  attributes?: Attribute[];
  policy?: Policy;
  /** when nobody can know whether the provider sent it: `hold` (ends as `unknown`), `resend` (may arrive twice), `assume_sent` (ends as `accepted`, evidence `assumed`). Default: the account's, which is `hold` unless configured */
  on_ambiguous?: OnAmbiguous;
  /** sends of one account with the same key go out in the order of publishing */
  order_key?: string;
  /** never carried out earlier, by the broker's clock, and soon after. Until then the request stands as `deferred` with the reason `scheduled`. Its headers may have 60 KiB, 290 KiB with the body. Taken where the account's contract has `scheduling` */
  not_before_ms?: number;
  /** never carried out at or after it: ends as `expired`. Later than `not_before_ms`. Give it to everything that is worthless when late */
  expires_at_ms?: number;
  /** yours; comes back in every event */
  tenant?: string;
  /** yours; comes back in every event */
  correlation_id?: string;
  /** yours; comes back in every event; at most 8 KiB */
  metadata?: { [name: string]: string };
}

export interface Range {
  /** the time asked about, end excluded, as instants */
  from_ms?: number;
  /** the time asked about, end excluded, as instants */
  to_ms?: number;
  /** or as local dates, `2026-11-01`; `to_date` is the first day left out */
  from_date?: string;
  /** or as local dates, `2026-11-01`; `to_date` is the first day left out */
  to_date?: string;
  /** IANA zone of the dates, `Asia/Ho_Chi_Minh`; default: the account's */
  zone?: string;
  /** or as a word of the provider; only one of the three forms */
  preset?: string;
}

export interface Paging {
  /** entries per call, 0 to 10,000; 0 is the default */
  size?: number;
  /** calls at most, 0 to 100,000; 0 is no bound */
  max_pages?: number;
}

export interface Report {
  /** its name, e.g. `momo.messages_report` */
  report: string;
  /** the provider's page ids; empty is the account's own */
  pages?: string[];
  range?: Range;
  /** `hour`, `day`, `week`, `month`, `days_28` or `range` */
  granularity?: string;
  /** dimensions */
  group_by?: string[];
  /** the provider's names */
  metrics?: string[];
  /** by the provider's names */
  filters?: { [name: string]: string };
  recipient?: Recipient;
  sender?: Sender;
  order_by?: string;
  page?: Paging;
  /** never carried out earlier, by the broker's clock, and soon after. Until then the request stands as `deferred` with the reason `scheduled`. Its headers may have 60 KiB, 290 KiB with the body. Taken where the account's contract has `scheduling` */
  not_before_ms?: number;
  /** never carried out at or after it: ends as `expired`. Later than `not_before_ms`. Give it to everything that is worthless when late */
  expires_at_ms?: number;
  /** yours; comes back in every event */
  tenant?: string;
  /** yours; comes back in every event */
  correlation_id?: string;
  /** yours; comes back in every event; at most 8 KiB */
  metadata?: { [name: string]: string };
}

export interface Command {
  /** its name, e.g. `conversation.assign` */
  command: string;
  page_id?: string;
  conversation_id?: string;
  tag_id?: string;
  assignee_ids?: string[];
  /** never carried out earlier, by the broker's clock, and soon after. Until then the request stands as `deferred` with the reason `scheduled`. Its headers may have 60 KiB, 290 KiB with the body. Taken where the account's contract has `scheduling` */
  not_before_ms?: number;
  /** never carried out at or after it: ends as `expired`. Later than `not_before_ms`. Give it to everything that is worthless when late */
  expires_at_ms?: number;
  /** yours; comes back in every event */
  tenant?: string;
  /** yours; comes back in every event */
  correlation_id?: string;
  /** yours; comes back in every event; at most 8 KiB */
  metadata?: { [name: string]: string };
}

export interface Cancel {
  /** `ce-id` of the other request */
  id: string;
  /** its `ce-source`; the default is the cancel's own */
  source?: string;
  /** yours; comes back in every event */
  tenant?: string;
  /** yours; comes back in every event */
  correlation_id?: string;
  /** yours; comes back in every event; at most 8 KiB */
  metadata?: { [name: string]: string };
}

export type State = "deferred" | "accepted" | "done" | "failed" | "rejected" | "unknown" | "expired" | "cancelled" | (string & {});

export type Evidence = "strong" | "weak" | "assumed" | "operator" | (string & {});

export interface Delivery {
  /** as in the subject */
  provider: string;
  /** as in the subject */
  account: string;
  /** `ce-id` and `ce-source` of the request */
  request_id: string;
  /** `ce-id` and `ce-source` of the request */
  request_source: string;
  /** of a request that an operator has published anew: the `ce-id` that you gave it, however often it was redriven. It has the same `request_source` */
  ancestor_id?: string;
  /** as the request had them */
  tenant?: string;
  /** as the request had them */
  correlation_id?: string;
  /** as the request had them */
  metadata?: { [name: string]: string };
  state: State;
  /** true: nothing more comes for this request */
  final: boolean;
  /** how often the step that the request is at was tried: the send itself, or the page of a report. Calls answered with "too many calls" are not counted */
  attempt: number;
  /** when it came to be */
  at_ms: number;
  /** `kind` and `value` as in the request */
  recipient: Recipient;
  /** of `accepted`: `strong` (the provider said so), `weak` (it did not say no), `assumed` (`on_ambiguous` said to take it as sent), `operator` (it had ended as `unknown`, and a person has found out) */
  evidence?: Evidence;
  /** if the provider gives one */
  provider_message_id?: string;
  /** `deferred` only: not before */
  retry_at_ms?: number;
  /** what was odd about the request, though it was carried out; `shortened`: the event was too large, so its metadata and long texts are left out */
  warnings?: string[];
  /** what sort of failure: `retry`, `throttled`, `auth`, `permanent` or `ambiguous` */
  class?: string;
  /** stable code; reasons.md explains each */
  reason?: string;
  /** a sentence for a person */
  detail?: string;
  /** the provider's */
  http_status?: number;
  /** the provider's own words, the first 4 KiB of each */
  provider_code?: string;
  /** the provider's own words, the first 4 KiB of each */
  provider_text?: string;
}

export interface Outcome {
  /** as in the subject */
  provider: string;
  /** as in the subject */
  account: string;
  /** `ce-id` and `ce-source` of the request */
  request_id: string;
  /** `ce-id` and `ce-source` of the request */
  request_source: string;
  /** of a request that an operator has published anew: the `ce-id` that you gave it, however often it was redriven. It has the same `request_source` */
  ancestor_id?: string;
  /** as the request had them */
  tenant?: string;
  /** as the request had them */
  correlation_id?: string;
  /** as the request had them */
  metadata?: { [name: string]: string };
  /** `report`, `command` or `cancel` */
  kind: string;
  /** which one; of a cancel the `id` of the other request */
  name: string;
  state: State;
  /** true: nothing more comes for this request */
  final: boolean;
  /** how often the step that the request is at was tried: the send itself, or the page of a report. Calls answered with "too many calls" are not counted */
  attempt: number;
  /** when it came to be */
  at_ms: number;
  /** answers fetched */
  pages?: number;
  /** how many such events the request has, over all pages */
  stats?: number;
  /** how many such events the request has, over all pages */
  records?: number;
  /** a command's answer, as JSON text */
  result?: string;
  /** `deferred` only: not before */
  retry_at_ms?: number;
  /** what was odd about the request, though it was carried out; `shortened`: the event was too large, so its metadata and long texts are left out */
  warnings?: string[];
  /** what sort of failure: `retry`, `throttled`, `auth`, `permanent` or `ambiguous` */
  class?: string;
  /** stable code; reasons.md explains each */
  reason?: string;
  /** a sentence for a person */
  detail?: string;
  /** the provider's */
  http_status?: number;
  /** the provider's own words, the first 4 KiB of each */
  provider_code?: string;
  /** the provider's own words, the first 4 KiB of each */
  provider_text?: string;
}

export type Unit = "count" | "ratio" | "money" | "seconds" | "ms" | "unknown" | (string & {});

export type Origin = "declared" | "configured" | "assumed" | (string & {});

export type Agg = "sum" | "unique" | "avg" | "ratio" | "snapshot" | "cumulative" | (string & {});

export interface Bucket {
  /** the time covered, end excluded; a snapshot has neither */
  start_ms?: number;
  /** the time covered, end excluded; a snapshot has neither */
  end_ms?: number;
  /** when a snapshot was taken */
  at_ms?: number;
  /** `hour`, `day`, … */
  granularity?: string;
  /** IANA zone; `declared`, `configured` or `assumed` */
  zone?: string;
  /** IANA zone; `declared`, `configured` or `assumed` */
  zone_source?: Origin;
  /** the provider's own words for the time */
  label?: string;
}

export interface Stat {
  /** as in the subject */
  provider: string;
  /** as in the subject */
  account: string;
  /** `ce-id` and `ce-source` of the request */
  request_id: string;
  /** `ce-id` and `ce-source` of the request */
  request_source: string;
  /** of a request that an operator has published anew: the `ce-id` that you gave it, however often it was redriven. It has the same `request_source` */
  ancestor_id?: string;
  /** as the request had them */
  tenant?: string;
  /** as the request had them */
  correlation_id?: string;
  /** as the request had them */
  metadata?: { [name: string]: string };
  /** upsert by it: another fetch of the same point has the same key */
  key: string;
  /** where it is from */
  report: string;
  /** the provider's own name */
  metric: string;
  /** a name shared by providers, e.g. `messages.read` */
  alias?: string;
  /** decimal text; nil: the provider said null, which is not 0 */
  value: string | null;
  /** the JSON token as it stood in the answer */
  raw?: string;
  /** `count`, `ratio`, `money`, `seconds`, `ms` or `unknown` */
  unit: Unit;
  /** of `money` */
  currency?: string;
  /** `declared`, `configured` or `assumed` */
  unit_source?: Origin;
  /** `sum`, `unique`, `avg`, `ratio`, `snapshot` or `cumulative`. Only `sum` may be added up over time */
  agg: Agg;
  bucket: Bucket;
  /** dimensions, e.g. `campaign_id` */
  dims?: { [name: string]: string };
  /** `in_development`, `approximate`, `derived`, `not_measured`, `scale_unknown`, `zone_assumed`, `unit_assumed` */
  flags?: string[];
  /** JSON pointer into the provider's answer */
  path: string;
  /** which answer of the request, from 1 */
  page: number;
  fetched_at_ms: number;
}

export interface ProviderRecord {
  /** as in the subject */
  provider: string;
  /** as in the subject */
  account: string;
  /** `ce-id` and `ce-source` of the request */
  request_id: string;
  /** `ce-id` and `ce-source` of the request */
  request_source: string;
  /** of a request that an operator has published anew: the `ce-id` that you gave it, however often it was redriven. It has the same `request_source` */
  ancestor_id?: string;
  /** as the request had them */
  tenant?: string;
  /** as the request had them */
  correlation_id?: string;
  /** as the request had them */
  metadata?: { [name: string]: string };
  /** upsert by it */
  key: string;
  /** where it is from */
  report: string;
  /** what it is */
  kind: string;
  /** its id at the provider */
  id: string;
  /** parts with a meaning of their own; times are unix milliseconds under names that end in `_ms`; `truncated` is `true` where the object was too large for an event: `object` is empty then, and long attributes and `metadata` are left out */
  attrs?: { [name: string]: string };
  /** the provider's object as JSON text, secrets removed */
  object: string;
  /** as in a stat */
  path: string;
  /** as in a stat */
  page: number;
  /** as in a stat */
  fetched_at_ms: number;
}

export type LaneState = "working" | "paused" | "credential_refused" | "breaker_open" | "breaker_probing" | "silenced" | (string & {});

export interface Lane {
  /** as in the subject */
  provider: string;
  /** as in the subject */
  account: string;
  state: LaneState;
  /** the state that was told before; `working` if none was */
  was: LaneState;
  /** when the state began */
  since_ms: number;
  /** `breaker_open`, `silenced`: no call is made before */
  until_ms?: number;
  /** who has paused or resumed the account */
  by?: string;
  /** why, as in a delivery; of a pause, `detail` is what the operator gave as the reason */
  class?: string;
  /** why, as in a delivery; of a pause, `detail` is what the operator gave as the reason */
  reason?: string;
  /** why, as in a delivery; of a pause, `detail` is what the operator gave as the reason */
  detail?: string;
  /** why, as in a delivery; of a pause, `detail` is what the operator gave as the reason */
  http_status?: number;
  /** why, as in a delivery; of a pause, `detail` is what the operator gave as the reason */
  provider_code?: string;
  /** why, as in a delivery; of a pause, `detail` is what the operator gave as the reason */
  provider_text?: string;
}

export interface SendForm {
  recipient: RecipientKind;
  content: ContentKind;
}

export interface ReportForm {
  name: string;
  needs?: string[];
  takes?: string[];
  values?: { [name: string]: string[] };
}

export interface CommandForm {
  name: string;
  needs?: string[];
  takes?: string[];
}

export type Need = "optional" | "required" | (string & {});

export interface Contract {
  /** as in the key */
  provider: string;
  /** as in the key */
  account: string;
  /** list of `{recipient, content}`: the combinations of kinds that exist; none: it takes no sends */
  sends?: SendForm[];
  /** lists of forms: `name`, `needs` (fields that must be given), `takes` (fields that may be given; any other is refused), `values` (of reports: the allowed values of a field) */
  reports?: ReportForm[];
  /** lists of forms: `name`, `needs` (fields that must be given), `takes` (fields that may be given; any other is refused), `values` (of reports: the allowed values of a field) */
  commands?: CommandForm[];
  /** IANA time zone of the account: dates of a range are in it, unless `range.zone` names another; absent: it has none */
  zone?: string;
  /** whether requests may have `not_before_ms` */
  scheduling?: boolean;
  /** `sender.id` of a send: absent (refused), `optional` or `required` */
  sender?: Need;
  /** code points of `content.text`; absent: no limit of its own */
  text_limit?: number;
  /** `content.template_ref` must be digits */
  numeric_template?: boolean;
  /** whether a send takes those */
  attributes?: boolean;
  /** names that attributes must not have, whatever their case; a `*` at the end stands for any rest */
  reserved_attributes?: string[];
  /** whether a send takes those */
  message_tag?: boolean;
  /** allowed values of those fields of `policy` */
  prechecks?: string[];
  /** allowed values of those fields of `policy` */
  expect_kinds?: string[];
}

export const requestKinds = ["send", "report", "command", "cancel"] as const;
export const eventKinds = ["delivery", "stat", "record", "outcome", "lane"] as const;

export const layouts = {
  send: { fields: { recipient: { fields: { kind: "text", value: "text" } }, content: { fields: { kind: "text", block_name: "text", template_ref: "text", params: { dict: "text" }, text: "text" } }, sender: { fields: { id: "text" } }, attributes: { list: { fields: { name: "text", value: "text" } } }, policy: { fields: { message_tag: "text", expect_kind: "text", precheck: "text" } }, on_ambiguous: "text", order_key: "text", not_before_ms: "int", expires_at_ms: "int", tenant: "text", correlation_id: "text", metadata: { dict: "text" } } },
  report: { fields: { report: "text", pages: { list: "text" }, range: { fields: { from_ms: "int", to_ms: "int", from_date: "text", to_date: "text", zone: "text", preset: "text" } }, granularity: "text", group_by: { list: "text" }, metrics: { list: "text" }, filters: { dict: "text" }, recipient: { fields: { kind: "text", value: "text" } }, sender: { fields: { id: "text" } }, order_by: "text", page: { fields: { size: "int", max_pages: "int" } }, not_before_ms: "int", expires_at_ms: "int", tenant: "text", correlation_id: "text", metadata: { dict: "text" } } },
  command: { fields: { command: "text", page_id: "text", conversation_id: "text", tag_id: "text", assignee_ids: { list: "text" }, not_before_ms: "int", expires_at_ms: "int", tenant: "text", correlation_id: "text", metadata: { dict: "text" } } },
  cancel: { fields: { id: "text", source: "text", tenant: "text", correlation_id: "text", metadata: { dict: "text" } } },
  delivery: { fields: { provider: "text", account: "text", request_id: "text", request_source: "text", ancestor_id: "text", tenant: "text", correlation_id: "text", metadata: { dict: "text" }, state: "text", final: "bool", attempt: "int", at_ms: "int", recipient: { fields: { kind: "text", value: "text" } }, evidence: "text", provider_message_id: "text", retry_at_ms: "int", warnings: { list: "text" }, class: "text", reason: "text", detail: "text", http_status: "int", provider_code: "text", provider_text: "text" } },
  outcome: { fields: { provider: "text", account: "text", request_id: "text", request_source: "text", ancestor_id: "text", tenant: "text", correlation_id: "text", metadata: { dict: "text" }, kind: "text", name: "text", state: "text", final: "bool", attempt: "int", at_ms: "int", pages: "int", stats: "int", records: "int", result: "text", retry_at_ms: "int", warnings: { list: "text" }, class: "text", reason: "text", detail: "text", http_status: "int", provider_code: "text", provider_text: "text" } },
  stat: { fields: { provider: "text", account: "text", request_id: "text", request_source: "text", ancestor_id: "text", tenant: "text", correlation_id: "text", metadata: { dict: "text" }, key: "text", report: "text", metric: "text", alias: "text", value: "text", raw: "text", unit: "text", currency: "text", unit_source: "text", agg: "text", bucket: { fields: { start_ms: "int", end_ms: "int", at_ms: "int", granularity: "text", zone: "text", zone_source: "text", label: "text" } }, dims: { dict: "text" }, flags: { list: "text" }, path: "text", page: "int", fetched_at_ms: "int" } },
  record: { fields: { provider: "text", account: "text", request_id: "text", request_source: "text", ancestor_id: "text", tenant: "text", correlation_id: "text", metadata: { dict: "text" }, key: "text", report: "text", kind: "text", id: "text", attrs: { dict: "text" }, object: "text", path: "text", page: "int", fetched_at_ms: "int" } },
  lane: { fields: { provider: "text", account: "text", state: "text", was: "text", since_ms: "int", until_ms: "int", by: "text", class: "text", reason: "text", detail: "text", http_status: "int", provider_code: "text", provider_text: "text" } },
  contract: { fields: { provider: "text", account: "text", sends: { list: { fields: { recipient: "text", content: "text" } } }, reports: { list: { fields: { name: "text", needs: { list: "text" }, takes: { list: "text" }, values: { dict: { list: "text" } } } } }, commands: { list: { fields: { name: "text", needs: { list: "text" }, takes: { list: "text" } } } }, zone: "text", scheduling: "bool", sender: "text", text_limit: "int", numeric_template: "bool", attributes: "bool", reserved_attributes: { list: "text" }, message_tag: "bool", prechecks: { list: "text" }, expect_kinds: { list: "text" } } },
} as const satisfies { readonly [kind: string]: Layout };
