package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Recipients at whom the provider package of programs that were built with
// brittleProvider breaks.
const (
	breaksPrepare   = "0610000001"
	breaksJudge     = "0610000002"
	breaksParse     = "0610000003" // in the dispatcher
	breaksCollector = "0610000004" // Parse, in the collector alone
	isUnreadable    = "0610000005" // to Parse
)

// brittleProvider writes a build overlay into dir, and returns its file, in which
// CareSoft's package panics at some recipients. What ships knows nothing of this.
func brittleProvider(ctx context.Context, dir string) (string, error) {
	const (
		sound   = "caresoft.New(),"
		brittle = "brittle{caresoft.New()},"
	)
	wrapper := fmt.Sprintf(`package wiring

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

type brittle struct{ channels.Provider }

func breaks(r *events.Request, at string) {
	if r.Send != nil && r.Send.Recipient.Value == at || r.Report != nil && r.Report.Recipient.Value == at {
		var broken map[string]string
		broken[at] = at
	}
}

func (b brittle) Prepare(a *channels.Account, r *events.Request, s channels.Step) (*channels.Call, error) {
	breaks(r, %q)
	return b.Provider.Prepare(a, r, s)
}

func (b brittle) Judge(a *channels.Account, r *events.Request, s channels.Step, ans *channels.Answer) channels.Verdict {
	breaks(r, %q)
	return b.Provider.Judge(a, r, s, ans)
}

func (b brittle) Parse(a *channels.Account, r *events.Request, s channels.Step, ans *channels.Answer) (*channels.Harvest, error) {
	breaks(r, %q)
	if filepath.Base(os.Args[0]) == "collector" {
		breaks(r, %q)
	}
	if r.Report != nil && r.Report.Recipient.Value == %q {
		return nil, errors.New("nobody can read this")
	}
	return b.Provider.Parse(a, r, s, ans)
}
`, breaksPrepare, breaksJudge, breaksParse, breaksCollector, isUnreadable)
	out, err := exec.CommandContext(ctx, "go", "list", "-f", "{{.Dir}}", "github.com/tramhq/tram/cmd/internal/wiring").Output()
	if err != nil {
		return "", fmt.Errorf("find the providers: %w", err)
	}
	source := strings.TrimSpace(string(out))
	wiring, err := os.ReadFile(filepath.Join(source, "wiring.go"))
	if err != nil {
		return "", err
	}
	if bytes.Count(wiring, []byte(sound)) != 1 {
		return "", fmt.Errorf("break a provider: the list of providers is not written as expected")
	}
	return overlay(dir, source, map[string]string{
		"wiring.go": strings.Replace(string(wiring), sound, brittle, 1), "brittle.go": wrapper,
	})
}

// overlay writes files into dir that stand for those of the same name in a
// directory of sources, and returns the file that says so to the go command.
func overlay(dir, sources string, files map[string]string) (string, error) {
	replace := map[string]string{}
	for name, text := range files {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return "", err
		}
		replace[filepath.Join(sources, name)] = file
	}
	data, err := json.Marshal(struct{ Replace map[string]string }{replace})
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "overlay.json")
	return file, os.WriteFile(file, data, 0o600)
}
