package channels

import (
	"maps"
	"slices"
	"strconv"

	"github.com/tramhq/tram/pkg/events"
)

// StatKey returns the key that a statistics point is upserted by.
//
// It stands for what is measured and never for when it was fetched, so that a
// repeated fetch replaces: Bucket.AtMS is left out, and so are Zone and its
// source, because the bucket's edges are instants. A bucket's label counts
// only where it is all that is known of the bucket.
func StatKey(provider, account, report, metric string, b events.Bucket, dims map[string]string) string {
	parts := []string{"stat", provider, account, report, metric, b.Granularity}
	if b.StartMS != 0 || b.EndMS != 0 {
		parts = append(parts, strconv.FormatInt(b.StartMS, 10), strconv.FormatInt(b.EndMS, 10))
	} else {
		parts = append(parts, b.Label)
	}
	for _, name := range slices.Sorted(maps.Keys(dims)) {
		parts = append(parts, name, dims[name])
	}
	return events.DeterministicID(parts...)
}

// RecordKey returns the key that a record is upserted by: the same object has
// the same one whichever report it came with.
func RecordKey(provider, account, kind, id string) string {
	return events.DeterministicID("record", provider, account, kind, id)
}
