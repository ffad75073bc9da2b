//go:build unix

package channels

import (
	"errors"
	"syscall"
)

// alive reports whether the server still holds its end of a connection that no
// call uses, without waiting. What it sends unasked belongs to no call, so it
// ends the connection, too.
func (c *conn) alive() bool {
	if c.socket == nil {
		return false
	}
	return c.socket.Read(c.peek) == nil && c.quiet
}

// peek looks whether there is anything to read on a socket, be it its end. It does
// not wait until there is.
func (c *conn) peek(fd uintptr) bool {
	var one [1]byte
	_, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK)
	c.quiet = errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EWOULDBLOCK)
	return true
}
