package sandbox

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	dripEvery    = 50 * time.Millisecond
	hugeSize     = 256 << 20
	gzipBombSize = 1 << 30
	chunkSize    = 64 << 10
)

// deliver sends the answer, spoiled in the way that the fault asks for.
func (s *Server) deliver(w http.ResponseWriter, r *request, ans answer, f *Fault) {
	how, size := Plain, int64(0)
	if f != nil {
		how, size = f.How, f.Size
	}
	switch how {
	case Reset:
		reset(w)
	case Hang:
		select {
		case <-r.Context().Done():
		case <-s.done:
		}
		reset(w)
	case CutOff:
		raw(w, ans, len(ans.body), ans.body[:len(ans.body)/2])
	case WrongLength:
		raw(w, ans, len(ans.body)/2, ans.body)
	case Malformed:
		hijack(w, func(c net.Conn) { fmt.Fprintf(c, "220 ready\r\n<<< this is not HTTP >>>\r\n\r\n%s", ans.body) })
	case Drip:
		ans.writeHeader(w)
		s.drip(w, r, ans.body)
	case Huge:
		ans.writeHeader(w)
		_, _ = w.Write(ans.body)
		_ = repeat(w, []byte(strings.Repeat("a", chunkSize)), or(size, hugeSize)/chunkSize)
	case GzipBomb:
		ans.header["Content-Encoding"] = "gzip"
		ans.writeHeader(w)
		_ = repeat(w, gzipMember(), or(size, gzipBombSize)/(16*chunkSize))
	default:
		ans.writeHeader(w)
		_, _ = w.Write(ans.body)
	}
}

func or(a, b int64) int64 {
	if a != 0 {
		return a
	}
	return b
}

func (a answer) writeHeader(w http.ResponseWriter) {
	for name, value := range a.header {
		w.Header().Set(name, value)
	}
	w.WriteHeader(a.status)
}

func (s *Server) drip(w http.ResponseWriter, r *request, body []byte) {
	tick := time.NewTicker(dripEvery)
	defer tick.Stop()
	for i := range body {
		if _, err := w.Write(body[i : i+1]); err != nil || http.NewResponseController(w).Flush() != nil {
			return
		}
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		case <-s.done:
			return
		}
	}
}

// repeat writes p at least once and n times in all.
func repeat(w io.Writer, p []byte, n int64) error {
	for range max(1, n) {
		if _, err := w.Write(p); err != nil {
			return err // the caller had enough
		}
	}
	return nil
}

// gzipMember is a mebibyte of nothing; members one after the other are one
// gzip stream, so that a bomb of any size costs nothing to make.
var gzipMember = sync.OnceValue(func() []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(make([]byte, 16*chunkSize))
	_ = z.Close()
	return b.Bytes()
})

// raw writes an answer by hand, with a length of its own and any body, and
// closes the connection.
func raw(w http.ResponseWriter, ans answer, length int, body []byte) {
	hijack(w, func(c net.Conn) {
		fmt.Fprintf(c, "HTTP/1.1 %d %s\r\nContent-Length: %d\r\n", ans.status, http.StatusText(ans.status), length)
		for name, value := range ans.header {
			fmt.Fprintf(c, "%s: %s\r\n", name, value)
		}
		fmt.Fprintf(c, "\r\n%s", body)
	})
}

// reset breaks the connection with a TCP reset.
func reset(w http.ResponseWriter) {
	hijack(w, func(c net.Conn) {
		if t, ok := c.(*net.TCPConn); ok {
			_ = t.SetLinger(0)
		}
	})
}

// hijack takes the connection over and closes it after use. Where that cannot
// be done, as with a recorder in a test, the handler is aborted.
func hijack(w http.ResponseWriter, use func(net.Conn)) {
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second)) // a caller that does not read
	use(c)
}
