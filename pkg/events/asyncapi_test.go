package events

import (
	"fmt"
	"slices"
	"testing"
)

// TestAsyncAPI makes sure that docs/asyncapi.json is what the code says. The
// application that it describes is the relay: it receives requests and sends
// events.
func TestAsyncAPI(t *testing.T) {
	a := asyncAPI{readWords(t), readConstants(t)}
	var channels, operations, messages object
	for _, k := range slices.Concat(RequestKinds, EventKinds) {
		action, stream := "send", EventsStream
		if slices.Contains(RequestKinds, k) {
			action, stream = "receive", RequestsStream
		}
		channel := "#/channels/" + string(k)
		channels = append(channels, member{string(k), object{
			{"address", fmt.Sprintf("tram.%s.{provider}.{account}.{%s}", k, a.last(k))},
			{"description", fmt.Sprintf("Stored in the JetStream stream %s.", stream)},
			{"messages", object{{string(k), ref("#/components/messages/" + string(k))}}},
			{"parameters", object{
				{"provider", ref("#/components/parameters/provider")},
				{"account", ref("#/components/parameters/account")},
				{a.last(k), a.parameter(k)},
			}},
			{"bindings", object{{"nats", object{}}}},
		}})
		operations = append(operations, member{action + "_" + string(k), object{
			{"action", action},
			{"channel", ref(channel)},
			{"summary", summaries[k]},
			{"messages", []object{ref(channel + "/messages/" + string(k))}},
			{"bindings", object{{"nats", object{{"bindingVersion", "0.1.0"}}}}},
		}})
		messages = append(messages, member{string(k), object{
			{"name", k.Type()},
			{"summary", summaries[k]},
			{"contentType", ContentType},
			{"headers", a.headers(k)},
			{"payload", ref("../schemas/" + string(k) + ".json")},
		}})
	}
	doc := object{
		{"asyncapi", "3.1.0"},
		{"id", "urn:io.github.tramhq"},
		{"info", object{
			{"title", "tram"},
			{"version", "1.0.0"},
			{"description", "A relay between services and chat platforms. Services publish requests to NATS JetStream and read events about them; " +
				"docs/events.md says all that cannot be said here. Bodies are msgpack maps; the schemas describe them as if they were JSON."},
		}},
		{"defaultContentType", ContentType},
		{"servers", object{{"broker", object{
			{"host", "127.0.0.1:4222"}, {"protocol", "nats"}, {"description", "NATS with JetStream, where tram setup has made the streams."},
		}}}},
		{"channels", channels},
		{"operations", operations},
		{"components", object{
			{"messages", messages},
			{"parameters", object{
				{"provider", object{{"description", fmt.Sprintf("The chat platform: 1 to %d of a-z, A-Z, 0-9, - and _.", maxNameLen)}, {"examples", []string{"caresoft", "momo"}}}},
				{"account", object{{"description", fmt.Sprintf("The account in the relay's configuration: 1 to %d of a-z, A-Z, 0-9, - and _.", maxNameLen)}, {"examples", []string{"main"}}}},
			}},
		}},
	}
	sameFile(t, "docs/asyncapi.json", indented(t, doc))
}

var summaries = map[Kind]string{
	KindSend:    "One message to one person is wanted.",
	KindReport:  "Statistics or records are wanted.",
	KindCommand: "A change at the provider is wanted.",
	KindCancel:  "Another request is taken back.",

	KindDelivery: "What became of a send.",
	KindOutcome:  "How a report, command or cancel ended.",
	KindStat:     "One statistics point.",
	KindRecord:   "One object of the provider.",
	KindLane:     "An account is not called any more, or is again.",
}

type asyncAPI struct {
	words     words
	constants map[string][]string
}

func ref(to string) object { return object{{"$ref", to}} }

// last names the last token of the subjects of a kind.
func (a asyncAPI) last(k Kind) string {
	switch {
	case slices.Contains(RequestKinds, k):
		return "class"
	case k == KindStat:
		return "report"
	case k == KindRecord:
		return "object"
	}
	return "state"
}

// parameter describes the last token. States may grow, so they are examples.
func (a asyncAPI) parameter(k Kind) object {
	deliveryOnly := []string{string(StateDone)}
	outcomeOnly := []string{string(StateAccepted)}
	without := func(states []string) []string {
		return slices.DeleteFunc(slices.Clone(a.constants["State"]), func(s string) bool { return slices.Contains(states, s) })
	}
	switch k {
	case KindDelivery:
		return object{{"description", "What became of it so far."}, {"examples", without(deliveryOnly)}}
	case KindOutcome:
		return object{{"description", "What became of it so far."}, {"examples", without(outcomeOnly)}}
	case KindLane:
		return object{{"description", "The account's state."}, {"examples", a.constants["LaneState"]}}
	case KindStat:
		return object{{"description", "The report, in which every character other than a-z A-Z 0-9 - _ has become _."}, {"examples", []string{Token("momo.messages_report")}}}
	case KindRecord:
		return object{{"description", "What the object is, in which every character other than a-z A-Z 0-9 - _ has become _."}, {"examples", []string{"campaign"}}}
	}
	return object{{"description", "urgent passes everything else of its account; normal and bulk share the rest."}, {"enum", Classes}, {"default", Normal}}
}

// headers describes the envelope of a kind.
func (a asyncAPI) headers(k Kind) object {
	in := slices.Contains(RequestKinds, k)
	attribute := object{{"type", "string"}, {"pattern", attrPattern}}
	source := attribute
	if !in {
		source = object{{"type", "string"}, {"const", Source}}
	}
	trace := object{{"type", "string"}, {"minLength", 1}, {"maxLength", maxTraceLen}}
	properties := object{
		{HeaderSpecVersion, object{{"type", "string"}, {"const", specVersion}}},
		{HeaderID, attribute},
		{HeaderSource, source},
		{HeaderType, object{{"type", "string"}, {"const", k.Type()}}},
		{HeaderTime, object{{"type", "string"}, {"format", "date-time"}}},
		{HeaderDataContentType, object{{"type", "string"}, {"examples", []string{ContentType}}}},
		{HeaderMsgID, object{{"type", "string"}}},
		{HeaderAncestorID, attribute},
		{HeaderTraceparent, trace},
		{HeaderTracestate, trace},
	}
	required := []string{HeaderSpecVersion, HeaderID, HeaderSource, HeaderType}
	if in {
		properties = append(properties, member{"Nats-Expected-Stream", object{{"type", "string"}, {"const", RequestsStream}}})
	} else {
		properties = append(properties, member{HeaderReplay, attribute})
		required = append(required, HeaderDataContentType, HeaderMsgID)
	}
	for i, p := range properties {
		if text := a.words.fields["Headers"][p.name]; text != "" && text != "required" && text != "optional" {
			properties[i].value = append(object{{"description", text}}, p.value.(object)...)
		}
	}
	return object{{"type", "object"}, {"properties", properties}, {"required", required}}
}
