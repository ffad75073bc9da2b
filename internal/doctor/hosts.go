package doctor

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tramhq/tram/internal/config"
	"github.com/tramhq/tram/pkg/channels"
)

// hostsAtOnce bounds how many hosts are looked at together.
const hostsAtOnce = 8

// Hosts looks whether the hosts of all providers resolve to addresses that may be
// called, take connections, and prove who they are. It calls no API.
func Hosts(ctx context.Context, c *config.Config) []Finding {
	f := findings{check: CheckHosts}
	if c.HTTP.Proxy != "" {
		f.add(OK, "", "", "not looked at: calls go through the proxy of http.proxy")
		return f.all
	}
	hosts := map[string][]string{} // accounts by URL without its path
	for _, a := range c.Accounts {
		if u, err := url.Parse(a.BaseURL); err == nil && u.Host != "" {
			key := u.Scheme + "://" + u.Host
			hosts[key] = append(hosts[key], a.Provider+"/"+a.Name)
		}
	}
	var mu sync.Mutex
	var g errgroup.Group
	g.SetLimit(hostsAtOnce)
	for _, base := range slices.Sorted(maps.Keys(hosts)) {
		g.Go(func() error {
			do, err := lookAt(ctx, base, c)
			if err != nil {
				mu.Lock()
				defer mu.Unlock()
				f.add(Fail, base, do, "%v (of %s)", err, count(len(hosts[base]), "account"))
			}
			return nil
		})
	}
	_ = g.Wait() // what is wrong is a finding
	slices.SortFunc(f.all, func(a, b Finding) int { return cmp.Compare(a.About, b.About) })
	return f.done("%s can be reached, and may be called", count(len(hosts), "host"))
}

// lookAt returns what is wrong with a host, and what to do about it.
func lookAt(ctx context.Context, base string, c *config.Config) (do string, err error) {
	u, err := url.Parse(base)
	if err != nil {
		return "correct its base_url", err
	}
	ctx, cancel := context.WithTimeout(ctx, c.HTTP.DialTimeout+time.Second)
	defer cancel()
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", u.Hostname())
	if err != nil {
		return "correct its base_url, or see to the name servers of this machine", err
	}
	local := loopback(base) // whoever wrote that meant it
	may := slices.DeleteFunc(slices.Clone(found), func(a netip.Addr) bool {
		return !channels.MayCall(a, c.HTTP.AllowPrivate.Prefixes) && !(local && a.Unmap().IsLoopback())
	})
	if len(may) == 0 {
		return "if it is meant, add its network to http.allow_private", errors.New("it leads to an address that is not public, which dispatchers do not call")
	}
	dialer := &net.Dialer{Timeout: c.HTTP.DialTimeout}
	port := cmp.Or(u.Port(), map[string]string{"https": "443", "http": "80"}[u.Scheme])
	for _, a := range may {
		if err = handshake(ctx, dialer, u, net.JoinHostPort(a.String(), port)); err == nil {
			return "", nil
		}
	}
	if _, bad := errors.AsType[*tls.CertificateVerificationError](err); bad {
		return "see whether the name is right; if a proxy or an authority of your own is between, let the system trust it", err
	}
	return "see whether a firewall is between; docs/security.md says where dispatchers must get", err
}

func handshake(ctx context.Context, d *net.Dialer, u *url.URL, addr string) error {
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	if u.Scheme != "https" {
		return nil
	}
	return tls.Client(conn, &tls.Config{ServerName: u.Hostname()}).HandshakeContext(ctx)
}
