package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"regexp"
	"slices"
	"strings"
)

var (
	digits = regexp.MustCompile(`^[0-9]{1,20}$`)
	phone  = regexp.MustCompile(`^\+?[0-9]{8,15}$`) // no document gives a form
)

// isJSON says whether the request declares its body as JSON.
func isJSON(contentType string) bool {
	t, params, err := mime.ParseMediaType(contentType)
	charset := params["charset"]
	return err == nil && (t == "application/json" || t == "text/json") && (charset == "" || strings.EqualFold(charset, "utf-8"))
}

// An object is a JSON object whose values have not been looked at.
type object map[string]json.RawMessage

// parseObject refuses all that a strict reader would: no object, names that are
// not known or come twice, and anything after it.
func parseObject(data []byte, known ...string) (object, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("must be a JSON object")
	}
	o := object{}
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return nil, errors.New("is not valid JSON")
		}
		if _, twice := o[name]; twice {
			return nil, fmt.Errorf("%s is given twice", name)
		}
		if known != nil && !slices.Contains(known, name) {
			return nil, fmt.Errorf("%s is not a known field", name)
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, errors.New("is not valid JSON")
		}
		o[name] = value
	}
	if _, err := d.Token(); err != nil {
		return nil, errors.New("is not valid JSON")
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("has something after its end")
	}
	return o, nil
}

func (o object) has(name string) bool { _, ok := o[name]; return ok }

// text returns a string.
func (o object) text(name string) (string, error) {
	var s *string
	if err := json.Unmarshal(o[name], &s); err != nil || s == nil {
		return "", fmt.Errorf("%s must be a string", name)
	}
	return *s, nil
}

// integer returns a number without fraction or exponent.
func (o object) integer(name string) (int64, error) {
	var n *int64
	if err := json.Unmarshal(o[name], &n); err != nil || n == nil {
		return 0, fmt.Errorf("%s must be an integer", name)
	}
	return *n, nil
}

// id returns an id of digits that may be written as a string or as a number,
// because the document's table says the one and its examples the other.
func (o object) id(name string) (string, error) {
	s := strings.Trim(string(o[name]), `"`)
	if !digits.MatchString(s) {
		return "", fmt.Errorf("%s must be an id of digits", name)
	}
	return s, nil
}

// phone returns a phone number.
func (o object) phone(name string) (string, error) {
	s, err := o.text(name)
	if err == nil && !phone.MatchString(s) {
		return "", fmt.Errorf("%s must be a phone number", name)
	}
	return s, err
}
