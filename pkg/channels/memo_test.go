package channels

import (
	"errors"
	"testing"
)

func TestMemo(t *testing.T) {
	var m Memo[string]
	made := 0
	of := func(a *Account) string {
		t.Helper()
		v, err := m.Of(a, func(a *Account) (string, error) {
			made++
			if a.Settings["word"] == "" {
				return "", errors.New("no word")
			}
			return a.BaseURL + a.Settings["word"], nil
		})
		if (err != nil) != (a.Settings["word"] == "") {
			t.Fatalf("Of(%v): %v", a.Settings, err)
		}
		return v
	}
	account := func(name, word string) *Account {
		return &Account{Provider: "p", Name: name, BaseURL: "u/", Settings: map[string]string{"word": word}}
	}
	for i, step := range []struct {
		a    *Account
		want string
		made int // so far
	}{
		{account("a", "x"), "u/x", 1},
		{account("a", "x"), "u/x", 1}, // another struct that says the same
		{account("b", "y"), "u/y", 2},
		{account("a", "z"), "u/z", 3}, // changed
		{account("a", "z"), "u/z", 3},
		{account("b", "y"), "u/y", 3}, // not changed by it
		{account("c", ""), "", 4},
		{account("c", ""), "", 5}, // an error is not kept
	} {
		if got := of(step.a); got != step.want || made != step.made {
			t.Errorf("step %d: got %q, made %d times; want %q, %d times", i, got, made, step.want, step.made)
		}
	}
	a := account("a", "z")
	of(a)
	a.Settings["word"] = "changed" // in the very map that was seen
	if got := of(a); got != "u/changed" {
		t.Errorf("after a change in place: %q", got)
	}
}
