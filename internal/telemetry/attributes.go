package telemetry

import "go.opentelemetry.io/otel/attribute"

// The attributes of spans. Those of other names than tram's are OpenTelemetry's
// conventions 1.44, in which messaging still changes: this is the one place that
// would. None of them holds who a message is to, what it says, a credential or
// the path of a URL, which may.
const (
	ServiceName     = attribute.Key("service.name")
	ServiceVersion  = attribute.Key("service.version")
	ServiceInstance = attribute.Key("service.instance.id")

	ErrorType = attribute.Key("error.type") // a word: tram's reason, or the status

	MessagingSystem      = attribute.Key("messaging.system")
	MessagingOperation   = attribute.Key("messaging.operation.name") // process or send
	MessagingType        = attribute.Key("messaging.operation.type") // the same
	MessagingDestination = attribute.Key("messaging.destination.name")
	MessagingGroup       = attribute.Key("messaging.consumer.group.name")
	MessagingID          = attribute.Key("messaging.message.id")
	MessagingBatch       = attribute.Key("messaging.batch.message_count")

	HTTPMethod    = attribute.Key("http.request.method")
	HTTPStatus    = attribute.Key("http.response.status_code")
	HTTPSent      = attribute.Key("http.request.body.size")
	HTTPReceived  = attribute.Key("http.response.body.size")
	ServerAddress = attribute.Key("server.address")
	ServerPort    = attribute.Key("server.port")

	Source    = attribute.Key("tram.source") // ce-source of the request
	Provider  = attribute.Key("tram.provider")
	Account   = attribute.Key("tram.account")
	Class     = attribute.Key("tram.class")     // urgent, normal or bulk
	Owner     = attribute.Key("tram.owner")     // the dispatcher
	Seq       = attribute.Key("tram.seq")       // in the stream
	Call      = attribute.Key("tram.call")      // its number among those of the request
	Attempt   = attribute.Key("tram.attempt")   // the same, among those that count
	Step      = attribute.Key("tram.step")      // such as a page of a report
	Operation = attribute.Key("tram.operation") // caresoft.send_message
	Answer    = attribute.Key("tram.answer")    // what the answer was judged as: ok, retry, throttled, …
	Reason    = attribute.Key("tram.reason")
	State     = attribute.Key("tram.state") // that the result leaves the request in
	QueuedMS  = attribute.Key("tram.queued_ms")
)

// Process and Send are the operations that messages go through.
const (
	Process = "process"
	Send    = "send"
)

// Messaging returns the attributes of a span that does operation with messages
// of destination, whose name is "operation destination".
func Messaging(operation, destination string) []attribute.KeyValue {
	return []attribute.KeyValue{
		MessagingSystem.String("nats"), MessagingOperation.String(operation), MessagingType.String(operation),
		MessagingDestination.String(destination),
	}
}
