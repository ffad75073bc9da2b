package collector_test

import (
	"os"
	"testing"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/channels/momo"
	"github.com/tramhq/tram/pkg/events"
)

// The answer that MoMo's document shows, through a real provider package and a
// real broker. The account is configured no more: that must not matter.
func TestRun_MoMoReport(t *testing.T) {
	body, err := os.ReadFile("../../pkg/channels/momo/testdata/messages_report.json")
	if err != nil {
		t.Fatal(err)
	}
	req := &events.Request{
		Meta: events.Meta{ID: "r-1", Source: "/marketing"},
		Kind: events.KindReport, Provider: "momo", Account: "shop", Class: events.Bulk,
		Report: &events.Report{
			Report: momo.MessagesReport, Range: events.Range{Preset: "ALL"},
			Filters: map[string]string{"condition_id": "FOLLOW_NO_PAYMENT"},
		},
	}
	g := newRig(t)
	g.store(&ledger.Result{
		Seq: 1, Call: 1, Attempt: 1, Step: 1, Request: original(t, req), Parse: true, State: events.StateDone, Stats: 7, Records: 1, AtMS: start + 900,
		Answer: &channels.Answer{Status: 200, Body: body, StartedMS: start, TookUS: 812_345},
	})
	c := g.config()
	c.Providers, c.Accounts = []channels.Provider{momo.New()}, nil
	g.run(c)
	g.collected()

	metrics := make(map[string]string)
	var records []*events.Record
	var outcome *events.Outcome
	for _, m := range g.All(broker.Events) {
		e, err := events.DecodeEvent(m.Subject, m.Header, m.Data)
		if err != nil {
			t.Fatal(err)
		}
		if a := e.About(); a.Provider != "momo" || a.Account != "shop" || a.RequestID != "r-1" || a.RequestSource != "/marketing" {
			t.Errorf("%s is about %+v", m.Subject, a)
		}
		switch {
		case e.Stat != nil:
			if e.Stat.Value == nil || e.Stat.Key == "" || e.Stat.Page != 1 || e.Stat.FetchedMS != start+812 {
				t.Errorf("stat %+v", e.Stat)
				continue
			}
			metrics[e.Stat.Metric] = *e.Stat.Value
		case e.Record != nil:
			records = append(records, e.Record)
		case e.Outcome != nil:
			outcome = e.Outcome
		}
	}
	if outcome == nil {
		t.Fatal("no outcome")
	}
	if len(metrics) != outcome.Stats || len(records) != outcome.Records {
		t.Errorf("%d stats and %d records, the outcome counts %d and %d", len(metrics), len(records), outcome.Stats, outcome.Records)
	}
	if outcome.State != events.StateDone || outcome.Name != momo.MessagesReport || outcome.Pages != 1 {
		t.Errorf("outcome %+v", outcome)
	}
	for _, metric := range []string{"SENDING", "SENT", "FAILED", "RECEIVED", "READ", "CLICKED"} {
		if metrics[metric] == "" {
			t.Errorf("no stat %s", metric)
		}
	}
	if n := g.Count(broker.Dead); n > 0 {
		t.Errorf("%d dead letters", n)
	}
}
