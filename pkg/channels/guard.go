package channels

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"syscall"
)

// errPrivate says that a name leads to an address that is not public.
var errPrivate = errors.New("the address is not public")

// A guard keeps calls away from what only this machine can reach: itself, its
// network, the cloud's metadata. It looks at the address that is about to be
// connected to, so that a name which resolves otherwise the next time, or a
// second address of it, changes nothing.
type guard struct {
	allow []netip.Prefix
	dial  net.Dialer
}

// dialContext connects to addr. One that names loopback itself was written by
// whoever configured it, who may have a sandbox there.
func (g *guard) dialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	host, _, _ := net.SplitHostPort(addr)
	local := namesLoopback(host)
	d := g.dial
	d.Control = func(_, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil || !MayCall(to.Addr(), g.allow) && !(local && to.Addr().Unmap().IsLoopback()) {
			return errPrivate
		}
		return nil
	}
	return d.DialContext(ctx, network, addr)
}

func namesLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// refuses reports whether host is an address that may not be called. Where a
// proxy resolves the names, this is all that can be known.
func (g *guard) refuses(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && !MayCall(ip, g.allow) && !ip.Unmap().IsLoopback()
}

// MayCall reports whether a is a public address, or in one of the networks that
// are allowed although they are not.
func MayCall(a netip.Addr, allow []netip.Prefix) bool {
	a = a.Unmap().WithZone("")
	within := func(p netip.Prefix) bool { return p.Contains(a) }
	return slices.ContainsFunc(allow, within) || a.IsGlobalUnicast() && !a.IsPrivate() && !slices.ContainsFunc(reserved, within)
}

// reserved is what package netip takes for global and is not, or leads back to
// IPv4 addresses that are not.
var reserved = func(all ...string) (list []netip.Prefix) {
	for _, p := range all {
		list = append(list, netip.MustParsePrefix(p))
	}
	return list
}(
	"0.0.0.0/8",        // this network
	"100.64.0.0/10",    // of carriers and clouds
	"168.63.129.16/32", // Azure's metadata
	"192.0.0.0/24",     // of protocols, and Oracle's metadata
	"198.18.0.0/15",    // of benchmarks
	"240.0.0.0/4",      // not in use
	"::/96",            // IPv4-compatible
	"64:ff9b::/96",     // NAT64
	"64:ff9b:1::/48",   // the same, locally
	"2001::/32",        // Teredo
	"2002::/16",        // 6to4
	"fec0::/10",        // once local to a site
)
