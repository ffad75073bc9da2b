package facebook

import (
	"encoding/json"
	"time"

	"github.com/tramhq/tram/pkg/channels"
)

// A load is one reading of how much of an allowance is used, in percent.
type load struct {
	CallCount    float64 `json:"call_count"`
	TotalCPUTime float64 `json:"total_cputime"`
	TotalTime    float64 `json:"total_time"`
	RegainMin    float64 `json:"estimated_time_to_regain_access"` // minutes
}

// Readings beyond these are nonsense.
const (
	maxPercent = 1000
	maxRegain  = 24 * time.Hour
)

// usage returns the highest percentage in any of the usage headers, and how
// long Graph takes until it allows calls again, in milliseconds, 0 if it does
// not say. Headers that cannot be read say nothing.
func usage(ans *channels.Answer) (percent float64, regainMS int64) {
	var loads []load
	for _, header := range []string{"x-app-usage", "x-page-usage"} {
		var l load
		if json.Unmarshal([]byte(ans.Header[header]), &l) == nil {
			loads = append(loads, l)
		}
	}
	var byObject map[string][]load // business or page
	if json.Unmarshal([]byte(ans.Header["x-business-use-case-usage"]), &byObject) == nil {
		for _, l := range byObject {
			loads = append(loads, l...)
		}
	}
	for _, l := range loads {
		percent = max(percent, l.CallCount, l.TotalCPUTime, l.TotalTime)
		minutes := min(max(l.RegainMin, 0), maxRegain.Minutes())
		regainMS = max(regainMS, int64(minutes*60_000))
	}
	return min(percent, maxPercent), regainMS
}
