// Package deadletter is what a person can do about requests that ended in need
// of one: look at them, publish them anew, say what became of those whose end is
// unknown, and drop them. docs/dead-letters.md says how it is used.
//
// A letter may be acted upon by several people, and by a process that is killed
// at any point. So the first thing that happens to a letter is that a decision
// about its request is stored, by compare and set: whoever comes second is told
// so. The decision says from where on in the stream its effect would stand, so
// that a later run can look whether it is there, however long ago that was: the
// broker's own memory of ids lasts for minutes.
package deadletter
