package sandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// adminPrefix is the judge's side; docs/sandbox.md has it call by call.
const adminPrefix = "/_sandbox/"

func (s *Server) adminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+adminPrefix+"calls", s.getCalls)
	mux.HandleFunc("GET "+adminPrefix+"stats", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, s.Stats()) })
	mux.HandleFunc("POST "+adminPrefix+"reset", func(w http.ResponseWriter, _ *http.Request) {
		s.Reset()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET "+adminPrefix+"faults", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, s.Faults()) })
	mux.HandleFunc("POST "+adminPrefix+"faults", s.postFaults)
	mux.HandleFunc("DELETE "+adminPrefix+"faults", func(w http.ResponseWriter, _ *http.Request) {
		s.ClearFaults()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("DELETE "+adminPrefix+"faults/{id}", s.deleteFault)
	mux.HandleFunc(adminPrefix+"followed", s.followed)
	return mux
}

// getCalls lists calls: provider, account, operation, recipient and outcome
// choose them, limit keeps the newest.
func (s *Server) getCalls(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	calls := s.Calls(Filter{
		Provider: q.Get("provider"), Account: q.Get("account"), Operation: q.Get("operation"),
		Recipient: q.Get("recipient"), Outcome: Outcome(q.Get("outcome")),
	})
	if text := q.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			http.Error(w, fmt.Sprintf("limit %q: must be a number", text), http.StatusBadRequest)
			return
		}
		calls = calls[max(0, len(calls)-n):]
	}
	writeJSON(w, calls)
}

// postFaults takes one fault or a list and returns them with their ids. A list
// with a mistake is refused as a whole.
func (s *Server) postFaults(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if body = bytes.TrimSpace(body); len(body) > 0 && body[0] != '[' {
		body = slicesOf(body)
	}
	var list []Fault
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&list); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	for i := range list {
		if err := list[i].validate(); err != nil {
			http.Error(w, fmt.Sprintf("fault %d: %v", i+1, err), http.StatusBadRequest)
			return
		}
	}
	for i := range list {
		list[i].ID, _ = s.AddFault(list[i]) // just validated
	}
	writeJSON(w, list)
}

func slicesOf(object []byte) []byte { return append(append([]byte("["), object...), ']') }

func (s *Server) deleteFault(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil || !s.RemoveFault(id) {
		http.Error(w, "no such fault", http.StatusNotFound)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// followed is where faults redirect to. Nobody should come here: a redirected
// send would go out as a GET with its token in the Referer.
func (s *Server) followed(w http.ResponseWriter, r *http.Request) {
	req := &request{Request: r, at: s.options.Now(), api: nowhere, op: &operation{name: "sandbox.followed"}}
	ans := nowhere.refuse(http.StatusTeapot, "a redirect was followed")
	s.journal.add(req.call(ans, nil), false)
	s.deliver(w, req, ans, nil)
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(v) // a caller that is gone
}
