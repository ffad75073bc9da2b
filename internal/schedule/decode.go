package schedule

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// decode reads the schedule of that name as it is stored. The error is an
// [*events.InvalidError] with every fault.
func decode(name string, data []byte) (*Schedule, error) {
	s := new(Schedule)
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields() // one who writes "timezone" must not get UTC
	if err := d.Decode(s); err != nil {
		return nil, malformed(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, invalid("body", "must be one JSON object")
	}
	if err := s.Validate(name); err != nil {
		return nil, err
	}
	return s, nil
}

// malformed says what is wrong with JSON, without quoting values of it.
func malformed(err error) error {
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return invalid(e.Field, "has a value of the wrong type")
	}
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		return invalid("body", fmt.Sprintf("is not JSON at byte %d", e.Offset))
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return invalid("body", "ends too early")
	}
	return invalid("body", err.Error()) // a field that does not exist, by its name
}
