package ledger_test

import (
	"strings"
	"testing"

	"github.com/tramhq/tram/internal/ledger"
)

// call panics at the given depth with values that must not be told.
//
//go:noinline
func call(depth int, phone int64, text string) string {
	if depth == 0 {
		panic(text)
	}
	return call(depth-1, phone, text) + text
}

func stackOf(depth int) (stack string) {
	defer func() {
		if recover() != nil {
			stack = ledger.Stack()
		}
	}()
	return call(depth, 84900000001, "0900000001")
}

func TestStack(t *testing.T) {
	stack := stackOf(2)
	if !strings.Contains(stack, "ledger_test.call (stack_test.go:15)\n") || strings.Count(stack, "ledger_test.call ") != 3 ||
		!strings.HasSuffix(stack, "ledger_test.stackOf (stack_test.go:26)\n") {
		t.Errorf("the stack does not say what panicked:\n%s", stack)
	}
	for _, told := range []string{"84900000001", "13c4b6a281", "0900000001", "0x", "/"} {
		if rest := strings.ReplaceAll(stack, "github.com/tramhq/tram/internal/", ""); strings.Contains(rest, told) {
			t.Errorf("the stack tells %q:\n%s", told, stack)
		}
	}
	if deep := stackOf(10_000); len(deep) > 8<<10 || !strings.Contains(deep, "ledger_test.call ") {
		t.Errorf("a deep stack has %d bytes", len(deep))
	}
}
