// Package replay does again what has been done, from what is stored: it makes the
// events of results anew, compares them with those that are there or publishes
// them, and sends requests again that have ended. docs/replay.md says how it is
// used.
//
// A replay is a job with a record in the broker. It reads RESULTS in order and
// publishes in the same order, so one number says how far it has come. The
// record is written once a second, by compare and set: of two processes that
// carry out one job the one that was taken over from stops. What the dead one
// published after its last record stands in the target stream, marked with the
// job, and is looked for there before the job goes on. So nothing is there
// twice, however long after the crash that is: the broker's own memory of ids
// lasts for minutes.
package replay
