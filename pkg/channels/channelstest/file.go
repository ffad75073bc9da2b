package channelstest

import (
	"os"
	"testing"
)

// File returns the text of a fixture.
func File(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("read fixture: %v", err)
	}
	return string(data)
}
