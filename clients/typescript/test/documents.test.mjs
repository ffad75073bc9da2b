// The JSON Schemas and the AsyncAPI document, judged by others' validators.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import test from "node:test";
import { decode } from "@msgpack/msgpack";
import specs from "@asyncapi/specs";
import { Ajv } from "ajv";
import formats from "ajv-formats";

const root = new URL("../../../", import.meta.url);
const json = (path) => JSON.parse(readFileSync(new URL(path, root)));
const vectors = json("pkg/events/testdata/vectors.json");

const ajv = formats.default(new Ajv({ allErrors: true, strictSchema: true }));
const schemas = Object.fromEntries(readdirSync(new URL("schemas/", root)).map((file) => [file.replace(".json", ""), ajv.compile(json(`schemas/${file}`))]));
const kindOf = (v) => v.subject.split(".")[1];

const withoutNil = (v) => Array.isArray(v) ? v.map(withoutNil) : v?.constructor !== Object ? v
  : Object.fromEntries(Object.entries(v).filter(([k, x]) => x !== null || k === "value").map(([k, x]) => [k, withoutNil(x)]));

for (const v of vectors.filter((v) => v.valid)) {
  test(`schema takes: ${v.name}`, () => {
    const validate = schemas[kindOf(v)];
    assert.ok(validate(v.meaning.body), JSON.stringify(validate.errors));
    assert.ok(validate(withoutNil(decode(Buffer.from(v.body_hex, "hex")))), JSON.stringify(validate.errors));
  });
}

// What a schema cannot say: what lies in the bytes, in the order of two values,
// in a list of all zones, in the envelope, or in the sum of the sizes of others.
const beyond = new Set([
  "value: a recipient that is not UTF-8", "value: text that is not UTF-8", "value: metadata whose key is not UTF-8",
  "value: expires before it may begin", "value: an end before the beginning", "value: the same date twice",
  "value: a zone that does not exist", "value: the zone Local", "value: the cancel itself",
  "value: an attribute given twice", "value: metadata of more than 8 KiB",
]);

for (const v of vectors.filter((v) => v.meaning.reason === "invalid_request" && !v.contract)) {
  test(`schema ${beyond.has(v.name) ? "cannot refuse" : "refuses"}: ${v.name}`, () => {
    assert.equal(schemas[kindOf(v)](withoutNil(decode(Buffer.from(v.body_hex, "hex")))), beyond.has(v.name));
  });
}

test("contracts of the vectors fit their schema", () => {
  for (const { contract } of vectors.filter((v) => v.contract)) {
    assert.ok(schemas.contract(contract), JSON.stringify(schemas.contract.errors));
  }
});

test("examples fit their schemas", () => {
  for (const [kind, validate] of Object.entries(schemas)) {
    for (const example of validate.schema.examples ?? []) assert.ok(validate(example), `${kind}: ${JSON.stringify(validate.errors)}`);
  }
});

test("asyncapi.json is AsyncAPI 3.1, and all that it refers to is there", () => {
  const document = json("docs/asyncapi.json");
  const spec = formats.default(new Ajv({ strict: false, allErrors: true, logger: false })).compile(specs.schemasWithoutId["3.1.0"]);
  assert.ok(spec(document), JSON.stringify(spec.errors?.slice(0, 3)));
  const look = (node) => {
    if (typeof node !== "object" || node === null) return;
    if (node.$ref?.startsWith("#/")) assert.ok(node.$ref.slice(2).split("/").reduce((at, key) => at?.[key], document), node.$ref);
    else if (node.$ref) assert.ok(json(new URL(node.$ref, new URL("docs/", root))).title, node.$ref);
    Object.values(node).forEach(look);
  };
  look(document);
});
