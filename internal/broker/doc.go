// Package broker is everything that tram knows about NATS JetStream: the names
// and settings of its streams, the embedded server, connecting to a server,
// reading streams, and the leases by which dispatchers share partitions.
//
// It reads messages that anyone may have published, so it never lets a header
// that a producer wrote decide what a message is. The client library does: a
// message with an empty body and the header "Status: 100" is a heartbeat to
// it, and is swallowed. That is why [Reader] and [Feed] speak the wire protocol
// themselves and trust only what the server puts in a reply subject, or last
// in a header.
package broker
