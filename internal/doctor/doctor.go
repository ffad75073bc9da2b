// Package doctor looks at everything that a relay needs: its configuration, its
// broker and its providers, and how it stands. Each look gives findings: what is
// so, and where something is wrong what to do about it. Nothing is changed.
package doctor

import (
	"fmt"
	"time"
)

// A Grade is how good or bad a finding is.
type Grade string

const (
	OK   Grade = "ok"
	Warn Grade = "warn" // it works, and somebody should look
	Fail Grade = "fail" // something does not work, or is about to stop
)

// A Finding is what one look has found.
type Finding struct {
	Check string `json:"check"`           // one of the constants below
	About string `json:"about,omitempty"` // stream, account, host, file
	Grade Grade  `json:"grade"`
	Text  string `json:"text"`         // one line
	Do    string `json:"do,omitempty"` // what to do, unless it is ok
}

// What is looked at.
const (
	CheckConfig      = "configuration"
	CheckFiles       = "files"
	CheckBroker      = "broker"
	CheckPermissions = "permissions"
	CheckStreams     = "streams"
	CheckConsumers   = "consumers"
	CheckClocks      = "clocks"
	CheckOwners      = "owners"
	CheckVersions    = "versions"
	CheckLanes       = "lanes"
	CheckDead        = "dead letters"
	CheckHosts       = "hosts"
)

// findings gathers those of one check.
type findings struct {
	check string
	all   []Finding
}

func (f *findings) add(grade Grade, about, do, format string, args ...any) {
	f.all = append(f.all, Finding{Check: f.check, About: about, Grade: grade, Text: fmt.Sprintf(format, args...), Do: do})
}

// done returns the findings, or one that all is well if there is nothing else.
func (f *findings) done(format string, args ...any) []Finding {
	if len(f.all) == 0 {
		f.add(OK, "", "", format, args...)
	}
	return f.all
}

// answerTimeout bounds one question to the broker: a user that may not ask gets
// no answer.
const answerTimeout = 5 * time.Second

// full grades how full something is: it warns at four fifths and fails at nineteen
// twentieths.
func full(used, limit float64) Grade {
	switch share := used / limit; {
	case share >= 0.95:
		return Fail
	case share >= 0.8:
		return Warn
	}
	return OK
}
