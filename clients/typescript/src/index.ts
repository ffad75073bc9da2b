export type * from "./contract.js";
export { eventKinds, requestKinds } from "./contract.js";
export { Directory } from "./directory.js";
export { decodeEvent, type Event, type EventKind, type Headers, type Meta } from "./envelope.js";
export { DecodeError, type Fault, InvalidError, NotSetUpError } from "./faults.js";
export { encodeRequest, FullError, Publisher, type PublisherOptions, type Receipt } from "./publisher.js";
export type { Address, Request } from "./rules.js";
export { type StoredEvent, subscribe, type SubscribeOptions } from "./subscribe.js";
