package dispatcher

import "slices"

// keys keeps requests that name the same order key in order: one is worked,
// the others wait until it has ended, however often it is tried again.
type keys map[string]*keyed

type keyed struct {
	working   *entry
	following []*entry // in the order of their sequences
}

// enter reports whether e may be worked. If not it waits for its turn.
// Entries enter in the order of their sequences.
func (k *keys) enter(e *entry) bool {
	if e.key == "" {
		return true
	}
	if *k == nil {
		*k = make(keys)
	}
	s := (*k)[e.key]
	if s == nil {
		(*k)[e.key] = &keyed{working: e}
		return true
	}
	s.following = append(s.following, e)
	return false
}

// drop takes e from among those that wait for their turn.
func (k keys) drop(e *entry) {
	if s := k[e.key]; s != nil {
		s.following = slices.DeleteFunc(s.following, func(f *entry) bool { return f == e })
	}
}

// leave says that e has ended and returns the entry whose turn it is, or nil.
func (k keys) leave(e *entry) *entry {
	s := k[e.key]
	if s == nil || s.working != e {
		return nil
	}
	if len(s.following) == 0 {
		delete(k, e.key)
		return nil
	}
	s.working, s.following = s.following[0], s.following[1:]
	return s.working
}
