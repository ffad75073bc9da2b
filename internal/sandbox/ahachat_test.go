package sandbox

import "testing"

func TestAhachatSend(t *testing.T) {
	const (
		user   = "/ahachat/api/bots/1001/users/4567/send?"
		phones = "/ahachat/api/bots/1001/phones/send?"
		token  = "ahachat_token=" + ahachatToken
		block  = "&ahachat_block_name=Ch%C3%A0o+b%E1%BA%A1n"
		tag    = "&ahachat_message_tag=ACCOUNT_UPDATE"
	)
	tests := []struct {
		name, method, path, body string
		status                   int
		refusal                  string // "" is accepted
	}{
		{"user", "POST", user + token + tag + block, "", 200, ""},
		{"user without tag, with attributes", "POST", user + token + block + "&h%E1%BA%A1ng=v%C3%A0ng&n=1", "", 200, ""},
		{"phone", "POST", phones + token + tag + block + "&phone=0900000001", "", 200, ""},
		{"phone with plus", "POST", phones + token + block + "&phone=%2B84900000001", "", 200, ""},

		{"GET", "GET", user + token + block, "", 405, "Method Not Allowed"},
		{"no token", "POST", user + block[1:], "", 401, "Missing token"},
		{"wrong token", "POST", user + "ahachat_token=wrong" + block, "", 401, "Invalid token"},
		{"unknown bot", "POST", "/ahachat/api/bots/9/users/4567/send?" + token + block, "", 404, "Bot not found"},
		{"body", "POST", user + token + block, "{}", 400, "must be empty"},
		{"no block", "POST", user + token + tag, "", 400, "Missing block name"},
		{"no phone", "POST", phones + token + block, "", 400, "Missing or invalid phone"},
		{"bad phone", "POST", phones + token + block + "&phone=abc", "", 400, "Missing or invalid phone"},
		{"user and phone", "POST", user + token + block + "&phone=0900000001", "", 400, "Both a user and a phone"},
		{"twice", "POST", user + token + block + block, "", 400, "given twice"},
		{"attribute without name", "POST", user + token + block + "&=x", "", 400, "has no name"},
		{"reserved name", "POST", user + token + block + "&Ahachat_Token=x", "", 400, "Unknown parameter"},
		{"empty tag", "POST", user + token + block + "&ahachat_message_tag=", "", 400, "Invalid message tag"},
		{"odd tag", "POST", user + token + block + "&ahachat_message_tag=account+update", "", 400, "Invalid message tag"},
		{"broken query", "POST", user + token + block + "&a=%zz", "", 400, "Query string is not valid"},
	}
	f := start(t, Options{})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := &fixture{f.Server, t, f.client}
			r := f.do(tt.method, tt.path, "", "", tt.body)
			if tt.refusal == "" {
				f.want(r, tt.status, `{"success":true,"result":"ok"}`, Accepted)
			} else {
				f.want(r, tt.status, tt.refusal, Refused)
			}
		})
	}
	if n := len(f.Calls(Filter{Recipient: "4567", Outcome: Accepted})); n != 2 {
		t.Errorf("%d accepted for the user", n)
	}
	if n := len(f.Calls(Filter{Recipient: "+84900000001", Operation: "ahachat.send_to_phone"})); n != 1 {
		t.Errorf("%d for the phone", n)
	}
}

func TestOwnLimitOfAnAccount(t *testing.T) {
	f := start(t, Options{Accounts: []Account{
		{Provider: "ahachat", ID: "1", Token: "x", PerSecond: 1},
		{Provider: "momo", ID: "2", Token: "y", PerSecond: 1},
	}})
	send := func() reply {
		return f.do("POST", "/ahachat/api/bots/1/users/4/send?ahachat_token=x&ahachat_block_name=b", "", "", "")
	}
	f.want(send(), 200, "ok", Accepted)
	f.want(send(), 429, `{"success":false,"result":"Too many requests"}`, Refused)
	fetch := func() reply {
		return f.do("POST", "/momo/v1/business-pages/2/chat/messages/report", "y", "application/json", `{"oa_id":"2","report_time_range":"ALL"}`)
	}
	f.want(fetch(), 200, `"success":true`, Accepted)
	f.want(fetch(), 429, `{"success":false,"message":"Too many requests"}`, Refused)
}
