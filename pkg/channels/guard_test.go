package channels

import (
	"context"
	"encoding/binary"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

func TestMayCall(t *testing.T) {
	allow := []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd00::/8")}
	for _, public := range []string{"1.1.1.1", "203.162.4.191", "2606:4700::1111", "::ffff:1.1.1.1", "10.1.2.3", "::ffff:10.1.2.3", "fd12::1"} {
		if !MayCall(netip.MustParseAddr(public), allow) {
			t.Errorf("%s may not be called", public)
		}
	}
	for _, private := range []string{
		"127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", "::127.0.0.1", "0.0.0.0", "0.1.2.3", "::",
		"10.0.0.1", "10.2.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "fc00::1", "fe80::1", "fe80::1%eth0", "fec0::1",
		"169.254.169.254", "::ffff:169.254.169.254", "100.100.100.200", "168.63.129.16", "192.0.0.192", // metadata
		"64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1", "2001:0:1::1", "198.18.0.1", "224.0.0.1", "ff02::1", "255.255.255.255", "240.0.0.1",
	} {
		if MayCall(netip.MustParseAddr(private), allow) {
			t.Errorf("%s may be called", private)
		}
	}
}

// TestDo_Private calls names and addresses that lead to this machine. What counts
// is where they lead, and who said so.
func TestDo_Private(t *testing.T) {
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/away" {
			http.Redirect(w, r, "http://169.254.169.254/latest/meta-data", http.StatusFound)
		}
	})
	proxy := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	port := base[strings.LastIndex(base, ":"):]
	here := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	tests := []struct {
		name, base string
		config     ClientConfig
		status     int // 0: nothing was sent
	}{
		{"loopback by its address", base, ClientConfig{}, 200},
		{"loopback by its name", "http://localhost" + port, ClientConfig{}, 200},
		{"a name for loopback", "http://provider.test" + port, ClientConfig{}, 0},
		{"a name for loopback, allowed", "http://provider.test" + port, ClientConfig{AllowPrivate: here}, 200},
		{"metadata", "http://169.254.169.254", ClientConfig{}, 0},
		{"metadata, as IPv6", "http://[::ffff:169.254.169.254]", ClientConfig{}, 0},
		{"a network of ours", "http://10.0.0.1", ClientConfig{}, 0},
		{"no address at all", "http://0.0.0.0" + port, ClientConfig{}, 0},
		{"a redirect to metadata", base + "/away", ClientConfig{}, 302},
		{"metadata through a proxy", "http://169.254.169.254", ClientConfig{Proxy: proxy}, 0},
		{"a name through a proxy, which is on loopback", "http://provider.test" + port, ClientConfig{Proxy: proxy}, http.StatusTeapot},
	}
	for _, test := range tests {
		c := newTestClient(t, test.config)
		c.guard.dial.Resolver = resolver(t)
		call := testCall(test.base)
		if call.URL = test.base + "/x"; strings.HasSuffix(test.base, "/away") {
			call.URL = test.base
		}
		ans := c.Do(t.Context(), testAccount(test.base), call)
		if test.status != 0 && (ans.Status != test.status || ans.Failure != "") {
			t.Errorf("%s: got status %d, %s %s", test.name, ans.Status, ans.Failure, ans.Detail)
		}
		if test.status == 0 && (ans.Failure != FailConnect || ans.Written || !strings.Contains(ans.Detail, "http.allow_private")) {
			t.Errorf("%s: got %+v", test.name, ans)
		}
	}
}

// resolver returns one that finds 127.0.0.1 whatever it is asked for.
func resolver(t *testing.T) *net.Resolver {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { server.Close(); <-done })
	go func() {
		defer close(done)
		for query := make([]byte, 512); ; {
			n, from, err := server.ReadFrom(query)
			if err != nil {
				return
			}
			_, _ = server.WriteTo(answer(query[:n]), from)
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", server.LocalAddr().String())
	}}
}

// answer is a DNS answer to query: 127.0.0.1 for an A record, nothing for others.
func answer(query []byte) []byte {
	question := 12
	for query[question] != 0 {
		question += int(query[question]) + 1
	}
	end := question + 5
	a := append([]byte{}, query[:end]...)
	copy(a[2:12], []byte{0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0})
	if kind := binary.BigEndian.Uint16(query[question+1:]); kind == 1 {
		a[7] = 1
		a = append(a, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1)
	}
	return a
}
