package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
)

// modules are those whose versions decide what is measured.
var modules = []string{
	"github.com/nats-io/nats-server/v2", "github.com/nats-io/nats.go", "github.com/valyala/fasthttp",
	"github.com/vmihailenco/msgpack/v5", "github.com/tinylib/msgp", "github.com/ThreeDotsLabs/watermill",
	"github.com/ThreeDotsLabs/watermill-nats/v2", "github.com/hibiken/asynq",
}

// machine names this machine and the versions of what runs on it.
func machine() string {
	model := "unknown processor"
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(info)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			model = strings.TrimSpace(value)
		}
	}
	release, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	kernel, _, _ := strings.Cut(strings.TrimSpace(string(release)), "-")
	parts := []string{fmt.Sprintf("%d × %s", runtime.NumCPU(), model), "Linux " + kernel, runtime.Version()}
	build, _ := debug.ReadBuildInfo()
	for _, name := range modules {
		for _, m := range build.Deps {
			if m.Path == name {
				parts = append(parts, strings.TrimPrefix(name, "github.com/")+" "+m.Version)
			}
		}
	}
	return strings.Join(parts, ", ")
}
