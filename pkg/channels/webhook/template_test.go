package webhook_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/channels/webhook"
	"github.com/tramhq/tram/pkg/events"
)

// texts are any texts, and often such as could break out of their place.
var texts = rapid.OneOf(
	rapid.String(),
	rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOf(rapid.SampledFrom([]string{
			`"`, `\`, `\"`, `\u0022`, `"}`, `","x":"`, "{{content.text}}", "{{", "}}", "{{{", "\x00", "\x1f", "\x7f", "\r\n", "\u2028", "\ufeff",
			"&", "<", "</script>", "ế", "😀", "\U0010ffff", "%s", "null", " ",
		})).Draw(t, "pieces"), "")
	}),
)

// filled is the body that an account with that one sends, read again.
func filled(t *rapid.T, body string, s events.Send) (got map[string]any) {
	t.Helper()
	a := with(plain, "accepts", "phone:text,phone:template", "body", body)
	if _, err := webhook.New().Contract(&a); err != nil {
		t.Fatal(err)
	}
	call, err := webhook.New().Prepare(&a, &events.Request{Kind: events.KindSend, Send: &s}, channels.Step{Number: 1})
	if err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(bytes.NewReader(call.Body))
	dec.UseNumber()
	if err := dec.Decode(&got); err != nil {
		t.Fatalf("the body is not JSON: %v\n%s", err, call.Body)
	}
	return got
}

// Whatever a text holds, it arrives as it is and changes nothing beside it.
func TestTemplate_AnyTextArrives(t *testing.T) {
	const body = `{"to":"{{recipient.value}}","text":"{{content.text}}","name":"{{content.template_ref}}",
		"a":"{{content.params.x}}","b":"<{{content.params.x}}|{{ content.params.y }}>\n","c":{"d":["{{content.params.y}}",1.50,true,null]},"all":"{{content.params}}"}`
	rapid.Check(t, func(t *rapid.T) {
		to, x, y := texts.Draw(t, "to")+"1", texts.Draw(t, "x"), texts.Draw(t, "y")
		got := filled(t, body, events.Send{
			Recipient: events.Recipient{Kind: events.ByPhone, Value: to},
			Content:   events.Content{Kind: events.ContentTemplate, TemplateRef: "608", Params: map[string]string{"x": x, "y": y}},
		})
		want := map[string]any{
			"to": to, "name": "608", "a": x, "b": "<" + x + "|" + y + ">\n",
			"c":   map[string]any{"d": []any{y, json.Number("1.50"), true, nil}},
			"all": map[string]any{"x": x, "y": y},
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("\n got %q\nwant %q", got, want)
		}
	})
}

// document draws any JSON value without placeholders.
func document(depth int) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		literal := rapid.String().Filter(func(s string) bool { return !strings.Contains(s, "{{") })
		switch kind := rapid.IntRange(0, 6).Draw(t, "kind"); {
		case kind == 0:
			return nil
		case kind == 1:
			return rapid.Bool().Draw(t, "bool")
		case kind == 2:
			return json.Number(rapid.StringMatching(`-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,9})?([eE][+-]?[0-9]{1,3})?`).Draw(t, "number"))
		case kind == 3 || depth == 0:
			return literal.Draw(t, "text")
		case kind == 4:
			return append([]any{}, rapid.SliceOfN(document(depth-1), 0, 3).Draw(t, "list")...)
		default:
			return rapid.MapOfN(literal, document(depth-1), 0, 3).Draw(t, "object")
		}
	})
}

// What has no placeholder arrives as it stands in the settings.
func TestTemplate_TheRestStays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := map[string]any{"to": "{{recipient.value}}", "text": "{{content.text}}", "name": "{{content.template_ref}}", "rest": document(3).Draw(t, "rest")}
		body, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		got := filled(t, string(body), hello)
		want["to"], want["text"] = hello.Recipient.Value, hello.Content.Text
		delete(want, "name") // a text has none
		if !reflect.DeepEqual(got, want) {
			t.Errorf("\n got %q\nwant %q", got, want)
		}
	})
}
