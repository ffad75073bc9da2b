package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/hibiken/asynq"
)

// asynq does the same with three queues in Redis: sends, results, and notices,
// which stay there. Redis appends to its file as it answers and forces it to
// disk once a second, like the broker of the others.

type asynqContender struct {
	scenario
	redis   string // the program
	address string
	client  *asynq.Client
	queues  *asynq.Inspector
}

func (c *asynqContender) serve(ctx context.Context, dir string) (*process, error) {
	if _, err := exec.LookPath(c.redis); err != nil {
		return nil, fmt.Errorf("asynq needs Redis: install redis-server, name it with -redis, or leave asynq out: %w", err)
	}
	var err error
	if c.address, err = freeAddress(); err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(c.address)
	p, err := launch(dir, "broker", exec.Command(c.redis, "--bind", "127.0.0.1", "--port", port, "--dir", filepath.Clean(dir),
		"--appendonly", "yes", "--appendfsync", "everysec", "--save", ""))
	if err != nil {
		return nil, err
	}
	c.client = asynq.NewClient(asynq.RedisClientOpt{Addr: c.address})
	c.queues = asynq.NewInspector(asynq.RedisClientOpt{Addr: c.address})
	return p, listening(ctx, c.address, p)
}

func (c *asynqContender) close() {
	if c.client != nil {
		c.client.Close()
		c.queues.Close()
	}
}

// publish goes as fast as it goes: asynq is not in the experiments with a pace,
// since it polls.
func (c *asynqContender) publish(ctx context.Context, from, to, rate int, _ func(int)) error {
	if rate > 0 {
		return errors.New("asynq polls its queues: it takes a backlog only")
	}
	next := make(chan int)
	var wg sync.WaitGroup
	errs := make(chan error, 64)
	for range cap(errs) {
		wg.Go(func() {
			for i := range next {
				m, err := sendOf(i, c.accounts)
				if err == nil {
					_, err = c.client.EnqueueContext(ctx, asynq.NewTask("send", m.Data), asynq.Queue("sends"))
				}
				if err != nil {
					errs <- err
					break
				}
			}
		})
	}
	var failed error
	for i := from; i < to && failed == nil; i++ {
		select {
		case next <- i:
		case failed = <-errs:
		}
	}
	close(next)
	wg.Wait()
	select {
	case err := <-errs:
		failed = errors.Join(failed, err)
	default:
	}
	return failed
}

func (c *asynqContender) start(_ context.Context, dir, provider string) ([]*process, error) {
	return c.myCrew(dir, c.address, provider, "asynq", "-std")
}

func (c *asynqContender) stored(context.Context, int) (n int, last time.Time, err error) {
	names, err := c.queues.Queues()
	if err != nil || !slices.Contains(names, "notices") {
		return 0, last, err
	}
	info, err := c.queues.GetQueueInfo("notices")
	if err != nil {
		return 0, last, err
	}
	return info.Pending, time.Now(), nil
}

func (c *asynqContender) watch(context.Context, func([]byte)) (func(), error) {
	return nil, errors.New("asynq polls its queues: it cannot be watched")
}

// serveAsynq is the hidden command `bench asynq`.
func serveAsynq(args []string) error {
	d := readDuty("asynq", args, nil)
	redis := asynq.RedisClientOpt{Addr: d.broker}
	client := asynq.NewClient(redis)
	defer client.Close()
	from, to, handle := "sends", "results", d.callProvider
	if d.role == "collector" {
		from, to, handle = "results", "notices", d.makeNotice
	}
	server := asynq.NewServer(redis, asynq.Config{
		Concurrency: d.inflight, Queues: map[string]int{from: 1}, LogLevel: asynq.FatalLevel, TaskCheckInterval: 10 * time.Millisecond,
	})
	err := server.Start(asynq.HandlerFunc(func(ctx context.Context, t *asynq.Task) error {
		_, data, err := handle(t.Payload())
		if err == nil {
			_, err = client.EnqueueContext(ctx, asynq.NewTask(to, data), asynq.Queue(to))
		}
		ended(err)
		return nil
	}))
	if err != nil {
		return err
	}
	untilParentEnds()
	return nil
}
