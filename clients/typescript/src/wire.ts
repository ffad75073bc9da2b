import { decode, encode } from "@msgpack/msgpack";
import type { Layout } from "./contract.js";
import { DecodeError, Faults, plain } from "./faults.js";

const maxBody = 256 * 1024; // bytes
const maxDepth = 32;
const maxItems = 1000;

/**
 * Reads the body of an event. The faults tell which fields have a wrong type;
 * those are left out, as are nil and what the contract does not know.
 */
export function readBody(data: Uint8Array, layout: Layout, f: Faults): object {
  const refuse = (reason: "oversize" | "malformed_body", problem: string) => new DecodeError(reason, [{ field: "body", problem }]);
  if (data.length > maxBody) throw refuse("oversize", `has ${data.length} bytes, at most ${maxBody} are allowed`);
  let body: unknown;
  try {
    // Nothing can have more items or bytes than the body has bytes.
    body = decode(data, {
      maxStrLength: maxBody, maxBinLength: maxBody, maxArrayLength: maxBody, maxMapLength: maxBody, maxExtLength: maxBody,
      mapKeyConverter: textKey,
    });
  } catch (err) {
    throw refuse("malformed_body", `is not readable: ${err instanceof Error ? err.message : err}`);
  }
  if (kindOf(body) !== "a map") throw refuse("malformed_body", `must be a map, not ${kindOf(body)}`);
  if (!isShallow(body, maxDepth)) throw refuse("malformed_body", `is nested more than ${maxDepth} levels deep`);
  return typed(layout, body, "", f, false) as object;
}

/** Copies a body that is to be written, without null and undefined. The faults tell what has a wrong type or no place in it. */
export function typedBody(body: object, layout: Layout, f: Faults): object {
  return typed(layout, body, "", f, true) as object;
}

/** Writes a body that typedBody has looked at. */
export function writeBody(body: object, f: Faults): Uint8Array {
  const data = encode(body);
  if (data.length > maxBody) f.add("body", `has ${data.length} bytes, at most ${maxBody} are allowed`);
  return data;
}

function textKey(key: unknown): string {
  if (typeof key !== "string") throw new Error("keys must be text");
  return key;
}

function isShallow(v: unknown, levels: number): boolean {
  if (kindOf(v) !== "a map" && kindOf(v) !== "a list") return true;
  return levels > 0 && Object.values(v as object).every((item) => isShallow(item, levels - 1));
}

function kindOf(v: unknown): string {
  switch (typeof v) {
    case "string": return "text";
    case "boolean": return "true or false";
    case "bigint": return "a number";
    case "number": return Number.isInteger(v) ? "a number" : "a float";
  }
  if (v === null || v === undefined) return "nil";
  if (Array.isArray(v)) return "a list";
  if (v instanceof Uint8Array) return "binary";
  const proto = Object.getPrototypeOf(v);
  return proto === Object.prototype || proto === null ? "a map" : "an extension";
}

const names = { text: "text", int: "a whole number", bool: "true or false" } as const;

function nameOf(l: Layout): string {
  if (typeof l === "string") return names[l];
  return "list" in l ? "a list" : "dict" in l ? "a map from text" : "a map";
}

// typed returns what is right of v.
function typed(l: Layout, v: unknown, path: string, f: Faults, strict: boolean): unknown {
  const kind = kindOf(v);
  const wrong = (problem: string) => { f.add(path, problem); return undefined; };
  if (typeof l === "string") {
    if (l === "int" && kind === "a number") {
      return Number.isSafeInteger(Number(v)) ? Number(v) : wrong("is too large");
    }
    if (l === "text" && kind === "text" && /\p{Surrogate}/u.test(v as string)) return wrong("is not valid UTF-8");
    if (l !== "int" && kind === names[l]) return v;
    if (l === "text" && (kind === "a number" || kind === "a float")) return wrong("must be text, not a number: ids lose digits as numbers");
    return wrong(`must be ${names[l]}, not ${kind}`);
  }
  if (kind !== ("list" in l ? "a list" : "a map")) return wrong(`must be ${nameOf(l)}, not ${kind}`);
  const n = Object.keys(v as object).length;
  if (!("fields" in l) && n > maxItems) return wrong(`has ${n} entries, at most ${maxItems} are allowed`);
  if ("list" in l) {
    return (v as unknown[]).map((item, i) => {
      if (kindOf(item) !== "nil") return typed(l.list, item, `${path}[${i}]`, f, strict);
      f.add(`${path}[${i}]`, `must be ${nameOf(l.list)}, not nil`);
      return undefined;
    });
  }
  const entries: [string, unknown][] = [];
  for (const [key, value] of Object.entries(v as object)) {
    const at = path ? `${path}.${plain(key) || "*"}` : key;
    const inner = "dict" in l ? l.dict : Object.hasOwn(l.fields, key) ? l.fields[key] : undefined;
    if (kindOf(value) === "nil") continue; // as good as absent
    if (inner === undefined) {
      if (strict) f.add(path ? at : plain(key) || "*", "is no field of the contract");
      continue;
    }
    const right = typed(inner, value, at, f, strict);
    if (right !== undefined) entries.push([key, right]);
  }
  return Object.fromEntries(entries);
}
