package ratelimit_test

import (
	"context"
	"fmt"
	"time"

	"github.com/tramhq/tram/pkg/ratelimit"
)

// One account, and its provider's 429.
func Example() {
	limits := ratelimit.Limits{Windows: []ratelimit.Window{
		ratelimit.PerSecond(15),
		ratelimit.PerHour(54_000),
	}}
	if err := limits.Validate(); err != nil {
		fmt.Println(err)
		return
	}
	account := ratelimit.New(limits)

	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := account.Wait(ctx, 1); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("call the provider")

	account.Cooldown(time.Now().Add(30 * time.Second)) // Retry-After: 30
	fmt.Println("at the earliest in", account.Delay(time.Now(), 1).Round(time.Second))
	// Output:
	// call the provider
	// at the earliest in 30s
}

// A limit that several accounts share: each asks for a place before a call.
func ExampleGroup() {
	partner := ratelimit.NewGroup(ratelimit.Limits{Windows: []ratelimit.Window{ratelimit.PerSecond(2)}})
	now := time.Now()
	for range 3 {
		at, ok := partner.Reserve(now, now.Add(time.Second))
		fmt.Println(ok, at.Sub(now).Round(time.Second/4))
	}
	// Output:
	// true 500ms
	// false 1s
	// false 1s
}

func ExampleLimits_Validate() {
	fmt.Println(ratelimit.Limits{Windows: []ratelimit.Window{
		ratelimit.PerMinute(30),
		ratelimit.PerSecond(60),
		{Limit: 15, Per: time.Hour, Burst: 15},
	}}.Validate())
	// Output:
	// 60 per second and 30 per minute contradict each other: the first can never be reached; lower it to 30, or raise the second
	// 15 per hour: burst 15 leaves only 1 per hour of steady rate, because no span may hold more than the limit; use 7 at most
}
