package dispatcher

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// What is told about a lane in the states that checkpoints find it in, one each
// second.
func TestWhatIsTold(t *testing.T) {
	const (
		w, p, c = events.LaneWorking, events.LanePaused, events.LaneCredentialRefused
		o, b    = events.LaneBreakerOpen, events.LaneBreakerProbing
	)
	flapping := make([]events.LaneState, 60)
	for i := range flapping {
		flapping[i] = []events.LaneState{o, w}[i%2]
	}
	tests := map[string]struct {
		finds []events.LaneState
		tells []string // was and is
	}{
		"nothing while it works":     {[]events.LaneState{w, w, w}, nil},
		"each change once":           {[]events.LaneState{w, o, o, b, b, w, w}, []string{"working breaker_open", "breaker_open breaker_probing", "breaker_probing working"}},
		"an operator, however often": {[]events.LaneState{p, w, p, w, p, w, p, w}, []string{"working paused", "paused working", "working paused", "paused working", "working paused", "paused working", "working paused", "paused working"}},
		"a breaker that flaps, and ends": {append(flapping, c, c), []string{
			"working breaker_open", "breaker_open working", "working breaker_open", "breaker_open working", "working credential_refused",
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &lane{key: laneKey{provider: "fake", account: "shop"}}
				var tells []string
				tick := func(state events.LaneState) {
					l.standing = l.standing.follow(l.key, condition{state: state}, time.Now(), clock{})
					if s, ok := l.untold(); ok {
						tells = append(tells, string(s.Was)+" "+string(s.State))
						l.told(s)
					}
					<-time.After(time.Second)
				}
				for _, state := range test.finds {
					tick(state)
				}
				for range 60 { // what was held back comes when it may
					tick(test.finds[len(test.finds)-1])
				}
				if len(tells) != len(test.tells) {
					t.Fatalf("told %q, want %q", tells, test.tells)
				}
				for i := range tells {
					if tells[i] != test.tells[i] {
						t.Errorf("told %q, want %q", tells[i], test.tells[i])
					}
				}
			})
		})
	}
}

func TestAShortSilenceIsNotTold(t *testing.T) {
	now := time.Now()
	var s *standing
	follow := func(left time.Duration) {
		s = s.follow(laneKey{}, condition{state: events.LaneSilenced, until: now.Add(left)}, now, clock{})
	}
	if follow(2 * time.Second); s != nil {
		t.Errorf("%+v for two seconds of silence", s)
	}
	if follow(30 * time.Second); s == nil || s.State != events.LaneSilenced {
		t.Errorf("%+v for half a minute of silence", s)
	}
	if follow(time.Second); s == nil || s.State != events.LaneSilenced {
		t.Errorf("%+v although the silence goes on", s)
	}
}

// More lanes than one message may hold are told in several.
func TestAnAnswerOfManyLanes(t *testing.T) {
	r := newRig(t)
	const many = lanesInAnswer + 20
	d := r.dispatcher(r.b.Conn, func(c *Config) {
		for i := range many {
			c.Accounts = append(c.Accounts, &Account{Account: channels.Account{Provider: "fake", Name: fmt.Sprint("many-", i)}})
		}
	})
	for i := range many {
		r.control(fmt.Sprint("many-", i), true, "an", "")
	}
	r.run(d)
	r.eventually(func() string {
		told := 0
		err := r.read.Replay(t.Context(), broker.Events, "tram.lane.fake.*.paused", 1, func(*broker.Stored) error { told++; return nil })
		if err != nil || told != many {
			return fmt.Sprintf("%d of %d are told, error %v", told, many, err)
		}
		return ""
	})
	for want, request := range map[int]ledger.StatusRequest{
		many: {}, 2: {Accounts: []string{"fake/many-8", "fake/many-7", "other"}}, 0: {None: true},
	} {
		r.eventually(func() string {
			parts, lanes := r.ask(request)
			last := parts[len(parts)-1]
			if last.Lanes = nil; lanes != want || last.ID != d.owner.ID() || last.LaneCount != many || last.Partitions != r.partitions {
				return fmt.Sprintf("%+v: %d lanes, want %d of %d: %+v", request, lanes, want, many, last)
			}
			return ""
		})
	}
}

// ask asks the dispatcher how it stands, and returns the parts of its answer
// and how many lanes are in them.
func (r *rig) ask(request ledger.StatusRequest) (parts []ledger.Status, lanes int) {
	r.t.Helper()
	question, err := json.Marshal(request)
	if err != nil {
		r.t.Fatal(err)
	}
	answers := make(chan *nats.Msg, 10)
	sub, err := r.b.Conn.ChanSubscribe(r.b.Conn.NewInbox(), answers)
	if err == nil {
		err = r.b.Conn.PublishRequest(broker.StatusSubject, sub.Subject, question)
	}
	if err != nil {
		r.t.Fatal(err)
	}
	defer sub.Unsubscribe()
	for {
		select {
		case m := <-answers:
			var s ledger.Status
			if err := json.Unmarshal(m.Data, &s); err != nil {
				r.t.Fatalf("answer %q: %v", m.Data, err)
			}
			parts, lanes = append(parts, s), lanes+len(s.Lanes)
			if !s.More {
				return parts, lanes
			}
		case <-time.After(20 * time.Second):
			r.t.Fatal("no answer")
		}
	}
}

func BenchmarkLanes(b *testing.B) {
	const many = 5000
	p := &partition{d: &Dispatcher{owner: &Owner{}, opened: map[int]*partition{}}, lanes: map[laneKey]*lane{}, take: b.Context()}
	p.d.opened[0] = p
	for i := range many {
		key := laneKey{provider: "fake", account: fmt.Sprint(i)}
		k, err := newKnown(&Account{Account: channels.Account{Provider: "fake", Name: key.account}}, &fakeProvider{})
		if err != nil {
			b.Fatal(err)
		}
		p.lanes[key] = newLane(p, key, newAccount(k, untold, slog.New(slog.DiscardHandler)), 0)
	}
	b.Run("lanes", func(b *testing.B) {
		for b.Loop() {
			if n := len(p.d.Lanes()); n != many {
				b.Fatalf("%d lanes", n)
			}
		}
	})
	b.Run("mark", func(b *testing.B) { // what each lane costs every second
		for b.Loop() {
			for _, l := range p.all() {
				l.mark(&checkpoint{})
			}
			p.grantProbes()
			p.tell()
		}
	})
}
