package wiring

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// errNoListen is no fault of the process that is asked about.
var errNoListen = errors.New("ops.listen is not set, so nobody can ask whether the process is ready")

// readyTimeout bounds one question.
const readyTimeout = 5 * time.Second

// askReady asks the process that listens at listen on this host whether it is
// ready, and writes what it says to w. It is for containers that have no other
// program to do so.
func askReady(ctx context.Context, listen string, w io.Writer) error {
	if listen == "" {
		return errNoListen
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return fmt.Errorf("ops.listen: %w", err)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/readyz", nil)
	if err != nil {
		return fmt.Errorf("ops.listen: %w", err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // not through a proxy
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("ask whether the process is ready: %w", err)
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return fmt.Errorf("ask whether the process is ready: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the process is not ready: %s", bytes.TrimSpace(said))
	}
	_, err = fmt.Fprintf(w, "%s\n", bytes.TrimSpace(said))
	return err
}
