//go:build !unix

package main

func goLast() {}
