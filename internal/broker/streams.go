package broker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/pkg/events"
)

// MinPayload is the smallest max_payload of a server that tram works with, in
// bytes. It is what a NATS server has unless configured otherwise.
const MinPayload = 1 << 20

// Streams says how the streams and buckets are to be. The zero value is what a
// single server should have.
type Streams struct {
	// Partitions is how many parts the accounts are divided into, which is
	// also the greatest useful number of dispatchers. It cannot be changed once
	// REQUESTS exists: an account would move away from its unfinished requests
	// and from the intents that say which of them were called.
	// Defaults to 64.
	Partitions int

	// Replicas is 1 for a single server, 3 or 5 for a cluster. Defaults to 1.
	Replicas int

	// RequestsAge is how long a request may wait before it is dropped unsent;
	// the dispatcher ends it as expired before that. Defaults to 72 hours.
	RequestsAge time.Duration

	// LedgerAge is how long INTENTS and RESULTS are kept. They must outlive the
	// requests they tell about, or one would look as if it had never been
	// called. Defaults to RequestsAge and 6 hours.
	LedgerAge time.Duration

	// EventsAge is how long downstream services can be away without a loss.
	// Defaults to 72 hours.
	EventsAge time.Duration

	// DeadAge is how long a dead letter waits for a person.
	// Defaults to 30 days.
	DeadAge time.Duration

	// The most that each stream may take on disk, in bytes; 0 is no limit but
	// the server's own. A full stream refuses what comes and drops nothing.
	RequestsBytes, IntentsBytes, ResultsBytes, EventsBytes, DeadBytes int64

	// Duplicates is how long a stream remembers the Nats-Msg-Id of a message.
	// It costs about 130 bytes of the server's memory for each.
	// Defaults to 10 minutes.
	Duplicates time.Duration

	// MaxRequest bounds headers and body of a request, in bytes. A result
	// carries its request, so what is left of the server's max_payload is what
	// a provider's answer may take. Defaults to 300 KiB.
	MaxRequest int32
}

func (s Streams) withDefaults() Streams {
	s.Partitions = cmp.Or(s.Partitions, DefaultPartitions)
	s.Replicas = cmp.Or(s.Replicas, 1)
	s.RequestsAge = cmp.Or(s.RequestsAge, 72*time.Hour)
	s.LedgerAge = cmp.Or(s.LedgerAge, s.RequestsAge+6*time.Hour)
	s.EventsAge = cmp.Or(s.EventsAge, 72*time.Hour)
	s.DeadAge = cmp.Or(s.DeadAge, 30*24*time.Hour)
	s.Duplicates = cmp.Or(s.Duplicates, 10*time.Minute)
	s.MaxRequest = cmp.Or(s.MaxRequest, 300<<10)
	return s
}

// Validate reports every setting that cannot work, together.
func (s Streams) Validate() error {
	s = s.withDefaults()
	var errs []error
	refuse := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	refuse(s.Partitions < 1 || s.Partitions > 1024, "partitions is %d, want 1 to 1024", s.Partitions)
	refuse(!slices.Contains([]int{1, 3, 5}, s.Replicas), "replicas is %d, want 1, 3 or 5", s.Replicas)
	refuse(s.LedgerAge < s.RequestsAge, "intents and results are kept %s, want at least the %s of requests", s.LedgerAge, s.RequestsAge)
	for _, age := range []time.Duration{s.RequestsAge, s.LedgerAge, s.EventsAge, s.DeadAge} {
		refuse(age < s.Duplicates, "messages are kept %s, want at least the %s that duplicates are remembered", age, s.Duplicates)
	}
	refuse(s.MaxRequest < 1<<10 || s.MaxRequest > MinPayload/2, "a request may have %d bytes, want %d to %d", s.MaxRequest, 1<<10, MinPayload/2)
	return errors.Join(errs...)
}

// configs returns the streams. None that a producer may publish to takes
// message TTLs, roll-ups, schedules, counters or batches: with these one can empty
// a stream, or write to subjects that are not one's own. LATER takes TTLs and
// schedules, and is for dispatchers alone. All refuse when full, because each
// either holds work that is not done or proves work that is; the server does not
// let LATER refuse, so that one has no bound.
func (s Streams) configs() []jetstream.StreamConfig {
	stream := func(name, description string, age time.Duration, bytes int64, subjects ...string) jetstream.StreamConfig {
		return jetstream.StreamConfig{
			Name: name, Description: description, Subjects: subjects,
			MaxAge: age, MaxBytes: cmp.Or(bytes, -1), MaxMsgSize: -1, Duplicates: s.Duplicates,
			Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardNew,
			Storage: jetstream.FileStorage, Replicas: s.Replicas, AllowDirect: true,
		}
	}
	requests := stream(Requests, "tram: requests by partition", s.RequestsAge, s.RequestsBytes, subjectsOf(events.RequestKinds)...)
	requests.MaxMsgSize = s.MaxRequest
	requests.Sources = []*jetstream.StreamSource{{Name: Later, SubjectTransforms: []jetstream.SubjectTransformConfig{{
		Source:      "tram.later.due.*.*.*.*.*.*.*",
		Destination: "req.{{wildcard(1)}}.{{wildcard(2)}}.{{wildcard(3)}}.{{wildcard(4)}}.{{wildcard(5)}}",
	}}}}
	later := stream(Later, "tram: requests that are not due yet, or taken back", s.LedgerAge, 0,
		"tram.later.plan.*.*.*.*.*.*.*", "tram.later.due.*.*.*.*.*.*.*", "tram.later.void.*.*.*.*")
	later.Discard, later.AllowMsgSchedules, later.AllowMsgTTL, later.AllowRollup = jetstream.DiscardOld, true, true, true // as schedules imply
	requests.SubjectTransform = &jetstream.SubjectTransformConfig{
		Source:      "tram.*.*.*.*",
		Destination: fmt.Sprintf("req.{{partition(%d,2,3)}}.{{wildcard(2)}}.{{wildcard(3)}}.{{wildcard(4)}}.{{wildcard(1)}}", s.Partitions),
	}
	intents := stream(Intents, "tram: calls about to start", s.LedgerAge, s.IntentsBytes, "tram.intent.*")
	results := stream(Results, "tram: what became of each call", s.LedgerAge, s.ResultsBytes, "tram.result.*.*.*")
	for _, c := range []*jetstream.StreamConfig{&requests, &intents, &results} {
		c.DenyDelete, c.DenyPurge = true, true // a hole in these means a call repeated or never made
	}
	return []jetstream.StreamConfig{
		later, requests, intents, results,
		stream(Events, "tram: deliveries, stats, records, outcomes, lanes", s.EventsAge, s.EventsBytes, subjectsOf(events.EventKinds)...),
		stream(Dead, "tram: what needs a person", s.DeadAge, s.DeadBytes, "tram.dead.*.*.*"),
	}
}

func subjectsOf(kinds []events.Kind) []string {
	var all []string
	for _, k := range kinds {
		all = append(all, "tram."+string(k)+".*.*.*")
	}
	return all
}

func (s Streams) buckets() []jetstream.KeyValueConfig {
	bucket := func(name, description string) jetstream.KeyValueConfig {
		return jetstream.KeyValueConfig{
			Bucket: name, Description: description, History: 1,
			Storage: jetstream.FileStorage, Replicas: s.Replicas,
		}
	}
	owners := bucket(OwnersBucket, "tram: members and the partitions they own")
	owners.LimitMarkerTTL = time.Second // leases expire, and watchers see it
	decisions := bucket(DecisionsBucket, "tram: what people have decided about dead letters")
	decisions.TTL = max(s.DeadAge, s.LedgerAge) // for as long as a letter is there, or can be made again
	return []jetstream.KeyValueConfig{
		bucket(AccountsBucket, "tram: the contract of each account"),
		owners,
		bucket(CheckpointsBucket, "tram: how far each partition has come"),
		decisions,
		bucket(ControlBucket, "tram: what operators have told about accounts"),
		bucket(JobsBucket, "tram: replays, and how far they have come"),
		bucket(SchedulesBucket, "tram: reports that are asked for again and again"),
	}
}

// Names returns the names of all streams, those that keep buckets among them.
func Names() []string {
	var all []string
	for _, c := range (Streams{}).configs() {
		all = append(all, c.Name)
	}
	for _, c := range (Streams{}).buckets() {
		all = append(all, "KV_"+c.Bucket)
	}
	return all
}

// Setup creates what is missing and updates what differs. It refuses to change
// the number of partitions, and does nothing at all then.
func Setup(ctx context.Context, js jetstream.JetStream, s Streams) error {
	if err := s.Validate(); err != nil {
		return fmt.Errorf("set up streams: %w", err)
	}
	s = s.withDefaults()
	if err := checkPayload(js); err != nil {
		return fmt.Errorf("set up streams: %w", err)
	}
	have, err := PartitionCount(ctx, js)
	if err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("set up streams: %w", err)
	}
	if err == nil && have != s.Partitions {
		return fmt.Errorf("set up streams: %s has %d partitions, want %d: the number cannot be changed, configure %[2]d or start with a new %[1]s",
			Requests, have, s.Partitions)
	}
	for _, c := range s.configs() {
		if _, err := js.CreateOrUpdateStream(ctx, c); err != nil {
			return fmt.Errorf("set up stream %s: %w", c.Name, err)
		}
	}
	for _, c := range s.buckets() {
		if _, err := js.CreateOrUpdateKeyValue(ctx, c); err != nil {
			return fmt.Errorf("set up bucket %s: %w", c.Bucket, err)
		}
	}
	return nil
}

func checkPayload(js jetstream.JetStream) error {
	if got := js.Conn().MaxPayload(); got < MinPayload {
		return fmt.Errorf("the server's max_payload is %d bytes, want at least %d", got, MinPayload)
	}
	return nil
}

var partitionCall = regexp.MustCompile(`^req\.\{\{\s*partition\(\s*(\d+)\s*,\s*2\s*,\s*3\s*\)\s*\}\}\.`)

// PartitionCount returns how many partitions REQUESTS has. The error wraps
// [jetstream.ErrStreamNotFound] if it does not exist.
func PartitionCount(ctx context.Context, js jetstream.JetStream) (int, error) {
	st, err := js.Stream(ctx, Requests)
	if err != nil {
		return 0, fmt.Errorf("read stream %s: %w", Requests, err)
	}
	if t := st.CachedInfo().Config.SubjectTransform; t != nil {
		if m := partitionCall.FindStringSubmatch(t.Destination); m != nil {
			return strconv.Atoi(m[1])
		}
	}
	return 0, fmt.Errorf("stream %s was not made by tram: its subject transform names no partitions", Requests)
}
