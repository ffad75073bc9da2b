package ops

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// watched runs a health in a bubble until the test ends.
func watched(t *testing.T, prepare func(*Health)) *Health {
	t.Helper()
	h := newHealth(slog.New(slog.NewTextHandler(t.Output(), nil)))
	prepare(h)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { h.watch(ctx) })
	t.Cleanup(func() {
		stop()
		running.Wait()
	})
	synctest.Wait()
	return h
}

func TestReadyFollowsWhatIsNeeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		away := errors.New("no server is connected")
		h := watched(t, func(h *Health) {
			h.Need("dispatcher", func(context.Context) error { return nil })
			h.Need("broker", func(context.Context) error {
				mu.Lock()
				defer mu.Unlock()
				return away
			})
			if h.Ready().Ready {
				t.Error("ready before anybody has looked")
			}
		})
		if r := h.Ready(); r.Ready || r.Parts["broker"] != "no server is connected" || r.Parts["dispatcher"] != "ok" {
			t.Errorf("without a broker: got %+v", r)
		}
		mu.Lock()
		away = nil
		mu.Unlock()
		time.Sleep(lookEvery)
		synctest.Wait()
		if r := h.Ready(); !r.Ready || h.Alive() != nil {
			t.Errorf("with a broker: got %+v, %v", r, h.Alive())
		}
		h.Need("broker", func(ctx context.Context) error { // one that does not answer
			<-ctx.Done()
			return context.Cause(ctx)
		})
		time.Sleep(time.Minute)
		synctest.Wait()
		if r := h.Ready(); r.Ready || h.Alive() != nil {
			t.Errorf("with a broker that does not answer: got %+v and %v, want alive and not ready", r, h.Alive())
		}
		h.Need("broker", func(context.Context) error { return nil })
		time.Sleep(lookEvery + lookTimeout)
		synctest.Wait()
		if r := h.Ready(); !r.Ready {
			t.Errorf("got %+v, want ready again", r)
		}
		h.Stopping()
		if r := h.Ready(); r.Ready || h.Alive() != nil {
			t.Errorf("stopping: got %+v and %v, want alive and not ready", r, h.Alive())
		}
	})
}

func TestAProcessThatIsWedgedIsNotAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lock := make(chan struct{}, 1) // a mutex would keep the bubble's time from passing
		h := watched(t, func(h *Health) {
			h.Need("broker", func(context.Context) error { return errors.New("away") })
			h.Touch("collector", func() {})
			h.Touch("dispatcher", func() {
				lock <- struct{}{}
				<-lock
			})
		})
		time.Sleep(time.Hour)
		if err := h.Alive(); err != nil {
			t.Errorf("after an hour without a broker: %v", err)
		}
		lock <- struct{}{}
		time.Sleep(wedged)
		if err := h.Alive(); err != nil {
			t.Errorf("too early: %v", err)
		}
		time.Sleep(2 * touchEvery)
		if err := h.Alive(); err == nil || !strings.Contains(err.Error(), "the dispatcher has not moved for") {
			t.Errorf("got %v, want the dispatcher in it", err)
		}
		<-lock
		synctest.Wait()
		if err := h.Alive(); err != nil {
			t.Errorf("it moves again: %v", err)
		}
	})
}

func TestAHealthThatDoesNotLookIsNeitherReadyNorAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := make(chan struct{})
		h := watched(t, func(h *Health) {
			h.Need("broker", func(context.Context) error { return nil })
		})
		h.Need("broker", func(context.Context) error { // which heeds no context
			<-stuck
			return nil
		})
		time.Sleep(lookEvery + wedged + time.Second)
		if r := h.Ready(); r.Ready || h.Alive() == nil {
			t.Errorf("got %+v and alive, want neither", r)
		}
		close(stuck)
		time.Sleep(lookEvery)
		synctest.Wait()
		if r := h.Ready(); !r.Ready || h.Alive() != nil {
			t.Errorf("got %+v and %v, want both", r, h.Alive())
		}
	})
}
