package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/collector"
	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

type replayPlan struct {
	Results int
	Kills   int     // of a process that makes all events again
	Rate    float64 // at which it makes them, per second, so that it is not done before it is killed; 0: as fast as it goes
	Speed   float64 // results per second that are to be compared at least; 0: not judged
}

const (
	replayAccounts = 50
	reportEvery    = 50 // results; the others are sends
)

func (plan replayPlan) scene(seed uint64) scene {
	c := scene{Seed: seed}
	for i := range replayAccounts {
		c.Accounts = append(c.Accounts, account{Name: "replay" + strconv.Itoa(i), Limits: prover.Limits})
	}
	return c
}

// replay stores results as a dispatcher does and has a collector make their
// events. Then it has these made again, to compare them, and into a stream of
// its own by a process that is killed. No provider must be called.
func replay(ctx context.Context, s *stage, plan replayPlan) (report, error) {
	accounts := plan.scene(0).Accounts
	at := time.Now().UnixMilli()
	err := s.publish(ctx, 1, plan.Results+1, 0, func(i int) (*nats.Msg, error) {
		return resultOf(accounts[i%len(accounts)], i, at)
	})
	if err != nil {
		return nil, err
	}
	var r report
	r.note("results, of them reports", fmt.Sprintf("%d, %d", plan.Results, plan.Results/reportEvery))
	took, err := s.collectAll(ctx)
	if err != nil {
		return nil, err
	}
	r.note("collected, per second", fmt.Sprintf("%.0f", float64(plan.Results)/took.Seconds()))

	compared, err := s.compareAll(ctx)
	if err != nil {
		return nil, err
	}
	kept, err := s.count(ctx, broker.Events, ">")
	if err != nil {
		return nil, err
	}
	r.add("results compared", compared.Results, strconv.Itoa(plan.Results), compared.Results == plan.Results)
	r.add("events made that are stored byte for byte", compared.Same, strconv.FormatUint(kept, 10), uint64(compared.Same) == kept)
	r.add("events that differ", compared.differ(), "0", compared.differ() == 0)
	speed := float64(plan.Results) / compared.took.Seconds()
	if plan.Speed > 0 {
		r.add("results compared per second", fmt.Sprintf("%.0f", speed), fmt.Sprintf("%.0f at least", plan.Speed), speed >= plan.Speed)
	}
	r.note("processor time for each result, of the process, of the broker", fmt.Sprintf("%s, %s", each(compared.process, plan.Results), each(compared.broker, plan.Results)))

	rebuilt, kills, err := s.rebuild(ctx, plan)
	if err != nil {
		return nil, err
	}
	r.note("made again into a stream of its own, results per second", fmt.Sprintf("%.0f, the kills included", float64(plan.Results)/rebuilt.Seconds()))
	r.note("kills of the process meanwhile", kills)
	differ, twice, err := s.sameEvents(ctx, "TRAM_REPLAY_"+rebuildJob)
	if err != nil {
		return nil, err
	}
	r.add("events that differ or are missing there", differ, "0", differ == 0)
	r.add("events that are there twice", twice, "0", twice == 0)
	calls := s.sandbox.Stats().Calls
	r.add("calls of a provider", calls, "0", calls == 0)
	return r, nil
}

// each is a share of seconds.
func each(seconds float64, n int) string {
	return (time.Duration(seconds / float64(n) * float64(time.Second))).Round(100 * time.Nanosecond).String()
}

// resultOf is what a dispatcher stores about request number i, which went well.
func resultOf(a account, i int, at int64) (*nats.Msg, error) {
	req := sendTo(a, i)
	r := &ledger.Result{Seq: uint64(i), Call: 1, Attempt: 1, Step: 1, Parse: true, State: events.StateAccepted, Evidence: events.Strong, AtMS: at}
	body := `{"code":"ok","message":"created","data":{"message_id":"` + strconv.Itoa(i) + `"}}`
	if i%reportEvery == 0 {
		req = &events.Request{
			Meta: events.Meta{ID: "status-" + strconv.Itoa(i), Source: "/prove"},
			Kind: events.KindReport, Provider: a.provider(), Account: a.Name, Class: events.Bulk,
			Report: &events.Report{Report: "caresoft.zalo_user_status", Recipient: events.Recipient{Kind: events.ByPhone, Value: "09" + strconv.Itoa(10_000_000+i)}},
		}
		r.State, r.Evidence, r.Records = events.StateDone, "", 1
		body = `{"code":"ok","data":{"user_id":"` + strconv.Itoa(i) + `","username":"An","following_status":true,"can_send_transaction_message":1,"last_user_activity_time":"2026-11-20 10:00:00"}}`
	}
	m, err := events.EncodeRequest(req)
	if err != nil {
		return nil, err
	}
	r.Request = ledger.Original{Subject: m.Subject, Header: m.Header, Data: m.Data, TimeMS: at}
	r.Answer = &channels.Answer{Status: 200, Body: []byte(body), StartedMS: at, TookUS: 42_000}
	data, err := ledger.EncodeResult(r)
	if err != nil {
		return nil, err
	}
	result := nats.NewMsg(broker.ResultSubject(a.partition(), a.provider(), a.Name))
	result.Data = data
	result.Header.Set(events.HeaderMsgID, strconv.Itoa(i)+"/1")
	return result, nil
}

// collectAll has a collector make the events of all results.
func (s *stage) collectAll(ctx context.Context) (time.Duration, error) {
	began := time.Now()
	c, err := s.start("collector")
	if err != nil {
		return 0, err
	}
	err = until(ctx, 30*time.Minute, "the collector", func() (bool, error) {
		done, err := s.collected(ctx)
		return done, errors.Join(err, c.dead())
	})
	return time.Since(began), errors.Join(err, c.stop())
}

// collected reports whether all results have become events.
func (s *stage) collected(ctx context.Context) (bool, error) {
	results, err := s.js.Stream(ctx, broker.Results)
	if err != nil {
		return false, err
	}
	cons, err := results.Consumer(ctx, collector.Durable)
	if errors.Is(err, jetstream.ErrConsumerNotFound) { // no collector has come yet
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return cons.CachedInfo().AckFloor.Stream == results.CachedInfo().State.LastSeq, nil
}

// tram is the operator's tool with arguments, not started yet.
func (s *stage) tram(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(s.programs, "tram"), append(args, "--server", s.url())...)
	cmd.Env = s.env
	return cmd
}

// A comparison is what `tram replay events --diff` found, and what it took.
type comparison struct {
	Results, Same   int
	Differences     map[string]map[string]int
	took            time.Duration
	process, broker float64 // seconds of a core
}

// differ is the number of differences.
func (c *comparison) differ() (n int) {
	for _, kinds := range c.Differences {
		for _, of := range kinds {
			n += of
		}
	}
	return n
}

func (s *stage) compareAll(ctx context.Context) (*comparison, error) {
	c := new(comparison)
	before, began := cpuOf(s.broker.cmd.Process.Pid), time.Now()
	cmd := s.tram(ctx, "replay", "events", "--config", s.config(), "--diff", "--json")
	out, err := cmd.Output()
	c.took, c.broker = time.Since(began), cpuOf(s.broker.cmd.Process.Pid)-before
	if p := cmd.ProcessState; p != nil {
		c.process = (p.UserTime() + p.SystemTime()).Seconds()
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if e := json.Unmarshal([]byte(lines[len(lines)-1]), c); e != nil {
		return nil, errors.Join(err, fmt.Errorf("compare: %w: %s", e, out))
	}
	return c, nil // it fails, too, when something differs
}
