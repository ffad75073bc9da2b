package main

import (
	"encoding/json"

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
