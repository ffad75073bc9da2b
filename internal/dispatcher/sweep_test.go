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
	seqs := r.backlogs(accounts, each)
	r.control("a0", true, "An", "a test")
	_, stop := r.sweeping(accounts)
	r.ends(seqs[1][:each/3]...)
	stop()
	d, _ := r.sweeping(accounts)
	for _, of := range seqs[1:] {
		r.ends(of...)
	}
	urgent := r.send("a0", events.Urgent, "urgent", nil)
	r.control("a0", false, "An", "")
	r.ends(append(seqs[0], urgent)...)
	r.eventually(func() string {
		d.intake.mu.Lock()
		defer d.intake.mu.Unlock()
		if d.intake.sweep != nil {
			return "the sweep goes on, though nothing is left"
		}
		return ""
	})

	r.calledInOrder()
}

// Partitions come to a dispatcher and leave it in the midst of a sweep, at places of
// their own, and requests go on to come.
func TestASweepGoesOnAsPartitionsComeAndGo(t *testing.T) {
	const accounts, each = 24, 60
	r := newRigOf(t, 16)
	seqs := r.backlogs(accounts, each)
	_, stop := r.sweeping(accounts)
	for range 3 {
		r.ends(seqs[1][:each/3]...)
		_, next := r.sweeping(accounts) // takes half of the partitions
		for i, more := range r.backlogs(accounts, each/3) {
			seqs[i] = append(seqs[i][each/3:], more...)
		}
		r.ends(seqs[2][:each/6]...)
		stop() // and now the other half
		stop = next
	}
	for _, of := range seqs {
		r.ends(of...)
	}
	r.calledInOrder()
}

// backlogs publishes so many requests of each account, in turns, and returns their
// sequences.
func (r *rig) backlogs(accounts, each int) [][]uint64 {
	seqs := make([][]uint64, accounts)
	for range each {
		for i := range accounts {
			r.sent++
			seqs[i] = append(seqs[i], r.send(fmt.Sprint("a", i), events.Normal, fmt.Sprintf("%02d-%04d", i, r.sent), nil))
		}
	}
	return seqs
}

// sweeping runs a dispatcher that has little room.
func (r *rig) sweeping(accounts int) (d *Dispatcher, stop func()) {
	d = r.dispatcher(r.b.Connect(), func(c *Config) {
		c.Accounts = nil
		for i := range accounts {
			c.Accounts = append(c.Accounts, &Account{Account: channels.Account{Provider: "fake", Name: fmt.Sprint("a", i)}, Concurrency: 1})
		}
	})
	d.intake.jumpLag, d.intake.space.most = 20, 64<<10
	return d, r.run(d)
}

// calledInOrder checks that no request was called twice, and those of an account in
// their order, but for urgent ones.
func (r *rig) calledInOrder() {
	r.t.Helper()
	if again := r.desk.twice(); again != nil {
		r.t.Errorf("called twice: %v", again)
	}
	last := map[string]string{}
	for _, c := range r.desk.made() {
		if c.body == "09urgent xin chào" {
			continue
		}
		if c.body < last[c.account] {
			r.t.Errorf("%s: %q was called after %q", c.account, c.body, last[c.account])
		}
		last[c.account] = c.body
	}
}
