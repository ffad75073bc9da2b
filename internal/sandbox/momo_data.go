package sandbox

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// momoCampaigns returns the rows of an account, newest first: for each
// condition N of the last 30 days, and a tenth of N, at least one, in each
// older range of the document. The same seed and start give the same rows.
//
// Rows with equal create_at lie across the borders of pages of 20, both for who
// asks for what is older than the last one and for who asks so that the last
// one's own time is included.
func momoCampaigns(seed uint64, start time.Time, a Account, condition string, days int) []momoCampaign {
	n := cmp.Or(a.Campaigns, 57)
	older := max(1, n/10)
	ages := []struct{ from, to, count int }{{0, 30, n}, {30, 60, older}, {60, 90, older}, {90, 365, older}}
	var rows []momoCampaign
	for ci, id := range momoConditions {
		if condition != "" && condition != id {
			continue
		}
		i := 0
		for _, age := range ages {
			if age.to > days {
				break
			}
			span := time.Duration(age.to-age.from) * 24 * time.Hour
			for k := range age.count {
				at := start.Add(-time.Duration(age.from)*24*time.Hour - span*time.Duration(k+1)/time.Duration(age.count+1))
				row := momoRow(seed, ci, i, at.UnixMilli())
				if i > 0 && (i%19 == 0 || i%20 == 0) {
					row.CreateAt = rows[len(rows)-1].CreateAt
				}
				if i > 0 && i%19 == 0 { // one campaign to two segments
					row.CampaignID = rows[len(rows)-1].CampaignID
				}
				rows = append(rows, row)
				i++
			}
		}
	}
	slices.SortStableFunc(rows, func(a, b momoCampaign) int { return cmp.Compare(b.CreateAt, a.CreateAt) })
	return rows
}

func momoRow(seed uint64, condition, i int, createAt int64) momoCampaign {
	random := rand.New(rand.NewPCG(seed, uint64(condition)<<32|uint64(i)))
	size := 5 + random.IntN(5000)
	failed := random.IntN(size/5 + 1)
	sent := size - failed
	received := sent - random.IntN(sent/10+1)
	read := random.IntN(received + 1)
	return momoCampaign{
		SegmentID:    fmt.Sprint(1000*(condition+1) + i),
		CampaignID:   fmt.Sprint(createAt - 2322 - int64(condition)),
		SegmentSize:  size,
		TemplateData: momoTemplate(i),
		Status:       "SEGMENT_COMPLETE",
		Condition:    momoConditions[condition],
		CreateAt:     createAt,
		Reports: momoReports{
			Sending: size, Failed: failed, Sent: sent,
			Received: received, Read: read, Clicked: random.IntN(read + 1),
		},
	}
}

// momoTemplate has the names and the odd values of the document's example.
func momoTemplate(i int) string {
	params := func(auto any) map[string]any {
		return map[string]any{
			"oaId": "130035", "oaName": "Trà sữa Mẫu", "campaignId": nil, "isAutoRedirect": auto,
			"redirectScreen": map[string]any{
				"refId": nil, "params": nil, "giftType": nil, "campaignId": nil, "type_": 4, "source": "official_account",
			},
		}
	}
	b, err := json.Marshal(map[string]any{"chatMessage": map[string]any{
		"messageType": "ENGAGEMENT_CARD",
		"title":       fmt.Sprintf("Mời bạn ghé quán với ưu đãi số %d", i+1),
		"content":     "Nhiều chương trình ưu đãi hấp dẫn đang chờ bạn & gia đình, ghé quán xem và thu thập ngay thôi!",
		"url":         "https://example.com/image.jpg", "button1Title": "Xem thêm", "button1Type": "REDIRECT",
		"button1Endpoint": "official_account", "button1Params": params(nil),
		"messageActionType": "REDIRECT", "messageActionEndpoint": "official_account", "messageActionParams": params("0"),
	}})
	if err != nil {
		panic(err) // maps and texts only
	}
	return string(b)
}
