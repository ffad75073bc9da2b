package ratelimit

import (
	"errors"
	"fmt"
	"time"
)

// Limits is what a provider allows one account. The zero Limits allows nothing
// and is not valid.
type Limits struct {
	// Windows all hold at once, at most one for each period.
	Windows []Window

	// Margin makes every period longer than declared, so that calls which leave
	// here late or travel unevenly still arrive at the provider within the
	// limit. At most a twentieth of the shortest period. Defaults to 40
	// milliseconds, which costs a limit per second 4 % of its rate.
	Margin time.Duration
}

// A Window allows Limit units of cost in any span of Per.
type Window struct {
	Limit int
	Per   time.Duration // from a second to 31 days

	// Burst is how much may pass at once, and so the highest cost of one call.
	// It is part of Limit, not on top of it: the steady rate is what is left,
	// Limit - Burst + 1 for each period. Defaults to 1 for periods under a
	// minute, which spaces calls evenly, and to a fiftieth of Limit for longer
	// ones. At most half of Limit.
	Burst int
}

const (
	defaultMargin = 40 * time.Millisecond
	maxPerSecond  = 100_000
	maxPeriod     = 31 * 24 * time.Hour
)

// PerSecond is a window of n in any second, evenly spaced.
func PerSecond(n int) Window { return Window{Limit: n, Per: time.Second} }

// PerMinute is a window of n in any minute.
func PerMinute(n int) Window { return Window{Limit: n, Per: time.Minute} }

// PerHour is a window of n in any hour.
func PerHour(n int) Window { return Window{Limit: n, Per: time.Hour} }

// PerDay is a window of n in any 24 hours.
func PerDay(n int) Window { return Window{Limit: n, Per: 24 * time.Hour} }

// String returns the window as in "10 per second".
func (w Window) String() string { return fmt.Sprintf("%d per %s", w.Limit, period(w.Per)) }

func period(d time.Duration) string {
	switch d {
	case time.Second:
		return "second"
	case time.Minute:
		return "minute"
	case time.Hour:
		return "hour"
	case 24 * time.Hour:
		return "day"
	}
	return d.String()
}

// burst returns Burst or its default.
func (w Window) burst() int {
	switch {
	case w.Burst != 0:
		return w.Burst
	case w.Per < time.Minute:
		return 1
	}
	return max(1, w.Limit/50)
}

func (l Limits) margin() time.Duration {
	if l.Margin == 0 {
		return defaultMargin
	}
	return l.Margin
}

// Validate returns all that is wrong with the limits, joined.
func (l Limits) Validate() error {
	if len(l.Windows) == 0 {
		return errors.New("no limit: at least one window is needed")
	}
	var errs []error
	for i, w := range l.Windows {
		if err := w.validate(); err != nil {
			errs = append(errs, err)
			continue
		}
		if m := l.margin(); m < 0 || m > w.Per/20 {
			errs = append(errs, fmt.Errorf("margin %s: must be from 0 to %s, a twentieth of the period of %s", m, w.Per/20, w))
		}
		for _, o := range l.Windows[:i] {
			errs = append(errs, contradiction(w, o))
		}
	}
	return errors.Join(errs...)
}

func (w Window) validate() error {
	switch {
	case w.Per < time.Second || w.Per > maxPeriod:
		return fmt.Errorf("period %s: must be from 1s to 31 days", w.Per)
	case w.Limit <= 0:
		return fmt.Errorf("%s: must be at least 1", w)
	case float64(w.Limit)/w.Per.Seconds() > maxPerSecond:
		return fmt.Errorf("%s: more than %d per second is surely a mistake; leave the window out if there is no such limit", w, maxPerSecond)
	case w.Burst < 0:
		return fmt.Errorf("%s: burst %d is negative", w, w.Burst)
	case w.Burst > max(1, w.Limit/2):
		return fmt.Errorf("%s: burst %d leaves only %d per %s of steady rate, because no span may hold more than the limit; use %d at most",
			w, w.Burst, w.Limit-w.Burst+1, period(w.Per), max(1, w.Limit/2))
	}
	return nil
}

// contradiction returns an error if a and b cannot both be meant. A longer
// window that the shorter one never lets fill up is no contradiction: providers
// declare such pairs, and operators lower the shorter one to be safe.
func contradiction(a, b Window) error {
	if a.Per > b.Per {
		a, b = b, a
	}
	switch {
	case a.Per == b.Per:
		return fmt.Errorf("%s and %s: two windows of one period", b, a)
	case a.Limit > b.Limit:
		return fmt.Errorf("%s and %s contradict each other: the first can never be reached; lower it to %d, or raise the second", a, b, b.Limit)
	}
	return nil
}
