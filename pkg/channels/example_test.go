package channels_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/tramhq/tram/pkg/channels"
	"github.com/tramhq/tram/pkg/channels/caresoft"
	"github.com/tramhq/tram/pkg/events"
)

// What the relay does with one request, in short.
func Example() {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"code":"ok","message":"Tạo thành công!"}`)
	}))
	defer api.Close()
	client, err := channels.NewClient(channels.ClientConfig{})
	if err != nil {
		panic(err)
	}
	defer client.Close()

	provider := caresoft.New()
	account := &channels.Account{
		Provider: "caresoft", Name: "hotline", BaseURL: api.URL,
		Settings: map[string]string{"domain": "my-company", "oa_id": "1600190000000000001"},
		Secrets:  map[string]channels.Secret{"token": "from-a-file"},
	}
	request := &events.Request{Kind: events.KindSend, Provider: "caresoft", Account: "hotline", Class: events.Urgent, Send: &events.Send{
		Recipient: events.Recipient{Kind: events.ByPhone, Value: "0900000001"},
		Content:   events.Content{Kind: events.ContentText, Text: "Xin chào!"},
	}}
	step := channels.Step{Number: 1}

	call, err := provider.Prepare(account, request, step)
	if err != nil {
		panic(err)
	}
	answer := client.Do(context.Background(), account, call)
	verdict := provider.Judge(account, request, step, answer)
	fmt.Println(string(call.Body))
	fmt.Println(answer.Status, verdict.Class, verdict.Evidence, verdict.ProviderText)
	fmt.Println(account.Secrets["token"])
	// Output:
	// {"zalo":{"phone_no":"0900000001","oa_id":"1600190000000000001","message":"Xin chào!"}}
	// 200 ok strong Tạo thành công!
	// [REDACTED]
}
