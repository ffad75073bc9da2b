package broker

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"

	"github.com/tramhq/tram/pkg/events"
)

// Streams.
const (
	Requests = "TRAM_REQUESTS" // what producers publish, stored by partition
	Later    = "TRAM_LATER"    // requests that are not due yet, which REQUESTS takes back when they are; and what was cancelled
	Intents  = "TRAM_INTENTS"  // calls about to start, one subject per partition
	Results  = "TRAM_RESULTS"  // what became of each call
	Events   = "TRAM_EVENTS"   // what downstream services read
	Dead     = "TRAM_DEAD"     // what needs a person
)

// Key-value buckets.
const (
	AccountsBucket    = events.DirectoryBucket // the contract of each account
	OwnersBucket      = "TRAM_OWNERS"          // members and the partitions they own
	CheckpointsBucket = "TRAM_CHECKPOINTS"     // how far each partition has come
	DecisionsBucket   = "TRAM_DECISIONS"       // what people have decided about dead letters
	ControlBucket     = "TRAM_CONTROL"         // what operators have told about accounts
	JobsBucket        = "TRAM_JOBS"            // replays, and how far they have come
	SchedulesBucket   = "TRAM_SCHEDULES"       // reports that are asked for again and again
)

// The bucket of operators as the stream that it is. What follows the prefix in a
// subject is <provider>.<account>.
const (
	ControlStream = "KV_" + ControlBucket
	ControlPrefix = "$KV." + ControlBucket + "."
)

// The bucket of schedules as the stream that it is. What follows the prefix in a
// subject is the key.
const (
	SchedulesStream = "KV_" + SchedulesBucket
	SchedulesPrefix = "$KV." + SchedulesBucket + "."
)

// StatusSubject is where every dispatcher answers how it stands; nothing of it
// is stored.
const StatusSubject = "tram.status"

// DefaultPartitions is the number of partitions unless configured otherwise.
const DefaultPartitions = 64

// Partition returns the partition of an account, 0 to n-1: FNV-1a over
// provider and account with nothing between them, modulo n. The server
// computes the same for {{partition(n,2,3)}} over the public subject.
func Partition(provider, account string, n int) int {
	h := fnv.New32a()
	h.Write([]byte(provider))
	h.Write([]byte(account))
	return int(h.Sum32() % uint32(n))
}

// A StoredSubject is the subject under which REQUESTS keeps a request:
//
//	req.<partition>.<provider>.<account>.<class>.<kind>
type StoredSubject struct {
	Partition int
	Provider  string
	Account   string
	Class     events.Class
	Kind      events.Kind
}

// String returns the subject as NATS wants it.
func (s StoredSubject) String() string {
	return fmt.Sprintf("req.%d.%s.%s.%s.%s", s.Partition, s.Provider, s.Account, s.Class, s.Kind)
}

// Public returns the subject that the producer published to. Its class may be
// one that does not exist: the server takes any token there.
func (s StoredSubject) Public() events.Subject {
	return events.Subject{Kind: s.Kind, Provider: s.Provider, Account: s.Account, Last: string(s.Class)}
}

// ParseStored is the reverse of [StoredSubject.String].
func ParseStored(subject string) (StoredSubject, error) {
	var t [6]string
	n := 0
	for token := range strings.SplitSeq(subject, ".") {
		if n < len(t) {
			t[n] = token
		}
		n++
	}
	if n != len(t) || t[0] != "req" {
		return StoredSubject{}, fmt.Errorf("subject %q: want req.<partition>.<provider>.<account>.<class>.<kind>", subject)
	}
	p, err := strconv.Atoi(t[1])
	if err != nil || p < 0 {
		return StoredSubject{}, fmt.Errorf("subject %q: partition is not a number", subject)
	}
	return StoredSubject{
		Partition: p, Provider: t[2], Account: t[3],
		Class: events.Class(t[4]), Kind: events.Kind(t[5]),
	}, nil
}

// Plan is the subject of LATER under which a request of REQUESTS is kept that is
// not due yet:
//
//	tram.later.plan.<partition>.<provider>.<account>.<class>.<kind>.<name>.<seq>
//
// The name stands for its source and id, see [RequestName].
func (s StoredSubject) Plan(name string, seq uint64) string { return s.later("plan", name, seq) }

// Due is the one under which the server publishes it at its time.
func (s StoredSubject) Due(name string, seq uint64) string { return s.later("due", name, seq) }

// PlanOrDue matches both.
func (s StoredSubject) PlanOrDue(name string, seq uint64) string { return s.later("*", name, seq) }

func (s StoredSubject) later(what, name string, seq uint64) string {
	return fmt.Sprintf("tram.later.%s.%d.%s.%s.%s.%s.%s.%d", what, s.Partition, s.Provider, s.Account, s.Class, s.Kind, name, seq)
}

// RequestName stands for the source and id of a request in subjects of LATER.
func RequestName(source, id string) string { return events.DeterministicID(source, id) }

// PlansFilter matches what LATER has of the requests of a name, planned or due.
func PlansFilter(p int, provider, account, name string) string {
	return fmt.Sprintf("tram.later.*.%d.%s.%s.*.*.%s.*", p, provider, account, name)
}

// ParseLater is the reverse of [StoredSubject.Plan] and [StoredSubject.Due]. It
// says which of the two it is, and the sequence of the request that was planned.
func ParseLater(subject string) (s StoredSubject, due bool, seq uint64, err error) {
	t := strings.Split(subject, ".")
	if len(t) != 10 || t[0] != "tram" || t[1] != "later" {
		return s, false, 0, fmt.Errorf("subject %q: want tram.later.<plan or due>.<partition>.<provider>.<account>.<class>.<kind>.<name>.<seq>", subject)
	}
	if s, err = ParseStored("req." + strings.Join(t[3:8], ".")); err != nil {
		return s, false, 0, err
	}
	if seq, err = strconv.ParseUint(t[9], 10, 64); err != nil {
		return s, false, 0, fmt.Errorf("subject %q: %w", subject, err)
	}
	return s, t[2] == "due", seq, nil
}

// VoidSubject is where LATER keeps that the requests of a name are taken back:
//
//	tram.later.void.<partition>.<provider>.<account>.<name>
func VoidSubject(p int, provider, account, name string) string {
	return fmt.Sprintf("tram.later.void.%d.%s.%s.%s", p, provider, account, name)
}

// VoidFilter matches all of partition p.
func VoidFilter(p int) string { return fmt.Sprintf("tram.later.void.%d.>", p) }

// CancelFilter matches all cancels of partition p.
func CancelFilter(p int) string { return fmt.Sprintf("req.%d.*.*.*.%s", p, events.KindCancel) }

// StrayPrefix begins the subjects of requests that are in no partition: as they were
// published, with * or > for a name, which the stream's transform does not take.
const StrayPrefix = "tram."

// AllRequests matches the requests of all partitions: REQUESTS has little else. To
// pass over nothing, the server need not look at the subjects.
const AllRequests = ">"

// PartitionFilter matches all requests of partition p.
func PartitionFilter(p int) string { return fmt.Sprintf("req.%d.>", p) }

// LaneFilter matches the requests of one class of one account.
func LaneFilter(p int, provider, account string, class events.Class) string {
	return fmt.Sprintf("req.%d.%s.%s.%s.*", p, provider, account, class)
}

// GroupPartition returns the partition that is the home of a group of accounts,
// of n.
func GroupPartition(group string, n int) int { return Partition("group/", group, n) }

// GroupSubject is where the dispatcher that keeps the limit of a group answers.
func GroupSubject(group string) string { return "tram.group." + group }

// IntentSubject is where the intents of partition p are stored.
func IntentSubject(p int) string { return "tram.intent." + strconv.Itoa(p) }

// ResultSubject is where the results of an account in partition p are stored.
func ResultSubject(p int, provider, account string) string {
	return fmt.Sprintf("tram.result.%d.%s.%s", p, provider, account)
}

// ResultFilter matches all results of partition p.
func ResultFilter(p int) string { return fmt.Sprintf("tram.result.%d.>", p) }

// ParseResult is the reverse of [ResultSubject].
func ParseResult(subject string) (p int, provider, account string, err error) {
	t := strings.Split(subject, ".")
	if len(t) != 5 || t[0] != "tram" || t[1] != "result" {
		return 0, "", "", fmt.Errorf("subject %q: want tram.result.<partition>.<provider>.<account>", subject)
	}
	if p, err = strconv.Atoi(t[2]); err != nil || p < 0 {
		return 0, "", "", fmt.Errorf("subject %q: partition is not a number", subject)
	}
	return p, t[3], t[4], nil
}

// DeadPrefix begins the subjects of dead letters.
const DeadPrefix = "tram.dead."

// DeadSubject is where the dead letters of an account in a group are stored.
func DeadSubject(group, provider, account string) string {
	return DeadPrefix + group + "." + provider + "." + account
}

// ParseDead is the reverse of [DeadSubject].
func ParseDead(subject string) (group, provider, account string, err error) {
	t := strings.Split(subject, ".")
	if len(t) != 5 || t[0] != "tram" || t[1] != "dead" {
		return "", "", "", fmt.Errorf("subject %q: want tram.dead.<group>.<provider>.<account>", subject)
	}
	return t[2], t[3], t[4], nil
}

// RequestsOf matches the requests of an account; "" for a name is all.
func RequestsOf(provider, account string) string {
	return "req.*." + tokens(provider, account) + ".*.*"
}

// PlansOf matches what LATER keeps until its time, for the same.
func PlansOf(provider, account string) string {
	return "tram.later.plan.*." + tokens(provider, account) + ".*.*.*.*"
}

// ResultsOf matches the results of the same.
func ResultsOf(provider, account string) string { return "tram.result.*." + tokens(provider, account) }

// DeadOf matches the dead letters of a group and an account; "" is all.
func DeadOf(group, provider, account string) string {
	return DeadPrefix + tokens(group, provider, account)
}

// tokens joins names in a subject, with * for those that are "".
func tokens(names ...string) string {
	for i, name := range names {
		names[i] = cmp.Or(name, "*")
	}
	return strings.Join(names, ".")
}

// ReplayStream is the stream of its own that a replay publishes to, under
// subjects that begin with [ReplayPrefix].
func ReplayStream(job string) string { return "TRAM_REPLAY_" + job }

// ReplayPrefix begins the subjects of what a replay publishes to a stream of its
// own; what follows is the subject without its first token.
func ReplayPrefix(job string) string { return "tram.replay." + job + "." }
