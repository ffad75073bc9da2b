package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/tramhq/tram/internal/broker"
)

// A look is what everything takes at one moment. Memory is in MiB.
type look struct {
	at                             time.Duration
	dispatcher, collector, broker  float64 // memory
	dispatching, collecting        float64 // goroutines
	stored, keys, consumers, lanes float64 // MiB in the streams; messages in the buckets; of the streams; series of the dispatcher's lanes
}

const lookHead = "      time | MiB: dispatcher collector broker | goroutines: dispatcher collector | streams, MiB | keys | consumers | lanes"

func (l look) String() string {
	return fmt.Sprintf("%10s | %15.0f %9.0f %6.0f | %22.0f %9.0f | %12.1f | %4.0f | %9.0f | %5.0f",
		l.at.Round(time.Second), l.dispatcher, l.collector, l.broker, l.dispatching, l.collecting, l.stored, l.keys, l.consumers, l.lanes)
}

func (k *soaking) look(ctx context.Context, at time.Duration) (l look, err error) {
	l.at = at
	for _, p := range []struct {
		process            *process
		memory, goroutines *float64
	}{{k.stays, &l.dispatcher, &l.dispatching}, {k.collector, &l.collector, &l.collecting}} {
		m, err := p.process.metrics(ctx)
		if err != nil {
			return l, err
		}
		*p.memory, *p.goroutines = m["process_resident_memory_bytes"]/(1<<20), m["go_goroutines"]
		l.lanes += m["tram_lane_state"]
	}
	bytes, err := k.broker.rss()
	if err != nil {
		return l, err
	}
	l.broker = float64(bytes) / (1 << 20)
	streams := k.js.ListStreams(ctx)
	for info := range streams.Info() {
		l.consumers += float64(info.State.Consumers)
		if strings.HasPrefix(info.Config.Name, "KV_") {
			l.keys += float64(info.State.Msgs)
		} else {
			l.stored += float64(info.State.Bytes) / (1 << 20)
		}
	}
	return l, streams.Err()
}

// metrics returns the sum of each metric of a process over its labels.
func (p *process) metrics(ctx context.Context) (map[string]float64, error) {
	log, err := os.ReadFile(p.log.Name())
	if err != nil {
		return nil, err
	}
	_, url, found := strings.Cut(string(log), `msg="health and metrics are served" url=`)
	if !found {
		return nil, fmt.Errorf("the log does not say where metrics are: %w", p.dead())
	}
	url, _, _ = strings.Cut(url, "\n")
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSpace(url)+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	sums := map[string]float64{}
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if i := strings.LastIndexByte(lines.Text(), '}'); i >= 0 {
			value = strings.TrimSpace(lines.Text()[i+1:])
			name, _, _ = strings.Cut(name, "{")
		}
		if n, err := strconv.ParseFloat(value, 64); err == nil {
			sums[name] += n
		}
	}
	return sums, nil
}

// judge compares the looks after the streams have begun to forget with the
// last ones. In a soak too short for that only what needs no time is judged.
func (k *soaking) judge() (r report) {
	warm := 2 * soakAge
	var rest []look
	for _, l := range k.looks {
		if l.at >= warm {
			rest = append(rest, l)
		}
	}
	if third := len(rest) / 3; third > 0 {
		flat := func(what string, slack float64, of func(look) float64) {
			first, last := mean(rest[:third], of), mean(rest[len(rest)-third:], of)
			r.add(what+", after "+warm.String()+" and at the end", fmt.Sprintf("%.1f, %.1f", first, last),
				fmt.Sprintf("a quarter and %.0f more at most", slack), last <= 1.25*first+slack)
		}
		flat("memory of a dispatcher, MiB", 8, func(l look) float64 { return l.dispatcher })
		flat("memory of a collector, MiB", 8, func(l look) float64 { return l.collector })
		flat("memory of the broker, MiB", 16, func(l look) float64 { return l.broker })
		flat("goroutines of a dispatcher", 64, func(l look) float64 { return l.dispatching })
		flat("goroutines of a collector", 16, func(l look) float64 { return l.collecting })
		flat("in the streams, MiB", 1, func(l look) float64 { return l.stored })
		flat("messages in the buckets", 8, func(l look) float64 { return l.keys })
		flat("consumers", 8, func(l look) float64 { return l.consumers })
	}
	most := func(what string, limit float64, of func(look) float64) {
		got := 0.0
		for _, l := range k.looks {
			got = max(got, of(l))
		}
		r.add(what+", at most", got, strconv.FormatFloat(limit, 'f', -1, 64), got <= limit && len(k.looks) > 0)
	}
	// Partitions, checkpoints, members and contracts; a feed for each partition,
	// twice while it changes hands, and a few for what all watch.
	most("messages in the buckets", 2*broker.DefaultPartitions+2*soakPool+64, func(l look) float64 { return l.keys })
	most("consumers", 2*broker.DefaultPartitions+64, func(l look) float64 { return l.consumers })
	most("lanes of a dispatcher", soakPool, func(l look) float64 { return l.lanes })
	return r
}

func mean(looks []look, of func(look) float64) float64 {
	sum := 0.0
	for _, l := range looks {
		sum += of(l)
	}
	return sum / float64(len(looks))
}
