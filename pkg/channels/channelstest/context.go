package channelstest

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/tramhq/tram/pkg/channels"
)

const patience = 5 * time.Second // for what takes milliseconds unless it is broken

// checkContext checks that a call that is given up lets go of the socket at
// once: the server, which has read all of it and is silent, sees that.
func (b *bench) checkContext() {
	arrived, gone := make(chan struct{}, 1), make(chan struct{}, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then does net/http watch for the end of the connection
		arrived <- struct{}{}
		<-r.Context().Done()
		gone <- struct{}{}
	}))
	defer srv.Close()
	client, err := channels.NewClient(channels.ClientConfig{})
	if err != nil {
		b.failf("client: %v", err)
		return
	}
	defer client.Close()
	for _, s := range b.samples() {
		a := at(s.a, srv.URL)
		call, err := b.prepare(a, s.r, s.step)
		if err != nil {
			b.failf("%s: prepare: %v", s.call.Operation, err)
			continue
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan *channels.Answer, 1)
		go func() { done <- client.Do(ctx, a, call) }()
		if !within(arrived) {
			b.failf("%s: the call does not arrive", s.call.Operation)
		}
		cancel()
		select {
		case ans := <-done:
			if ans.Failure != channels.FailCancelled || !ans.Written {
				b.failf("%s: given up, the call ended as %q, written %t", s.call.Operation, ans.Failure, ans.Written)
			}
		case <-time.After(patience):
			b.failf("%s: given up, the call goes on", s.call.Operation)
			return
		}
		if !within(gone) {
			b.failf("%s: given up, the call keeps its connection", s.call.Operation)
		}
	}
}

func within(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	case <-time.After(patience):
		return false
	}
}
