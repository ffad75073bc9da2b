package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tramhq/tram/pkg/events"
)

func sendCommand() *cobra.Command {
	var f sendFlags
	cmd := &cobra.Command{
		Use:   "send provider/account",
		Short: "Publish a send: one message to one person",
		Long: `Publish a send: one message to one person. It is checked against what the
account can be asked for, and refused with all its faults at once.

Prints a receipt once the broker has stored the request; with --wait also every
event about it, until the one that is final. The exit code is then 0 only if the
provider accepted the message.`,
		Example: `  tram send caresoft/hotline --phone 0900000001 --text "Your order is on its way" --wait
  tram send caresoft/hotline --phone 0900000001 --template 608 --param name=An
  tram send ahachat/fanpage --messenger-user-id 12345 --block welcome --attribute vip=yes
  echo '{"recipient":{"kind":"phone","value":"0900000001"},"content":{"kind":"text","text":"hi"}}' |
    tram send caresoft/hotline --body - --id order-17`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := f.request(events.KindSend, args[0])
			if err != nil {
				return err
			}
			if r.Send, err = f.send(cmd); err != nil {
				return err
			}
			return f.publish(cmd, r)
		},
	}
	f.register(cmd)
	return cmd
}

type sendFlags struct {
	requestFlags
	recipient recipientFlags

	text, template, block string
	params                map[string]string
	sender                string
	attributes            []string
	policy                events.Policy
	onAmbiguous, orderKey string
}

func (f *sendFlags) register(cmd *cobra.Command) {
	f.requestFlags.register(cmd)
	f.recipient.register(cmd)
	fs := cmd.Flags()
	fs.StringVar(&f.text, "text", "", "content: text")
	fs.StringVar(&f.template, "template", "", "content: a template of the provider, at CareSoft the id of a script")
	fs.StringToStringVar(&f.params, "param", nil, "name=value, for the template")
	fs.StringVar(&f.block, "block", "", "content: a block prepared at the provider")
	fs.StringVar(&f.sender, "sender", "", "who the message comes from, at CareSoft the Zalo OA id (default the account's)")
	fs.StringArrayVar(&f.attributes, "attribute", nil, "name=value that the provider stores on the recipient")
	fs.StringVar(&f.policy.MessageTag, "message-tag", "", "passed on as it is")
	fs.StringVar(&f.policy.ExpectKind, "expect-kind", "", "what the message is: consultation, transaction or promotion")
	fs.StringVar(&f.policy.Precheck, "precheck", "", "user_status asks the provider first whether the recipient can be sent to")
	fs.StringVar(&f.onAmbiguous, "on-ambiguous", "", "when nobody can know whether it was sent: hold, resend or assume_sent (default the account's)")
	fs.StringVar(&f.orderKey, "order-key", "", "sends of the account with the same key go out in order")
	cmd.MarkFlagsMutuallyExclusive("text", "template", "block", "body")
	cmd.MarkFlagsOneRequired("text", "template", "block", "body")
}

func (f *sendFlags) send(cmd *cobra.Command) (*events.Send, error) {
	s := new(events.Send)
	if given, err := f.readBody(cmd, s); given {
		return s, err
	}
	s.Recipient = f.recipient.recipient()
	s.Sender.ID = f.sender
	s.Policy, s.OnAmbiguous, s.OrderKey = f.policy, events.OnAmbiguous(f.onAmbiguous), f.orderKey
	s.Timing, s.Context = f.timing(), f.context()
	switch {
	case f.text != "":
		s.Content = events.Content{Kind: events.ContentText, Text: f.text}
	case f.template != "":
		s.Content = events.Content{Kind: events.ContentTemplate, TemplateRef: f.template}
	default:
		s.Content = events.Content{Kind: events.ContentBlock, BlockName: f.block}
	}
	s.Content.Params = f.params // with anything but a template they are refused, in the contract's words
	for _, a := range f.attributes {
		name, value, ok := strings.Cut(a, "=")
		if !ok {
			return nil, usage("an attribute must be name=value")
		}
		s.Attributes = append(s.Attributes, events.Attribute{Name: name, Value: value})
	}
	return s, nil
}

// recipientFlags name one person in one of the ways there are.
type recipientFlags struct{ phone, contactID, messengerUserID string }

func (f *recipientFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.phone, "phone", "", "recipient: a phone number")
	cmd.Flags().StringVar(&f.contactID, "contact-id", "", "recipient: the provider's id of a contact")
	cmd.Flags().StringVar(&f.messengerUserID, "messenger-user-id", "", "recipient: a messenger user id")
	ways := []string{"phone", "contact-id", "messenger-user-id"}
	if cmd.Flags().Lookup("body") != nil {
		ways = append(ways, "body")
	}
	cmd.MarkFlagsMutuallyExclusive(ways...)
}

func (f *recipientFlags) recipient() events.Recipient {
	switch {
	case f.phone != "":
		return events.Recipient{Kind: events.ByPhone, Value: f.phone}
	case f.contactID != "":
		return events.Recipient{Kind: events.ByContactID, Value: f.contactID}
	case f.messengerUserID != "":
		return events.Recipient{Kind: events.ByMessengerUserID, Value: f.messengerUserID}
	}
	return events.Recipient{}
}

// publish publishes r, prints the receipt and, if asked to, waits for the end.
func (f *requestFlags) publish(cmd *cobra.Command, r *events.Request) error {
	c, err := f.broker.dial(cmd)
	if err != nil {
		return err
	}
	defer c.close()
	ctx := cmd.Context()
	from := uint64(0)
	if f.wait {
		if from, err = c.next(ctx); err != nil {
			return err
		}
	}
	receipt, err := c.publish(ctx, r)
	if err != nil {
		return err
	}
	p := newPrinter(cmd.OutOrStdout(), f.printJSON)
	if err := p.receipt(r, receipt); err != nil || !f.wait {
		return err
	}
	if receipt.Duplicate {
		from = 0 // its events may be there already
	}
	ctx, cancel := context.WithTimeoutCause(ctx, f.waitFor, fmt.Errorf("the request had no end within %v; it goes on", f.waitFor))
	defer cancel()
	end, err := c.follow(ctx, r, from, p.event)
	if err == nil && end != events.StateAccepted && end != events.StateDone {
		err = &endError{end}
	}
	return err
}
