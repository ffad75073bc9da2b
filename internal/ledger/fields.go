package ledger

import "github.com/tramhq/tram/internal/wire"

// fields writes a map as the tags of a struct say, those with "omitempty" by the
// optional methods.
type fields struct {
	*wire.Writer
	at, n int // where the map begins, and how many fields it has so far
}

func begin(w *wire.Writer) fields { return fields{Writer: w, at: w.BeginMap()} }

func (f *fields) end() { f.EndMap(f.at, f.n) }

// name begins a field, of which the value is written next.
func (f *fields) name(name string) {
	f.n++
	f.Text(name)
}

func (f *fields) text(name, v string) {
	f.name(name)
	f.Text(v)
}

func (f *fields) int(name string, v int64) {
	f.name(name)
	f.Int(v)
}

func (f *fields) uint(name string, v uint64) {
	f.name(name)
	f.Uint(v)
}

func (f *fields) optionalInt(name string, v int64) {
	if v != 0 {
		f.int(name, v)
	}
}

func (f *fields) optionalText(name, v string) {
	if v != "" {
		f.text(name, v)
	}
}

func (f *fields) optionalTrue(name string, v bool) {
	if v {
		f.name(name)
		f.Bool(true)
	}
}
