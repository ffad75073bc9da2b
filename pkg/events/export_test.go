package events

import "time"

// Age makes what d has read older by so much.
func (d *Directory) Age(by time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for key, c := range d.cache {
		c.read = c.read.Add(-by)
		d.cache[key] = c
	}
}
