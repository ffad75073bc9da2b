package ledger

import (
	"encoding/json"
	"fmt"

	"github.com/tramhq/tram/pkg/events"
)

// LaneIdle is a lane that would work if it had anything to do. Events call it
// [events.LaneWorking]: they tell what holds an account back.
const LaneIdle events.LaneState = "idle"

// A Lane is how one account stands in the dispatcher that owns it. All times
// are unix milliseconds by that dispatcher's clock.
type Lane struct {
	Provider  string           `json:"provider"`
	Account   string           `json:"account"`
	Partition int              `json:"partition"`
	Owner     string           `json:"owner"` // id of the dispatcher
	State     events.LaneState `json:"state"`
	Why       string           `json:"why,omitempty"`      // a few words for a person
	By        string           `json:"by,omitempty"`       // the operator who has paused or resumed it
	SinceMS   int64            `json:"since_ms,omitempty"` // in this state; 0: for as long as the lane is here
	UntilMS   int64            `json:"until_ms,omitempty"` // not called before; 0: nobody knows

	InFlight       int     `json:"in_flight"`       // calls under way or about to start
	Concurrency    int     `json:"concurrency"`     // how many may be at the moment
	MaxConcurrency int     `json:"max_concurrency"` // and at most, as configured
	Open           int     `json:"open"`            // requests begun and not ended, those in flight included
	Runnable       int     `json:"runnable"`        // calls that would start now if the dispatcher got round to it
	UsagePercent   float64 `json:"usage_percent,omitempty"`

	// By class, in the order of [events.Classes].
	Queued   [3]int    `json:"queued"`    // read and not begun
	OldestMS [3]int64  `json:"oldest_ms"` // when the oldest of these was stored; 0: there is none, or it waits for the end of quiet hours
	Behind   [3]bool   `json:"behind"`    // more wait in the stream than are read
	Head     [3]uint64 `json:"head"`      // what waits in the stream comes after this sequence

	Quiet map[events.Class]int64 `json:"quiet_until_ms,omitempty"` // classes whose sends wait for the end of quiet hours
}

// A Control is what an operator has told last about one account. It is stored as
// JSON, so that any NATS client can read and write it.
type Control struct {
	Paused bool   `json:"paused"`
	By     string `json:"by"`
	Reason string `json:"reason,omitempty"`
}

// EncodeControl returns c as it is stored.
func EncodeControl(c Control) ([]byte, error) {
	b, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encode control: %w", err)
	}
	return b, nil
}

// DecodeControl is the reverse of [EncodeControl].
func DecodeControl(data []byte) (*Control, error) {
	c := new(Control)
	if err := json.Unmarshal(data, c); err != nil {
		return nil, fmt.Errorf("decode control: %w", err)
	}
	return c, nil
}
