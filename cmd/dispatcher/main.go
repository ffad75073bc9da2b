// Command dispatcher works requests: it owns partitions of the accounts, calls
// the providers within their limits and stores what became of each call. Run as
// many as there are partitions at most.
//
// It exits with 0 when it was told to stop, 1 after a failure, 2 for wrong
// flags, 3 for an invalid configuration, and 4 when the broker cannot be
// reached, does not permit what it must do, or its streams are not as `tram
// setup` makes them.
package main

import "github.com/tramhq/tram/cmd/internal/wiring"

func main() { wiring.Main("dispatcher", wiring.RunDispatcher) }
