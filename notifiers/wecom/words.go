package wecom

import (
	"fmt"
	"time"
	"unicode"

	"github.com/midwatch-slo/midwatch/page"
)

// words are what is said to members besides pages.
type words struct {
	acked, escalated, resolved    string // by whom, when
	ackDone, escDone, resolveDone string // which incident
	failed, usage, newer          string
}

func english() words {
	return words{
		acked: "Acknowledged by %[1]s at %[2]s", escalated: "Escalated by %[1]s at %[2]s", resolved: "Resolved at %s",
		ackDone: "Incident %d is acknowledged: it is yours.", escDone: "Incident %d is escalated: the next step is being paged.", resolveDone: "Incident %d is resolved.",
		failed: "That did not work for incident %d. See its page, or: midwatch incident show %[1]d",
		usage:  "Write: ack 12, escalate 12 or resolve 12, with the number of the incident.",
		newer:  "See the newer message",
	}
}

func chinese() words {
	return words{
		acked: "%[1]s 已于 %[2]s 认领", escalated: "%[1]s 已于 %[2]s 升级", resolved: "已于 %s 恢复",
		ackDone: "故障 %d 已由你认领。", escDone: "故障 %d 已升级，正在通知下一级。", resolveDone: "故障 %d 已关闭。",
		failed: "故障 %d 操作失败。请查看故障页面，或执行：midwatch incident show %[1]d",
		usage:  "请发送：认领 12、升级 12 或 关闭 12（数字为故障编号）。",
		newer:  "请查看新消息",
	}
}

func wordsIn(language string) words {
	if (page.Contact{Language: language}).Lang() == "zh" {
		return chinese()
	}
	return english()
}

func wordsOf(c page.Contact) words { return wordsIn(c.Language) }

// languageOf guesses the language of somebody who writes.
func languageOf(text string) string {
	for _, r := range text {
		if unicode.Is(unicode.Han, r) {
			return "zh"
		}
	}
	return "en"
}

// maxActor is how many characters of a name are shown.
const maxActor = 40

func (w words) acknowledged(by string, at time.Time, timezone string) string {
	return fmt.Sprintf(w.acked, short(by, maxActor), clockTime(at, timezone))
}

// clockTime shows an instant by the reader's clock.
func clockTime(at time.Time, timezone string) string { return at.In(zone(timezone)).Format("15:04:05") }
