// Package failpoint ends or freezes the process at a named point of its work,
// so that a proof can see what a crash there leaves behind. It is compiled in
// with the build tag failpoints alone: without it [Hit] is an empty function
// that the compiler drops.
//
// The points of a dispatcher, in the order of one call:
//
//	request_read        a request was picked, and nothing was done about it yet
//	intent_stored       that a call is about to start is stored
//	before_call         the limiter has let it pass; expiry and lease are looked at next
//	mid_call            the bytes of the call are written
//	answer_received     the provider has answered, or has not in time
//	result_stored       what became of the call is stored
//	checkpoint_written  where the partition stands is stored
//	lease_lost          the lease is known to be lost, and nothing was dropped yet
//
// and of a collector:
//
//	result_read         a result was read, and nothing was published yet
//	event_published     the broker has one of its events
//	before_ack          the broker has all of its events
//
// [Variable] says what happens at them, separated by commas:
//
//	intent_stored=kill@3          the process is killed, as by kill -9, at the third hit
//	before_call=freeze:3s@1       it is stopped for three seconds at the first hit
//	result_stored=kill@5%         at each hit with this probability, see [SeedVariable]
package failpoint

// A Point is a place in the code.
type Point string

// The points, see the package's documentation.
const (
	RequestRead       Point = "request_read"
	IntentStored      Point = "intent_stored"
	BeforeCall        Point = "before_call"
	MidCall           Point = "mid_call"
	AnswerReceived    Point = "answer_received"
	ResultStored      Point = "result_stored"
	CheckpointWritten Point = "checkpoint_written"
	LeaseLost         Point = "lease_lost"

	ResultRead     Point = "result_read"
	EventPublished Point = "event_published"
	BeforeAck      Point = "before_ack"
)

// Dispatcher and Collector are the points that each of the programs passes.
var (
	Dispatcher = []Point{
		RequestRead, IntentStored, BeforeCall, MidCall, AnswerReceived, ResultStored, CheckpointWritten, LeaseLost,
	}
	Collector = []Point{ResultRead, EventPublished, BeforeAck}
)

// The environment of a program that was built with the tag. The seed is that of
// what happens with a probability; it defaults to 0.
const (
	Variable     = "TRAM_FAILPOINTS"
	SeedVariable = "TRAM_FAILPOINTS_SEED"
)
