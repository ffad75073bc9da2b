package sandbox

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// errNoPath answers what the account's edition does not have.
var errNoPath = errors.New("no such path")

// A pancakeCall is one call of an account that may make it.
type pancakeCall struct {
	*request
	world *pancakeWorld
	page  *pancakePage   // nil of the user's calls
	apply func()         // what it changes, once it is carried out
	now   time.Time      // in the pages' zone
	left  map[string]int // parameters not asked for yet
}

func (w *pancakeWorld) serve(r *request, serve func(*pancakeCall) (any, error)) answer {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := &pancakeCall{request: r, world: w, page: w.pages[r.state.ID], now: r.at.In(w.zone), left: map[string]int{}}
	for name, values := range r.query {
		c.left[name] = len(values)
	}
	if refusal, refused := c.authorize(); refused {
		return refusal
	}
	r.recipient = r.vars["conversation"]
	body, err := serve(c)
	if err == nil {
		err = c.unknown()
	}
	switch {
	case errors.Is(err, errNoPath):
		return pancakeRefuse(http.StatusNotFound, "Not Found")
	case err != nil:
		return pancakeError(http.StatusOK, 0, err.Error())
	}
	a := accepted(body)
	if apply := c.apply; apply != nil {
		a.apply = func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			apply()
		}
	}
	return a
}

// authorize holds the token against that of the page or the user.
func (c *pancakeCall) authorize() (answer, bool) {
	name, want := "access_token", c.state.Token
	if c.page != nil {
		name, want = "page_access_token", c.page.token
	}
	got := c.query.Get(name)
	delete(c.left, name)
	switch {
	case got == want && len(c.query[name]) == 1:
		return answer{}, false
	case c.page != nil && slices.Contains(c.page.dead, got):
		return pancakeError(http.StatusOK, 105, "page_access_token is expired"), true
	case c.op.name == "pancake.pages": // §2.4: it says no by saying something else
		return pancakeError(http.StatusOK, 0, "Session expired"), true
	}
	return pancakeError(http.StatusOK, 102, "Invalid access_token"), true
}

// documented reports whether the account is of the document's edition.
func (c *pancakeCall) documented() bool { return c.state.Edition == Documented }

// param returns a parameter that may be given once, "" if it is not.
func (c *pancakeCall) param(name string) string {
	if c.left[name] == 1 {
		delete(c.left, name)
	}
	return c.query.Get(name)
}

// unknown refuses parameters that nobody asked for.
func (c *pancakeCall) unknown() error {
	for name := range c.left {
		return fmt.Errorf("parameter %s is unknown or given twice", name)
	}
	return nil
}

// oneOf returns a parameter that has one of the values, or the first of them.
func (c *pancakeCall) oneOf(name string, values ...string) (string, error) {
	v := c.param(name)
	if v == "" {
		return values[0], nil
	}
	if !slices.Contains(values, v) {
		return "", fmt.Errorf("%s must be one of %s", name, strings.Join(values, ", "))
	}
	return v, nil
}

// number returns a parameter that is a whole number of at least least.
func (c *pancakeCall) number(name string, least, unless int) (int, error) {
	text := c.param(name)
	if text == "" && unless >= 0 {
		return unless, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least {
		return 0, fmt.Errorf("%s must be a number from %d", name, least)
	}
	return n, nil
}

// instants returns since and until, both of which are needed, in unix seconds.
func (c *pancakeCall) instants() (since, until time.Time, err error) {
	from, err1 := c.number("since", 1, -1)
	to, err2 := c.number("until", 1, -1)
	if err := errors.Join(err1, err2); err != nil {
		return since, until, err
	}
	if from > to || to > 1e11 {
		return since, until, errors.New("since and until must be unix seconds, the earlier one first")
	}
	return time.Unix(int64(from), 0).In(c.world.zone), time.Unix(int64(to), 0).In(c.world.zone), nil
}

// dateRange returns both ends of date_range in the pages' zone, both included.
func (c *pancakeCall) dateRange(layout string) (from, to time.Time, err error) {
	a, b, ok := strings.Cut(c.param("date_range"), " - ")
	from, err1 := time.ParseInLocation(layout, a, c.world.zone)
	to, err2 := time.ParseInLocation(layout, b, c.world.zone)
	if !ok || err1 != nil || err2 != nil || to.Before(from) {
		return from, to, fmt.Errorf("date_range must be like %[1]s - %[1]s", time.Date(2021, 7, 27, 0, 0, 0, 0, c.world.zone).Format(layout))
	}
	return from, to, nil
}
