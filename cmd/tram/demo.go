package main

import (
	"context"
	"fmt"
	"io"

	"github.com/tramhq/tram/pkg/events"
)

// demoStats is how many stats the demo prints; the rest it counts.
const demoStats = 3

// demo publishes one send and one report request to the sandbox and prints
// what becomes of them. It waits for no longer than ctx.
func demo(ctx context.Context, c *client, stdout io.Writer) error {
	requests := []*events.Request{
		{
			Kind: events.KindSend, Provider: "caresoft", Account: "hotline", Class: events.Urgent,
			Send: &events.Send{
				Recipient: events.Recipient{Kind: events.ByPhone, Value: "0900000001"},
				Content:   events.Content{Kind: events.ContentText, Text: "Your order is on its way."},
			},
		},
		{
			Kind: events.KindReport, Provider: "momo", Account: "shop", Class: events.Normal,
			Report: &events.Report{
				Report:  "momo.messages_report",
				Range:   events.Range{Preset: "DAY_AGO_30"},
				Filters: map[string]string{"condition_id": "NO_ACTIVITIES_30"},
			},
		},
	}
	p := newPrinter(stdout, false)
	for _, r := range requests {
		if err := c.show(ctx, p, r); err != nil && ctx.Err() == nil {
			return fmt.Errorf("demo: %w", err)
		}
	}
	return nil
}

// show publishes r and prints what becomes of it.
func (c *client) show(ctx context.Context, p *printer, r *events.Request) error {
	from, err := c.next(ctx)
	if err != nil {
		return err
	}
	receipt, err := c.publish(ctx, r)
	if err != nil {
		return err
	}
	if err := p.receipt(r, receipt); err != nil {
		return err
	}
	stats, records := 0, 0
	_, err = c.follow(ctx, r, from, func(e *events.Event) error {
		switch {
		case e.Stat != nil:
			stats++
		case e.Record != nil:
			records++
		}
		if e.Record != nil || e.Stat != nil && stats > demoStats {
			return nil
		}
		if more := stats - demoStats; e.Outcome != nil && e.Outcome.Final && more > 0 {
			fmt.Fprintf(p.w, "             … and %d more stats, %d records\n", more, records)
		}
		return p.event(e)
	})
	return err
}
