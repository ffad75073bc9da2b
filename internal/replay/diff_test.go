package replay

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/broker/brokertest"
	"github.com/tramhq/tram/pkg/events"
)

func TestDiff_ofTheSameIsEmpty(t *testing.T) {
	r := newRig(t)
	if c := r.diff(right, Selection{}); !c.Empty() || c.Results != 0 {
		t.Errorf("of nothing: %+v", c)
	}
	r.store(600)
	r.collect(right)
	before := r.Count(broker.Events)
	if c := r.diff(right, Selection{}); !c.Empty() || c.Results != 660 || c.Made != 780 || c.Same != 780 {
		t.Errorf("got %+v", c)
	}
	if c := r.diff(right, Selection{Account: "a", From: 50, To: 200, Kinds: []events.Kind{events.KindDelivery}}); !c.Empty() || c.Made < 60 || c.Made > 80 || c.Same != c.Made {
		t.Errorf("of a part: %+v", c)
	}
	r.store(10) // nobody has collected these
	if c := r.diff(right, Selection{}); !c.Empty() || c.Results != 660 {
		t.Errorf("with results that wait: %+v", c)
	}
	if r.Count(broker.Events) != before {
		t.Error("events were published")
	}
}

func TestDiff_tellsWhatChanged(t *testing.T) {
	r := newRig(t)
	r.store(20)
	r.collect(wrong)
	c := r.diff(right, Selection{})
	if got := fmt.Sprint(c.Differences); got != "map[changed:map[stat:4]]" || c.Same != 22 || len(c.First) != 4 {
		t.Fatalf("got %s, %+v", got, c)
	}
	d := c.First[0]
	if fmt.Sprint(d.Fields) != `[{value "500" "5"}]` || d.What != Changed || d.Result != 2 || d.Event == 0 || d.Subject != "tram.stat.shop.a.shop_counts" {
		t.Errorf("got %+v", d)
	}

	// Once the right ones are published there is no difference any more.
	r.run(r.job(func(j *Job) { j.Keep, j.Target, j.Kinds = 0, broker.Events, []events.Kind{events.KindStat} }), right)
	if c := r.diff(right, Selection{}); !c.Empty() || c.Same != 26 {
		t.Errorf("after the replay: %+v", c)
	}
	if c := r.diff(wrong, Selection{}); c.Empty() {
		t.Error("after the replay the old parser finds no difference")
	}
}

// A parser that names things otherwise makes other keys: what it made before
// stays.
func TestDiff_tellsWhatIsStale(t *testing.T) {
	r := newRig(t)
	r.store(11)
	r.collect(right)
	c := r.diff(shop{factor: 1, metric: "_ALL"}, Selection{From: 1, To: 2})
	if got := fmt.Sprint(c.Differences); got != "map[missing:map[stat:2] stale:map[stat:2]]" {
		t.Fatalf("got %s, %+v", got, c)
	}
	all := fmt.Sprint(c.First)
	if !strings.Contains(all, `{metric  "READ_ALL"}`) || !strings.Contains(all, `{metric "READ" }`) {
		t.Errorf("got %s", all)
	}
	if strings.Contains(all, "Nguyễn") {
		t.Errorf("a person is named: %s", all)
	}
	// A page that cannot be read any more.
	c = r.diff(shop{}, Selection{})
	if c.Untold != 0 || c.Differences[Changed][events.KindStat] != 4 {
		t.Errorf("got %+v", c)
	}
}

func TestDiff_leavesOutWhatHasGrownTooOld(t *testing.T) {
	r := newRig(t)
	r.store(20)
	r.collect(right)
	s, err := r.JS.Stream(t.Context(), broker.Events)
	if err != nil {
		t.Fatal(err)
	}
	brokertest.Eventually(t, "the clock goes on", func() bool { return time.Since(s.CachedInfo().State.LastTime) > 10*time.Millisecond })
	r.store(5)
	r.collect(right)
	if err := s.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c := r.diff(right, Selection{}); !c.Empty() || c.Aged != c.Made || c.Made == 0 {
		t.Errorf("got %+v", c)
	}
}

func TestSelection_Between(t *testing.T) {
	r := newRig(t)
	r.store(5)
	all := r.All(broker.Results)
	read := broker.NewReader(r.JS)
	for _, test := range []struct {
		since, until time.Time
		from, to     uint64
	}{
		{time.Time{}, time.Time{}, 0, 0},
		{all[2].Time, time.Time{}, 3, 0},
		{all[2].Time, all[4].Time, 3, 4},
		{time.Time{}, time.Now().Add(time.Hour), 0, 6},
	} {
		var s Selection
		if err := s.Between(t.Context(), read, test.since, test.until); err != nil || s.From != test.from || s.To != test.to {
			t.Errorf("got %+v, %v, want %d to %d", s, err, test.from, test.to)
		}
	}
	if err := new(Selection).Between(t.Context(), read, time.Time{}, all[0].Time); err == nil {
		t.Error("an empty window is no error")
	}
	if err := r.jobs.New(t.Context(), &Job{Name: "none", Keep: time.Hour, Selection: Selection{From: 100}}); err == nil || !strings.Contains(err.Error(), "no results are stored in that window") {
		t.Errorf("got %v", err)
	}
}
