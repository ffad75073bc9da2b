package facebook

import (
	"testing"

	"github.com/tramhq/tram/pkg/channels"
)

func TestRedact(t *testing.T) {
	for in, want := range map[string]string{
		`{"next":"https://g.example/insights?access_token=EAAB|x-1_2&since=1"}`:     `{"next":"https://g.example/insights?access_token=[REDACTED]&since=1"}`,
		`{"next":"https:\/\/g.example\/i?since=1&access_token=EAAB%7Cx"}`:           `{"next":"https:\/\/g.example\/i?since=1&access_token=[REDACTED]"}`,
		`{"next":"https://g.example/i?access_token=EAAB\u0026since=1"}`:             `{"next":"https://g.example/i?access_token=[REDACTED]\u0026since=1"}`,
		`{"next":"https://g.example/i?access_token\u003dEA\u007cAB\/x\u0026since"}`: `{"next":"https://g.example/i?access_token\u003d[REDACTED]\u0026since"}`,
		`{"back":"/login?next=%2Fi%3Faccess_token%3DEAAB%26since%3D1&x=2"}`:         `{"back":"/login?next=%2Fi%3Faccess_token%3D[REDACTED]%26since%3D1&x=2"}`,
		`{"back":"/login?next=%253Faccess_token%253dEAAB&x=2"}`:                     `{"back":"/login?next=%253Faccess_token%253d[REDACTED]&x=2"}`,
		`{"next":"?page_access_token=EAAB&APPSECRET_PROOF=ab12"}`:                   `{"next":"?page_access_token=[REDACTED]&APPSECRET_PROOF=[REDACTED]"}`,
		`{"access_token" : "EA\/AB","name":"x"}`:                                    `{"access_token" : "[REDACTED]","name":"x"}`,
		`{"a":"{\"access_token\":\"EAAB\",\"name\":\"x\"}"}`:                        `{"a":"{\"access_token\":\"[REDACTED]\",\"name\":\"x\"}"}`,
		`{"access_token":"cut o`:                                                    `{"access_token":"[REDACTED]`,
		`{"access_token":null,"note":"access_token is needed"}`:                     `{"access_token":null,"note":"access_token is needed"}`,
		`{"next":"?access_token=&since=1"}`:                                         `{"next":"?access_token=&since=1"}`,
	} {
		got := provider{}.Redact(nil, channels.Step{}, []byte(in))
		if string(got) != want {
			t.Errorf("%s\n got %s\nwant %s", in, got, want)
		}
		if again := (provider{}).Redact(nil, channels.Step{}, got); string(again) != want {
			t.Errorf("redacted again, %s becomes %s", want, again)
		}
	}
}
