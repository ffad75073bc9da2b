package wiring

import (
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/tramhq/tram/internal/config"
	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/events"
)

func TestProviders(t *testing.T) {
	var names []string
	for _, p := range Providers() {
		names = append(names, p.Name())
		if !events.ValidName(p.Name()) {
			t.Errorf("%q cannot stand in a subject", p.Name())
		}
	}
	if !slices.IsSorted(names) || len(slices.Compact(names)) != len(Providers()) {
		t.Errorf("got %v, want each once and in order", names)
	}
}

// TestDeployments_config makes sure that the configuration to start from is one.
func TestDeployments_config(t *testing.T) {
	const file = "../../../deployments/tram.yaml"
	_, err := config.Load(file, nil, Providers())
	for _, missing := range []string{"TRAM_SECRET_CARESOFT_HOTLINE_TOKEN", "TRAM_SECRET_AHACHAT_FANPAGE_TOKEN", "TRAM_SECRET_MOMO_SHOP_TOKEN"} {
		if err == nil || strings.Count(err.Error(), "set "+missing+",") != 1 {
			t.Errorf("without secrets: got %v, want it to name %s", err, missing)
		}
	}
	c, err := config.Load(file, []string{
		"TRAM_SECRET_CARESOFT_HOTLINE_TOKEN=caresoft", "TRAM_SECRET_AHACHAT_FANPAGE_TOKEN=ahachat", "TRAM_SECRET_MOMO_SHOP_TOKEN=momo",
	}, Providers())
	if err != nil {
		t.Fatal(err)
	}
	if err := Streams(c.Streams).Validate(); err != nil {
		t.Error(err)
	}
	for _, a := range accounts(c) {
		if err := a.Limits.Validate(); err != nil {
			t.Errorf("%s: %v", a.Name, err)
		}
		if a.Secrets["token"] == channels.Secret("") {
			t.Errorf("%s has no token", a.Name)
		}
	}
}

func TestServers(t *testing.T) {
	got := servers("host:4222, tls://b:4222,nats://c")
	if want := []string{"nats://host:4222", "tls://b:4222", "nats://c"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := servers(nats.DefaultURL); !slices.Equal(got, []string{nats.DefaultURL}) {
		t.Errorf("got %q", got)
	}
}
