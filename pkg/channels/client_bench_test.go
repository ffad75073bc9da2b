package channels

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// BenchmarkDo_Alone measures what a call costs us: the server at its other end
// allocates nothing and thinks of nothing.
func BenchmarkDo_Alone(b *testing.B) {
	const body = `{"code":"ok","message":"created","id":123456}`
	base := serveRaw(b, func(c net.Conn) {
		in, answer := make([]byte, 16<<10), []byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 45\r\n\r\n"+body)
		for {
			if _, err := c.Read(in); err != nil { // a request comes in one piece
				return
			}
			if _, err := c.Write(answer); err != nil {
				return
			}
		}
	})
	c, a := newTestClient(b, ClientConfig{}), testAccount(base)
	call := &Call{Operation: "shop.send", Method: "POST", URL: base + "/acme/api/v1/zalo/send-message", Auth: Credential{In: InBearer, Secret: "token"},
		Header: map[string]string{"Content-Type": "application/json", "Accept": "application/json"},
		Body:   []byte(`{"zalo":{"phone_no":"0900000001","oa_id":"1600113752846","message":"` + strings.Repeat("x", 100) + `"}}`)}
	b.ReportAllocs()
	for b.Loop() {
		if ans := c.Do(b.Context(), a, call); string(ans.Body) != body {
			b.Fatalf("answer %+v", ans)
		}
	}
}

func BenchmarkDo(b *testing.B) {
	base := serve(b, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"code":"ok","message":"Tạo thành công!"}`)
	})
	a, call := testAccount(base), testCall(base)
	b.Run("client", func(b *testing.B) {
		c := newTestClient(b, ClientConfig{})
		b.ReportAllocs()
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if ans := c.Do(b.Context(), a, call); ans.Status != 200 {
					b.Errorf("answer %+v", ans)
				}
			}
		})
	})
	b.Run("bare net/http", func(b *testing.B) { // what there is to lose
		tr := &http.Transport{MaxIdleConnsPerHost: 512}
		defer tr.CloseIdleConnections()
		b.ReportAllocs()
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				req, _ := http.NewRequestWithContext(b.Context(), "POST", call.URL, bytes.NewReader(call.Body))
				req.Header.Set("Authorization", "Bearer "+token)
				resp, err := tr.RoundTrip(req)
				if err != nil {
					b.Error(err)
					continue
				}
				_, _ = io.ReadAll(resp.Body)
				resp.Body.Close()
			}
		})
	})
}
