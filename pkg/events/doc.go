// Package events is tram's public contract: the events that other services
// publish to the relay and those it publishes for them.
//
// Three kinds go in. A [Send] asks for one message to one person, a [Report]
// for statistics or records, a [Command] for a change at the provider. Four
// come out: [Delivery] (what became of a send), [Stat] (one statistics point),
// [Record] (one object of the provider) and [Outcome] (the end of a report or
// command).
//
// An event is a NATS message. Its subject says what it is and which account it
// concerns, its ce-* headers are CloudEvents 1.0 attributes (NATS binding,
// binary mode), its body is a msgpack map. Any language with a NATS client and
// msgpack can take part: docs/events.md has every field, and
// testdata/vectors.json examples to test against.
//
// [Publisher] publishes with all checks made beforehand; [Subscribe] reads
// what comes out.
package events
