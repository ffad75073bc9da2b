package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tramhq/tram/cmd/internal/wiring"
)

// schedules runs `tram schedule`, which must exit with the code.
func schedules(t *testing.T, want int, server string, args ...string) (stdout, stderr string) {
	t.Helper()
	code, stdout, stderr := tram(t, "", append(append([]string{"schedule"}, args...), "-s", server)...)
	if code != want {
		t.Fatalf("tram schedule %s: exit code %d, want %d: %s", strings.Join(args, " "), code, want, stderr)
	}
	return stdout, stderr
}

func insights(name string, more ...string) []string {
	return append([]string{"add", name, "--account", "facebook/page", "--report", "facebook.page_insights",
		"--metric", "page_messages_new_conversations_unique", "--granularity", "day"}, more...)
}

// viewOf returns what `tram schedule show --json` says about one.
func viewOf(t *testing.T, server, name string) (v scheduleView) {
	t.Helper()
	stdout, _ := schedules(t, wiring.ExitOK, server, "show", name, "--json")
	if err := json.Unmarshal([]byte(stdout), &v); err != nil {
		t.Fatalf("%q: %v", stdout, err)
	}
	return v
}

func TestSchedule(t *testing.T) {
	up := start(t, t.TempDir())
	out, _ := schedules(t, wiring.ExitOK, up.nats, "list")
	contains(t, "an empty list", out, "no schedules: tram schedule add makes one")

	// Once a year, in the night of the year's end: it does not run by itself here.
	yearly := []string{"--cron", "30 3 31 12 *", "--zone", "Asia/Ho_Chi_Minh", "--range", "last_7_days", "--by", "an"}
	out, _ = schedules(t, wiring.ExitOK, up.nats, insights("yearly", yearly...)...)
	contains(t, "add", out, "schedule yearly added\nnext  2", "-12-31 03:30 +07  for 2", "-12-24 to before 2")
	if lines := strings.Count(out, "\n"); lines != 4 {
		t.Errorf("add tells %d lines, want three runs:\n%s", lines, out)
	}
	_, errs := schedules(t, wiring.ExitFailure, up.nats, insights("yearly", yearly...)...)
	contains(t, "adding it again", errs, "there is a schedule of that name: --replace")
	schedules(t, wiring.ExitOK, up.nats, insights("yearly", append(yearly, "--replace", "--tenant", "acme")...)...)
	schedules(t, wiring.ExitOK, up.nats, "add", "person", "--account", "caresoft/hotline", "--report", "caresoft.zalo_user_status",
		"--phone", "0900000001", "--every", "8784h", "--class", "normal")

	out, _ = schedules(t, wiring.ExitOK, up.nats, "run", "yearly", "--wait", "--json")
	contains(t, "run", out, `"source":"/tram/schedule/yearly"`, `"tenant":"acme"`, `"schedule":"yearly"`, `"scheduled_for":"`, `+07:00"`, `"state":"done"`)

	out, _ = schedules(t, wiring.ExitOK, up.nats, "pause", "yearly", "person")
	contains(t, "pause", out, "paused yearly\npaused person\n")
	v := viewOf(t, up.nats, "yearly")
	if v.State != schedulePaused || len(v.NextMS) != 0 || v.Schedule.Report.Tenant != "acme" || v.Last != nil {
		t.Errorf("paused it is %+v of %+v", v, v.Schedule)
	}
	schedules(t, wiring.ExitOK, up.nats, "resume", "yearly", "--json")
	if v = viewOf(t, up.nats, "yearly"); v.State != scheduleActive || len(v.NextMS) != 3 || v.NextMS[0] < time.Now().UnixMilli() {
		t.Errorf("resumed it is %+v", v)
	}
	out, _ = schedules(t, wiring.ExitOK, up.nats, "show", "yearly", "person")
	contains(t, "show", out, "schedule yearly: active", "30 3 31 12 * in Asia/Ho_Chi_Minh", "range       last_7_days", "written by", "schedule person: paused", "[hidden]")
	hides(t, "show", out, "0900000001")
	out, _ = schedules(t, wiring.ExitOK, up.nats, "show", "person", "--reveal")
	contains(t, "show --reveal", out, "0900000001")

	nc, err := nats.Connect(up.nats)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	for name, body := range map[string]string{
		"broken": "each morning",
		"alien":  `{"provider":"facebook","account":"elsewhere","every":"8784h","report":{"report":"facebook.page_insights"}}`,
	} {
		if _, err := nc.Request("$KV.TRAM_SCHEDULES.schedule."+name, []byte(body), 5*time.Second); err != nil {
			t.Fatal(err)
		}
	}
	out, _ = schedules(t, wiring.ExitOK, up.nats, "list")
	contains(t, "list", out, "NAME", "yearly  facebook/page", "every 8784h", "  paused", "broken does not run: invalid schedule: body: is not JSON at byte 1",
		"alien does not run: invalid request: account: facebook has no elsewhere: there is page")
	hides(t, "list", out, "0900000001")
	out, _ = schedules(t, wiring.ExitOK, up.nats, "list", "--json")
	hides(t, "list --json", out, "0900000001")
	if n := strings.Count(out, "\n"); n != 4 {
		t.Errorf("list has %d lines:\n%s", n, out)
	}
	_, errs = schedules(t, wiring.ExitRefused, up.nats, "resume", "broken")
	contains(t, "resuming what nobody can read", errs, "remove it, or put another one in its place")

	out, _ = schedules(t, wiring.ExitOK, up.nats, "remove", "yearly", "person", "broken", "alien")
	contains(t, "remove", out, "removed yearly\n")
	out, _ = schedules(t, wiring.ExitOK, up.nats, "list")
	contains(t, "the list in the end", out, "no schedules")
	_, errs = schedules(t, wiring.ExitFailure, up.nats, "show", "yearly")
	contains(t, "showing what is there no more", errs, "schedule yearly: there is no such schedule: `tram schedule list` shows them")
}

// What cannot be is refused before anything is stored, with what to do.
func TestSchedule_refuses(t *testing.T) {
	if code, _, errs := tram(t, "", "schedule"); code != wiring.ExitUsage || !strings.Contains(errs, "say what to do: add, list, pause, remove, resume, run, show") {
		t.Errorf("tram schedule: exit code %d, %s", code, errs)
	}
	up := start(t, t.TempDir())
	for _, c := range []struct {
		code int
		args []string
		want string
	}{
		{wiring.ExitUsage, insights("x"), "at least one of the flags in the group [every cron] is required"},
		{wiring.ExitUsage, insights("x", "--every", "1h", "--cron", "0 6 * * *"), "if any flags in the group [every cron] are set none of the others can be"},
		{wiring.ExitUsage, []string{"add", "x", "--every", "1h"}, `required flag(s) "account", "report" not set`},
		{wiring.ExitUsage, insights("x", "--every", "1h", "--from", "-24h"), "unknown flag: --from"},
		{wiring.ExitUsage, insights("x", "--every", "1h", "--account", "page"), "must be provider/account"},
		{wiring.ExitUsage, []string{"pause", "../x"}, "is not the name of a schedule"},
		{wiring.ExitRefused, insights("a b", "--every", "1h"), "name: must be 1 to 64"},
		{wiring.ExitRefused, insights("x", "--every", "10s"), "every: must be whole minutes such as 15m"},
		{wiring.ExitRefused, insights("x", "--cron", "0 6 * *"), "cron: must be five fields such as 0 6 * * *"},
		{wiring.ExitRefused, insights("x", "--every", "1h", "--zone", "Hanoi"), "zone: must be an IANA zone"},
		{wiring.ExitRefused, insights("x", "--every", "1h", "--range", "tomorrow"), "range: must be one of today, yesterday"},
		{wiring.ExitRefused, insights("x", "--every", "1h", "--account", "facebook/pag"), "facebook has no pag: there is page"},
		{wiring.ExitRefused, insights("x", "--every", "1h", "--report", "facebook.insights"), "report: must be facebook.page_insights"},
		{wiring.ExitRefused, []string{"add", "x", "--account", "caresoft/hotline", "--report", "caresoft.zalo_user_status", "--every", "1h", "--phone", "0900000001", "--range", "today"}, "range: caresoft.zalo_user_status does not take it"},
		{wiring.ExitFailure, []string{"run", "x"}, "there is no such schedule"},
	} {
		_, errs := schedules(t, c.code, up.nats, c.args...)
		contains(t, strings.Join(c.args, " "), errs, c.want)
		hides(t, strings.Join(c.args, " "), errs, "0900000001")
	}
	out, _ := schedules(t, wiring.ExitOK, up.nats, "list")
	contains(t, "list", out, "no schedules")
}
