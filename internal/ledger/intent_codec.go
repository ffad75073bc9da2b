package ledger

import "github.com/tramhq/tram/internal/wire"

// write writes g as its tags say.
func (g *IntentGroup) write(w *wire.Writer) {
	f := begin(w)
	f.text("o", g.Owner)
	f.uint("e", g.Epoch)
	f.int("t", g.AtMS)
	if len(g.Calls) > 0 {
		f.name("c")
		w.ListLen(len(g.Calls))
		for _, c := range g.Calls {
			c.write(w)
		}
	}
	f.optionalInt("format", int64(g.Format))
	f.end()
}

func (c *Intent) write(w *wire.Writer) {
	f := begin(w)
	f.uint("s", c.Seq)
	f.int("n", int64(c.Call))
	f.optionalTrue("p", c.Plan)
	f.optionalTrue("v", c.Void)
	f.end()
}

// read reads a map as g's tags say. What it does not know it passes by.
func (g *IntentGroup) read(r *wire.Reader) error {
	for range r.MapLen() {
		switch string(r.Bytes()) {
		case "o":
			g.Owner = r.Text()
		case "e":
			g.Epoch = r.Uint()
		case "t":
			g.AtMS = r.Int()
		case "c":
			g.Calls = readList(r, (*Intent).read)
		case "format":
			g.Format = int(r.Int())
		default:
			r.Skip()
		}
	}
	return r.Err()
}

// readList reads a list, or nil.
func readList[T any](r *wire.Reader, read func(*T, *wire.Reader)) []T {
	if r.Head().Kind == wire.Nil {
		r.Skip()
		return nil
	}
	list := make([]T, r.ListLen())
	for i := range list {
		read(&list[i], r)
	}
	return list
}

func (c *Intent) read(r *wire.Reader) {
	for range r.MapLen() {
		switch string(r.Bytes()) {
		case "s":
			c.Seq = r.Uint()
		case "n":
			c.Call = int(r.Int())
		case "p":
			c.Plan = r.Bool()
		case "v":
			c.Void = r.Bool()
		default:
			r.Skip()
		}
	}
}
