package ledger

import "github.com/tramhq/tram/internal/wire"

// fields writes maps, as tags say that have "omitempty" or not.
type fields struct{ *wire.Writer }

// open begins a map of so many fields, and of those that are there.
func (w fields) open(n int, optional ...bool) {
	for _, there := range optional {
		if there {
			n++
		}
	}
	w.MapLen(n)
}

func (w fields) text(name, v string) {
	w.Text(name)
	w.Text(v)
}

func (w fields) int(name string, v int64) {
	w.Text(name)
	w.Int(v)
}

func (w fields) uint(name string, v uint64) {
	w.Text(name)
	w.Uint(v)
}

func (w fields) optionalInt(name string, v int64) {
	if v != 0 {
		w.int(name, v)
	}
}

func (w fields) optionalText(name, v string) {
	if v != "" {
		w.text(name, v)
	}
}

func (w fields) optionalTrue(name string, v bool) {
	if v {
		w.Text(name)
		w.Bool(true)
	}
}
