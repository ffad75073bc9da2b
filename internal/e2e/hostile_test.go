package e2e

import (
	"bytes"
	"os"
	"regexp"
	"runtime"
	"runtime/metrics"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/internal/sandbox"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

// hostile are answers that no provider should give. Each comes with status 200
// in place of the good one.
var hostile = []struct {
	name  string
	fault sandbox.Fault
}{
	{"html", sandbox.Fault{How: sandbox.HTML}},
	{"empty", sandbox.Fault{Status: 200}},
	{"cut-off", sandbox.Fault{Status: 200, How: sandbox.CutOff, Body: `{"success":true,"code":"ok","data":[{"id":"1"},{"id":"2"}]}`}},
	{"not-http", sandbox.Fault{How: sandbox.Malformed}},
	{"huge", sandbox.Fault{How: sandbox.Huge, Size: 200 << 20}},
	{"gzip-bomb", sandbox.Fault{How: sandbox.GzipBomb}},
	{"deep-object", sandbox.Fault{Status: 200, Body: strings.Repeat(`{"data":`, 20_000) + "1" + strings.Repeat("}", 20_000)}},
	{"deep-million", sandbox.Fault{Status: 200, Body: strings.Repeat("[", 1_000_000)}},
	{"other-shape", sandbox.Fault{Status: 200, Body: `{"items":[1,"two",{"three":null}],"page":{"next":false}}`}},
	{"other-types", sandbox.Fault{Status: 200, Body: `{"success":"yes","code":{},"data":7,"json":[],"error":true,"conversations":{},"customers":"x","pages":1,"categorized":3}`}},
	{"utf-16", sandbox.Fault{Status: 200, Header: map[string]string{"Content-Type": "application/json; charset=utf-16"}, Body: utf16LE(`{"success":true,"code":"ok","data":[]}`)}},
	{"not-utf-8", sandbox.Fault{Status: 200, Body: "{\"success\":true,\"code\":\"ok\",\"message\":\"\xff\xfe\xc3(\",\"da\xe9a\":[\"\xed\xa0\x80\"]"}},
}

func utf16LE(s string) string {
	b := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune(s)) {
		b = append(b, byte(u), byte(u>>8))
	}
	return string(b)
}

// TestHostileAnswers gives every operation every hostile answer, and then a
// good one.
func TestHostileAnswers(t *testing.T) {
	reasons := documentedReasons(t)
	var accounts []channels.Account
	var requests, again []*events.Request
	boxes := map[string]*sandbox.Server{}
	for _, h := range hostile {
		box := startSandbox(t, func(account string) string { return "token of " + account })
		boxes[h.name] = box
		if _, err := box.AddFault(h.fault); err != nil {
			t.Fatal(err)
		}
		for _, op := range operations() {
			name := op.id + "-" + h.name
			if op.saysNo(h.name) {
				continue
			}
			accounts = append(accounts, op.relay(name, box.URL(), "token of "+op.account))
			requests = append(requests, op.request(name, name))
			again = append(again, op.request(name+"-again", name))
		}
	}
	r := startRig(t, providers(), accounts, calls{attempts: 1, timeout: patience})
	grown := watchHeap(t)
	r.publish(requests...)
	ends := r.settled(requests)
	if n := grown(); n > maxHeapGrowth {
		t.Errorf("the heap grew by %d MiB, want no more than %d", n>>20, maxHeapGrowth>>20)
	}
	letters := r.deadLetters(ends)
	for _, h := range hostile {
		for _, op := range operations() {
			if id := op.id + "-" + h.name; ends[id] != nil {
				op.checkEnd(t, h.name, ends[id], letters[id], reasons)
			}
		}
		boxes[h.name].ClearFaults()
	}

	r.publish(again...)
	ends = r.settled(again)
	for id, e := range ends {
		if state, why := stateOf(e); state != events.StateAccepted && state != events.StateDone {
			t.Errorf("%s, with a good answer: %s, %+v", id, state, why)
		}
	}
}

// checkEnd holds the end of a request and its dead letter against what a
// hostile answer must lead to.
func (op operation) checkEnd(t *testing.T, answer string, end *events.Event, letter *ledger.DeadLetter, reasons map[string]bool) {
	id := op.id + "-" + answer
	state, why := stateOf(end)
	if op.takesAnyYes(answer) {
		if state != events.StateAccepted && state != events.StateDone {
			t.Errorf("%s ended as %s, %+v, want accepted or done", id, state, why)
		}
		return
	}
	want := events.StateFailed
	if op.once() && !(op.id == "p2" && answer == "html") { // which is how Pancake says that it has no such path
		want = events.StateUnknown
	}
	if state != want || why.Detail == "" || !reasons[why.Reason] {
		t.Errorf("%s ended as %s, %+v, want %s with a documented reason", id, state, why, want)
	}
	if letter == nil || letter.Answer == nil {
		t.Errorf("%s has no dead letter with its answer", id)
		return
	}
	if body := letter.Answer.Body; !op.isHead(answer, body) {
		t.Errorf("%s: the dead letter has %d bytes, %.60q, which are not the beginning of the answer", id, len(body), body)
	}
}

// takesAnyYes says that AhaChat, whose document shows no answer, takes every
// JSON object that does not say no for a weak yes. A webhook takes every JSON
// object unless it is told where the message's id stands. Of P11 and P12, too, no
// answer is documented: an object of any shape is published, with a warning.
func (op operation) takesAnyYes(answer string) bool {
	takes := op.provider() == "ahachat" || op.provider() == "webhook" || op.id == "p11" || op.id == "p12"
	return takes && (answer == "other-shape" || answer == "other-types")
}

// saysNo says that every JSON object without pages is how Pancake refuses the
// token in its list of pages, so that the account waits for another.
func (op operation) saysNo(answer string) bool {
	return op.id == "p1" && (answer == "other-shape" || answer == "other-types")
}

// isHead reports whether body is where the answer begins, as far as a person
// needs it. Answers that are tokens themselves tell their length instead.
func (op operation) isHead(answer string, body []byte) bool {
	var fault sandbox.Fault
	for _, h := range hostile {
		if h.name == answer {
			fault = h.fault
		}
	}
	want := fault.Body
	switch fault.How {
	case sandbox.HTML:
		want = "<!doctype html><title>Login</title>"
	case sandbox.Malformed:
		return len(body) == 0 // no answer at all
	case sandbox.Huge:
		want = strings.Repeat("a", 1000)
	case sandbox.GzipBomb:
		want = strings.Repeat("\x00", 1000)
	case sandbox.CutOff:
		want = want[:len(want)/2]
	}
	if op.id == "p1" || op.id == "p2" {
		return len(want) == 0 || bytes.Contains(body, []byte("redacted")) || bytes.HasPrefix(body, []byte("{"))
	}
	return bytes.HasPrefix(body, []byte(want[:min(len(want), 1000)]))
}

// documentedReasons are those of docs/reasons.md.
func documentedReasons(t *testing.T) map[string]bool {
	page, err := os.ReadFile("../../docs/reasons.md")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_]+)`").FindAllStringSubmatch(string(page), -1) {
		all[m[1]] = true
	}
	return all
}

// maxHeapGrowth is well below one huge answer, and what the calls under way
// and the broker in this process need.
const maxHeapGrowth = 150 << 20

// watchHeap returns a function that says by how many bytes the heap has grown
// at most since, garbage included.
func watchHeap(t *testing.T) (grown func() int64) {
	heap := func() int64 {
		sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		metrics.Read(sample)
		return int64(sample[0].Value.Uint64())
	}
	runtime.GC()
	before, peak := heap(), int64(0)
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			peak = max(peak, heap()-before)
			select {
			case <-tick.C:
			case <-done:
				return
			}
		}
	}()
	stop := sync.OnceFunc(func() { close(done); <-stopped })
	t.Cleanup(stop)
	return func() int64 { stop(); return peak }
}
