package events_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tramhq/tram/pkg/events"
)

// Publish a send. With a directory, what the account does not take is refused
// here and not minutes later by the relay.
func ExamplePublisher() {
	b, clean := exampleBroker() // yours: jetstream.New(nc)
	defer clean()
	ctx, js := context.Background(), b.js
	_ = events.PutContract(ctx, js, caresoft) // the relay does this when it starts

	publisher := events.NewPublisher(js, events.PublisherConfig{
		Source:    "/acme/shop",
		Directory: events.NewDirectory(js),
	})
	send := func(text string) (events.Receipt, error) {
		return publisher.Publish(ctx, &events.Request{
			// Derived from what it is about: a second run publishes the same id.
			Meta: events.Meta{ID: "order-1001-shipped"},
			Kind: events.KindSend, Provider: "caresoft", Account: "main", Class: events.Normal,
			Send: &events.Send{
				Recipient: events.Recipient{Kind: events.ByPhone, Value: "0900000001"},
				Content:   events.Content{Kind: events.ContentText, Text: text},
				Sender:    events.Sender{ID: "1234567890"},
				Timing:    events.Timing{ExpiresAtMS: time.Now().Add(time.Hour).UnixMilli()},
				Context:   events.Context{CorrelationID: "order-1001"},
			},
		})
	}

	receipt, err := send("Your order is on its way.")
	fmt.Println(receipt.Stream, receipt.Seq, receipt.Duplicate, err)

	receipt, err = send("Your order is on its way.")
	fmt.Println(receipt.Stream, receipt.Seq, receipt.Duplicate, err)

	_, err = send("")
	fmt.Println(err)

	// Output:
	// TRAM_REQUESTS 1 false <nil>
	// TRAM_REQUESTS 1 true <nil>
	// invalid send: content.text: is missing
}

// Read what became of the requests. The broker remembers where the
// subscription "crm" stands; processes that use the same name share the work.
func ExampleSubscribe() {
	b, clean := exampleBroker() // yours: jetstream.New(nc)
	defer clean()
	js := b.js
	publishDelivery(b) // what the relay does

	ctx, stop := context.WithCancel(context.Background())
	err := events.Subscribe(ctx, js, events.SubscribeConfig{
		Durable: "crm",
		Kinds:   []events.Kind{events.KindDelivery, events.KindStat},
	}, func(ctx context.Context, e *events.Event) error {
		switch {
		case e.Delivery != nil:
			d := e.Delivery
			fmt.Println(d.RequestID, d.CorrelationID, d.State, d.Final)
		case e.Stat != nil:
			fmt.Println("upsert", e.Stat.Key)
		}
		stop()     // a service goes on until it is told to end
		return nil // done with; an error would bring the event again
	})
	fmt.Println(err)

	// Output:
	// order-1001-shipped order-1001 accepted true
	// <nil>
}

// Check a request against what holds for all accounts.
func ExampleRequest_Validate() {
	r := &events.Request{
		Kind: events.KindSend, Provider: "caresoft", Account: "main", Class: "asap",
		Send: &events.Send{
			Recipient: events.Recipient{Kind: events.ByPhone},
			Content:   events.Content{Kind: events.ContentText, Text: "Hi", TemplateRef: "608"},
		},
	}
	err := r.Validate()
	fmt.Println(err)
	if invalid, ok := errors.AsType[*events.InvalidError](err); ok {
		fmt.Println(len(invalid.Faults), invalid.Faults[1].Field)
	}
	// Output:
	// invalid send, 3 faults: (1) class: must be urgent, normal or bulk, not asap (2) recipient.value: is missing (3) content.template_ref: goes only with content.kind template
	// 3 recipient.value
}

// Check a request against what an account takes.
func ExampleContract_Check() {
	contract := events.Contract{
		Provider: "caresoft", Account: "main",
		Sends:  []events.SendForm{{Recipient: events.ByPhone, Content: events.ContentText}},
		Sender: events.Required, TextLimit: 1000,
	}
	fmt.Println(contract.Check(&events.Request{
		Kind: events.KindSend, Provider: "caresoft", Account: "main", Class: events.Normal,
		Send: &events.Send{
			Recipient: events.Recipient{Kind: events.ByContactID, Value: "122052447"},
			Content:   events.Content{Kind: events.ContentText, Text: "Hi"},
		},
	}))
	// Output:
	// invalid send, 2 faults: (1) content.kind: caresoft does not send text to contact_id: it sends text to phone (2) sender.id: account main has no default; give the Zalo OA id
}

// Ids that come out of what they stand for make a repeated publish one.
func ExampleDeterministicID() {
	fmt.Println(events.DeterministicID("order", "1001", "shipped"))
	fmt.Println(events.DeterministicID("order", "1001", "shipped"))
	fmt.Println(events.DeterministicID("order", "1001", "paid"))
	// Output:
	// 7fed3212077c87502c758c9240f9bbdd
	// 7fed3212077c87502c758c9240f9bbdd
	// 1ccb23a8871a6cd4941e40ef26521560
}

// publishDelivery stands in for the relay.
func publishDelivery(b *broker) {
	m, err := events.EncodeDelivery(events.Meta{ID: events.DeterministicID("1", "1"), Source: events.Source}, &events.Delivery{
		About: events.About{
			Provider: "caresoft", Account: "main", RequestID: "order-1001-shipped", RequestSource: "/acme/shop",
			Context: events.Context{CorrelationID: "order-1001"},
		},
		State: events.StateAccepted, Final: true, Attempt: 1, AtMS: time.Now().UnixMilli(),
		Recipient: events.Recipient{Kind: events.ByPhone, Value: "0900000001"}, Evidence: events.Strong,
	})
	if err == nil {
		_, err = b.js.PublishMsg(context.Background(), m)
	}
	if err != nil {
		panic(err)
	}
}
