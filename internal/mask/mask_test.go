package mask

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/vmihailenco/msgpack/v5"
)

func TestText_keepsTheShape(t *testing.T) {
	m := New([]byte("key"))
	for _, text := range []string{"0900000001", "Nguyễn Văn An, 12/3", "", "🙂 ok", "+84 90-123"} {
		got := m.Text(text)
		if got != m.Text(text) || got != New([]byte("key")).Text(text) {
			t.Errorf("%q is not masked the same twice", text)
		}
		if shape(got) != shape(text) {
			t.Errorf("%q is masked as %q", text, got)
		}
		if len(text) > 8 && got == text {
			t.Errorf("%q is not masked", text)
		}
	}
	if a, b := New(nil).Text("0900000001"), New(nil).Text("0900000001"); a == b {
		t.Error("two random keys give the same masks")
	}
}

// shape is a text with 0 for every digit, a and A for every letter.
func shape(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= '0' && r <= '9':
			return '0'
		case strings.ToLower(string(r)) != string(r):
			return 'A'
		case strings.ToUpper(string(r)) != string(r):
			return 'a'
		}
		return r
	}, text)
}

// A result has everything in it: a request, an answer, what is not known.
func TestTree(t *testing.T) {
	request, err := msgpack.Marshal(map[string]any{
		"recipient": map[string]any{"kind": "phone", "value": "0900000001"},
		"content":   map[string]any{"kind": "text", "text": "Chào chị Bình", "params": map[string]any{"name": "Bình"}},
		"report":    "momo.messages_report", "metadata": map[string]any{"kind": "Bình"}, "attributes": []any{map[string]any{"name": "vip", "value": "Bình"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	record, err := msgpack.Marshal(map[string]any{
		"seq": 7, "state": "accepted", "brand_new": "Bình",
		"request": map[string]any{"subject": "tram.send.momo.shop.normal", "data": request, "header": map[string]any{"ce-id": []string{"order-1"}, "X-Name": []string{"Bình"}}},
		"answer": map[string]any{"status": 200, "body": []byte(
			`{"phone": 84900000001, "ms": 1701059874844, "name": "Bình", "at": "2026-11-21T08:00:00+07:00", "count": 12, "share": "0.25", "by": {"0900000001": true}}`)},
		"why": map[string]any{"reason": "quota", "detail": "no such user 0900000001"},
	})
	if err != nil {
		t.Fatal(err)
	}
	tree, err := Decode(record)
	if err != nil {
		t.Fatal(err)
	}
	data, err := encode(New(nil).Tree(tree))
	if err != nil {
		t.Fatal(err)
	}
	again, err := Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(View(again))
	if err != nil {
		t.Fatal(err)
	}
	for _, hidden := range []string{"0900000001", "84900000001", "Bình", "Chào"} {
		if strings.Contains(string(text), hidden) || strings.Contains(string(data), hidden) {
			t.Errorf("%s stands in %s", hidden, text)
		}
	}
	for _, shown := range []string{
		`"state":"accepted"`, `"reason":"quota"`, `"kind":"phone"`, `"report":"momo.messages_report"`, `"name":"vip"`, `"ce-id":["order-1"]`, `"seq":7`,
		`"ms":1701059874844`, `"at":"2026-11-21T08:00:00+07:00"`, `"count":12`, `"share":"0.25"`, `"subject":"tram.send.momo.shop.normal"`,
	} {
		if !strings.Contains(string(text), shown) {
			t.Errorf("%s does not stand in %s", shown, text)
		}
	}
}

func TestForeign_thatIsNoJSON(t *testing.T) {
	for _, body := range []string{"not json: Bình", `{"name": "Bình"} trailing`, `{"name"`, ""} {
		if got := string(New(nil).foreign([]byte(body))); strings.Contains(got, "Bình") || len(got) == 0 != (body == "") {
			t.Errorf("%q is masked as %q", body, got)
		}
	}
	if got := fmt.Sprint(View(map[string]any{"a": []byte("text"), "b": []any{[]byte(`{"x":1}`)}})); !strings.Contains(got, "text") {
		t.Errorf("got %s", got)
	}
}
