package channels

import (
	"bytes"
	"io"
	"net/http"
	"testing"
)

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
