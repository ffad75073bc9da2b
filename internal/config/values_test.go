package config

import (
	"testing"
)

func TestSize(t *testing.T) {
	for text, want := range map[string]Size{"0": 0, "512": 512, "64KiB": 64 << 10, "8 MiB": 8 << 20, "3GiB": 3 << 30, "-1": -1} {
		var s Size
		if err := s.UnmarshalText([]byte(text)); err != nil || s != want {
			t.Errorf("%q: got %d, %v", text, s, err)
		}
	}
	for _, text := range []string{"", "KiB", "1KB", "9223372036854775807GiB", "-9223372036854775807KiB", "1.5MiB"} {
		if err := new(Size).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
	if got := Size(1<<20).String() + " " + Size(1000).String() + " " + Size(0).String(); got != "1MiB 1000 0" {
		t.Errorf("got %s", got)
	}
}

func TestNetworks(t *testing.T) {
	for text, want := range map[string]string{"": "", "10.1.2.3/16": "10.1.0.0/16", "192.168.7.1,fd00::/8": "192.168.7.1/32, fd00::/8"} {
		var n Networks
		if err := n.UnmarshalText([]byte(text)); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if got, _ := n.MarshalText(); string(got) != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
