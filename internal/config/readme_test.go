package config

import (
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tramhq/tram/pkg/channels"
)

// TestREADME_settings holds the table of settings against the structs: every
// key, its variable and its default.
func TestREADME_settings(t *testing.T) {
	data, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(data), "\n## Settings\n")
	if !ok {
		t.Fatal("README.md has no section Settings")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	got := map[string][2]string{} // variable and default, by key
	for line := range strings.Lines(section) {
		cells := strings.Split(strings.Trim(line, "| \n"), " | ")
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		if len(cells) != 4 || strings.TrimSpace(cells[3]) == "" {
			t.Errorf("row %q: want setting, variable, default and meaning", line)
			continue
		}
		got[code(cells[0])] = [2]string{code(cells[1]), code(cells[2])}
	}

	want := map[string][2]string{"accounts[].settings": {}}
	var c Config
	c.fill()
	for s := range settings(&c) {
		want[s.key] = [2]string{s.variable, defaultOf(s.value)}
	}
	var a Account
	a.fill(channels.Traits{})
	walk(reflect.ValueOf(&a).Elem(), "accounts[]", func(s setting) bool {
		want[s.key] = [2]string{"", defaultOf(s.value)}
		return true
	})
	var q Quiet
	q.fill()
	want["accounts[].quiet[].days"], want["accounts[].quiet[].classes"] = [2]string{}, [2]string{"", string(q.Classes[0])}
	walk(reflect.ValueOf(&q).Elem(), "accounts[].quiet[]", func(s setting) bool {
		want[s.key] = [2]string{"", defaultOf(s.value)}
		return true
	})
	want["groups[].accounts"] = [2]string{}
	walk(reflect.ValueOf(new(Group)).Elem(), "groups[]", func(s setting) bool {
		want[s.key] = [2]string{}
		return true
	})
	for key := range want {
		if row, ok := got[key]; !ok || row != want[key] {
			t.Errorf("%s: got variable and default %q in the table, want %q", key, row, want[key])
		}
		delete(got, key)
	}
	for key := range got {
		t.Errorf("%s stands in the table and is no setting", key)
	}
}

// code returns the text of a cell, "" for a dash.
func code(cell string) string { return strings.Trim(cell, " `–") }

// defaultOf writes a default as a person would: 72h and not 72h0m0s.
func defaultOf(v reflect.Value) string {
	if level, ok := v.Interface().(slog.Level); ok {
		return strings.ToLower(level.String())
	}
	if v.IsZero() {
		return ""
	}
	if d, ok := v.Interface().(time.Duration); ok {
		text := d.String()
		if d%time.Minute == 0 {
			text = strings.TrimSuffix(text, "0s")
		}
		if d%time.Hour == 0 {
			text = strings.TrimSuffix(text, "0m")
		}
		return text
	}
	return fmt.Sprint(v.Interface())
}
