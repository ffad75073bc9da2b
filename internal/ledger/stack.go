package ledger

import (
	"fmt"
	"path"
	"runtime"
	"strings"
)

// maxStack bounds the stack in a result or dead letter, in bytes.
const maxStack = 8 << 10

// Stack returns where the caller is: a line for each function, the innermost
// first, at most 8 KiB. In a deferred function that recovers it begins with
// what panicked. Unlike [runtime/debug.Stack] it has names and lines only: the
// words of arguments, which that prints, may be a phone number.
func Stack() string {
	var pcs [128]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	var b strings.Builder
	for {
		f, more := frames.Next()
		line := fmt.Sprintf("%s (%s:%d)\n", f.Function, path.Base(f.File), f.Line)
		if b.Len()+len(line) > maxStack {
			break
		}
		b.WriteString(line)
		if !more {
			break
		}
	}
	return b.String()
}
