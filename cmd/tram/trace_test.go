package main

import (
	"strings"
	"testing"
	"time"

	"github.com/tramhq/tram/internal/history"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/events"
)

// TestTrace_table shows a request that was made of another and has ended, and one
// that waits.
func TestTrace_table(t *testing.T) {
	at := time.Date(2026, 11, 21, 8, 0, 0, 0, time.Local).UnixMilli()
	var b strings.Builder
	ended := traced{History: &history.History{
		ID: "redrive-1", Source: "/acme/shop", Provider: "caresoft", Account: "hotline", Class: events.Bulk, Kind: events.KindSend,
		AncestorID: "order-17", State: events.StateFailed, Standing: "ended as failed: quota",
		Entries: []history.Entry{
			{AtMS: at - 90_000, What: history.Ancestor, Stream: "TRAM_REQUESTS", Seq: 3, RequestID: "order-17"},
			{AtMS: at, What: history.Published, Stream: "TRAM_REQUESTS", Seq: 7},
			{AtMS: at + 12, What: history.Intent, Stream: "TRAM_INTENTS", Seq: 9, Call: 1, Owner: "d1"},
			{AtMS: at + 13, What: history.Called, Call: 1, TookUS: 84_200, Why: events.Why{HTTPStatus: 400}},
			{AtMS: at + 100, What: history.Result, Stream: "TRAM_RESULTS", Seq: 8, Call: 1, State: events.StateFailed, Why: events.Why{Class: "permanent", Reason: "quota"}},
			{AtMS: at + 24*3600_000, What: history.Decided, RequestID: "redrive-2", Note: "redriven"},
		},
	}}
	if err := ended.print(&printer{w: &b}); err != nil {
		t.Fatal(err)
	}
	want := `send "redrive-1" of "/acme/shop" for caresoft/hotline, class bulk
ended as failed: quota, after 100ms
made of "order-17": tram trace order-17
2026-11-21
  07:58:30.000  -1m30s  ancestor   TRAM_REQUESTS 3  request order-17
  08:00:00.000          published  TRAM_REQUESTS 7
  08:00:00.012  +12ms   intent     TRAM_INTENTS 9   call 1, by d1
  08:00:00.013  +13ms   call                        call 1, HTTP 400, in 84.2ms
  08:00:00.100  +100ms  result     TRAM_RESULTS 8   call 1, failed, permanent quota
2026-11-22
  08:00:00.000  +1d0h  decided    redriven, request redrive-2
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}

	b.Reset()
	waits := traced{
		History: &history.History{ID: "r1", Source: "/tram/schedule/daily", Provider: "momo", Account: "shop", Class: events.Bulk, Kind: events.KindReport,
			Name: "momo.messages_report", Schedule: "daily", Standing: "waits for its turn",
			Entries: []history.Entry{{AtMS: at, What: history.Published, Stream: "TRAM_REQUESTS", Seq: 7}}},
		Lane: &laneStatus{Lane: ledger.Lane{State: events.LanePaused, By: "an", Why: "their office moves"}, Waiting: 1},
	}
	if err := waits.print(&printer{w: &b}); err != nil {
		t.Fatal(err)
	}
	want = `report momo.messages_report "r1" of "/tram/schedule/daily" for momo/shop, class bulk
waits for its turn
its account is paused, with 1 request waiting (by an: their office moves)
made by the schedule daily
2026-11-21
  08:00:00.000    published  TRAM_REQUESTS 7
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}
