package sandbox

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

func (f *fixture) fault(fault Fault) {
	f.t.Helper()
	if _, err := f.AddFault(fault); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) lastCall() Call {
	f.t.Helper()
	calls := f.Calls(Filter{})
	if len(calls) == 0 {
		f.t.Fatal("no call in the journal")
	}
	return calls[len(calls)-1]
}

func TestFaultStatus(t *testing.T) {
	f := start(t, Options{})
	f.fault(Fault{Status: 429, Header: map[string]string{"retry-after": "30"}, Body: `{"code":"errors"}`})
	r := f.sendCaresoft(text("0900000001"))
	f.want(r, 429, `{"code":"errors"}`, Lost)
	if r.header.Get("Retry-After") != "30" {
		t.Errorf("header %v", r.header)
	}
	f.ClearFaults()
	f.fault(Fault{Status: 500, CarryOut: true})
	f.want(f.sendCaresoft(text("0900000001")), 500, "", Accepted)
	f.want(f.sendCaresoft("{}"), 500, "", Lost) // nothing to carry out
}

func TestFaultDelay(t *testing.T) {
	f := start(t, Options{})
	f.fault(Fault{DelayMS: 30})
	began := time.Now()
	f.want(f.sendCaresoft(text("0900000001")), 200, "ok", Accepted)
	if took := time.Since(began); took < 30*time.Millisecond {
		t.Errorf("answered after %s", took)
	}
}

func TestFaultResets(t *testing.T) {
	for _, tt := range []struct {
		fault   Fault
		outcome Outcome
	}{
		{Fault{How: ResetEarly}, Lost},
		{Fault{How: Reset}, Accepted},
		{Fault{How: Reset, Status: 500}, Lost},
	} {
		t.Run(fmt.Sprint(tt.fault.How, tt.fault.Status), func(t *testing.T) {
			f := start(t, Options{})
			f.fault(tt.fault)
			if r := f.sendCaresoft(text("0900000001")); !errors.Is(r.err, syscall.ECONNRESET) {
				t.Errorf("got %+v, want a reset connection", r)
			}
			if c := f.lastCall(); c.Outcome != tt.outcome || c.Status != 0 || c.Fault != tt.fault.How {
				t.Errorf("journal says %+v, want %s", c, tt.outcome)
			}
		})
	}
}

func TestFaultResetEarlyDoesNotReadTheBody(t *testing.T) {
	f := start(t, Options{})
	f.fault(Fault{How: ResetEarly})
	c, err := net.Dial("tcp", strings.TrimPrefix(f.URL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: sandbox\r\nContent-Length: 1000\r\n\r\n", sendMessage)
	if _, err := io.ReadAll(c); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read = %v, want a reset though no byte of the body was sent", err)
	}
}

func TestFaultHang(t *testing.T) {
	f := start(t, Options{})
	f.fault(Fault{How: Hang})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "POST", f.URL()+sendMessage, strings.NewReader(text("0900000001")))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+caresoftToken)
	req.Header.Set("Content-Type", "application/json")
	if _, err := f.client.Do(req); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Do = %v", err)
	}
	if c := f.lastCall(); c.Outcome != Accepted || c.Status != 0 {
		t.Errorf("journal says %+v", c)
	}
}

func TestFaultCutOff(t *testing.T) {
	f := start(t, Options{})
	f.fault(Fault{How: CutOff})
	r := f.sendCaresoft(text("0900000001"))
	if r.status != 200 || !errors.Is(r.err, io.ErrUnexpectedEOF) || !strings.HasPrefix(r.body, `{"code"`) {
		t.Errorf("got %+v", r)
	}
	if c := f.lastCall(); c.Outcome != Accepted || c.Status != 200 {
		t.Errorf("journal says %+v", c)
	}
}

func TestFaultWrongLength(t *testing.T) {
	f := start(t, Options{})
	f.fault(Fault{How: WrongLength})
	r := f.sendCaresoft(text("0900000001"))
	if r.status != 200 || r.err != nil || strings.HasSuffix(r.body, "}") {
		t.Errorf("got %+v, want half a body without an error", r)
	}
	if r := f.sendCaresoft(text("0900000001")); r.status != 200 {
		t.Errorf("the next call: %+v", r)
	}
}

func TestFaultDrip(t *testing.T) {
	f := start(t, Options{})
	f.fault(Fault{How: Drip, Status: 200, Body: "abc", CarryOut: true})
	began := time.Now()
	f.want(f.sendCaresoft(text("0900000001")), 200, "abc", Accepted)
	if took := time.Since(began); took < 2*dripEvery {
		t.Errorf("three bytes took %s", took)
	}
	f.ClearFaults()
	f.fault(Fault{How: Drip, Status: 200, Body: strings.Repeat("x", 1<<20)})
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, "POST", f.URL()+sendMessage, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := f.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	cancel() // a caller who gives up ends the drip: Close would hang otherwise
}

func TestFaultMalformed(t *testing.T) {
	f := start(t, Options{})
	f.fault(Fault{How: Malformed})
	if r := f.sendCaresoft(text("0900000001")); r.err == nil || !strings.Contains(r.err.Error(), "malformed HTTP") {
		t.Errorf("got %+v", r)
	}
	if c := f.lastCall(); c.Outcome != Lost || c.Status != 0 {
		t.Errorf("journal says %+v", c)
	}
}

func TestFaultHTML(t *testing.T) {
	f := start(t, Options{})
	f.fault(Fault{How: HTML})
	r := f.sendCaresoft(text("0900000001"))
	f.want(r, 200, "<!doctype html>", Lost)
	if !strings.HasPrefix(r.header.Get("Content-Type"), "text/html") {
		t.Errorf("header %v", r.header)
	}
}

func TestFaultRedirect(t *testing.T) {
	f := start(t, Options{})
	f.fault(Fault{How: Redirect})
	r := f.sendCaresoft(text("0900000001"))
	f.want(r, 302, "", Lost)
	f.want(f.do("GET", r.header.Get("Location"), "", "", ""), 418, "followed", Refused)
	if n := f.Stats().Operations["sandbox.followed"][418]; n != 1 {
		t.Errorf("%d followed", n)
	}
	f.ClearFaults()
	f.fault(Fault{How: Redirect, Status: 307, Header: map[string]string{"Location": "https://example.com/"}})
	if r := f.sendCaresoft(text("0900000001")); r.status != 307 || r.header.Get("Location") != "https://example.com/" {
		t.Errorf("got %+v", r)
	}
}

func TestFaultHuge(t *testing.T) {
	f := start(t, Options{})
	f.fault(Fault{How: Huge, Size: 3 << 20})
	if r := f.sendCaresoft(text("0900000001")); r.err != nil || len(r.body) != 3<<20 {
		t.Errorf("got %d bytes, %v", len(r.body), r.err)
	}
	f.ClearFaults()
	f.fault(Fault{How: Huge}) // of 256 MiB nobody has to read all
	res, err := f.client.Post(f.URL()+sendMessage, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(io.Discard, res.Body, 1<<20); err != nil {
		t.Error(err)
	}
	res.Body.Close()
}

func TestFaultGzipBomb(t *testing.T) {
	f := start(t, Options{})
	f.fault(Fault{How: GzipBomb, Size: 20 << 20})
	f.client.Transport.(*http.Transport).DisableCompression = true
	res, err := f.client.Post(f.URL()+sendMessage, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	packed := &counter{Reader: res.Body}
	z, err := gzip.NewReader(bufio.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, z)
	if err != nil || n != 20<<20 || packed.n > 64<<10 || res.Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("%d bytes unpack to %d, %v", packed.n, n, err)
	}
}

type counter struct {
	io.Reader
	n int
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += n
	return n, err
}

func TestFaultChoosesItsCalls(t *testing.T) {
	clk := &clock{now: time.Now()}
	f := start(t, Options{Now: clk.Now, Accounts: []Account{
		{Provider: "caresoft", ID: "sandbox", Token: caresoftToken, OAs: []string{oa}, PerSecond: -1},
		DefaultAccounts()[1],
	}})
	statuses := func(n int, phone string) string {
		var b strings.Builder
		for range n {
			if f.sendCaresoft(text(phone)).status == 200 {
				b.WriteByte('.')
			} else {
				b.WriteByte('X')
			}
		}
		return b.String()
	}
	check := func(name string, fault Fault, phone, want string) {
		t.Helper()
		f.ClearFaults()
		fault.Status = 503
		f.fault(fault)
		if got := statuses(len(want), phone); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	check("all", Fault{}, "0900000001", "XXX")
	check("provider", Fault{Provider: "caresoft"}, "0900000001", "X")
	check("another provider", Fault{Provider: "momo"}, "0900000001", ".")
	check("operation", Fault{Operation: "caresoft.send_message"}, "0900000001", "X")
	check("another operation", Fault{Operation: "caresoft.user_status"}, "0900000001", ".")
	check("account", Fault{Account: "sandbox"}, "0900000001", "X")
	check("another account", Fault{Account: "1001"}, "0900000001", ".")
	check("recipient", Fault{Recipient: "0900000002"}, "0900000002", "X")
	check("another recipient", Fault{Recipient: "0900000002"}, "0900000001", ".")
	check("nth", Fault{Nth: 3}, "0900000001", "..X..")
	check("count", Fault{Count: 2}, "0900000001", "XX..")
	check("time", Fault{ForMS: 1000}, "0900000001", "XX")
	clk.Add(time.Second)
	if got := statuses(2, "0900000001"); got != ".." {
		t.Errorf("after its time: %s", got)
	}

	f.ClearFaults()
	f.fault(Fault{Probability: 0.5, Seed: 3, Status: 503})
	half := statuses(40, "0900000001")
	if n := strings.Count(half, "X"); n < 10 || n > 30 {
		t.Errorf("probability 0.5: %s", half)
	}
	check("the same seed", Fault{Probability: 0.5, Seed: 3}, "0900000001", half)

	f.ClearFaults()
	f.fault(Fault{Nth: 2, Status: 500})
	f.fault(Fault{Status: 503})
	if a, b := f.sendCaresoft(text("1234567890")), f.sendCaresoft(text("1234567890")); a.status != 503 || b.status != 500 {
		t.Errorf("the oldest that acts wins: %d, %d", a.status, b.status)
	}
	list := f.Faults()
	if list[0].Hits != 1 || list[0].Seen != 2 || list[1].Hits != 1 {
		t.Errorf("faults %+v", list)
	}
	if !f.RemoveFault(list[1].ID) || f.RemoveFault(list[1].ID) || len(f.Faults()) != 1 {
		t.Error("removing")
	}
}

func TestFaultIsValidated(t *testing.T) {
	for want, fault := range map[string]Fault{
		"nothing happens":             {},
		`how "explode"`:               {How: "explode"},
		"status 700":                  {Status: 700},
		"status 101":                  {Status: 101},
		"probability 2":               {Status: 500, Probability: 2},
		"a negative number":           {Status: 500, Nth: -1},
		"before the recipient":        {How: ResetEarly, Recipient: "x"},
		"never carried out":           {How: ResetEarly, CarryOut: true},
		"header and body need a stat": {How: CutOff, Body: "x"},
	} {
		if _, err := New(Options{}).AddFault(fault); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("AddFault(%+v) = %v, want %q", fault, err, want)
		}
	}
}

func TestFaultEcho(t *testing.T) {
	f := start(t, Options{})
	f.fault(Fault{Status: 401, Echo: true, Count: 1})
	r := f.sendCaresoft(text("0900000001"))
	for _, want := range []string{"POST /caresoft/", "Authorization: Bearer sandbox-caresoft-token", "Bearer+sandbox", "Bearer%20sandbox",
		"Bearer%252Bsandbox", `\\\"Bearer sandbox`, `\u0073\u0061\u006e\u0064`, "&#115;&#97;&#110;", "SANDBOX-CARESOFT-TOKEN"} {
		if r.status != 401 || !strings.Contains(r.body, want) {
			t.Errorf("got %d without %q: %s", r.status, want, r.body)
		}
	}
	f.fault(Fault{How: Redirect, Echo: true})
	r = f.sendCaresoft(text("0900000001"))
	if at := r.header.Get("Location"); r.status != 302 || !strings.Contains(at, "Bearer+sandbox-caresoft-token") {
		t.Errorf("got %d to %q", r.status, at)
	}
	for _, bad := range []Fault{{How: Hang, Echo: true}, {Status: 200, Echo: true, Body: "x"}} {
		if _, err := f.AddFault(bad); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
}
