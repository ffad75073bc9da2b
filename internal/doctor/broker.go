package doctor

import (
	"context"
	"errors"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tramhq/tram/internal/broker"
	"github.com/tramhq/tram/internal/perm"
)

// Broker looks at the connection, and at what room there is in the account.
func Broker(ctx context.Context, nc *nats.Conn) []Finding {
	f := findings{check: CheckBroker}
	server := nc.ConnectedServerName()
	if payload := nc.MaxPayload(); payload < broker.MinPayload {
		f.add(Fail, server, "set max_payload in the servers' configuration; deployments/nats has one", "max_payload is %d bytes, want at least %d", payload, broker.MinPayload)
	}
	if _, err := nc.TLSConnectionState(); err != nil && !loopback(nc.ConnectedUrl()) {
		f.add(Warn, server, "use tls:// and docs/security.md", "the connection leaves this machine and is not encrypted")
	}
	rtt, err := nc.RTT()
	switch {
	case err != nil:
		f.add(Fail, server, "see whether the server is overloaded, or gone", "it does not answer: %v", err)
	case rtt > 100*time.Millisecond:
		f.add(Warn, server, "run dispatchers nearer to the broker: each call waits for it at least twice", "an answer takes %v", rtt.Round(time.Millisecond))
	}
	return append(f.done("%s, version %s, answers in %v", server, nc.ConnectedServerVersion(), rtt.Round(10*time.Microsecond)), room(ctx, nc)...)
}

// loopback reports whether a server is on this machine.
func loopback(server string) bool {
	u, err := url.Parse(server)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// room tells how much of the account's storage is used, if it has a limit.
func room(ctx context.Context, nc *nats.Conn) []Finding {
	f := findings{check: CheckBroker}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	js, err := jetstream.New(nc)
	var info *jetstream.AccountInfo
	if err == nil {
		info, err = js.AccountInfo(ctx)
	}
	if err != nil {
		f.add(Warn, "", "let the user publish to $JS.API.INFO, and the servers have JetStream", "it cannot be told how much room there is: %v", err)
		return f.all
	}
	return f.room(float64(info.Store), float64(info.Limits.MaxStore))
}

func (f *findings) room(used, limit float64) []Finding {
	if limit <= 0 {
		return f.done("%s are stored, without a limit for the account: watch the disks of the servers", bytes(used))
	}
	if grade := full(used, limit); grade != OK {
		f.add(grade, "", "give the account more storage, or keep less: streams.*.max_age", "%s of %s that the account may store are used", bytes(used), bytes(limit))
	}
	return f.done("%s of %s that the account may store are used", bytes(used), bytes(limit))
}

// Permissions tells whether the user of nc may do what a role needs.
func Permissions(ctx context.Context, nc *nats.Conn, role perm.Role) []Finding {
	f := findings{check: CheckPermissions}
	err := perm.Check(ctx, nc, role)
	if e, ok := errors.AsType[*perm.MissingError](err); ok {
		for _, missing := range e.Missing {
			if strings.HasPrefix(missing, "publish to ") || strings.HasPrefix(missing, "subscribe to ") { // else it is the server's own word
				missing = "the user may not " + missing
			}
			f.add(Fail, role.Name, "add it to the user, as in deployments/nats/tram-users.conf; docs/security.md says what it is for", "%s", missing)
		}
		return f.all
	}
	if err != nil {
		f.add(Warn, role.Name, "let the user publish to $SYS.REQ.USER.INFO", "it cannot be told what the user may do: %v", err)
	}
	return f.done("the user may do all that the role %s needs", role.Name)
}

// maxSkew is from how far on clocks that differ are worth a word.
const maxSkew = time.Second

// Clocks compares this machine's clock with the broker's, and with those of the
// dispatchers, of which ahead says by how much this machine's is ahead.
func Clocks(ctx context.Context, js jetstream.JetStream, ahead map[string]time.Duration) []Finding {
	f := findings{check: CheckClocks}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	begun := time.Now()
	s, err := js.Stream(ctx, broker.Requests)
	if err != nil {
		f.add(Warn, broker.Requests, "see what is found of the streams", "the broker's clock cannot be read: %v", err)
	} else if at := s.CachedInfo().TimeStamp; !at.IsZero() {
		half := time.Since(begun) / 2 // when it was read is known no better
		ahead := begun.Add(half).Sub(at)
		f.clock("the broker", ahead-min(max(ahead, -half), half))
	}
	for id, d := range ahead {
		f.clock("dispatcher "+id, d)
	}
	return f.done("the clocks of the broker and of %s agree with this machine's to a second", count(len(ahead), "dispatcher"))
}

func (f *findings) clock(whose string, ahead time.Duration) {
	const do = "let time be kept by NTP: not_before_ms, expires_at_ms and quiet hours are times of the day"
	if ahead.Abs() <= maxSkew {
		return
	}
	grade, by := Warn, "behind"
	if ahead.Abs() > 30*time.Second {
		grade = Fail
	}
	if ahead < 0 {
		by = "ahead"
	}
	f.add(grade, whose, do, "its clock is %v %s of this machine's", ahead.Abs().Round(100*time.Millisecond), by)
}
