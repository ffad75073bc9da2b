package main

import (
	"github.com/spf13/cobra"

	"github.com/tramhq/tram/pkg/events"
)

func commandCommand() *cobra.Command {
	var f commandFlags
	cmd := &cobra.Command{
		Use:   "command provider/account command",
		Short: "Publish a command: change something at the provider",
		Long: `Publish a command: change something at the provider, such as the tags of a
conversation.

Prints a receipt once the broker has stored the request; with --wait also the
outcome, which is the end.`,
		Example: `  tram command pancake/page conversation.tag.add --conversation-id c1 --tag-id 7 --wait`,
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := f.request(events.KindCommand, args[0])
			if err != nil {
				return err
			}
			if r.Command, err = f.command(cmd, args[1:]); err != nil {
				return err
			}
			return f.publish(cmd, r)
		},
	}
	f.register(cmd)
	return cmd
}

type commandFlags struct {
	requestFlags
	fields events.Command
}

func (f *commandFlags) register(cmd *cobra.Command) {
	f.requestFlags.register(cmd)
	fs, c := cmd.Flags(), &f.fields
	fs.StringVar(&c.PageID, "page-id", "", "id of a page, for a command about one (such as page_token.generate)")
	fs.StringVar(&c.ConversationID, "conversation-id", "", "id of a conversation")
	fs.StringVar(&c.TagID, "tag-id", "", "id of a tag")
	fs.StringSliceVar(&c.AssigneeIDs, "assignee-id", nil, "ids of who is to have the conversation")
}

func (f *commandFlags) command(cmd *cobra.Command, name []string) (*events.Command, error) {
	body := new(events.Command)
	if given, err := f.readBody(cmd, body); given {
		if err == nil && len(name) > 0 {
			err = usage("the command is named in the body: leave the argument %q out", name[0])
		}
		return body, err
	}
	if len(name) == 0 {
		return nil, usage("the name of the command is missing, such as conversation.tag.add")
	}
	c := f.fields
	c.Command = name[0]
	c.Timing, c.Context = f.timing(), f.context()
	return &c, nil
}
