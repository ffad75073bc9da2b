package sandbox

import (
	"crypto/sha256"
	"maps"
	"time"
)

// Stats are the judge's numbers.
type Stats struct {
	Calls    int64 `json:"calls"`
	Accepted int64 `json:"accepted"`
	Refused  int64 `json:"refused"`
	Lost     int64 `json:"lost"`

	// Operations has calls by operation and status; status 0 is no answer.
	Operations map[string]map[int]int64 `json:"operations"`
	// Accounts is by provider/account.
	Accounts map[string]AccountStats `json:"accounts"`

	// Duplicates counts accepted sends of what their recipient had got before.
	// DuplicateList has the first thousand such recipients.
	Duplicates    int64       `json:"duplicates"`
	DuplicateList []Duplicate `json:"duplicate_list"`
	// Untracked counts sends that were not checked for duplicates, because the
	// judge's memory of two million different ones was full.
	Untracked int64 `json:"untracked,omitempty"`
}

// AccountStats are the numbers of one account.
type AccountStats struct {
	Calls        int64     `json:"calls"`
	Accepted     int64     `json:"accepted"`
	MaxPerSecond int       `json:"max_per_second"` // the most calls in any sliding second, refused ones too
	First        time.Time `json:"first"`
	Last         time.Time `json:"last"`
}

// A Duplicate is a recipient who got the same thing more than once.
type Duplicate struct {
	Provider  string `json:"provider"`
	Account   string `json:"account"`
	Recipient string `json:"recipient"`
	Content   string `json:"content"`
	Count     int    `json:"count"` // of times they got it
}

const (
	maxTracked    = 2_000_000
	maxDuplicates = 1000
)

type tally struct {
	Stats
	windows map[string]*sliding // by provider/account
	sent    map[sentKey]bool
	list    map[sentKey]int // index in DuplicateList
}

// sentKey is a digest of provider, account, recipient and content.
type sentKey [16]byte

func newTally() tally {
	return tally{
		Stats: Stats{
			Operations:    map[string]map[int]int64{},
			Accounts:      map[string]AccountStats{},
			DuplicateList: []Duplicate{},
		},
		windows: map[string]*sliding{},
		sent:    map[sentKey]bool{},
		list:    map[sentKey]int{},
	}
}

func (t *tally) add(c *Call, send bool) {
	t.Calls++
	if t.Operations[c.Operation] == nil {
		t.Operations[c.Operation] = map[int]int64{}
	}
	t.Operations[c.Operation][c.Status]++

	name := c.Provider + "/" + c.Account
	a, known := t.Accounts[name]
	if !known {
		a.First = c.At
		t.windows[name] = &sliding{per: time.Second}
	}
	a.Calls++
	a.Last = c.At
	t.windows[name].add(c.At)
	a.MaxPerSecond = max(a.MaxPerSecond, t.windows[name].count(c.At))

	switch c.Outcome {
	case Accepted:
		t.Accepted++
		a.Accepted++
		if send {
			t.addSent(c)
		}
	case Refused:
		t.Refused++
	case Lost:
		t.Lost++
	}
	t.Accounts[name] = a
}

func (t *tally) addSent(c *Call) {
	sum := sha256.Sum256([]byte(c.Provider + "\x00" + c.Account + "\x00" + c.Recipient + "\x00" + c.Content))
	key := sentKey(sum[:16])
	switch {
	case t.sent[key]:
		t.Duplicates++
		if i, ok := t.list[key]; ok {
			t.DuplicateList[i].Count++
		} else if len(t.DuplicateList) < maxDuplicates {
			t.list[key] = len(t.DuplicateList)
			t.DuplicateList = append(t.DuplicateList, Duplicate{c.Provider, c.Account, c.Recipient, c.Content, 2})
		}
	case len(t.sent) < maxTracked:
		t.sent[key] = true
	default:
		t.Untracked++
	}
}

// stats returns a copy.
func (t *tally) stats() Stats {
	s := t.Stats
	s.Accounts = maps.Clone(s.Accounts)
	s.DuplicateList = append([]Duplicate{}, s.DuplicateList...)
	s.Operations = map[string]map[int]int64{}
	for op, statuses := range t.Operations {
		s.Operations[op] = maps.Clone(statuses)
	}
	return s
}
