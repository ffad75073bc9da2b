//go:build unix

package main

import (
	"os"
	"strconv"
	"syscall"
)

// last is a priority that yields to almost everything else.
const last = 15

// goLast has the process yield to others on its machine, as far as the system
// lets it: what it does is worth waiting for, and live traffic is not.
func goLast() {
	_ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, last)
	threads, _ := os.ReadDir("/proc/self/task") // on Linux each thread has its own
	for _, t := range threads {
		if id, err := strconv.Atoi(t.Name()); err == nil {
			_ = syscall.Setpriority(syscall.PRIO_PROCESS, id, last)
		}
	}
}
