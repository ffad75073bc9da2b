package main

import (
	"context"
	"os/exec"
	"strconv"
	"time"
)

// A contender does the work, with a broker and processes of its own.
type contender interface {
	// serve starts the broker and makes on it what the others need.
	serve(ctx context.Context, dir string) (*process, error)

	// publish publishes sends number from to to, and returns when all are
	// stored. At rate 0 it goes as fast as the broker takes them; else it goes
	// at so many per second and tells of each when it was published.
	publish(ctx context.Context, from, to, rate int, published func(i int)) error

	// start starts what calls the provider at that URL and what makes
	// deliveries. They are called dispatcher and collector.
	start(ctx context.Context, dir, provider string) ([]*process, error)

	// stored is how many deliveries are stored, and when the last one was. Until
	// there are about enough it may count something else with them.
	stored(ctx context.Context, enough int) (n int, last time.Time, err error)

	// watch calls seen with every delivery that a consumer gets, until stop.
	watch(ctx context.Context, seen func(body []byte)) (stop func(), err error)

	// close lets go of the broker.
	close()
}

// roles are what the processes of all contenders are called.
var roles = []string{"collector", "dispatcher"}

// crew starts as many processes of each role as the scenario has.
func (s scenario) crew(dir string, command func(role string, i int) *exec.Cmd) ([]*process, error) {
	var all []*process
	for _, role := range roles {
		for i := range max(1, s.each) {
			p, err := launch(dir, role, command(role, i))
			if err != nil {
				return all, err
			}
			all = append(all, p)
		}
	}
	return all, nil
}

// myCrew is crew of this program's own hidden commands.
func (s scenario) myCrew(dir, broker, provider, command string, flags ...string) ([]*process, error) {
	return s.crew(dir, func(role string, _ int) *exec.Cmd {
		return myself(command, append(flags, "-role", role, "-broker", broker, "-provider", provider, "-inflight", strconv.Itoa(s.inflight))...)
	})
}
