package ledger

import "fmt"

// Format is the newest format of the records of this package and of the
// dispatchers' checkpoints that this build can read. Old and new processes work
// side by side during an update, so a field that an older build may ignore needs
// no new format. One that it must not ignore does: a release learns to read the
// format then, and a later one writes it (docs/upgrading.md).
const Format = 1

// A NewerError says that a record has a format which this build cannot read.
// Whoever gets it leaves the record alone: for whoever can.
type NewerError struct{ Format int }

func (e *NewerError) Error() string {
	return fmt.Sprintf("format %d was written by a newer version of tram, this one reads up to %d: update this process too, or see docs/upgrading.md for the way back",
		e.Format, Format)
}

// CheckFormat returns a [*NewerError] if this build cannot read a format. Records
// without one are of the first.
func CheckFormat(format int) error {
	if format > Format {
		return &NewerError{format}
	}
	return nil
}

// formatted is a record that says its format.
type formatted interface{ format() int }

func (g *IntentGroup) format() int { return g.Format }
func (r *Result) format() int      { return r.Format }
func (d *DeadLetter) format() int  { return d.Format }
