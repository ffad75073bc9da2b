package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// skewVariable says by how many seconds the wall clock of a program that was
// built with skewedClock is off. More than one number, separated by commas, each
// with @ and the seconds after the program's start from when on it holds, lets
// the clock jump: 0,3600@4,-3600@8.
const skewVariable = "PROVE_CLOCK_SKEW"

// skewedClock writes a build overlay into dir, and returns its file, in which
// the standard library's time.Now is off by as many seconds as skewVariable
// says. Only the wall clock is: timers, and the monotonic clock by which times
// of one process are compared, go on as they do on a host whose clock is wrong.
//
// Go programs ask the kernel without a library that could be put before it, and
// Linux has no clock of its own for a container. What ships knows nothing of
// this: it is the same source with another standard library.
func skewedClock(ctx context.Context, dir string) (string, error) {
	const (
		clock  = "sec, nsec, mono := runtimeNow()\n"
		skewed = clock + "\tsec += skew(mono)\n"
		jumps  = `package time

import "syscall"

type jump struct{ after, by int64 } // nanoseconds, seconds

var (
	jumps   []jump
	started int64
)

func init() {
	text, _ := syscall.Getenv("` + skewVariable + `")
	numbers := [2]int64{} // by, after
	sign, which := int64(1), 0
	for _, c := range text + "," {
		switch c {
		case '-':
			sign = -1
		case '@':
			which = 1
		case ',':
			jumps = append(jumps, jump{numbers[1] * 1e9, sign * numbers[0]})
			numbers, sign, which = [2]int64{}, 1, 0
		default:
			numbers[which] = 10*numbers[which] + int64(c-'0')
		}
	}
	started = runtimeNano()
}

func skew(mono int64) (by int64) {
	for _, j := range jumps {
		if mono-started >= j.after {
			by = j.by
		}
	}
	return by
}
`
	)
	out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("find the standard library: %w", err)
	}
	root := filepath.Join(strings.TrimSpace(string(out)), "src", "time")
	source, err := os.ReadFile(filepath.Join(root, "time.go"))
	if err != nil {
		return "", err
	}
	if bytes.Count(source, []byte(clock)) != 1 {
		return "", fmt.Errorf("skew the clock: time.Now of this Go is not written as expected")
	}
	return overlay(dir, root, map[string]string{
		"time.go": strings.Replace(string(source), clock, skewed, 1), "skew.go": jumps,
	})
}
