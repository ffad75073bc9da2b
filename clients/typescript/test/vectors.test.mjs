// What the client says of each of the contract's test vectors.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { decode } from "@msgpack/msgpack";
import { decodeEvent, encodeRequest, eventKinds } from "../dist/index.js";

const vectors = JSON.parse(readFileSync(new URL("../../../pkg/events/testdata/vectors.json", import.meta.url)));
const isEvent = (v) => eventKinds.includes(v.subject.split(".")[1]);
const bytes = (v) => Buffer.concat([Buffer.from(v.body_hex, "hex"), Buffer.alloc(v.pad ?? 0)]);
const headersOf = (h) => new Map(Object.entries(h).map(([name, v]) => [name, v.split("\n")]));

// What JavaScript's msgpack does not tell apart: the first of two equal keys from
// the second, and bytes that are no UTF-8 from U+FFFD. A producer in JavaScript
// can write neither.
const invisible = new Set([
  "type: a field given twice", "type: a key given twice",
  "value: a recipient that is not UTF-8", "value: text that is not UTF-8", "value: metadata whose key is not UTF-8",
]);

function requestOf(v) {
  const [, kind, provider, account, cls] = v.subject.split(".");
  return { kind, provider, account, class: cls, id: v.headers["ce-id"], source: v.headers["ce-source"], body: decode(bytes(v)) };
}

// knownOnly leaves out what a reader must ignore and a producer must not write.
function knownOnly(v, meaning) {
  const like = (got, want) => Object.fromEntries(Object.entries(got).filter(([k, x]) => k in want && x !== null)
    .map(([k, x]) => [k, x?.constructor === Object ? like(x, want[k]) : x]));
  return { ...v, body: like(v.body, meaning.body) };
}

for (const v of vectors.filter((v) => v.valid)) {
  test(`valid: ${v.name}`, () => {
    if (isEvent(v)) {
      const { kind, provider, account, last, id, source, body } = decodeEvent(v.subject, headersOf(v.headers), bytes(v));
      assert.deepEqual({ kind, provider, account, last, id, source, body }, v.meaning);
      return;
    }
    const m = encodeRequest(knownOnly(requestOf(v), v.meaning), v.contract);
    assert.equal(m.subject, v.subject);
    assert.deepEqual(decode(m.data), v.meaning.body);
    for (const name of ["ce-specversion", "ce-id", "ce-source", "ce-type"]) assert.equal(m.headers.get(name), v.headers[name]);
    assert.equal(m.headers.get("Nats-Msg-Id"), `${v.headers["ce-source"]}/${v.headers["ce-id"]}`);
  });
}

// Requests that a producer could be made to write are refused in Go's words.
for (const v of vectors.filter((v) => v.meaning.reason === "invalid_request" && !isEvent(v) && !invisible.has(v.name))) {
  test(`refused: ${v.name}`, () => {
    assert.throws(() => encodeRequest(requestOf(v), v.contract), (err) => {
      assert.deepEqual([err.reason, err.message, err.faults.map((f) => f.field)], [v.meaning.reason, v.meaning.error, v.meaning.fields]);
      return true;
    });
  });
}

// Hostile bodies and envelopes are refused as an event would be that has them.
const ofRequestsAlone = new Set([
  "envelope: a class that does not exist", "envelope: a provider with a space",
  "envelope: the type of another kind", // which is that of an event
]);
for (const v of vectors.filter((v) => ["malformed_body", "oversize", "bad_envelope"].includes(v.meaning.reason) && !ofRequestsAlone.has(v.name))) {
  test(`unreadable: ${v.name}`, () => {
    const subject = v.subject.replace(/^tram\.\w+/, "tram.delivery");
    const headers = headersOf(v.headers);
    if (headers.get("ce-type")?.[0] === "io.github.tramhq.send.v1") headers.set("ce-type", ["io.github.tramhq.delivery.v1"]);
    assert.throws(() => decodeEvent(subject, headers, bytes(v)), (err) => {
      assert.deepEqual([err.reason, err.faults.map((f) => f.field)], [v.meaning.reason, v.meaning.fields]);
      return true;
    });
  });
}

test("events with wrong types are refused in Go's words", () => {
  for (const v of vectors.filter((v) => v.meaning.reason === "invalid_request" && isEvent(v))) {
    assert.throws(() => decodeEvent(v.subject, headersOf(v.headers), bytes(v)), { message: v.meaning.error });
  }
});

test("a field that the contract does not have is refused before it is lost", () => {
  const request = { kind: "cancel", provider: "p", account: "a", id: "1", source: "/s", body: { id: "2", sauce: "/s" } };
  assert.throws(() => encodeRequest(request), { message: "invalid cancel: sauce: is no field of the contract" });
});
