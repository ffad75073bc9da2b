package ledger_test

import (
	"errors"
	"testing"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/tramhq/tram/internal/ledger"
)

// What a newer version has written is refused, whatever else it has.
func TestARecordOfANewerVersionIsRefused(t *testing.T) {
	decode := map[string]func([]byte) error{
		"intents":     func(b []byte) error { _, err := ledger.DecodeIntents(b); return err },
		"result":      func(b []byte) error { _, err := ledger.DecodeResult(b); return err },
		"dead letter": func(b []byte) error { _, err := ledger.DecodeDeadLetter(b); return err },
	}
	for what, decode := range decode {
		for format, refused := range map[int]bool{0: false, ledger.Format: false, ledger.Format + 1: true} {
			data, err := msgpack.Marshal(map[string]any{"format": format, "something": "new"})
			if err != nil {
				t.Fatal(err)
			}
			err = decode(data)
			newer, ok := errors.AsType[*ledger.NewerError](err)
			if ok != refused || ok && newer.Format != format || !refused && err != nil {
				t.Errorf("%s of format %d: %v", what, format, err)
			}
		}
	}
}

// A field that an older version does not know does not keep it from reading.
func TestARecordWithANewFieldIsRead(t *testing.T) {
	data, err := msgpack.Marshal(map[string]any{"seq": 7, "something": "new"})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := ledger.DecodeResult(data); err != nil || r.Seq != 7 {
		t.Errorf("got %+v, %v", r, err)
	}
}
