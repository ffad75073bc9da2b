// Command collector turns the stored results of calls into the events that
// other services read. Run as many as you like.
//
// It exits with 0 when it was told to stop, 1 after a failure, 2 for wrong
// flags, 3 for an invalid configuration, and 4 when the broker cannot be
// reached, does not permit what it must do, or its streams are not as `tram
// setup` makes them.
package main

import "github.com/tramhq/tram/cmd/internal/wiring"

func main() { wiring.Main("collector", wiring.RunCollector) }
