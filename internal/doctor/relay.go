package doctor

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tramhq/tram/internal/ledger"
	"github.com/tramhq/tram/pkg/events"
)

// Owners looks whether each partition has a dispatcher that answers. Silent are
// members that do not, unowned is how many partitions nobody has.
func Owners(dispatchers []ledger.Status, silent []string, unowned int) []Finding {
	f := findings{check: CheckOwners}
	for _, member := range silent {
		f.add(Fail, member, "see the log of that dispatcher; if it is dead, its partitions are taken over within a lease", "this dispatcher does not answer")
	}
	switch {
	case len(dispatchers)+len(silent) == 0:
		f.add(Fail, "", "start a dispatcher: requests are kept until one runs", "no dispatcher runs")
	case unowned > 0:
		f.add(Fail, "", "look again in some seconds; if it stays, see the logs of the dispatchers", "%d partitions have no dispatcher", unowned)
	}
	return f.done("%s, and every partition has one", count(len(dispatchers), "dispatcher"))
}

// Versions looks whether all dispatchers are of one version, as they are but during
// an update.
func Versions(dispatchers []ledger.Status) []Finding {
	f := findings{check: CheckVersions}
	by := map[string][]string{}
	for _, d := range dispatchers {
		by[d.Version] = append(by[d.Version], d.ID)
	}
	versions := slices.Sorted(maps.Keys(by))
	if len(versions) > 1 {
		var texts []string
		for _, v := range versions {
			texts = append(texts, fmt.Sprintf("%d of %s", len(by[v]), named(v)))
		}
		f.add(Warn, "", "finish the update; old and new ones may run side by side meanwhile", "dispatchers of several versions run: %s", strings.Join(texts, ", "))
	}
	if len(versions) == 0 {
		return f.done("no dispatcher runs")
	}
	return f.done("all dispatchers are of version %s", named(versions[0]))
}

// named is a version for people: dispatchers that are older than the answer tell
// none.
func named(version string) string {
	if version == "" {
		return "an older one"
	}
	return version
}

// Lanes looks at accounts that are held back.
func Lanes(lanes []ledger.Lane) []Finding {
	f := findings{check: CheckLanes}
	for _, l := range lanes {
		name := l.Provider + "/" + l.Account
		why := ""
		if l.Why != "" {
			why = ": " + l.Why
		}
		switch l.State {
		case events.LaneCredentialRefused:
			f.add(Fail, name, "put a new credential where the dispatchers read it; no restart is needed", "the provider refuses its credential%s", why)
		case events.LaneBreakerOpen, events.LaneBreakerProbing:
			f.add(Warn, name, "ask the provider; tram goes on by itself when calls succeed again, tram lane resume tries at once", "its breaker is open%s", why)
		case events.LanePaused:
			f.add(Warn, name, "tram lane resume "+name, "it is paused by %s%s", l.By, why)
		}
	}
	return f.done("no account is held back by a person, a breaker or a refused credential")
}

// Dead looks whether letters wait for a person, counted by their groups.
func Dead(groups map[string]int) []Finding {
	f := findings{check: CheckDead}
	total := 0
	var texts []string
	for _, g := range slices.Sorted(maps.Keys(groups)) {
		total += groups[g]
		texts = append(texts, fmt.Sprintf("%d %s", groups[g], g))
	}
	if total > 0 {
		f.add(Warn, "", "tram dead list --summary", "waiting for a person: %s", strings.Join(texts, ", "))
	}
	return f.done("no letter waits for a person")
}

// count is "1 letter", "2 letters".
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
