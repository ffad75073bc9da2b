package main

import (
	"flag"
	"fmt"
	"os"
	"sync"
	"time"
)

// A duty is what a process of a contender other than tram has to do, and does
// the same way whoever carries its messages.
type duty struct {
	role             string // dispatcher or collector
	broker, provider string // URLs
	inflight         int    // calls under way at once
	std              bool   // HTTP client and codec are those that tram uses
	codec            codec
	call             caller
}

// readDuty reads the flags of a hidden command; more defines its own.
func readDuty(command string, args []string, more func(*flag.FlagSet)) duty {
	flags := flag.NewFlagSet(command, flag.ExitOnError)
	var d duty
	flags.StringVar(&d.role, "role", "", "dispatcher or collector")
	flags.StringVar(&d.broker, "broker", "", "URL")
	flags.StringVar(&d.provider, "provider", "", "URL")
	flags.IntVar(&d.inflight, "inflight", 256, "calls under way at once")
	flags.BoolVar(&d.std, "std", false, "the HTTP client and the codec that tram uses")
	if more != nil {
		more(flags)
	}
	_ = flags.Parse(args) // exits on an error
	d.codec, d.call = codec(fast{}), fastCaller(d.inflight)
	if d.std {
		d.codec, d.call = std{}, stdCaller(d.inflight)
	}
	return d
}

// callProvider makes the call that a Card asks for, and returns its account
// and the Result.
func (d *duty) callProvider(card []byte) (account string, result []byte, err error) {
	c, err := d.codec.card(card)
	if err != nil {
		return "", nil, err
	}
	body, err := d.codec.call(c)
	if err != nil {
		return "", nil, err
	}
	r := &Result{ID: c.CorrelationID, Account: c.Tenant, Recipient: c.Recipient, Attempt: 1}
	if r.Status, r.Answer, err = d.call(d.provider+path(c.Tenant), body); err != nil {
		return "", nil, err
	}
	r.AtMS = time.Now().UnixMilli()
	result, err = d.codec.result(r)
	return c.Tenant, result, err
}

// makeNotice makes the Notice of a Result.
func (d *duty) makeNotice(result []byte) (account string, notice []byte, err error) {
	r, err := d.codec.readResult(result)
	if err != nil {
		return "", nil, err
	}
	code, err := d.codec.code(r.Answer)
	if err != nil {
		return "", nil, err
	}
	n, err := noticeOf(r, code)
	if err != nil {
		return "", nil, err
	}
	notice, err = d.codec.notice(n)
	return r.Account, notice, err
}

var once sync.Once

// ended ends the process on an error: there is none in a run that counts.
func ended(err error) {
	if err != nil {
		once.Do(func() {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		})
	}
}
