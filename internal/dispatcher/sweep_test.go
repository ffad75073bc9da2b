package dispatcher

import (
	"fmt"
	"testing"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// Many accounts have backlogs that lie between each other, more than there is room
// for. All are worked, each in its order, whoever takes over in the midst of it,
// and one that is paused holds nobody up.
func TestASweepBringsAllLanesTheirBacklogs(t *testing.T) {
	const accounts, each = 12, 120
	r := newRigOf(t, 1)
	configure := func(c *Config) {
		c.Accounts = nil
		for i := range accounts {
			c.Accounts = append(c.Accounts, &Account{Account: channels.Account{Provider: "fake", Name: fmt.Sprint("a", i)}, Concurrency: 1})
		}
	}
	seqs := make([][]uint64, accounts)
	for n := range each {
		for i := range accounts {
			seqs[i] = append(seqs[i], r.send(fmt.Sprint("a", i), events.Normal, fmt.Sprintf("%02d-%03d", i, n), nil))
		}
	}
	r.control("a0", true, "An", "a test")
	var d *Dispatcher
	begin := func() (stop func()) {
		d = r.dispatcher(r.b.Conn, configure)
		d.jumpLag, d.maxHeld = 20, leastHeld
		return r.run(d)
	}
	stop := begin()
	r.ends(seqs[1][:each/3]...)
	stop()
	begin()
	for _, of := range seqs[1:] {
		r.ends(of...)
	}
	urgent := r.send("a0", events.Urgent, "urgent", nil)
	r.control("a0", false, "An", "")
	r.ends(append(seqs[0], urgent)...)
	r.eventually(func() string {
		for _, p := range d.partitions() {
			if p.sweeping.Load() {
				return "the sweep goes on, though nothing is left"
			}
		}
		return ""
	})

	if again := r.desk.twice(); again != nil {
		t.Errorf("called twice: %v", again)
	}
	last := map[string]string{}
	for _, c := range r.desk.made() {
		if c.body == "09urgent xin chào" {
			continue
		}
		if c.body < last[c.account] {
			t.Errorf("%s: %q was called after %q", c.account, c.body, last[c.account])
		}
		last[c.account] = c.body
	}
}
