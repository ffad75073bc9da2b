package sandbox

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestCaresoftSendMessage(t *testing.T) {
	zalo := func(fields string) string { return `{"zalo":{"oa_id":"` + oa + `",` + fields + `}}` }
	to := `"phone_no":"0900000001"`
	tests := []struct {
		name, body string
		refusal    string // "" is accepted
	}{
		{"script with params", zalo(to + `,"script_id":608,"template_params":{"username":"Anh Tan"}`), ""},
		{"script alone", zalo(to + `,"script_id":608`), ""},
		{"text", zalo(to + `,"message":"CareSoft cảm ơn quý khách đã sử dụng dịch vụ"`), ""},
		{"contact with text", zalo(`"user_id":"122052447","message":"CareSoft Xin chào!"`), ""},
		{"contact as a number with script", zalo(`"user_id":122052447,"script_id":608`), ""},
		{"oa as a number", `{"zalo":{"oa_id":` + oa + `,` + to + `,"message":"x"}}`, ""},
		{"1000 characters", zalo(to + `,"message":"` + strings.Repeat("ữ", 1000) + `"`), ""},

		{"1001 characters", zalo(to + `,"message":"` + strings.Repeat("ữ", 1001) + `"`), "message has 1001 characters"},
		{"empty message", zalo(to + `,"message":""`), "message is empty"},
		{"message of another type", zalo(to + `,"message":5`), "message must be a string"},
		{"null message", zalo(to + `,"message":null`), "message must be a string"},
		{"no content", zalo(to), "script_id or message is required"},
		{"script and message", zalo(to + `,"script_id":608,"message":"x"`), "message must be left out"},
		{"params without script", zalo(to + `,"message":"x","template_params":{}`), "template_params needs a script_id"},
		{"params alone", zalo(to + `,"template_params":{"a":"b"}`), "template_params needs a script_id"},
		{"params as an array", zalo(to + `,"script_id":608,"template_params":[{"a":"b"}]`), "template_params must be a JSON object"},
		{"param of another type", zalo(to + `,"script_id":608,"template_params":{"a":1}`), "template_params.a must be a string"},
		{"script as text", zalo(to + `,"script_id":"608"`), "script_id must be a positive integer"},
		{"script zero", zalo(to + `,"script_id":0`), "script_id must be a positive integer"},
		{"nobody", zalo(`"message":"x"`), "phone_no or user_id is required"},
		{"phone and contact", zalo(to + `,"user_id":"1","message":"x"`), "user_id must be left out"},
		{"bad phone", zalo(`"phone_no":"09 00","message":"x"`), "phone_no must be a phone number"},
		{"phone as a number", zalo(`"phone_no":900000001,"message":"x"`), "phone_no must be a string"},
		{"bad contact", zalo(`"user_id":"abc","message":"x"`), "user_id must be an id"},
		{"no oa", `{"zalo":{` + to + `,"message":"x"}}`, "oa_id is required"},
		{"another oa", `{"zalo":{"oa_id":"1",` + to + `,"message":"x"}}`, "oa_id is not connected"},
		{"unknown field", zalo(to + `,"message":"x","text":"y"`), "text is not a known field"},
		{"field twice", zalo(to + `,"message":"x","message":"y"`), "message is given twice"},
		{"no zalo", `{}`, "zalo is missing"},
		{"unknown beside zalo", `{"zalo":{},"x":1}`, "x is not a known field"},
		{"zalo of another type", `{"zalo":[]}`, "zalo must be a JSON object"},
		{"array", `[]`, "body must be a JSON object"},
		{"broken", `{"zalo":{`, "body is not valid JSON"},
		{"more after it", zalo(to+`,"message":"x"`) + `{}`, "body has something after its end"},
		{"empty", ``, "body must be a JSON object"},
	}
	f := start(t, Options{Accounts: []Account{{Provider: "caresoft", ID: "sandbox", Token: caresoftToken, OAs: []string{oa}, PerSecond: -1}}})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := &fixture{f.Server, t, f.client}
			if tt.refusal == "" {
				f.want(f.sendCaresoft(tt.body), 200, `{"code":"ok","message":"Tạo thành công!"}`, Accepted)
				return
			}
			r := f.sendCaresoft(tt.body)
			f.want(r, 200, tt.refusal, Refused)
			if !strings.HasPrefix(r.body, `{"code":"errors","message":"`) {
				t.Errorf("body %s has not the documented form", r.body)
			}
		})
	}
}

func TestCaresoftDoor(t *testing.T) {
	f := start(t, Options{})
	body := text("0900000001")
	f.want(f.do("GET", sendMessage, caresoftToken, "application/json", ""), 405, "errors", Refused)
	f.want(f.do("POST", sendMessage, "", "application/json", body), 401, "errors", Refused)
	f.want(f.do("POST", sendMessage, "wrong", "application/json", body), 401, "errors", Refused)
	f.want(f.do("POST", sendMessage, caresoftToken, "", body), 415, "errors", Refused)
	f.want(f.do("POST", sendMessage, caresoftToken, "application/x-www-form-urlencoded", body), 415, "errors", Refused)
	f.want(f.do("POST", sendMessage, caresoftToken, "application/json; charset=latin1", body), 415, "errors", Refused)
	f.want(f.do("POST", sendMessage+"?token=x", caresoftToken, "application/json", body), 200, "query parameters", Refused)
	f.want(f.do("POST", sendMessage+"?a=%zz", caresoftToken, "application/json", body), 400, "errors", Refused)
	f.want(f.do("POST", "/caresoft/other/api/v1/zalo/send-message", caresoftToken, "application/json", body), 404, "Domain incorrect", Refused)
	f.want(f.do("POST", sendMessage, caresoftToken, "application/json", strings.Repeat("x", maxBody+1)), 413, "errors", Refused)
	f.want(f.do("POST", sendMessage, caresoftToken, "application/json; charset=UTF-8", body), 200, "ok", Accepted)
}

func TestCaresoftUserStatus(t *testing.T) {
	f := start(t, Options{})
	ask := func(body string) reply { return f.do("POST", userStatus, caresoftToken, "application/json", body) }
	status := func(phone string) map[string]any {
		t.Helper()
		r := ask(`{"phone_no":"` + phone + `","oa_id":"` + oa + `"}`)
		f.want(r, 200, `"code":"ok"`, Accepted)
		var v struct{ Data map[string]any }
		if err := json.Unmarshal([]byte(r.body), &v); err != nil {
			t.Fatal(err)
		}
		return v.Data
	}
	good := status("0900000001")
	if good["following_status"] != true || good["can_send_consultation_message"] != true || good["last_user_activity_time"] == nil {
		t.Errorf("status %v", good)
	}
	if again := status("0900000001"); fmt.Sprint(again) != fmt.Sprint(good) {
		t.Errorf("not the same twice: %v and %v", good, again)
	}
	if late := status("0900000007"); late["can_send_consultation_message"] != false || late["consultation_message_expired_time"] != nil {
		t.Errorf("out of the window: %v", late)
	}
	if stranger := status("0900000008"); stranger["following_status"] != nil || stranger["zalo_psid"] != nil || stranger["can_send_promotion_message"] != false {
		t.Errorf("stranger: %v", stranger)
	}
	if table := status("0900000009"); table["following_status"] != 1.0 || table["can_send_consultation_message"] != 1.0 {
		t.Errorf("flags as the table has them: %v", table)
	}
	f.Reset() // the limit per second
	f.want(ask(`{"phone_no":"0900000001"}`), 200, "ok", Accepted)
	f.want(ask(`{"oa_id":"`+oa+`"}`), 200, "phone_no is required", Refused)
	f.want(ask(`{"phone_no":900000001}`), 200, "phone_no must be a string", Refused)
	f.want(ask(`{"phone_no":"0900000001","oa_id":`+oa+`}`), 200, "oa_id must be a string", Refused)
	f.want(ask(`{"phone_no":"0900000001","oa_id":"5"}`), 200, "oa_id is not connected", Refused)
	f.want(ask(`{"phone_no":"0900000001","user_id":"5"}`), 200, "user_id is not a known field", Refused)
	f.want(f.do("POST", userStatus, "wrong", "application/json", `{}`), 401, "errors", Refused)
}

// TestCaresoftLimit goes through the whole of the documented throttle: 15 per
// second, 429, and from the 21st in a row on a 404 that lasts 15 minutes.
func TestCaresoftLimit(t *testing.T) {
	c := &clock{now: time.Now()}
	f := start(t, Options{Now: c.Now})
	for i := range 15 {
		f.want(f.sendCaresoft(text(fmt.Sprintf("09000000%02d", i))), 200, "ok", Accepted)
	}
	for range 20 {
		f.want(f.sendCaresoft(text("0900000099")), 429, `{"code":"errors","message":"Too Many Attempts."}`, Refused)
	}
	locked := `{"code":"errors","message":"Domain incorrect too many times , retry after 15 minutes "}`
	f.want(f.sendCaresoft(text("0900000099")), 404, locked, Refused)
	c.Add(14 * time.Minute)
	f.want(f.sendCaresoft(text("0900000099")), 404, locked, Refused)
	c.Add(time.Minute)
	f.want(f.sendCaresoft(text("0900000099")), 200, "ok", Accepted)

	for range 14 {
		f.want(f.sendCaresoft(text("0900000099")), 200, "ok", Accepted)
	}
	f.want(f.sendCaresoft(text("0900000099")), 429, "errors", Refused)
	c.Add(time.Second)
	f.want(f.sendCaresoft(text("0900000099")), 200, "ok", Accepted)
}

func TestCaresoftHourLimit(t *testing.T) {
	c := &clock{now: time.Now()}
	f := start(t, Options{Now: c.Now, Accounts: []Account{{Provider: "caresoft", ID: "sandbox", Token: caresoftToken, OAs: []string{oa}, PerSecond: -1, PerHour: 20}}})
	for range 20 {
		f.want(f.sendCaresoft(text("0900000001")), 200, "ok", Accepted)
	}
	c.Add(59 * time.Minute)
	f.want(f.sendCaresoft(text("0900000001")), 429, "errors", Refused)
	c.Add(time.Minute)
	f.want(f.sendCaresoft(text("0900000001")), 200, "ok", Accepted)
}
