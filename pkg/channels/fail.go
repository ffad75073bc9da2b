package channels

import (
	"compress/flate"
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// A flight is one call under way: what it takes to make it, and to say what went
// wrong.
type flight struct {
	ctx        context.Context
	until      time.Time // when it must have ended
	credential credential
	body       io.LimitedReader // of the answer
	ans        *Answer
	host       string
	https      bool
	proxied    bool

	asked bool // for a connection: it is a call that can be written
	// connected is set as soon as there is a connection for the call, a moment
	// before the first byte is written: any later sign would come too late for
	// a call that is given up at that moment.
	connected bool
	answered  bool // a byte of an answer came
}

// over returns an error if the call's time has run out. A process that was stopped
// for a while finds its connections as it left them, before any timer has rung:
// it must neither make a call late nor go by an answer that others have ceased to
// wait for.
func (f *flight) over() error {
	if !time.Now().Before(f.until) {
		return os.ErrDeadlineExceeded
	}
	return f.ctx.Err()
}

// fail names why there is no answer. The words are ours: an error of net/http
// may quote what the provider sent.
func (f *flight) fail(err error) {
	switch {
	case f.gaveUp(err):
	case !f.asked:
		f.set(FailCall, "the call's method or a header, perhaps that of the secret, is not one")
	case !f.connected:
		f.failConnecting(err)
	case f.answered && !isNetwork(err):
		f.set(FailMalformed, "what came back is not an HTTP answer")
	default:
		f.set(FailReset, "the connection broke before an answer"+because(err))
	}
}

func (f *flight) failConnecting(err error) {
	_, dns := errors.AsType[*net.DNSError](err)
	op, _ := errors.AsType[*net.OpError](err)
	certificate, _ := errors.AsType[*tls.CertificateVerificationError](err)
	switch {
	case errors.Is(err, errPrivate):
		f.set(FailConnect, f.privately())
	case dns:
		f.set(FailDNS, f.host+" did not resolve")
	case certificate != nil:
		f.set(FailCertificate, f.host+" has no valid certificate: "+certificate.Err.Error())
	case op != nil && op.Op == "dial" || f.proxied || !f.https:
		f.set(FailConnect, "no connection to "+f.host+because(err))
	default:
		f.set(FailTLS, "no TLS connection to "+f.host+because(err))
	}
}

// privately says that the guard has stopped the call. It does not say at which
// address: events tell it to others.
func (f *flight) privately() string {
	return "no connection to " + f.host + ": its address is not public, and http.allow_private has no such network"
}

// failBody names why an answer that began could not be read to its end.
func (f *flight) failBody(err error) {
	_, corrupt := errors.AsType[flate.CorruptInputError](err)
	unpack := corrupt || errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum)
	switch {
	case f.gaveUp(err):
	case unpack || !isNetwork(err):
		f.set(FailMalformed, "the answer is not encoded as it says")
	default:
		f.set(FailCutOff, "the answer broke off"+because(err))
	}
}

// gaveUp names it if the call ended because its time or the relay's did.
func (f *flight) gaveUp(err error) bool {
	late := f.connected && errors.Is(err, os.ErrDeadlineExceeded) || !time.Now().Before(f.until)
	switch {
	case f.ctx.Err() == nil && !late:
		return false
	case errors.Is(f.ctx.Err(), context.Canceled):
		f.set(FailCancelled, "the relay gave the call up")
	case !f.connected:
		f.set(FailTimeout, "no connection to "+f.host+" in time")
	case f.ans.Status != 0:
		f.set(FailTimeout, "the answer did not end in time")
	default:
		f.set(FailTimeout, "no answer in time")
	}
	return true
}

func (f *flight) set(failure Failure, detail string) {
	f.ans.Failure, f.ans.Detail = failure, detail
}

// isNetwork reports whether err is about the connection, and not about what
// came through it.
func isNetwork(err error) bool {
	_, network := errors.AsType[net.Error](err)
	_, system := errors.AsType[syscall.Errno](err)
	return network || system ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}

// because gives the operating system's or TLS's word for err, if it has one.
func because(err error) string {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return ": " + errno.Error()
	}
	if alert, ok := errors.AsType[tls.AlertError](err); ok {
		return ": " + alert.Error()
	}
	return ""
}
