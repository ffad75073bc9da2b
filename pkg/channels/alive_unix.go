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
	var peeked error
	err := c.socket.Read(func(fd uintptr) bool {
		var one [1]byte
		if _, _, peeked = syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK); peeked == nil {
			peeked = errNotIdle
		}
		return true
	})
	return err == nil && (errors.Is(peeked, syscall.EAGAIN) || errors.Is(peeked, syscall.EWOULDBLOCK))
}

var errNotIdle = errors.New("the server has sent something, or closed")
