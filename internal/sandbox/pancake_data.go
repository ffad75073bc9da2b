package sandbox

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	pancakeChats = 240 // conversations of each page, over 60 days
	pancakeDays  = 60
	pancakeBack  = 2 * 366 // days that statistics reach back
)

// A pancakeWorld is what Pancake knows of all pages.
type pancakeWorld struct {
	seed  uint64
	start time.Time
	zone  *time.Location

	mu    sync.Mutex // guards the pages
	order []string   // ids of pages, as configured
	pages map[string]*pancakePage
}

// A pancakePage is one page with what commands have made of it.
type pancakePage struct {
	id        string
	token     string
	dead      []string // tokens before it
	generated int
	chats     []*pancakeChat // the newest first
	byID      map[string]*pancakeChat
}

// A pancakeChat is a conversation with its customer.
type pancakeChat struct {
	id, customer, psid, name, kind string
	inserted, updated              time.Time
	messages                       int
	tags                           []int
	assignees                      []string
	read                           bool
}

// pancakeStaff are the same on every page.
var pancakeStaff = []struct{ id, fbID, name string }{
	{"c5a50cce-fb0a-4eb3-892a-74ad182f7c03", "101060238223085", "Nguyễn Văn An"},
	{"3fadfd70-1ead-4a16-a456-1fa007e38e5c", "1096398331554993", "Phạm Dũng"},
	{"6350389d-7bd6-4e3f-8a0b-a370d76f63fd", "1021505443950762", "Lê Thị Chi"},
}

// pancakeTags are the tags of every page; one has an id below zero (T-21).
var pancakeTags = []struct {
	id   int
	text string
}{{0, "Mới"}, {1, "VIP"}, {2, "Đã chốt"}, {5, "Giao hàng"}, {-99, "Spam"}}

func newPancakeWorld(o Options) *pancakeWorld {
	zone, err := time.LoadLocation("Asia/Ho_Chi_Minh")
	if err != nil {
		panic(err) // it is in this program
	}
	w := &pancakeWorld{seed: o.Seed, start: o.Now().Truncate(time.Second).UTC(), zone: zone, pages: map[string]*pancakePage{}}
	for _, a := range o.Accounts {
		if a.Provider == "pancake" && a.ID != PancakeUser {
			w.order = append(w.order, a.ID)
			w.pages[a.ID] = w.newPage(a)
		}
	}
	return w
}

func (w *pancakeWorld) newPage(a Account) *pancakePage {
	p := &pancakePage{id: a.ID, token: a.Token, byID: map[string]*pancakeChat{}}
	random := w.random(a.ID, 0)
	every := pancakeDays * 24 * time.Hour / pancakeChats
	for i := range pancakeChats {
		psid := fmt.Sprintf("%016d", 1_095_955_455_000_000+i)
		inserted := w.start.Add(-every*time.Duration(i) - time.Hour)
		if i%20 == 19 { // two of one second, at the border of pages
			inserted = p.chats[i-1].inserted
		}
		c := &pancakeChat{
			id: p.id + "_" + psid, customer: pancakeUUID(p.id, psid), psid: psid,
			name: fmt.Sprintf("Khách %d", i+1), kind: "INBOX", inserted: inserted,
			updated:  inserted.Add(time.Duration(random.IntN(3600)) * time.Second),
			messages: 1 + (i*37)%95, tags: []int{pancakeTags[i%len(pancakeTags)].id}, read: i%3 == 0,
		}
		if i%4 == 3 {
			c.kind = "COMMENT"
		}
		p.chats = append(p.chats, c)
		p.byID[c.id] = c
	}
	return p
}

// random is a source that is the same for the same part of the same page.
func (w *pancakeWorld) random(page string, part uint64) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(page))
	return rand.New(rand.NewPCG(w.seed^h.Sum64(), part))
}

// pancakeUUID is a made-up id in the form of a UUID.
func pancakeUUID(parts ...string) string {
	sum := sha256.Sum256(fmt.Append(nil, parts))
	s := hex.EncodeToString(sum[:16])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:32]
}

// An hour is what happened on a page in one hour, in which one member of staff
// was at work.
type pancakeHour struct {
	start           time.Time
	staff           int
	inbox, comment  int
	customers       int // new ones
	phones, orders  int
	responseSeconds int // 0: nobody was answered
}

func (h pancakeHour) total() int { return h.inbox + h.comment }

// hours returns the hours with activity that begin in [from, to], the newest
// first. Nights are quiet, and so is the future.
func (w *pancakeWorld) hours(page string, from, to, now time.Time) []pancakeHour {
	if oldest := now.AddDate(0, 0, -pancakeBack); from.Before(oldest) {
		from = oldest
	}
	if to.After(now) {
		to = now
	}
	var all []pancakeHour
	for at := to.Truncate(time.Hour); !at.Before(from); at = at.Add(-time.Hour) {
		if at = at.In(w.zone); at.Hour() < 7 || at.Hour() > 22 {
			continue
		}
		r := w.random(page, uint64(at.Unix()))
		h := pancakeHour{start: at, staff: r.IntN(len(pancakeStaff)), inbox: r.IntN(9), comment: r.IntN(3)}
		if h.total() == 0 {
			continue
		}
		h.customers, h.phones, h.orders = r.IntN(h.total()+1)/2, r.IntN(2), r.IntN(2)
		if h.inbox > 0 {
			h.responseSeconds = 30 + r.IntN(1800)
		}
		all = append(all, h)
	}
	return all
}
