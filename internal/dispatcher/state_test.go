package dispatcher

import (
	"testing"
	"testing/synctest"
	"time"

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
