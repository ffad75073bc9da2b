package ledger

import (
	"fmt"
	"path"
	"runtime"
	"strings"
)

// maxStack bounds the stack in a result or dead letter, in bytes.
const maxStack = 8 << 10

// Stack returns how a panic came to be, for the function literal that a
// function defers to recover from it: a line for each function, from what
// panicked to the function that deferred, at most 8 KiB.
//
// Unlike that of [runtime/debug.Stack] it has names and lines only. The words
// of arguments, which that prints, may be a phone number.
func Stack() string {
	var pcs [128]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	literal, more := frames.Next()
	deferred, _, _ := strings.Cut(literal.Function, ".func")
	var b strings.Builder
	for more {
		var f runtime.Frame
		f, more = frames.Next()
		line := fmt.Sprintf("%s (%s:%d)\n", f.Function, path.Base(f.File), f.Line)
		if b.Len()+len(line) > maxStack {
			break
		}
		b.WriteString(line)
		if f.Function == deferred {
			break
		}
	}
	return b.String()
}
