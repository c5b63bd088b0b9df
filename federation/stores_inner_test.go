package federation

import (
	"testing"
	"time"
)

// A list of stores is hostile: whatever it is, nothing is lacking that was not
// listed, and what does not work is.
func FuzzStores(f *testing.F) {
	f.Add([]byte(`{"status":"success","data":{"sidecar":[{"lastError":"refused","labelSets":[{"a":"b"}],"minTime":0,"maxTime":9223372036854775807}],"store":[{"lastError":null,"labelSets":[]}]}}`))
	f.Add([]byte(`{"status":"success","data":{}}`))
	f.Add([]byte(`{"status":"error"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		now := time.Unix(1, 0)
		list, err := parseStores(body, now)
		if err != nil {
			return
		}
		var s stores
		lacking, all := s.take(list, now)
		if len(lacking) > len(list.failing) || all > len(list.failing)+len(list.working) || len(list.failing) > 0 != (len(lacking) > 0) {
			t.Errorf("%d of %d lack; %d fail, %d work", len(lacking), all, len(list.failing), len(list.working))
		}
		if gone, _ := s.take(storeList{}, now.Add(storeKept)); len(gone) != all {
			t.Errorf("%d of %d are gone", len(gone), all)
		}
		if gone, _ := s.take(storeList{}, now.Add(storeKept+1)); len(gone) != 0 {
			t.Errorf("%d are remembered", len(gone))
		}
	})
}
