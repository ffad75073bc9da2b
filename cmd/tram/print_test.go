package main

import (
	"strings"
	"testing"
	"time"

	"github.com/tramhq/tram/pkg/events"
)

func TestPrinter(t *testing.T) {
	at := time.Date(2026, 11, 21, 8, 30, 0, 0, time.Local)
	event := func(kind events.Kind, last string) *events.Event {
		return &events.Event{
			Meta:    events.Meta{ID: "e", Source: "/tram", Time: at},
			Subject: events.Subject{Kind: kind, Provider: "caresoft", Account: "hotline", Last: last},
			Seq:     7,
		}
	}
	about := events.About{RequestID: "r1", RequestSource: "/acme"}

	deferred := event(events.KindDelivery, "deferred")
	deferred.Delivery = &events.Delivery{
		About: about, State: events.StateDeferred, RetryAtMS: at.Add(time.Minute).UnixMilli(),
		Recipient: events.Recipient{Kind: events.ByPhone, Value: "0900000001"},
		Why:       events.Why{Reason: "rate_limited", Detail: "called too often"},
	}
	stat := event(events.KindStat, "momo_messages_report")
	stat.Stat = &events.Stat{
		About: about, Report: "momo.messages_report", Metric: "READ", Value: new("12"), Unit: events.UnitCount,
		Bucket: events.Bucket{StartMS: 1}, Dims: map[string]string{"b": "2", "a": "1"},
	}
	null := event(events.KindStat, "x")
	null.Stat = &events.Stat{Report: "x", Metric: "READ", Unit: events.UnitRatio, Bucket: events.Bucket{Label: "Monday"}}
	record := event(events.KindRecord, "capability")
	record.Record = &events.Record{Report: "x", Kind: "capability", ID: "0900000001", Key: "k1"}
	outcome := event(events.KindOutcome, "done")
	outcome.Outcome = &events.Outcome{About: about, Kind: events.KindReport, Name: "x", State: events.StateDone, Pages: 4, Stats: 399, Records: 57, Warnings: []string{"w1", "w2"}}

	command := event(events.KindOutcome, "done")
	command.Outcome = &events.Outcome{About: about, Kind: events.KindCommand, Name: "y", State: events.StateDone, Result: "{}"}

	lane := event(events.KindLane, "paused")
	lane.Lane = &events.Lane{State: events.LanePaused, Was: events.LaneWorking, By: "an", Why: events.Why{Detail: "their office moves"}}
	silent := event(events.KindLane, "silenced")
	silent.Lane = &events.Lane{State: events.LaneSilenced, Was: events.LaneWorking, UntilMS: at.Add(time.Minute).UnixMilli()}

	tests := []struct {
		e    *events.Event
		want string
	}{
		{command, "08:30:00.000 outcome  caresoft/hotline \x1b[32mdone\x1b[0m y  request r1\n"},
		{deferred, "08:30:00.000 delivery caresoft/hotline \x1b[33mdeferred\x1b[0m until 08:31:00 (rate_limited: called too often)  request r1\n"},
		{stat, "08:30:00.000 stat     caresoft/hotline momo.messages_report READ=12 count from 1970-01-01T00:00:00Z a=1 b=2\n"},
		{null, "08:30:00.000 stat     caresoft/hotline x READ=null ratio bucket=Monday\n"},
		{record, "08:30:00.000 record   caresoft/hotline x capability key=k1\n"},
		{lane, "08:30:00.000 lane     caresoft/hotline \x1b[31mpaused\x1b[0m by an (their office moves) was=working\n"},
		{silent, "08:30:00.000 lane     caresoft/hotline \x1b[33msilenced\x1b[0m until 08:31:00 was=working\n"},
		{outcome, "08:30:00.000 outcome  caresoft/hotline \x1b[32mdone\x1b[0m x answers=4 stats=399 records=57 warning: w1; w2  request r1\n"},
	}
	for _, test := range tests {
		var b strings.Builder
		if err := (&printer{w: &b, colour: true}).event(test.e); err != nil || b.String() != test.want {
			t.Errorf("got  %q, %v\nwant %q", b.String(), err, test.want)
		}
	}

	var b strings.Builder
	if err := newPrinter(&b, true).event(deferred); err != nil {
		t.Fatal(err)
	}
	if got := b.String(); !strings.HasPrefix(got, `{"subject":"tram.delivery.caresoft.hotline.deferred","id":"e","source":"/tram","time":`) || !strings.Contains(got, `"0900000001"`) {
		t.Errorf("got %s", got)
	}
}
