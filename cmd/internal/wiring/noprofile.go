//go:build !profile

package wiring

func profile() (end func()) { return func() {} }
